"""what commits together with an acceptance or a settlement, or not at all"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from pillarbox.terms.ids import DeliveryId, ObjectId

MARK_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class RecordCall:
    """Companion: remember an idempotent call, or raise `Repeated` if it was taken before."""

    scope: bytes
    key: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class RecordRecipients:
    """Companion: remember recipients taken under a key, or raise `RecipientsTaken` if any of them
    was taken before.
    """

    scope: bytes
    marks: tuple[bytes, ...]
    """16 bytes for each, made by `recipient_mark`; no two alike."""


def recipient_mark(key: bytes, recipient: str) -> bytes:
    """What stands for a recipient under a key."""
    return hashlib.sha256(key + b"\0" + recipient.encode("utf-8", "replace")).digest()[:MARK_BYTES]


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


Companion = RecordCall | RecordRecipients | PayObligation | SpendLimit
"""What may ride with an acceptance."""


@dataclass(frozen=True, slots=True)
class NewObligation:
    """Something owed because of a settlement: a notice to the submitter, a report to forward."""

    kind: str
    app: ObjectId
    delivery: DeliveryId
    due_at: int
