"""flags: what is worth a look about a login"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pillarbox.policy.credential import Credential

UNUSED_DAYS: Final = 90
_DAY_MS: Final = 86_400_000


class Flag(StrEnum):
    """One thing worth a look."""

    EXPIRED = "expired"
    ROTATION_OPEN = "rotation_open"
    """What was rotated away still works."""
    NEVER_USED = "never_used"
    UNUSED = "unused"
    """For `UNUSED_DAYS` or more."""
    IN_CLEAR = "in_clear"
    """Its password was sent without TLS the last time."""


FLAG_WORDS: Final = {
    Flag.EXPIRED: "expired",
    Flag.ROTATION_OPEN: "rotation open",
    Flag.NEVER_USED: "never used",
    Flag.UNUSED: f"unused {UNUSED_DAYS} d",
    Flag.IN_CLEAR: "plain-text login",
}
"""In words, short enough for a table."""


def flags_of(credential: Credential, now_ms: int) -> list[Flag]:
    """What is worth a look, the most urgent first."""
    flags = []
    if credential.has_expired(now_ms):
        flags.append(Flag.EXPIRED)
    if credential.holds_former(now_ms):
        flags.append(Flag.ROTATION_OPEN)
    if credential.used_at is None:
        flags.append(Flag.NEVER_USED)
    elif now_ms - credential.used_at >= UNUSED_DAYS * _DAY_MS:
        flags.append(Flag.UNUSED)
    if credential.uses is not None and not credential.uses.last.tls:
        flags.append(Flag.IN_CLEAR)
    return flags
