"""through four servers in rotation, with limits on, mail passes at four fifths of the plain rate or more

In paired rounds, real processes from source, each on a store of its own. The plain one has one server
without limits. The other has four, of equal priority and weight, so that each message draws the
one it goes to first; each has its limits by the second, minute and day, which are kept and counted
but never reached. Behind all of them is one sink each, and what is compared is messages a second, end
to end. Every message must come out once, nothing may be left waiting, and no server may have been
left out: each of the four takes its share.

The record says whether the target was met; nothing about time is asserted.
"""

from __future__ import annotations

import asyncio
import math
import random
import statistics
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from pillarbox.storage.open import open_storage
from tests.bench.cells import Mail, write_mail
from tests.bench.meter import wait_until
from tests.bench.nodes import Fleet, Trip, take_trip
from tests.bench.peers import APP
from tests.bench.place import Place, disk_place
from tests.bench.turn import BenchError, CountingSink
from tests.doubles.journal import wall_ms

NEEDS = ("root", "smtp-source", "smtp-sink")

TARGET: Final = 0.8
_SERVERS: Final = 4
_LIMITS: Final = {
    "max_per_second": 100_000.0,
    "max_per_minute": 5_000_000,
    "max_per_day": 1_000_000_000,
}
"""Recipients; beyond what any round can reach."""
_LEAST_SHARE: Final = 0.15
"""Of all messages, for each of four servers whose share is a quarter."""
_SETTLE_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    rounds: int
    warm_up: int
    """Messages before anything counts."""
    aimed_seconds: float
    """A trip gets as many messages as should take so long; 0: as many as `warm_up`."""
    sessions: int = 50
    kilobytes: int = 1


SCALES = {
    "small": Scale(rounds=1, warm_up=200, aimed_seconds=0, sessions=10),
    "full": Scale(rounds=7, warm_up=1000, aimed_seconds=3),
}


class Sinks:
    """Several sinks that count as one, as an async context manager."""

    def __init__(self, place: Path, name: str, count: int) -> None:
        self.each = [CountingSink(f"{name}-{number}", place) for number in range(1, count + 1)]
        self.port = self.each[0].port
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for sink in self.each:
            await self._stack.enter_async_context(sink)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def count(self) -> int:
        """Messages that all of them took."""
        return sum(sink.count() for sink in self.each)

    def forget(self) -> None:
        """Make the files of counters short again."""
        for sink in self.each:
            sink.forget()


class Rotation(Fleet):
    """One node whose app has a server for each sink, of equal priority and weight."""

    def __init__(self, name: str, place: Path, sinks: Sinks, *, limits: bool) -> None:
        super().__init__(name, place, sinks)
        self.sinks = sinks
        self._limits = limits

    async def __aenter__(self) -> Self:
        # Limits are given where no process looks: then they are there from the first message on.
        async with self.nodes[0]:
            await asyncio.to_thread(self._add_servers)
        if self._limits:
            await self._limit()
        return await super().__aenter__()

    def _connect_sink(self) -> None:
        """Done already."""

    def _add_servers(self) -> None:
        node = self.nodes[0]
        node.tell("app", "set", APP, "--mode", "live", "--yes")
        for number, sink in enumerate(self.sinks.each, 1):
            node.tell(
                "server", "add", f"sink-{number}", "--app", APP, "--host", "127.0.0.1",
                "--port", str(sink.port), "--encryption", "none",
            )  # fmt: skip

    async def _limit(self) -> None:
        node = self.nodes[0]
        storage = await open_storage(
            node.data, now_ms=wall_ms(), on_broken=lambda _: None, secret_key=node.secret_key,
            node=node.name,
        )  # fmt: skip
        try:
            directory = storage.directory
            app = await directory.app_named(APP)
            for server in await directory.servers(app.id):
                await directory.save_server(replace(server, **_LIMITS))  # type: ignore[arg-type]
        finally:
            await storage.close()


def prove(size: str) -> dict[str, object]:
    """Measure; the target first. Raises AssertionError where a message is missing, or one too many."""
    try:
        with disk_place() as place:
            return asyncio.run(_prove(SCALES[size], place))
    except BenchError as error:
        raise AssertionError(str(error)) from error


async def _prove(scale: Scale, place: Place) -> dict[str, object]:
    facts = place.facts()
    mail = write_mail(place.path, scale.kilobytes)
    async with AsyncExitStack() as stack:
        fleets = []
        for name, count in (("plain", 1), ("rotation", _SERVERS)):
            sinks = await stack.enter_async_context(Sinks(place.path, name, count))
            fleet = Rotation(name, place.path, sinks, limits=count > 1)
            fleets.append(await stack.enter_async_context(fleet))
        trips = await asyncio.to_thread(_rounds, scale, fleets, mail)
        for fleet in fleets:
            fleet.rest()
            if not wait_until(lambda: not fleet.waiting(), seconds=_SETTLE_SECONDS, every=0.5):  # noqa: B023
                raise BenchError(f"{fleet.name}: {fleet.waiting()} messages still wait at the end")
        shares = _shares(fleets[1])
    ratios = [
        mine.per_second / plain.per_second
        for mine, plain in zip(trips["rotation"], trips["plain"], strict=True)
    ]
    found = round(statistics.median(ratios), 3)
    return {
        "targets": [
            {
                "target": "messages a second, four servers with limits to one without, 1 KB",
                "least": TARGET,
                "found": found,
                "worst": round(min(ratios), 3),
                "met": found >= TARGET,
            }
        ],
        "messages": sum(trip.count for some in trips.values() for trip in some),
        "shares": shares,
        **{name: _figures(some) for name, some in trips.items()},
        "limits": dict(_LIMITS),
        "place": facts,
        "parameters": asdict(scale),
    }


def _rounds(scale: Scale, fleets: Sequence[Rotation], mail: Mail) -> dict[str, list[Trip]]:
    dice = random.Random()
    counts = {}
    for fleet in fleets:
        warm = take_trip(fleet, mail, scale.warm_up, scale.sessions)
        aimed = math.ceil(warm.per_second * scale.aimed_seconds)
        counts[fleet.name] = max(scale.warm_up, aimed)
    found: dict[str, list[Trip]] = {fleet.name: [] for fleet in fleets}
    for number in range(1, scale.rounds + 1):
        for fleet in dice.sample(fleets, len(fleets)):
            trip = take_trip(fleet, mail, counts[fleet.name], scale.sessions)
            found[fleet.name].append(trip)
            sys.stderr.write(
                f"round {number} of {scale.rounds}, {fleet.name}: {trip.per_second:,.0f} a second, "
                f"{trip.cpu_us:,.0f} us of CPU a message, {trip.count} in {trip.seconds:.2f} s\n"
            )
    return found


def _shares(fleet: Rotation) -> list[float]:
    """Of each server; raises `BenchError` where one was left out."""
    counts = [sink.count() for sink in fleet.sinks.each]
    shares = [round(count / sum(counts), 3) for count in counts]
    if min(shares) < _LEAST_SHARE:
        raise BenchError(f"not in rotation: {counts}\n{fleet.log_tail()}")
    return shares


def _figures(trips: Sequence[Trip]) -> dict[str, object]:
    return {
        "messages": sum(trip.count for trip in trips),
        "per_second": round(statistics.median(trip.per_second for trip in trips)),
        "cpu_us": round(statistics.median(trip.cpu_us for trip in trips), 1),
        "trips": [
            {name: round(value, 3) for name, value in asdict(trip).items()} for trip in trips
        ],
    }
