"""what readers did with messages: events of deliveries that are final, or will be"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct

from pillarbox.storage.interface.events import StoredEvent
from pillarbox.terms.ids import DeliveryId, ObjectId


@dataclass(frozen=True, slots=True)
class NewVisit:
    """An event to be written."""

    at: int
    app: ObjectId
    kind: str
    delivery: DeliveryId
    data: Struct
    """The struct that `policy.events` names for the kind."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Whose message a delivery is of, and when it became final; None while it waits."""

    app: ObjectId
    at: int | None


class VisitStore(Protocol):
    """Every method raises `StorageTrouble` where the store does not answer."""

    async def add(self, visits: Sequence[NewVisit]) -> None:
        """All in one transaction, in this order."""
        ...

    async def unsubscribe(self, visit: NewVisit) -> bool:
        """Once for each delivery: False where it was told before, and nothing is written."""
        ...

    async def of_delivery(self, delivery: DeliveryId, limit: int) -> list[StoredEvent]:
        """The oldest first."""
        ...

    async def reached(self, delivery: DeliveryId) -> Reached | None:
        """None for a delivery of a message that is gone, or never was."""
        ...
