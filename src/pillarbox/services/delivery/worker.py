"""all lanes of this node: woken by fresh mail, by the clock, and by looking"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.services.delivery.catching_up import CatchingUp
from pillarbox.services.delivery.lane import Lane, LaneTools
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.terms.ids import ObjectId

_log = logger("delivery")

_SHORTEST_PAUSE_SECONDS: Final = 0.005
_CATCH_UP_SECONDS: Final = 0.25
"""Between two looks ahead of the clock."""
_LOOK_AGAIN_AFTER: Final = 20
"""Times what a look takes."""


class Worker:
    """Runs delivery on this node until it is stopped."""

    def __init__(self, tools: LaneTools, *, poll_seconds: float) -> None:
        self._tools = tools
        self._poll_seconds = poll_seconds
        self._lanes: dict[int, Lane] = {}
        self._changed = asyncio.Event()
        self._stopping = False
        self._looked_at = float("-inf")
        self._asked = False
        self._took = 0.0
        self._draining = False
        self._trying: frozenset[ObjectId] = frozenset()
        self._catching_up: frozenset[ObjectId] = frozenset()

    def start_mirroring(self) -> None:
        """From now on fresh mail comes straight here."""
        self._tools.mirror.listen(self._fresh)

    def look_now(self) -> None:
        """Somebody changed what waits: look at it soon instead of at the next poll."""
        self._asked = True
        self._changed.set()

    def drain(self, draining: bool) -> None:
        """Claim nothing more, finish what is here, and leave the rest to other nodes; or go on."""
        self._draining = draining
        self.look_now()

    def catch_up(self, apps: frozenset[ObjectId]) -> None:
        """A server of these apps is back: what waits in their lanes goes early, spread over time."""
        self._catching_up |= apps
        self._changed.set()

    def try_one(self, apps: frozenset[ObjectId]) -> None:
        """A pause of a server of these apps is over: one message finds out whether it works."""
        self._trying |= apps
        self._changed.set()

    async def run(self) -> None:
        """Look for waiting mail, again and again, until `stop`."""
        while not self._stopping:
            self._changed.clear()
            try:
                pause = await self._look()
            except StorageTrouble as trouble:
                _log.warning("lanes.unread", reason=str(trouble))
                pause = self._poll_seconds
            except Exception:
                _log.exception("lanes.broke")
                pause = self._poll_seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def stop(self, seconds: float) -> None:
        """Begin nothing more; let what is on its way be settled."""
        self._stopping = True
        self._changed.set()
        self._tools.mirror.listen(None)
        await asyncio.gather(*(lane.stop(seconds) for lane in self._lanes.values()))

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return any(lane.busy for lane in self._lanes.values())

    async def _look(self) -> float:
        """Claim in every lane whose mail is due; gives the seconds until the next look.

        What lanes learn of their own mail wakes this too; the store is asked only once a poll.
        """
        clock = self._tools.clock
        began_at = clock.monotonic()
        # Who is asked all the time must not do nothing but look.
        wait = self._took * _LOOK_AGAIN_AFTER if self._asked else self._poll_seconds
        if began_at - self._looked_at >= min(wait, self._poll_seconds):
            self._asked = False
            self._looked_at = began_at
            for head in await self._tools.queue.heads(leaving=self._draining):
                self._lane(head.lane).see_head(head)
            self._took = clock.monotonic() - began_at
        now_ms = clock.now_ms()
        wait = self._took * _LOOK_AGAIN_AFTER if self._asked else self._poll_seconds
        soonest = self._looked_at + min(wait, self._poll_seconds) - clock.monotonic()
        if self._trying:
            await self._send_one()
        if self._catching_up:
            await self._begin_catching_up()
        for lane in list(self._lanes.values()):  # claiming waits, and new lanes come meanwhile
            if lane.due_at and lane.due_at <= now_ms:
                await lane.claim()
            elif lane.due_at:
                soonest = min(soonest, (lane.due_at - now_ms) / 1000)
            if lane.catching_up is not None:
                await lane.claim_early()
                soonest = min(soonest, _CATCH_UP_SECONDS)
        return max(soonest, _SHORTEST_PAUSE_SECONDS)

    async def _send_one(self) -> None:
        """Each server that was paused gets its trial from whichever lane has something."""
        apps, self._trying = self._trying, frozenset()
        found: set[ObjectId] = set()
        for lane in list(self._lanes.values()):
            app = lane.app
            if app is not None and app in apps and app not in found and await lane.try_one():
                found.add(app)

    async def _begin_catching_up(self) -> None:
        """Count what waits, once, to let it go evenly."""
        apps, self._catching_up = self._catching_up, frozenset()
        depths = await self._tools.queue.depths()
        now_ms = self._tools.clock.now_ms()
        for depth in depths:
            waiting = depth.waiting - depth.held - depth.active
            if depth.name.app in apps and waiting > 0 and depth.lane in self._lanes:
                lane = self._lanes[depth.lane]
                lane.catching_up = CatchingUp(now_ms, waiting, self._tools.catch_up_ms)

    def _lane(self, number: int) -> Lane:
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = Lane(number, self._tools, self._changed.set)
        return lane

    def _fresh(self, number: int) -> None:
        self._lane(number).wake()
