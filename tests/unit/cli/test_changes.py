from __future__ import annotations

from typing import Any

import pytest

from pillarbox.cli.changes import describe, named, take_senders
from pillarbox.cli.errors import WrongUsage
from pillarbox.policy.errors import InvalidPattern


def senders(
    allow: tuple[str, ...] = (), disallow: tuple[str, ...] = (), *, empty: bool = False
) -> dict[str, Any]:
    return {"allow_from": allow, "disallow_from": disallow, "allow_any": empty}


def test_what_was_not_said_stays_as_it_is() -> None:
    assert named({"a": None, "b": "", "c": 0, "d": False}) == {"b": "", "c": 0, "d": False}
    assert take_senders(senders(), ["example.com"]) == {}


def test_a_list_of_senders_grows_and_shrinks() -> None:
    current = ["example.com", "a@x.org"]
    assert take_senders(senders(("b@x.org", "a@x.org")), current) == {
        "allowed_senders": ["example.com", "a@x.org", "b@x.org"]
    }
    assert take_senders(senders((), ("*@example.com",)), current) == {
        "allowed_senders": ["a@x.org"]
    }
    assert take_senders(senders(empty=True), current) == {"allowed_senders": []}
    assert take_senders(senders(("c.org",), empty=True), current) == {"allowed_senders": ["c.org"]}


def test_a_sender_that_is_not_in_the_list_cannot_be_taken_out() -> None:
    with pytest.raises(WrongUsage, match="x.org is not in the list: empty"):
        take_senders(senders((), ("x.org",)))


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidPattern):
        take_senders(senders(("not a pattern",)))


def test_a_number_is_told_without_an_idle_fraction() -> None:
    assert describe({"pace": 0.0}, {"pace": 0.5}) == "pace 0 -> 0.5"


def test_a_change_is_told_in_words() -> None:
    before = {"mode": None, "active": True, "list": [], "options": {}, "modified_at": 1, "x": 0}
    after = {
        "mode": "live",
        "active": False,
        "list": ["a", "b"],
        "options": {"k": "v"},
        "modified_at": 2,
        "x": 0,
    }
    assert describe(before, after) == (
        "mode none -> live, active yes -> no, list none -> a, b, options none -> k=v"
    )
    assert describe(before, before) == ""
