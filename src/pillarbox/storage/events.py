"""the event log, over an engine"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pillarbox.policy.events import EVENT_KINDS
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Batch, Engine, Member, Row, Value
from pillarbox.storage.interface.events import (
    LogPosition,
    SessionFacts,
    StoredEvent,
    StoredSession,
)
from pillarbox.terms.ids import DeliveryId, Numbers, ObjectId, node_of

_LONGEST_HISTORY = 1000
_PAGE = 500
_LOOKED_AT = 20_000
_HIGHEST = (1 << 62) - 1


class EventMember(Member):
    """One event that changes no delivery."""

    __slots__ = ("_row",)

    def __init__(
        self, at: int, app: bytes, kind: str, delivery: int, previous: int, data: bytes
    ) -> None:
        super().__init__()
        self._row = (at, app, kind, delivery, previous, data)

    def write(self, batch: Batch) -> int:
        """Gives its number."""
        return batch.event(*self._row)


class SessionMember(Member):
    """An outgoing connection."""

    __slots__ = ("_row",)

    def __init__(self, session: int, at: int, facts: bytes) -> None:
        super().__init__()
        self._row = (session, at, facts)

    def write(self, batch: Batch) -> None:
        """One row."""
        batch.add("session.insert", self._row)


class SqlEventStore:
    """See `storage.interface.events.EventStore` for what is promised."""

    def __init__(self, engine: Engine, highest_session: int) -> None:
        self._engine = engine
        self._numbers = Numbers(highest_session, engine.node)

    async def append(
        self,
        at: int,
        app: ObjectId,
        kind: str,
        data: Struct,
        delivery: DeliveryId | None = None,
        previous: int = 0,
    ) -> int:
        """Numbered in commit order."""
        seq = await self._engine.submit(
            EventMember(at, app, kind, int(delivery or 0), previous, encode(data))
        )
        return seq if isinstance(seq, int) else 0

    async def read(self, after: LogPosition, limit: int) -> list[StoredEvent]:
        """A cursor for each node: the numbers of one are committed in their order, those of several
        are not.
        """
        cursor: Value = max(after.values(), default=0)
        if self._engine.shared:
            cursor = ",".join(map(str, after.values()))
        return [to_event(row) for row in await self._engine.read("event.after", cursor, limit)]

    async def position(self) -> LogPosition:
        """The highest number of each node."""
        rows = await self._engine.read("event.position")
        return {node_of(as_int(row[0])): as_int(row[0]) for row in rows}

    async def recent(self, limit: int, *, app: ObjectId | None = None) -> list[StoredEvent]:
        """Newest first; with an app, a bounded number of events is looked at."""
        found: list[StoredEvent] = []
        before, looked_at = _HIGHEST, 0
        while len(found) < limit and looked_at < _LOOKED_AT:
            rows = await self._engine.read("event.newest", before, _PAGE)
            found += [event for event in map(to_event, rows) if app is None or event.app == app]
            looked_at += len(rows)
            if len(rows) < _PAGE:
                break
            before = as_int(rows[-1][0])
        return found[:limit]

    async def history(self, last_event: int) -> list[StoredEvent]:
        """A chain of key look-ups; it ends where retention has cut it."""
        chain: list[StoredEvent] = []
        seq = last_event
        while seq and len(chain) < _LONGEST_HISTORY:
            rows = await self._engine.read("event.one", seq)
            if not rows:
                break
            event = to_event(rows[0])
            chain.append(event)
            seq = event.previous
        return chain[::-1]

    def open_session(self, at: int, facts: SessionFacts) -> int:
        """The number is known at once; the row is written with the next group."""
        session = self._numbers.next(at)
        self._engine.submit_soon(SessionMember(session, at, encode(facts)), _let_go)
        return session

    async def sessions(self, ids: Sequence[int]) -> dict[int, StoredSession]:
        """One look-up each."""
        found = {}
        for session in dict.fromkeys(ids):
            for row in await self._engine.read("session.one", session):
                found[session] = StoredSession(
                    as_int(row[0]), as_int(row[1]), decode(as_bytes(row[2]), SessionFacts)
                )
        return found


def _let_go(error: BaseException | None) -> None:
    """A connection without its row is shown without its words; nothing else is lost."""


def to_event(row: Row) -> StoredEvent:
    """An event as it was stored."""
    seq, at, app, kind, delivery, previous, data = row
    return StoredEvent(
        as_int(seq), as_int(at), ObjectId(as_bytes(app)), as_text(kind),
        DeliveryId(as_int(delivery)), as_int(previous), _body(as_text(kind), as_bytes(data)),
    )  # fmt: skip


def _body(kind: str, data: bytes) -> Struct | None:
    """None also for a kind that a newer program wrote: the log stays readable."""
    known = EVENT_KINDS.get(kind)
    return decode(data, known.struct) if known is not None and data else None
