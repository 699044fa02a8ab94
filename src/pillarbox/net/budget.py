"""memory for content that is arriving, shared by all sessions

Content waits in memory until a block of it is full, so a thousand clients that each send half a
block hold half a thousand blocks. Each session asks here in steps before it keeps more; who gets
nothing is told 452, and the others go on.
"""

from __future__ import annotations

from typing import Final

STEP_BYTES: Final = 64 * 1024


class ContentBudget:
    """So many bytes, and how many are spoken for."""

    __slots__ = ("_most_bytes", "reserved_bytes")

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` for all sessions together."""
        self._most_bytes = most_bytes
        self.reserved_bytes = 0

    def reserve(self, held_bytes: int, reserved_bytes: int) -> int | None:
        """What is reserved for a session that holds `held_bytes` and has `reserved_bytes`: as much,
        or some steps more; None where so much is not left. It keeps what it has then.
        """
        if held_bytes <= reserved_bytes:
            return reserved_bytes
        wanted = -(-held_bytes // STEP_BYTES) * STEP_BYTES
        more = wanted - reserved_bytes
        if self.reserved_bytes + more > self._most_bytes:
            return None
        self.reserved_bytes += more
        return wanted

    def release(self, reserved_bytes: int) -> None:
        """A session needs it no more."""
        self.reserved_bytes -= reserved_bytes


class ContentShare:
    """What one session has of a budget: for content it collects, and for what its handler holds."""

    __slots__ = ("_budget", "_handed_over", "_reserved")

    def __init__(self, budget: ContentBudget) -> None:
        """Nothing yet."""
        self._budget = budget
        self._handed_over = 0
        self._reserved = 0

    def keep(self, collected_bytes: int) -> bool:
        """Whether the session may hold so much beside what it has handed over."""
        reserved = self._budget.reserve(self._handed_over + collected_bytes, self._reserved)
        if reserved is None:
            return False
        self._reserved = reserved
        return True

    def hand_over(self, size_bytes: int) -> bool:
        """Whether a piece may go to the handler. It keeps the first; others are stored at once."""
        if not self.keep(size_bytes):
            return False
        self._handed_over = self._handed_over or size_bytes
        return True

    def release(self) -> None:
        """Nothing is held any more."""
        if self._reserved:
            self._budget.release(self._reserved)
            self._reserved = 0
        self._handed_over = 0
