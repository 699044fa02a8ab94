"""how a server stands, in a word and in lines"""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.cli.server_standing import paused_hint, standing_fields, status_cell, used_cell

CLOSED: dict[str, Any] = {"state": "closed", "word": "In use", "until": None, "reason": ""}
UNUSED: dict[str, Any] = {"day": None, "day_limit": None, "rests_until": None, "reason": ""}
SERVER: dict[str, Any] = {"enabled": True, "circuit": CLOSED, "used": UNUSED}
SOON = "2026-01-01T00:00:30Z"


def lines(server: dict[str, Any]) -> dict[str, str]:
    return {name: text for name, text in standing_fields(server) if text}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({}, "active"),
        ({"enabled": False, "circuit": {**CLOSED, "state": "open"}}, "disabled"),
        ({"circuit": {**CLOSED, "state": "open"}}, "paused"),
        ({"circuit": {**CLOSED, "state": "trial"}}, "paused"),
        ({"used": {**UNUSED, "rests_until": SOON}}, "resting"),
        ({"circuit": None, "used": None}, "active"),
    ],
)
def test_one_word_says_whether_it_is_used_just_now(change: dict[str, Any], word: str) -> None:
    assert status_cell({**SERVER, **change}) == word


def test_a_server_without_trouble_or_limits_has_nothing_to_say() -> None:
    assert lines(SERVER) == {}
    assert lines({"enabled": True}) == {}
    assert used_cell(SERVER) == ""


def test_what_is_used_is_said_of_how_much() -> None:
    server = {**SERVER, "used": {**UNUSED, "day": 405, "day_limit": 500}}
    assert used_cell(server) == "405/500"
    assert lines(server) == {"Used in 24 hours": "405 of 500 recipients (81 %)"}


def test_whoever_has_mended_a_paused_server_hears_how_its_pause_ends() -> None:
    paused = {**SERVER, "name": "relay", "circuit": {**CLOSED, "state": "open", "until": SOON}}
    assert f"until {SOON}" in paused_hint(paused)
    assert paused_hint(paused).endswith("server check relay")
    assert paused_hint(SERVER) == ""


def test_a_paused_server_says_why_and_until_when() -> None:
    paused = {**CLOSED, "state": "open", "word": "Paused", "until": SOON, "reason": "one fell"}
    assert lines({**SERVER, "circuit": paused}) == {
        "Circuit": f"paused, tried again at {SOON}",
        "Last failure": "one fell",
    }
    over = {**paused, "until": None}
    assert "next message" in lines({**SERVER, "circuit": over})["Circuit"]
    tried = {**paused, "state": "trial", "until": None}
    assert "one message" in lines({**SERVER, "circuit": tried})["Circuit"]


def test_a_resting_server_says_until_when_and_because_of_what() -> None:
    rests = {**UNUSED, "rests_until": SOON, "reason": "the limit set for it is reached"}
    assert lines({**SERVER, "used": rests}) == {
        "Takes no more before": SOON,
        "Because": "the limit set for it is reached",
    }
