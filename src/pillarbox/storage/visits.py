"""what readers did, over an engine"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.storage.codec import encode
from pillarbox.storage.columns import as_bytes, as_instant
from pillarbox.storage.engine import Batch, Engine, Member
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


class SqlVisitStore:
    """See `storage.interface.visits.VisitStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, visits: Sequence[NewVisit]) -> None:
        """One member."""
        if visits:
            await self._engine.submit(VisitsMember(visits))

    async def of_delivery(self, delivery: DeliveryId, limit: int) -> list[StoredEvent]:
        """As long as the events are kept."""
        rows = await self._engine.read("visit.of_delivery", delivery, limit)
        return [to_event(row) for row in rows]

    async def reached(self, delivery: DeliveryId) -> Reached | None:
        """One row."""
        for app, at in await self._engine.read("visit.reached", message_of(delivery), delivery):
            return Reached(ObjectId(as_bytes(app)), as_instant(at))
        return None
