"""the visitors' book: visits gathered in memory, judged together, written some seconds later in one go"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.events import VisitFacts
from pillarbox.policy.tracking import BURST_MS, Visit, bursts_of, second_look
from pillarbox.services.tracking.preference import Preferences
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.visits import NewVisit, Reached, VisitStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import DeliveryId

_RIPE_MS: Final = 2 * BURST_MS
"""A visit is judged when all that could belong to the same burst have come."""
_LOOK_SECONDS: Final = 0.5
_MOST_WAITING: Final = 20_000
_MOST_AT_ONCE: Final = 500
_MINUTE_MS: Final = 60_000
MOST_OF_ADDRESS: Final = 600
"""Visits of one address that are written down in a minute; all are answered."""
MOST_OF_SPOT: Final = 20
"""Visits to one link or image of one delivery that are written down in a minute."""
_MOST_COUNTED: Final = 100_000

_log = logger("tracking")


class Book:
    """Of this process. Nobody waits for it; `stop` and the end of `run` leave nothing unwritten."""

    def __init__(
        self, store: VisitStore, clock: Clock, metrics: Metrics, preferences: Preferences
    ) -> None:
        """`preferences` say whether what it writes says who came, and with what."""
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._preferences = preferences
        self._waiting: list[Visit] = []
        self._past: list[Visit] = []
        """Written, and still to be counted in bursts."""
        self._minute = 0
        self._counts: OrderedDict[object, int] = OrderedDict()
        self._stop = asyncio.Event()

    def note(self, visit: Visit) -> bool:
        """Remember a visit; False where there are too many of its kind, and it is only counted."""
        minute = visit.at // _MINUTE_MS
        if minute != self._minute or len(self._counts) > _MOST_COUNTED:
            self._minute = minute
            self._counts.clear()
        spot = (visit.delivery, visit.kind, visit.position)
        within = self._count(visit.address) <= MOST_OF_ADDRESS
        within = self._count(spot) <= MOST_OF_SPOT and within
        if not within or len(self._waiting) >= _MOST_WAITING:
            self._metrics.tracking_visits[_word(visit), "not_written"] += 1
            return False
        self._waiting.append(visit)
        return True

    async def run(self) -> None:
        """Write what is ripe, again and again, until `stop`; then all there is."""
        last = False
        while not last:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._stop.wait()
            last = self._stop.is_set()  # it may come while some are written, and others wait
            try:
                await self.write(everything=last)
            except Exception:
                _log.exception("visits.not_written")

    def stop(self) -> None:
        """Write what there is, and no more."""
        self._stop.set()

    async def write(self, *, everything: bool = False) -> None:
        """Judge and write what is ripe; what cannot be written waits for the next time."""
        ripe_at = self._clock.now_ms() - _RIPE_MS
        ripe = [one for one in self._waiting if everything or one.at <= ripe_at]
        near = [*self._past, *self._waiting]
        bursts = {id(near[place]) for place in bursts_of(near)}
        for start in range(0, len(ripe), _MOST_AT_ONCE):
            some = ripe[start : start + _MOST_AT_ONCE]
            try:
                await self._write(some, bursts)
            except StorageTrouble as trouble:
                _log.warning("visits.not_written", waiting=len(self._waiting), reason=str(trouble))
                return
            written = set(map(id, some))
            self._waiting = [one for one in self._waiting if id(one) not in written]
            self._past += some
        self._past = [one for one in self._past if one.at > ripe_at - BURST_MS]

    async def _write(self, some: list[Visit], bursts: set[int]) -> None:
        reached: dict[DeliveryId, Reached | None] = {}
        for delivery in {one.delivery for one in some}:
            reached[delivery] = await self._store.reached(delivery)
        events, counted = [], []
        for one in some:
            found = reached[one.delivery]
            at = found.at if found is not None else None
            verdict, rule = second_look(one, at, in_burst=id(one) in bursts)
            counted.append((_word(one), verdict.value))
            if found is not None:
                named = await self._preferences.keeps_personal_data(found.app)
                facts = _facts(replace(one, verdict=verdict, rule=rule), named=named)
                events.append(NewVisit(one.at, found.app, one.kind, one.delivery, facts))
        await self._store.add(events)
        for labels in counted:
            self._metrics.tracking_visits[labels] += 1

    def _count(self, what: object) -> int:
        self._counts[what] = count = self._counts.get(what, 0) + 1
        return count


def _facts(one: Visit, *, named: bool) -> VisitFacts:
    return VisitFacts(
        one.url, one.position, one.address if named else "", one.agent if named else "",
        one.verdict.value, one.rule.value,
    )  # fmt: skip


def _word(visit: Visit) -> str:
    return visit.kind.removeprefix("message.")
