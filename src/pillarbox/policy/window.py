"""concurrency per lane: widens on success, narrows on pain"""

from __future__ import annotations


class Window:
    """How many attempts may run at once in a lane. A plain object with one owner.

    Widens by one per success until the first pain, then by one per window of successes. Pain halves
    it; further pain from attempts that were on their way already does not halve it again.
    """

    __slots__ = ("_calm", "_deaf", "_size", "maximum", "minimum")

    def __init__(self, minimum: int, maximum: int) -> None:
        """Starts at the minimum. Both are at least 1; the maximum is at least the minimum."""
        self.minimum = max(1, minimum)
        self.maximum = max(self.minimum, maximum)
        self._size = float(self.minimum)
        self._calm = True
        self._deaf = 0

    @property
    def limit(self) -> int:
        """Attempts allowed at once."""
        return int(self._size)

    def succeeded(self) -> None:
        """The next hop took something."""
        if self._deaf:
            self._deaf -= 1
        if self._size < self.maximum:
            step = 1.0 if self._calm else 1.0 / self._size
            self._size = min(float(self.maximum), self._size + step)

    def pained(self) -> None:
        """The next hop refused, asked to slow down, or did not answer."""
        if self._deaf:
            self._deaf -= 1
            return
        self._calm = False
        self._deaf = self.limit - 1
        self._size = max(float(self.minimum), self._size / 2)
