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


@dataclass(frozen=True, slots=True)
class SpendLimit:
    """Companion: spend of a limit, or raise `LimitReached` where it would be passed.

    Of several limits all are spent or none. Periods are aligned: one of a day begins at midnight
    UTC.
    """

    limit: bytes
    """Its name."""
    period_ms: int
    """At least 1. What was spent in one period counts for nothing in the next."""
    most: int
    """So much may be spent in a period."""
    amount: int = 1


Companion = RecordCall | PayObligation | SpendLimit
"""What may ride with an acceptance."""


@dataclass(frozen=True, slots=True)
class NewObligation:
    """Something owed because of a settlement: a notice to the submitter, a report to forward."""

    kind: str
    app: ObjectId
    delivery: DeliveryId
    due_at: int
