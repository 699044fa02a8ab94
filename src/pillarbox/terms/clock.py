"""the only place that asks what time it is; durations such as 5m"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final, Protocol

from pillarbox.terms.errors import InvalidDuration

_UNIT_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NUMBER: Final = re.compile(r"\d{1,9}(?:\.\d{1,3})?", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)", re.ASCII)


class Clock(Protocol):
    """What time it is. Instants are whole milliseconds since the Unix epoch, in UTC."""

    def now_ms(self) -> int:
        """The wall clock: may jump, in either direction."""
        ...

    def monotonic(self) -> float:
        """Seconds from some start; never goes back. For intervals and deadlines."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()


def from_ms(at_ms: int) -> datetime:
    """An aware UTC datetime, for people and for JSON."""
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def format_instant(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return from_ms(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_duration(text: str) -> float:
    """Seconds in ``90s``, ``5m``, ``1h30m``, ``7d``; a bare number is seconds.

    Raises `InvalidDuration`.
    """
    squeezed = text.strip().replace(" ", "").lower()
    try:
        return float(squeezed) if _NUMBER.fullmatch(squeezed) else _sum(squeezed)
    except ValueError:
        raise InvalidDuration(
            f"{text[:40]!r} is not a duration; write 30s, 5m, 48h or 7d"
        ) from None


def format_duration(seconds: float) -> str:
    """The two largest units, as in ``1h 30m``; below a second in milliseconds."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    rest = round(seconds)
    words = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNIT_SECONDS[unit]))
        if count:
            words.append(f"{count}{unit}")
    return " ".join(words[:2])


def _sum(text: str) -> float:
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return float(sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))
