"""what commits together with an acceptance or a settlement, or not at all"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.terms.ids import DeliveryId, ObjectId


@dataclass(frozen=True, slots=True)
class RecordCall:
    """Companion: remember an idempotent call, or raise `Repeated` if it was taken before."""

    scope: bytes
    key: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class PayObligation:
    """Companion: this message pays what was owed, or raises `AlreadyPaid`."""

    obligation: int


Companion = RecordCall | PayObligation
"""What may ride with an acceptance."""


@dataclass(frozen=True, slots=True)
class NewObligation:
    """Something owed because of a settlement: a notice to the submitter, a report to forward."""

    kind: str
    app: ObjectId
    delivery: DeliveryId
    due_at: int
