"""resting: which ways out are left alone just now, until when, and why"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pillarbox.api.calls import Call
from pillarbox.policy.server import Server
from pillarbox.terms.ids import ObjectId


@dataclass(frozen=True, slots=True)
class Rest:
    """A way that is not used before an instant, in milliseconds."""

    until: int
    words: str = ""
    """The end of a sentence that begins with its name."""


async def rests_of(call: Call, servers: Iterable[Server]) -> Mapping[ObjectId, Rest]:
    """Those of the servers that rest, as this node sees it."""
    found = {}
    for server in servers:
        breaker = call.rooms.circuit(server)
        if breaker is not None and breaker.paused(call.now_ms):
            found[server.id] = Rest(breaker.until_at, "is left alone after failures")
    return found
