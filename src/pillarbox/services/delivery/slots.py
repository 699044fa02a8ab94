"""room for so many connections at once; who finds none waits in line

`asyncio.Semaphore` promises the same. Every message passes here, and nearly none has to wait.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Slots:
    """A number of slots, given in the order in which they were asked for."""

    __slots__ = ("_count", "_free", "_waiters")

    def __init__(self, count: int) -> None:
        """All of them free."""
        self._count = count
        self._free = count
        """Below 0 while more are taken than there are now."""
        self._waiters: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a slot if one is free. While somebody waits, none is."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def take(self) -> None:
        """Take a slot; waits for one to be given back where none is free."""
        if self.take_now():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                self.give_back()  # it was handed over in the same moment
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def give_back(self) -> None:
        """A slot is free again, or goes to whoever waits longest."""
        self._free += 1
        self._hand_on()

    def resize(self, count: int) -> None:
        """There are so many now; what is taken stays taken until it is given back."""
        self._free += count - self._count
        self._count = count
        self._hand_on()

    def _hand_on(self) -> None:
        while self._free > 0 and self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._free -= 1
                waiter.set_result(None)
