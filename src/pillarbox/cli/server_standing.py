"""how a server stands, in cells and lines: its status, its circuit, what is used of its limit"""

from __future__ import annotations

from typing import Any, Final

from pillarbox.cli.output import clean, run_as

STATUS_COLOURS: Final = {
    "active": "green",
    "disabled": "red",
    "paused": "yellow",
    "resting": "yellow",
}


def status_cell(server: dict[str, Any]) -> str:
    """One word: whether it is used just now."""
    if not server["enabled"]:
        return "disabled"
    if (server.get("circuit") or {}).get("state", "closed") != "closed":
        return "paused"
    if (server.get("used") or {}).get("rests_until"):
        return "resting"
    return "active"


def paused_hint(server: dict[str, Any]) -> str:
    """What ends the pause of an enabled server that a person has just seen to; empty without one."""
    if status_cell(server) != "paused":
        return ""
    until = server["circuit"].get("until")
    rests = f"left alone until {until} after failures" if until else "left alone after failures"
    check = f"{run_as()} server check {clean(server['name'])}"
    return f"It is {rests}; a check that goes well ends that at once: {check}"


def used_cell(server: dict[str, Any]) -> str:
    """What is used of its day, where it has a limit."""
    used = server.get("used") or {}
    return f"{used['day']}/{used['day_limit']}" if used.get("day_limit") else ""


def standing_fields(server: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines for one server; an empty one says nothing."""
    circuit, used = server.get("circuit") or {}, server.get("used") or {}
    return [
        ("Circuit", _circuit(circuit)),
        ("Last failure", circuit.get("reason", "")),
        ("Used in 24 hours", _used(used)),
        ("Takes no more before", used.get("rests_until") or ""),
        ("Because", used.get("reason", "")),
    ]


def _circuit(circuit: dict[str, Any]) -> str:
    if circuit.get("state", "closed") == "closed":
        return ""
    if circuit.get("until"):
        return f"{circuit['word'].lower()}, tried again at {circuit['until']}"
    if circuit["state"] == "trial":
        return "being tried with one message"
    return "paused; the next message that waits for it tries it"


def _used(used: dict[str, Any]) -> str:
    if not used.get("day_limit"):
        return ""
    share = 100 * used["day"] // used["day_limit"]
    return f"{used['day']} of {used['day_limit']} recipients ({share} %)"
