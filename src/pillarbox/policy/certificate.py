"""certificates asked from an authority: when one is due, and when it is tried again"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_LEFT_OF_LIFE: Final = 3
_FIRST_PAUSE_MS: Final = 3_600_000
_LONGEST_PAUSE_MS: Final = 24 * 3_600_000


class Standing(StrEnum):
    """How the certificate of a host is, in a word."""

    ASKED = "asked"
    """None is there yet, and nothing has gone wrong."""
    FAILING = "failing"
    """None is there, and the last try to get one failed."""
    VALID = "valid"
    OVERDUE = "overdue"
    """It still holds, and the last try to renew it failed."""
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is known of the certificate of one host. Instants are milliseconds, 0 where none is."""

    host: str
    """In A-labels."""
    since_at: int = 0
    until_at: int = 0
    due_at: int = 0
    """From when on it is asked for, or asked for again."""
    tried_at: int = 0
    failures: int = 0
    """In a row."""
    words: str = ""
    """Why the last try failed; empty where it did not."""

    def standing(self, now_ms: int) -> Standing:
        """At an instant."""
        if not self.until_at:
            return Standing.FAILING if self.failures else Standing.ASKED
        if now_ms >= self.until_at:
            return Standing.EXPIRED
        return Standing.OVERDUE if self.failures else Standing.VALID


def renewal_at(since_at: int, until_at: int) -> int:
    """When a third of its life is left, which leaves weeks to put right what keeps it away."""
    return until_at - (until_at - since_at) // _LEFT_OF_LIFE


def retry_at(failures: int, now_ms: int, asked_seconds: float = 0.0) -> int:
    """When to try again after so many failures in a row: an hour, doubled each time, up to a day.

    Authorities count failures, and refuse whoever has too many in an hour. What the authority
    asked for itself is kept, up to a day.
    """
    pause_ms = min(_FIRST_PAUSE_MS << min(max(failures - 1, 0), 8), _LONGEST_PAUSE_MS)
    asked_ms = min(round(asked_seconds * 1000), _LONGEST_PAUSE_MS)
    return now_ms + max(pause_ms, asked_ms)
