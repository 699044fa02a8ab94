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
