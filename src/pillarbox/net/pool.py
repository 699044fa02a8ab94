"""open connections kept for the next mail to the same server"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, Protocol, TypeVar

from pillarbox.terms.clock import Clock

K = TypeVar("K", bound=Hashable)


class Poolable(Protocol):
    """What the pool asks of a connection."""

    @property
    def usable(self) -> bool:
        """Whether another transaction may begin."""
        ...

    @property
    def transactions(self) -> int:
        """How many were begun on it."""
        ...

    async def quit(self) -> None:
        """Say goodbye and close; never raises."""
        ...

    def close(self) -> None:
        """Close without a word."""
        ...


C = TypeVar("C", bound=Poolable)


class Pool(Generic[K, C]):
    """Connections by key: whatever tells one way to a server from another.

    A connection belongs to whoever took it until it is given back or discarded. How many there
    may be is not decided here.
    """

    def __init__(
        self,
        open_connection: Callable[[K], Awaitable[C]],
        clock: Clock,
        idle_seconds: float = 30.0,
        max_transactions: int = 1000,
        group_of: Callable[[K], Hashable] | None = None,
    ) -> None:
        """Keep a connection at most `idle_seconds` unused, and for at most `max_transactions`.

        Keys of which `group_of` gives the same are counted together in `open_in_group`.
        """
        self._open = open_connection
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._max_transactions = max_transactions
        self._idle: dict[K, list[tuple[C, float]]] = {}
        self._taken: dict[C, K] = {}
        self._counts: dict[K, int] = {}
        self._group_of = group_of
        self._groups: dict[Hashable, int] = {}
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._closed = False

    def count(self, key: K) -> int:
        """How many connections there are: taken, idle, and being opened."""
        return self._counts.get(key, 0)

    @property
    def open(self) -> int:
        """How many connections there are in all."""
        return sum(self._counts.values())

    def open_in_group(self, key: K) -> int:
        """How many connections there are to the keys of its group."""
        group_of = self._group_of
        return self.count(key) if group_of is None else self._groups.get(group_of(key), 0)

    def idle(self, key: K) -> int:
        """How many of them wait for somebody to take them."""
        return len(self._idle.get(key, ()))

    async def take(self, key: K) -> tuple[C, bool]:
        """A connection, and whether it is fresh. Raises what opening raises.

        One that has carried mail may still turn out to be dead when it is spoken to; the failure
        then says so, and `take` may be asked again.
        """
        kept = self._take_idle(key)
        if kept is not None:
            self._taken[kept] = key
            return kept, False
        self._add(key, 1)
        try:
            connection = await self._open(key)
        except BaseException:
            self._add(key, -1)
            raise
        self._taken[connection] = key
        return connection, True

    def give_back(self, connection: C) -> None:
        """Keep it for the next, or end it where it has served its time."""
        key = self._taken.pop(connection)
        if (
            self._closed
            or not connection.usable
            or connection.transactions >= self._max_transactions
        ):
            self._end(key, connection)
            return
        self._idle.setdefault(key, []).append((connection, self._clock.monotonic()))
        self._plan_sweep()

    def discard(self, connection: C) -> None:
        """It broke, or must not be used again: close it without a word."""
        self._add(self._taken.pop(connection), -1)
        connection.close()

    def drop_idle(self, key: K) -> None:
        """End the idle connections of a key, because the server's settings have changed."""
        for connection, _ in self._idle.pop(key, ()):
            self._end(key, connection)

    async def close(self) -> None:
        """End everything that is idle and wait for it; what is taken ends when it is given back."""
        self._closed = True
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        for key in list(self._idle):
            self.drop_idle(key)
        if self._goodbyes:
            await asyncio.wait(set(self._goodbyes))

    def _take_idle(self, key: K) -> C | None:
        waiting = self._idle.get(key)
        oldest = self._clock.monotonic() - self._idle_seconds
        while waiting:
            # The one used last is the least likely to have been closed by the server.
            connection, since = waiting.pop()
            if not waiting:
                del self._idle[key]
            if connection.usable and since > oldest:
                return connection
            self._end(key, connection)
        return None

    def _end(self, key: K, connection: C) -> None:
        self._add(key, -1)
        if not connection.usable:
            connection.close()
            return
        goodbye = asyncio.get_running_loop().create_task(connection.quit())
        self._goodbyes.add(goodbye)
        goodbye.add_done_callback(self._goodbyes.discard)

    def _add(self, key: K, change: int) -> None:
        count = self._counts.get(key, 0) + change
        if count > 0:
            self._counts[key] = count
        else:
            self._counts.pop(key, None)
        if self._group_of is not None:
            group = self._group_of(key)
            together = self._groups.get(group, 0) + change
            if together > 0:
                self._groups[group] = together
            else:
                self._groups.pop(group, None)

    def _plan_sweep(self) -> None:
        if self._sweep_timer is None:
            loop = asyncio.get_running_loop()
            self._sweep_timer = loop.call_later(self._idle_seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweep_timer = None
        oldest = self._clock.monotonic() - self._idle_seconds
        for key, waiting in list(self._idle.items()):
            stale = [pair for pair in waiting if pair[1] <= oldest or not pair[0].usable]
            fresh = [pair for pair in waiting if pair not in stale]
            if fresh:
                self._idle[key] = fresh
            else:
                del self._idle[key]
            for connection, _ in stale:
                self._end(key, connection)
        if self._idle and not self._closed:
            self._plan_sweep()
