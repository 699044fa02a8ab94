"""the event log: appended in commit order, read by cursor, walked back per delivery"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from pillarbox.terms.ids import DeliveryId, ObjectId, node_of


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """One fact."""

    seq: int
    at: int
    app: ObjectId
    kind: str
    delivery: DeliveryId
    """With ordinal 0 the event is about the message as a whole."""
    previous: int
    data: Struct | None
    """The struct that `policy.events` names for the kind; None where nothing was to be said."""


LogPosition = Mapping[int, int]
"""How far the log was read: for each node the number of the last of its events. A node that is left
out was not read yet.
"""


def advanced(position: LogPosition, events: Sequence[StoredEvent]) -> dict[int, int]:
    """The position behind these events, read from `position` on."""
    return {**position, **{node_of(event.seq): event.seq for event in events}}


class SessionFacts(Struct, frozen=True, gc=False):
    """What an outgoing connection was, once for all attempts made over it."""

    server: bytes
    host: str
    address: str
    port: int
    tls: str = ""
    """TLS version and cipher, empty in clear."""
    greeting: str = ""
    hello: tuple[str, ...] = ()
    """The lines of the answer to EHLO."""
    login: str = ""
    """The AUTH mechanism used, empty without a login."""


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One outgoing connection: what all its attempts have in common."""

    id: int
    at: int
    facts: SessionFacts


class EventStore(Protocol):
    """Reading what happened, and noting what is about no delivery."""

    async def append(
        self,
        at: int,
        app: ObjectId,
        kind: str,
        data: Struct,
        delivery: DeliveryId | None = None,
        previous: int = 0,
    ) -> int:
        """A fact that changes no delivery (``server.failed``, ``submission.rejected``); gives its
        number. `previous` is the event before it in the history of a delivery.
        """
        ...

    async def read(self, after: LogPosition, limit: int) -> list[StoredEvent]:
        """Events behind a position, those of each node in order; none is ever skipped. `advanced`
        gives the position behind them.
        """
        ...

    async def position(self) -> LogPosition:
        """Behind everything there is now."""
        ...

    async def recent(self, limit: int, *, app: ObjectId | None = None) -> list[StoredEvent]:
        """The newest events, newest first."""
        ...

    async def history(self, last_event: int) -> list[StoredEvent]:
        """A delivery's chain from its last event back to the first, oldest first."""
        ...

    def open_session(self, at: int, facts: SessionFacts) -> int:
        """Note an outgoing connection; attempts point to the number given.

        The number is known at once, the row written with the next group. Losing it to a crash
        loses words, never a verdict.
        """
        ...

    async def sessions(self, ids: Sequence[int]) -> dict[int, StoredSession]:
        """Those of the sessions that are kept."""
        ...
