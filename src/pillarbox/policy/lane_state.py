"""lane state: how mail that takes one way does, in a word and a sentence"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.policy.routing import Route
from pillarbox.terms.clock import format_duration, format_instant
from pillarbox.terms.hostname import display_domain


class LaneState(StrEnum):
    """How a lane does."""

    FLOWING = "flowing"
    BACKING_OFF = "backing_off"
    BLOCKED = "blocked"
    PAUSED = "paused"
    HELD = "held"


LANE_WORDS: Final[dict[LaneState, str]] = {
    LaneState.FLOWING: "Flowing",
    LaneState.BACKING_OFF: "Backing off",
    LaneState.BLOCKED: "Blocked",
    LaneState.PAUSED: "Paused",
    LaneState.HELD: "Held",
}


@dataclass(frozen=True, slots=True)
class LaneView:
    """What is known of a lane when somebody looks."""

    waiting: int
    held: int
    active: int
    first_due_at: int = 0
    """When the first that may be claimed is due; 0 where there is none."""
    paused_at: int = 0
    """When a person stopped it; 0 where nobody did."""
    ways: int = 1
    """Ways out that its mail may take at all."""
    barred: str = ""
    """The name of the disabled way that its mail is bound to."""
    left_alone_until: int = 0
    """When the first of its ways is tried again, where all are left alone after failures."""
    last_words: str = ""
    """What went wrong the last time."""


def lane_state(view: LaneView, now_ms: int) -> LaneState:
    """The state, the strongest reason first: what a person must undo, then what mends itself."""
    if view.paused_at:
        return LaneState.PAUSED
    if view.held and view.held == view.waiting:
        return LaneState.HELD
    if not view.ways:
        return LaneState.BLOCKED
    later = not view.active and view.first_due_at > now_ms
    if later or view.left_alone_until > now_ms:
        return LaneState.BACKING_OFF
    return LaneState.FLOWING


def why_lane(view: LaneView, now_ms: int) -> str:
    """One or two sentences: why it is so, and until when."""
    match lane_state(view, now_ms):
        case LaneState.PAUSED:
            return f"Somebody paused it {_ago(view.paused_at, now_ms)}; nothing leaves from it."
        case LaneState.HELD:
            return "All of it waits for a person to release it."
        case LaneState.BLOCKED if view.barred:
            return f"Its mail takes {view.barred} only, which is disabled."
        case LaneState.BLOCKED:
            return "The app has no active server that could take it."
        case LaneState.BACKING_OFF:
            return _backing_off(view, now_ms)
        case LaneState.FLOWING:
            return ""


def way_words(route: str, destination: str, server: str) -> str:
    """Where a lane leads, as people say it; `server` is the name of the one that is in its name,
    empty where that is gone.
    """
    _, _, domain = destination.partition("/")
    match route:
        case Route.SERVERS:
            return "its servers"
        case Route.DIRECT:
            return f"straight to {display_domain(destination)}"
        case Route.SERVER if not server:
            return "a server that is gone, so its servers"
        case Route.SERVER if domain:
            return f"only by {server} to {display_domain(domain)}"
        case Route.SERVER:
            return f"only by {server}"
        case _:
            return f"{route} {destination}"


def _backing_off(view: LaneView, now_ms: int) -> str:
    if view.left_alone_until > now_ms:
        until = _in(view.left_alone_until, now_ms)
        sentence = f"What it goes by is left alone after failures; it is tried again {until}."
    else:
        sentence = f"The next attempt follows {_in(view.first_due_at, now_ms)}."
    return f"{sentence} The last time: {view.last_words}." if view.last_words else sentence


def _in(at_ms: int, now_ms: int) -> str:
    return f"in {format_duration((at_ms - now_ms) / 1000)} ({format_instant(at_ms)})"


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{format_duration(max(1.0, (now_ms - at_ms) / 1000))} ago"
