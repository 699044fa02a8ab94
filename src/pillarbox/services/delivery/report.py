"""report: how a lane does on this node, for people"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pillarbox.policy.hosts import describe
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server

_SLICE_MS: Final = 5_000
_SLICES: Final = 12


class Rate:
    """How many messages were settled within the last minute, in slices of five seconds."""

    __slots__ = ("_counts", "_slice")

    def __init__(self) -> None:
        self._counts = [0] * _SLICES
        self._slice = 0

    def count(self, now_ms: int) -> None:
        """One more."""
        self._turn(now_ms // _SLICE_MS)
        self._counts[self._slice % _SLICES] += 1

    def a_minute(self, now_ms: int) -> int:
        """Within the last minute."""
        self._turn(now_ms // _SLICE_MS)
        return sum(self._counts)

    def _turn(self, current: int) -> None:
        if current == self._slice:
            return
        for passed in range(self._slice + 1, min(current, self._slice + _SLICES) + 1):
            self._counts[passed % _SLICES] = 0
        if current > self._slice + _SLICES or current < self._slice:
            self._counts = [0] * _SLICES  # long idle, or the clock stepped back
        self._slice = current


@dataclass(frozen=True, slots=True)
class LaneReport:
    """One lane as this process knows it; other nodes may send from it too."""

    window: int
    """Attempts that may run at once now."""
    most: int
    """The widest the window may become."""
    attempts: int
    """Those that run."""
    in_memory: int
    """Fresh messages that wait in memory."""
    a_minute: int
    """Messages of which nothing is left in the queue, within the last minute."""
    last_at: int = 0
    """When something went wrong the last time; 0 where nothing did."""
    last_words: str = ""
    last_category: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What went wrong the last time, at one server or because there was none."""

    at: int
    server: Server | None
    outcome: Outcome

    @property
    def words(self) -> str:
        """A sentence without its full stop."""
        if self.server is None:
            return self.outcome.words
        return describe(self.server, self.outcome)
