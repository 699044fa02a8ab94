"""the people's objects: what is strict stays strict, what is secret stays secret"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import Account, App, Key, Mode, strictest
from pillarbox.policy.server import Server
from pillarbox.policy.submitter import Submitter
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.secret import Secret


@pytest.mark.parametrize(
    ("modes", "result"),
    [
        ((Mode.LIVE, Mode.SANDBOX), Mode.SANDBOX),
        ((Mode.HOLD, Mode.LIVE), Mode.HOLD),
        ((Mode.SANDBOX, Mode.HOLD), Mode.SANDBOX),
        ((Mode.OFF, Mode.SANDBOX, Mode.LIVE), Mode.OFF),
        ((Mode.LIVE, None), Mode.LIVE),
        ((None, Mode.HOLD), Mode.HOLD),
        ((None, None), Mode.LIVE),
        ((), Mode.LIVE),
    ],
)
def test_the_strictest_mode_holds(modes: tuple[Mode | None, ...], result: Mode) -> None:
    assert strictest(*modes) is result


def test_an_app_is_born_in_the_sandbox() -> None:
    assert App(ObjectId(b"a"), ObjectId(b"b"), "first-app").mode is Mode.SANDBOX


def test_a_servers_password_does_not_show_itself() -> None:
    server = Server(ObjectId(b"s"), ObjectId(b"a"), "n", "h", password=Secret("hush"))
    assert "hush" not in repr(server)


@pytest.mark.parametrize("kind", [Account, App, Server, Credential, Key, Submitter])
def test_values_are_frozen_and_slotted(kind: type) -> None:
    assert not hasattr(kind, "__dict__") or "__slots__" in kind.__dict__
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert fields(kind)[0].name in ("id", "kind")


def test_a_value_cannot_be_changed_in_place() -> None:
    account = Account(ObjectId(b"a"), "main")
    with pytest.raises(FrozenInstanceError):
        account.name = "other"  # type: ignore[misc]
