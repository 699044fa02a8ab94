"""how fast new connections come from one address

A level that rises with each arrival and falls with time: what came in a burst is forgotten at the
rate that is permitted. So a client may open a minute's worth at once, and after that goes on at
the permitted pace.
"""

from __future__ import annotations

from typing import Final

_MOST_ADDRESSES: Final = 20_000
_MINUTE_SECONDS: Final = 60.0


class Arrivals:
    """Counts for the addresses seen last; a stranger cannot make it grow without end."""

    __slots__ = ("_levels", "_per_minute")

    def __init__(self, per_minute: int) -> None:
        """`per_minute` may come from one address; 0 sets no limit."""
        self._per_minute = per_minute
        self._levels: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def too_many(self, crowd: str, now: float) -> bool:
        """Count one arrival of `crowd` at `now`, in seconds; whether it is one too many.

        What is refused is not counted: whoever waits is let in again.
        """
        most = self._per_minute
        if not most:
            return False
        # Taken out and put in again: the one that was away longest comes first.
        level, at = self._levels.pop(crowd, (0.0, now))
        level = max(0.0, level - (now - at) * most / _MINUTE_SECONDS)
        refused = level + 1 > most
        self._levels[crowd] = (level if refused else level + 1, now)
        if len(self._levels) > _MOST_ADDRESSES:
            del self._levels[next(iter(self._levels))]
        return refused
