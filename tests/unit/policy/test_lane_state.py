"""how a lane does, in a word and a sentence"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.lane_state import (
    LANE_WORDS,
    LaneState,
    LaneView,
    lane_state,
    way_words,
    why_lane,
)

NOW = 1_800_000_000_000
FLOWING = LaneView(waiting=3, held=0, active=1)


@pytest.mark.parametrize(
    ("changes", "state", "why"),
    [
        ({}, LaneState.FLOWING, ""),
        ({"active": 0, "first_due_at": NOW}, LaneState.FLOWING, ""),
        (
            {"active": 0, "first_due_at": NOW + 42_000},
            LaneState.BACKING_OFF,
            "The next attempt follows in 42s (2027-01-15T08:00:42.000Z).",
        ),
        (
            {"active": 0, "first_due_at": NOW + 42_000, "last_words": "a is busy"},
            LaneState.BACKING_OFF,
            "The next attempt follows in 42s (2027-01-15T08:00:42.000Z). The last time: a is busy.",
        ),
        (
            {"left_alone_until": NOW + 1000},
            LaneState.BACKING_OFF,
            "What it goes by is left alone after failures; it is tried again in 1s "
            "(2027-01-15T08:00:01.000Z).",
        ),
        ({"ways": 0}, LaneState.BLOCKED, "The app has no active server that could take it."),
        (
            {"ways": 0, "barred": "b"},
            LaneState.BLOCKED,
            "Its mail takes b only, which is disabled.",
        ),
        ({"held": 3}, LaneState.HELD, "All of it waits for a person to release it."),
        (
            {"held": 3, "ways": 0, "paused_at": NOW - 120_000},
            LaneState.PAUSED,
            "Somebody paused it 2m ago; nothing leaves from it.",
        ),
    ],
)
def test_a_lane_is_told_by_its_strongest_reason(
    changes: dict[str, int], state: LaneState, why: str
) -> None:
    view = replace(FLOWING, **changes)  # type: ignore[arg-type]
    assert lane_state(view, NOW) is state
    assert why_lane(view, NOW) == why


def test_every_state_has_a_word() -> None:
    assert LANE_WORDS.keys() == set(LaneState)


@pytest.mark.parametrize(
    ("route", "destination", "server", "words"),
    [
        ("servers", "*", "", "its servers"),
        ("direct", "xn--bcher-kva.example", "", "straight to bücher.example"),
        ("server", "ab12", "b", "only by b"),
        ("server", "ab12/y.example", "mx", "only by mx to y.example"),
        ("server", "ab12", "", "a server that is gone, so its servers"),
        ("tunnel", "x", "", "tunnel x"),
    ],
)
def test_a_way_is_told_as_people_say_it(
    route: str, destination: str, server: str, words: str
) -> None:
    assert way_words(route, destination, server) == words
