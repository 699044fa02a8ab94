"""secrets do not slip out"""

from __future__ import annotations

import copy
import traceback
from dataclasses import dataclass

import pytest

from pillarbox.terms.secret import Secret


@dataclass(frozen=True)
class Holder:
    name: str
    password: Secret


def test_only_reveal_gives_the_clear_text() -> None:
    secret = Secret("pa ss word")
    assert secret.reveal() == "pa ss word"
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", "{}".format(secret)]  # noqa: UP032
    shown += [str([secret]), repr(Holder("x", secret))]
    assert not any("pa ss" in text for text in shown)


def test_a_traceback_does_not_show_it() -> None:
    secret = Secret("pa ss word")
    with pytest.raises(ValueError, match=r"\*\*\*\*") as raised:
        raise ValueError(secret)
    assert "pa ss" not in "".join(traceback.format_exception(raised.value))


def test_it_has_no_dictionary_to_look_into() -> None:
    with pytest.raises(TypeError):
        vars(Secret("x"))


def test_secrets_compare_by_value_and_with_nothing_else() -> None:
    assert Secret("é") == Secret("é")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret(" ")


def test_a_copy_is_as_silent_as_the_original() -> None:
    assert repr(copy.deepcopy(Secret("pa ss word"))) == "Secret('****')"
