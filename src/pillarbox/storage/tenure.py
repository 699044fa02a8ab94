"""how long a process may act as the owner of what it holds in memory

On a database that others use too, the database's clock ends a process's ownership unless it is
renewed; afterwards another node may own, and send, the same mail. The process cannot ask for the
time there before every message, so it counts itself, from before it asked to the end that it asked
for: that is never later than the database's.
"""

from __future__ import annotations

import time
from typing import Final

LEASE_SECONDS: Final = 30.0
"""An owner that gave no sign of life for so long has lost what it held."""

_MARGIN_SECONDS: Final = 3.0
"""For clocks that run at unlike rates, and for the bytes that are already on their way."""

_ENDLESS: Final = float("inf")


class Tenure:
    """Of this process. Without `ends` it lasts as long as the process does."""

    __slots__ = ("_until", "lost")

    def __init__(self, *, ends: bool = False) -> None:
        """Where it `ends`, it has to be renewed before anything may be sent."""
        self._until = float("-inf") if ends else _ENDLESS
        self.lost = False
        """Another node has taken over; nothing brings it back."""

    @staticmethod
    def now() -> float:
        """The clock by which it is counted; a machine that sleeps does not stop it."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def renewed(self, asked_at: float) -> None:
        """The database has noted a sign of life that was sent at `asked_at`."""
        self._until = max(self._until, asked_at + LEASE_SECONDS - _MARGIN_SECONDS)

    @property
    def holds(self) -> bool:
        """Whether mail this process holds may leave now."""
        if self._until == _ENDLESS:  # asked for every message, so nobody looks at a clock in vain
            return not self.lost
        return not self.lost and self.now() < self._until
