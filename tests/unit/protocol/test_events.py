"""events are values that keep secrets to themselves"""

from __future__ import annotations

from types import UnionType
from typing import get_args

import pytest

from pillarbox.protocol import events
from pillarbox.protocol.events import ClientEvent, LoginReceived, MailReceived, ServerEvent
from pillarbox.terms.secret import Secret


def kinds() -> list[type]:
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and kind.__module__ == events.__name__
    ]


def test_every_event_belongs_to_one_side() -> None:
    assert isinstance(ServerEvent, UnionType)
    server, client = set(get_args(ServerEvent)), set(get_args(ClientEvent))
    assert server | client == set(kinds())
    assert not server & client


@pytest.mark.parametrize("kind", kinds())
def test_every_event_says_what_it_means(kind: type) -> None:
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{kind.__name__}(")


def test_events_cannot_be_changed() -> None:
    event = MailReceived("a@example.com")
    with pytest.raises(AttributeError):
        event.return_path = "b@example.com"  # type: ignore[misc]
    assert event == MailReceived("a@example.com", None, "7BIT", False, {})


def test_a_login_does_not_print_its_password() -> None:
    assert "pa ss" not in repr(LoginReceived("PLAIN", "shop", Secret("pa ss word"), ""))
