"""the event log: appended in commit order, read by cursor, walked back per delivery"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from pillarbox.terms.ids import DeliveryId, ObjectId


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
        self, at: int, app: ObjectId, kind: str, data: Struct, delivery: DeliveryId | None = None
    ) -> int:
        """A fact that changes no delivery (``server.failed``, ``submission.rejected``)."""
        ...

    async def read(self, after: int, limit: int) -> list[StoredEvent]:
        """Events behind a cursor, in order; none is ever skipped."""
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
