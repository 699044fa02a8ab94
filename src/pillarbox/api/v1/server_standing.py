"""how a server stands: its circuit, and how much of its limit of a day is used, on all nodes together

What is held against the settings of a server is known to each node by itself, and told by this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pillarbox.api.calls import Call
from pillarbox.policy.breaker import CIRCUIT_WORDS, Circuit, shared_name
from pillarbox.policy.quota import RESTS
from pillarbox.policy.server import Server
from pillarbox.storage.interface.limits import QuotaTaken, SharedCircuit
from pillarbox.terms.clock import format_instant

_NOTHING: Final = QuotaTaken(0, 0, 0)


async def standings(call: Call, servers: Sequence[Server]) -> list[dict[str, Any]]:
    """`circuit` and `used` of each of some servers, in their order."""
    limits = call.rooms.storage.limits
    known = {one.name: one for one in await limits.circuits()}
    views = []
    for server in servers:
        used = _NOTHING
        name = shared_name(server)
        if server.max_per_day:
            used = await limits.quota_used(name, call.now_ms)
        held = call.rooms.held_against(server)
        views.append(
            {
                "circuit": _circuit_view(_stricter(known.get(name), held), call.now_ms),
                "used": _used_view(server, used, known.get(RESTS + name), call.now_ms),
            }
        )
    return views


def _stricter(host: SharedCircuit | None, own: SharedCircuit | None) -> SharedCircuit | None:
    """Which is shown: that which keeps mail from the server, or does so for longer."""
    if host is None or own is None:
        return host or own
    return max(own, host, key=lambda one: (one.until, one.errors))


def _circuit_view(circuit: SharedCircuit | None, now_ms: int) -> dict[str, Any]:
    """Of a server that nobody speaks of nothing is known but that it works."""
    state = Circuit.CLOSED
    if circuit is not None and circuit.until:
        state = Circuit.TRIAL if circuit.trying else Circuit.OPEN
    waits = circuit is not None and circuit.until > now_ms
    return {
        "state": state,
        "word": CIRCUIT_WORDS[state],
        "until": format_instant(circuit.until) if circuit is not None and waits else None,
        "errors": circuit.errors if circuit is not None else 0,
        "reason": circuit.words if circuit is not None else "",
        "failed_at": format_instant(circuit.changed_at) if circuit is not None else None,
    }


def _used_view(
    server: Server, used: QuotaTaken, rest: SharedCircuit | None, now_ms: int
) -> dict[str, Any]:
    """Recipients of the last 24 hours; `rests_until` where it takes no more before."""
    until, reason = 0, ""
    if server.max_per_day and used.used >= server.max_per_day:
        until, reason = used.free_at, "the limit set for it is reached"
    if rest is not None and rest.until > max(now_ms, until):
        until, reason = rest.until, rest.words
    return {
        "day": used.used if server.max_per_day else None,
        "day_limit": server.max_per_day or None,
        "rests_until": format_instant(until) if until else None,
        "reason": reason,
    }
