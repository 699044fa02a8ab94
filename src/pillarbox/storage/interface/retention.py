"""retention: what is kept for how long, dropped as cheaply as the engine can"""

from __future__ import annotations

from typing import Protocol


class RetentionStore(Protocol):
    """Nothing that waits loses anything, however old it is.

    An engine may drop whole weeks at once, and then keeps what it was asked to drop for up to a week
    longer.
    """

    async def prepare(self, now_ms: int) -> None:
        """Make room ahead for what will come; to be called every now and then."""
        ...

    async def drop_content(self, before_ms: int, limit: int) -> int:
        """Remove content that was accepted before an instant and is settled, at most `limit` rows;
        gives how much was removed: 0 when nothing is left to remove.
        """
        ...

    async def drop_history(self, before_ms: int, limit: int) -> int:
        """As `drop_content`, for messages without content, their deliveries, events and sessions,
        and for calls that were remembered so that they are not done twice.
        """
        ...
