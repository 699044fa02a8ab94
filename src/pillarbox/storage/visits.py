"""what readers did, over an engine"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.storage.codec import encode
from pillarbox.storage.columns import as_bytes, as_instant
from pillarbox.storage.engine import Batch, Engine, Member, Row, Step
from pillarbox.storage.events import to_event
from pillarbox.storage.interface.events import StoredEvent
from pillarbox.storage.interface.visits import NewVisit, Reached
from pillarbox.terms.ids import DeliveryId, ObjectId, message_of


class VisitsMember(Member):
    """Some visits."""

    __slots__ = ("_visits",)

    def __init__(self, visits: Sequence[NewVisit]) -> None:
        super().__init__()
        self._visits = visits

    def write(self, batch: Batch) -> None:
        """Each with its event."""
        for one in self._visits:
            seq = batch.event(one.at, one.app, one.kind, one.delivery, 0, encode(one.data))
            batch.add("visit.insert", (one.delivery, seq))


class UnsubscribedMember(Member):
    """One visit, unless there was one like it."""

    __slots__ = ("_is_first", "_visit")

    def __init__(self, visit: NewVisit) -> None:
        super().__init__()
        self._visit = visit
        self._is_first = False

    def steps(self) -> Sequence[Step]:
        """The row that only one can add."""
        return [Step("visit.unsubscribe", (self._visit.delivery,))]

    def resolve(self, results: list[list[Row]]) -> None:
        """Whether it was added."""
        self._is_first = bool(results[0])

    def write(self, batch: Batch) -> bool:
        """As any visit."""
        if self._is_first:
            VisitsMember([self._visit]).write(batch)
        return self._is_first


class SqlVisitStore:
    """See `storage.interface.visits.VisitStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, visits: Sequence[NewVisit]) -> None:
        """One member."""
        if visits:
            await self._engine.submit(VisitsMember(visits))

    async def unsubscribe(self, visit: NewVisit) -> bool:
        """Most times it is the first; a flood of others costs a look each."""
        if await self._engine.read("visit.unsubscribed", visit.delivery):
            return False
        return bool(await self._engine.submit(UnsubscribedMember(visit)))

    async def of_delivery(self, delivery: DeliveryId, limit: int) -> list[StoredEvent]:
        """As long as the events are kept."""
        rows = await self._engine.read("visit.of_delivery", delivery, limit)
        return [to_event(row) for row in rows]

    async def reached(self, delivery: DeliveryId) -> Reached | None:
        """One row."""
        for app, at in await self._engine.read("visit.reached", message_of(delivery), delivery):
            return Reached(ObjectId(as_bytes(app)), as_instant(at))
        return None
