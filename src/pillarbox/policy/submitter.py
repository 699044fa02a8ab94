"""Submitter: the credential or key a message came by, and what holds for its mail"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pillarbox.policy.credential import Once, OverLimit
from pillarbox.policy.directory import Account, App, Mode, Uncertain
from pillarbox.policy.limits import Rate
from pillarbox.terms.ids import ObjectId


class SubmitterKind(StrEnum):
    """By what a message came."""

    CREDENTIAL = "credential"
    KEY = "key"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Submitter:
    """The credential or key a message came by, with the app it speaks for.

    The system itself submits notices; it has no credential and is bound by no sender list.
    """

    kind: SubmitterKind
    id: ObjectId
    name: str
    account: Account
    app: App
    mode: Mode
    uncertain: Uncertain = Uncertain.RETRY
    relays: bool = False
    allowed_senders: tuple[str, ...] = ()
    options: dict[str, str] = field(default_factory=dict)
    fixed_options: frozenset[str] = frozenset()
    """Options that no header of a message may set otherwise."""
    rates: tuple[Rate, ...] = ()
    over_limit: OverLimit = OverLimit.DEFER
    max_message_bytes: int = 0
    """0: as large as the listener takes."""
    ends_at: int | None = None
    """When it ceases to be valid by itself, in milliseconds."""
    once: Once = Once.KEY
    secret_hash: bytes = b""
    """Of the password it logged in with; empty where there was none."""
