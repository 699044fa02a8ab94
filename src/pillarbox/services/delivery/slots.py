"""room for so many connections at once; who finds none waits in line, and apps take turns

Every message passes here, and nearly none has to wait. Where several apps share a server, one with
a thousand messages in line does not keep the others waiting for all of them.
"""

from __future__ import annotations

import asyncio

from pillarbox.policy.lanes import FairTurn
from pillarbox.terms.ids import ObjectId


class Slots:
    """A number of slots. Among apps they go round; one app's are given in the order asked for."""

    __slots__ = ("_count", "_free", "_waiters")

    def __init__(self, count: int) -> None:
        """All of them free."""
        self._count = count
        self._free = count
        """Below 0 while more are taken than there are now."""
        self._waiters: FairTurn[asyncio.Future[None]] = FairTurn()

    def take_now(self) -> bool:
        """Take a slot if one is free. While somebody waits, none is."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    def others_wait(self, app: ObjectId) -> bool:
        """Whether a slot should not be kept for an app's next message, since another app waits."""
        return len(self._waiters) > 0 and self._waiters.others(app)

    async def take(
        self, app: ObjectId | None = None, patience_seconds: float | None = None
    ) -> bool:
        """Take a slot for an app; waits for one to be given back where none is free, however long
        it takes or as long as patience lasts. False, without a slot, where it has run out.
        """
        if self.take_now():
            return True
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter, app)
        try:
            async with asyncio.timeout(patience_seconds):
                await waiter
        except (asyncio.CancelledError, TimeoutError) as error:
            if not waiter.cancelled():
                self.give_back()  # it was handed over in the same moment
            else:
                self._waiters.remove(waiter)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def give_back(self) -> None:
        """A slot is free again, or goes to whose turn it is."""
        self._free += 1
        self._hand_on()

    def resize(self, count: int) -> None:
        """There are so many now; what is taken stays taken until it is given back."""
        self._free += count - self._count
        self._count = count
        self._hand_on()

    def _hand_on(self) -> None:
        while self._free > 0 and (waiter := self._waiters.next()) is not None:
            self._waiters.remove(waiter)
            if not waiter.done():
                self._free -= 1
                waiter.set_result(None)
