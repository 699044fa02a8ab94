"""return path, recipients, DSN wishes, who submitted it"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Notify(StrEnum):
    """What a submitter wants to hear about a recipient (RFC 3461 §4.1)."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


DEFAULT_NOTIFY = frozenset({Notify.FAILURE})


class Recipient(Struct, frozen=True, gc=False):
    """One forward-path of the envelope."""

    address: str
    notify: frozenset[Notify] = DEFAULT_NOTIFY
    original: str | None = None
    """ORCPT, decoded, with its address type: ``rfc822;a@b``."""
    notify_said: str = ""
    """NOTIFY in the words of the submitter; empty where it was left to us."""


class Envelope(Struct, frozen=True, gc=False):
    """What RFC 5321 calls the envelope, as it was handed to us."""

    return_path: str
    """Empty for the null return path."""
    recipients: tuple[Recipient, ...]
    smtputf8: bool = False
    body: str = "7BIT"
    report: str | None = None
    """RET: ``FULL`` or ``HDRS``."""
    envelope_id: str | None = None
    """ENVID, decoded."""
    requires_tls: bool = False
    """REQUIRETLS (RFC 8689)."""
