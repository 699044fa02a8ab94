"""all lanes of this node: woken by fresh mail, by the clock, and by looking"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.policy.lanes import by_turns, through_servers
from pillarbox.policy.routing import Route
from pillarbox.services.delivery.catching_up import CatchingUp
from pillarbox.services.delivery.lane import Lane
from pillarbox.services.delivery.lane_tools import LaneTools
from pillarbox.services.delivery.report import LaneReport
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.queue import LaneHead, LaneName
from pillarbox.terms.ids import ObjectId

_log = logger("delivery")

_SHORTEST_PAUSE_SECONDS: Final = 0.005
_CATCH_UP_SECONDS: Final = 0.25
"""Between two looks ahead of the clock."""
_MANY_LANES: Final = 1000
"""Lanes with waiting mail that are looked through at every poll; more of them less often."""
_LONGEST_BETWEEN_SECONDS: Final = 60.0
_MOST_IDLE_LANES: Final = 64
_MOST_COUNTED: Final = 100_000
"""Deliveries that are counted in a lane when a server is back; nobody waits until all are."""
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
        self._waiting = 0
        """Lanes with waiting mail at the last look."""
        self._draining = False
        self._trying: frozenset[ObjectId] = frozenset()
        self._catching_up: frozenset[ObjectId] = frozenset()
        self._paused: Mapping[int, int] = {}

    def start_mirroring(self) -> None:
        """From now on fresh mail comes straight here."""
        self._tools.mirror.listen(self._fresh, self.look_now)

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
        self._tools.attempts.stop_waiting()
        await asyncio.gather(*(lane.stop(seconds) for lane in self._lanes.values()))

    @property
    def busy(self) -> bool:
        """Whether anything is on its way."""
        return any(lane.busy for lane in self._lanes.values())

    def report(self, lane: int) -> LaneReport | None:
        """How a lane does on this node; None where nothing was ever sent from it here."""
        known = self._lanes.get(lane)
        return None if known is None else known.report()

    async def _look(self) -> float:
        """Claim in every lane whose mail is due; gives the seconds until the next look.

        What lanes learn of their own mail wakes this too; the store is asked only once a poll.
        """
        clock = self._tools.clock
        began_at = clock.monotonic()
        # Who is asked all the time must not do nothing but look.
        wait = self._took * _LOOK_AGAIN_AFTER if self._asked else self._between()
        if began_at - self._looked_at >= min(wait, self._between()):
            self._asked = False
            self._looked_at = began_at
            for head in self._near(await self._tools.queue.heads(leaving=self._draining)):
                self._lane(head.lane, head.name).see_head(head)
            self._paused = await self._tools.queue.paused_lanes()
            for lane in self._lanes.values():
                lane.pause(lane.number in self._paused)
            self._took = clock.monotonic() - began_at
        now_ms = clock.now_ms()
        wait = self._took * _LOOK_AGAIN_AFTER if self._asked else self._between()
        soonest = self._looked_at + min(wait, self._between()) - clock.monotonic()
        if self._trying:
            await self._send_one()
        if self._catching_up:
            await self._begin_catching_up()
        # Claiming waits, and new lanes come meanwhile. One app's ten thousand lanes take turns with
        # the single one of another.
        for lane in by_turns((lane, lane.app) for lane in self._lanes.values()):
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
        for lane, _ in await self._waiting_for_servers(apps, 1):
            app = lane.app
            if app is not None and app not in found and await lane.try_one():
                found.add(app)

    async def _begin_catching_up(self) -> None:
        """Count what waits, once, to let it go evenly."""
        apps, self._catching_up = self._catching_up, frozenset()
        now_ms = self._tools.clock.now_ms()
        for lane, waiting in await self._waiting_for_servers(apps, _MOST_COUNTED):
            lane.catching_up = CatchingUp(now_ms, waiting, self._tools.catch_up_ms)

    async def _waiting_for_servers(
        self, apps: frozenset[ObjectId], most: int
    ) -> list[tuple[Lane, int]]:
        """Lanes of these apps in which mail waits that goes through servers, and how much, `most`
        of it counted in each.
        """
        queue, found = self._tools.queue, []
        for app in sorted(apps):
            for route in (Route.SERVERS, Route.SERVER):
                for number, name in (await queue.lanes_of(app, route.value)).items():
                    if not through_servers(name.route, name.destination):
                        continue
                    if waiting := await queue.count_waiting(number, most):
                        found.append((self._lane(number, name), waiting))
        return found

    def _between(self) -> float:
        """Seconds between looks: more where so many lanes wait that looking itself takes time."""
        stretched = self._poll_seconds * self._waiting / _MANY_LANES
        return max(self._poll_seconds, min(stretched, _LONGEST_BETWEEN_SECONDS))

    def _near(self, heads: Sequence[LaneHead]) -> list[LaneHead]:
        """Those that concern lanes at work, or fall due before the next look but one.

        Mail straight to recipients has a lane for each domain. Those in which nothing happens are
        forgotten meanwhile: storage knows them.
        """
        self._waiting = len(heads)
        until_ms = self._tools.clock.now_ms() + int(self._between() * 2000)
        if len(self._lanes) > _MOST_IDLE_LANES:
            for number in [n for n, lane in self._lanes.items() if lane.is_at_rest(until_ms)]:
                del self._lanes[number]
        return [head for head in heads if head.lane in self._lanes or head.first_due_at <= until_ms]

    def _lane(self, number: int, name: LaneName | None) -> Lane:
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lanes[number] = Lane(
                number, name, self._tools, self._changed.set, paused=number in self._paused
            )
        return lane

    def _fresh(self, number: int) -> None:
        lane = self._lanes.get(number)
        if lane is None:
            lane = self._lane(number, self._tools.queue.known_lane(number))
        lane.wake()
