"""an allowance: what may be given to a server now, under the limits that all nodes share

Tokens are had from storage in blocks and ahead of their use, so that nearly every message finds its
own in memory. Who finds none stands in line, outside the slots for connections, until his turn or
until somebody tells him that another server is the better choice.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.policy.breaker import shared_name
from pillarbox.policy.quota import Pace, block_of, comes_near, paces_of
from pillarbox.policy.server import Server
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.limits import LimitStore, QuotaTaken
from pillarbox.terms.clock import Clock

_log = logger("delivery")

_BLOCKS_A_SECOND: Final = 10
_SHORTEST_SECONDS: Final = 0.01
_TROUBLE_SECONDS: Final = 1.0
_DAY_MS: Final = 86_400_000
_LONGEST_REST_MS: Final = 26 * 3_600_000

QuotaTold = Callable[[str, int, int, int], None]
"""Kind of event, what is used, of how much, and until when."""


class _Bucket:
    """One pace, and what this node has of it."""

    __slots__ = ("asked_at", "block", "left", "pace")

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self.left = 0
        self.asked_at = float("-inf")
        self.block = max(int(pace.per_second / _BLOCKS_A_SECOND), 1)

    def wait_seconds(self, now: float) -> float:
        """Until it may be asked again: a node by itself takes no faster than the pace is."""
        return max(self.asked_at + self.block / self.pace.per_second - now, 0.0)


class Allowance:
    """What this node may give to one server. Counted in recipients."""

    def __init__(self, server: Server, store: LimitStore, clock: Clock, told: QuotaTold) -> None:
        """Nothing is known yet; what is needed is asked for at first use."""
        self._store = store
        self._clock = clock
        self._told = told
        self._buckets: list[_Bucket] = []
        self._most = 0
        self._name = b""
        self._day_left = 0
        self._waiters: deque[tuple[int, asyncio.Future[int]]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self.closed = False
        self._near_told_at = 0
        self._exhausted = False
        """Whether nothing is left in storage but what this node has."""
        self._took_last = False
        self._reached_told = False
        self._used_up_until = 0
        self.rests_until = 0
        """Until then it takes nothing, in its own words; 0 where it has taken something since."""
        self.set_limits(server)

    def set_limits(self, server: Server) -> None:
        """They may have been changed; what was taken under others is kept where they are the same."""
        paces = paces_of(server)
        if paces != tuple(bucket.pace for bucket in self._buckets):
            known = {bucket.pace: bucket for bucket in self._buckets}
            self._buckets = [known.get(pace) or _Bucket(pace) for pace in paces]
        name = shared_name(server)
        if (name, server.max_per_day) != (self._name, self._most):
            self._name, self._most = name, server.max_per_day
            self._day_left = self._used_up_until = 0
            self._exhausted = False

    def free_at(self, now_ms: int) -> int:
        """Until when its quota is used up, by our count or in its own words; 0 where it is not."""
        until = max(self.rests_until, self._used_up_until)
        # After a clock was put back no rest is longer than the longest there is.
        return until if now_ms < until <= now_ms + _LONGEST_REST_MS else 0

    def rest(self, until: int) -> bool:
        """It has said itself that it takes no more; True where that is news."""
        news = not self.rests_until
        self.rests_until = max(until, self.rests_until)
        self._release()
        return news

    def is_over(self) -> bool:
        """It has taken something; True where it had said before that it takes no more."""
        was, self.rests_until = self.rests_until, 0
        return was > 0

    @property
    def plenty(self) -> bool:
        """Whether the next message will hardly have to wait."""
        if self._waiters or (self._most and not self._day_left):
            return False
        return all(bucket.left for bucket in self._buckets)

    def take_now(self, wanted: int) -> int:
        """Up to `wanted` from memory; 0 where there is none, or others stand in line."""
        granted = 0 if self._waiters else self._take(wanted)
        if self._low():
            self._start()
        return granted

    def give_back(self, amount: int) -> None:
        """Taken and not used after all."""
        for bucket in self._buckets:
            bucket.left += amount
        if self._most:
            self._day_left += amount
        self._serve()

    def wait_seconds(self, wanted: int) -> float:
        """About how long whoever comes now would stand in line; nobody knows of a quota."""
        ahead = wanted + self._wanted()
        waits = (max(ahead - one.left, 0) / one.pace.per_second for one in self._buckets)
        return max(waits, default=0.0)

    async def turn(self, wanted: int, seconds: float) -> int:
        """Stand in line for up to `wanted`, at most so long; gives how many, at least 1.

        0 where the time is over, or where there is nothing to wait for.
        """
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        place = wanted, waiter
        self._waiters.append(place)
        self._start()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    return await waiter
            # In the same moment as the time was over it may have been his turn.
            return waiter.result() if waiter.done() and not waiter.cancelled() else 0
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.give_back(waiter.result())
            raise
        finally:
            waiter.cancel()
            with suppress(ValueError):
                self._waiters.remove(place)

    def close(self) -> None:
        """Ask for nothing more; nobody stands in line any longer."""
        self.closed = True
        self._release()
        if self._pump is not None:
            self._pump.cancel()

    # --- the line -----------------------------------------------------------------------------

    def _wanted(self) -> int:
        return sum(amount for amount, _ in self._waiters)

    def _take(self, wanted: int) -> int:
        granted = wanted
        for bucket in self._buckets:
            if bucket.left < min(wanted, bucket.pace.portion):
                return 0
            granted = min(granted, bucket.left)
        if self._most:
            if self._day_left < granted and not self._exhausted:
                return 0  # a message is divided only where it has to be
            granted = min(granted, self._day_left)
        for bucket in self._buckets:
            bucket.left -= granted
        if self._most:
            self._day_left -= granted
        return granted

    def _serve(self) -> None:
        """Give to those in line, in their order; the first gets what there is."""
        while self._waiters:
            wanted, waiter = self._waiters[0]
            if not waiter.done():
                granted = self._take(wanted)
                if not granted:
                    return
                waiter.set_result(granted)
            self._waiters.popleft()

    def _release(self) -> None:
        """There is nothing to wait for."""
        while self._waiters:
            _, waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(0)

    def _low(self) -> bool:
        if self._most and self._day_left <= block_of(self._most) // 2:
            return True
        return any(self._lacks(bucket) for bucket in self._buckets)

    def _lacks(self, bucket: _Bucket) -> bool:
        """Whether it has less than who is first in line needs, or than half a block."""
        wanted = self._waiters[0][0] if self._waiters else 1
        return bucket.left < max(min(wanted, bucket.pace.portion), (bucket.block + 1) // 2)

    # --- the store ----------------------------------------------------------------------------

    def _start(self) -> None:
        if not self.closed and (self._pump is None or self._pump.done()):
            self._pump = asyncio.ensure_future(self._fill())

    async def _fill(self) -> None:
        """Have tokens while somebody waits for them, and a block ahead."""
        while True:
            try:
                await self._fill_day()
                for bucket in self._buckets:
                    await self._fill_bucket(bucket)
            except StorageTrouble as trouble:
                # Storage that does not answer lets nothing leave anyway.
                _log.warning("allowance.unread", reason=str(trouble))
                await asyncio.sleep(_TROUBLE_SECONDS)
            self._serve()
            if not self._waiters:
                return
            now = self._clock.monotonic()
            waits = [one.wait_seconds(now) for one in self._buckets if self._lacks(one)]
            await asyncio.sleep(max(*waits, _SHORTEST_SECONDS, _SHORTEST_SECONDS))

    async def _fill_bucket(self, bucket: _Bucket) -> None:
        now = self._clock.monotonic()
        if not self._lacks(bucket) or bucket.wait_seconds(now) > 0:
            return
        bucket.asked_at = now
        pace = bucket.pace
        bucket.left += await self._store.take_tokens(pace.name, pace.per_second, bucket.block)

    async def _fill_day(self) -> None:
        most, now_ms = self._most, self._clock.now_ms()
        if not most:
            return
        if self.free_at(now_ms):
            self._release()
            return
        wanted = self._wanted() + block_of(most)
        first = self._waiters[0][0] if self._waiters else 1
        if self._day_left and (
            self._exhausted or (self._day_left >= first and self._day_left * 2 > wanted)
        ):
            return
        taken = await self._store.take_quota(
            self._name, most, min(wanted - self._day_left, most), now_ms
        )
        if most != self._most:
            return  # it was changed meanwhile: what was taken counts, and is not used
        self._day_left += taken.granted
        self._exhausted = taken.used >= most
        if taken.granted:
            self._note_granted(taken, now_ms)
        if not self._day_left:
            # Of several nodes the one that took the last of it says so, and later that it is over.
            news = not self._used_up_until and (self._took_last or taken.used > most)
            self._used_up_until = max(taken.free_at, now_ms + 1)
            if news:
                self._reached_told = True
                self._told("server.quota_reached", taken.used, most, self._used_up_until)
            self._release()

    def _note_granted(self, taken: QuotaTaken, now_ms: int) -> None:
        most = self._most
        self._took_last = taken.used >= most
        self._used_up_until = 0
        if self._reached_told:
            self._reached_told = False
            self._told("server.quota_over", taken.used, most, 0)
        near = comes_near(taken.used, taken.granted, most)
        if near and abs(now_ms - self._near_told_at) >= _DAY_MS:
            self._near_told_at = now_ms
            self._told("server.quota_near", taken.used, most, 0)
