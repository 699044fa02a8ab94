"""an instant as header fields write it (RFC 5322 §3.3)"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pillarbox.terms.clock import from_ms

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


def format_date(at_ms: int) -> str:
    """``Fri, 20 Nov 2026 16:10:00 +0000``: always UTC, whatever the machine's language."""
    return _of_second(at_ms // 1000)


@lru_cache(maxsize=16)  # a busy door asks for the same second thousands of times
def _of_second(at_seconds: int) -> str:
    at = from_ms(at_seconds * 1000)
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} "
        f"{at.hour:02d}:{at.minute:02d}:{at.second:02d} +0000"
    )
