"""one node on PostgreSQL is measured beside one on SQLite, and two nodes on it beside one

In paired rounds, in which every message must come out at the sink and nothing may be left waiting;
real processes, from source (what is compiled is the same on either side), PostgreSQL with fsync=on
as it comes otherwise. The first pair is as fast as it goes. In the second the sink answers after
50 ms, and a node has 20 connections to it at most: what limits one node is waiting, and two share
one database. CPU is that of the nodes and of all processes of the server.

The record holds the figures and says of each target whether it was met; nothing about time is
asserted.
"""

from __future__ import annotations

import asyncio
import math
import random
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.cells import Mail, write_mail
from tests.bench.meter import wait_until
from tests.bench.nodes import Fleet, SlowSink, Trip, take_trip
from tests.bench.place import Place, disk_place
from tests.bench.turn import BenchError, CountingSink
from tests.doubles.postgres import PostgresServer

NEEDS = ("root", "postgres", "smtp-source", "smtp-sink")

_SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    rounds: int
    warm_up: int
    """Messages before anything counts."""
    aimed_seconds: float
    """A trip gets as many messages as should take so long; 0: as many as `warm_up`."""
    kilobytes: tuple[int, ...] = (1, 10)
    sessions: int = 50
    delay_ms: int = 50
    slow: int = 2000
    """Messages for each node of a trip to the slow sink."""


SCALES = {
    "small": Scale(rounds=1, warm_up=60, aimed_seconds=0, sessions=10, slow=100),
    "full": Scale(rounds=5, warm_up=1000, aimed_seconds=2.5),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of the record, and what it ought to be."""

    figure: str
    words: str
    least: float | None = None
    most: float | None = None

    def held_against(self, measured: Mapping[str, Ratios]) -> dict[str, object]:
        """Whether the median of the paired ratios meets it."""
        found = measured[self.figure]
        met = found.median >= self.least if self.least is not None else True
        met = met and (found.median <= self.most if self.most is not None else True)
        bound = {"least": self.least} if self.least is not None else {"most": self.most}
        return {"target": self.words, "figure": self.figure, **bound, **found.facts(), "met": met}


TARGETS = (
    Target("1KB", "messages a second, PostgreSQL to SQLite, 1 KB", least=0.6),
    Target("10KB", "messages a second, PostgreSQL to SQLite, 10 KB", least=0.6),
    Target("two_nodes", "messages a second, two nodes to one, the sink waits 50 ms", least=1.7),
    Target("two_nodes_cpu", "CPU a message, two nodes to one, the sink waits 50 ms", most=1.2),
)


@dataclass(frozen=True, slots=True)
class Ratios:
    """Of trips that stood next to each other."""

    pairs: tuple[float, ...]
    less_is_better: bool = False

    @property
    def median(self) -> float:
        """Of all rounds."""
        return round(statistics.median(self.pairs), 3)

    def facts(self) -> dict[str, float]:
        """Median and worst round."""
        worst = max(self.pairs) if self.less_is_better else min(self.pairs)
        return {"found": self.median, "worst": round(worst, 3)}


def prove(size: str) -> dict[str, object]:
    """Measure; targets first. Raises AssertionError where a message is missing, or one too many."""
    try:
        with disk_place() as place:
            return asyncio.run(_prove(SCALES[size], place))
    except BenchError as error:
        raise AssertionError(str(error)) from error


async def _prove(scale: Scale, place: Place) -> dict[str, object]:
    dice = random.Random()
    facts = place.facts()
    mails = {kilobytes: write_mail(place.path, kilobytes) for kilobytes in scale.kilobytes}
    with PostgresServer(place.path / "pg", fsync=True) as server:
        fast = await _engines(scale, place.path, server, mails, dice)
        slow = await _nodes(scale, place.path, server, mails[1], dice)
        version = server.version()
    ratios = {
        **{
            f"{kilobytes}KB": _ratios(
                fast[kilobytes]["postgres"], fast[kilobytes]["sqlite"], lambda one: one.per_second
            )
            for kilobytes in scale.kilobytes
        },
        "two_nodes": _ratios(slow["two"], slow["one"], lambda one: one.per_second),
        "two_nodes_cpu": _ratios(
            slow["two"], slow["one"], lambda one: one.cpu_us, less_is_better=True
        ),
    }
    trips = [trip for cell in (*fast.values(), slow) for some in cell.values() for trip in some]
    return {
        "targets": [target.held_against(ratios) for target in TARGETS],
        "messages": sum(trip.count for trip in trips),
        "engines": {f"{kilobytes}KB": _figures(cell) for kilobytes, cell in fast.items()},
        "nodes": _figures(slow),
        "on": [
            "nodes from source, as shipped but for a port in clear, one server without TLS",
            "PostgreSQL with fsync=on on the same disk, over a socket, as it comes otherwise",
            "smtp-source before each node; smtp-sink, or a sink that waits, behind",
        ],
        "place": facts,
        "parameters": asdict(scale),
        "versions": {"postgresql": version},
    }


Series = dict[str, list[Trip]]
"""By contender, round by round."""


async def _engines(
    scale: Scale,
    place: Path,
    server: PostgresServer,
    mails: Mapping[int, Mail],
    dice: random.Random,
) -> dict[int, Series]:
    """One node on each engine, as fast as it goes; by kilobytes."""
    async with AsyncExitStack() as stack:
        fleets = []
        for name, over in (("sqlite", None), ("postgres", server)):
            sink = await stack.enter_async_context(CountingSink(name, place))
            fleets.append(await stack.enter_async_context(Fleet(name, place, sink, server=over)))
        found = {}
        for kilobytes, mail in mails.items():
            counts = {}
            for fleet in fleets:
                warm = take_trip(fleet, mail, scale.warm_up, scale.sessions)
                aimed = math.ceil(warm.per_second * scale.aimed_seconds)
                counts[fleet.name] = max(scale.warm_up, aimed)
            found[kilobytes] = _rounds(scale, fleets, mail, counts, dice)
        for fleet in fleets:
            _leave_nothing(fleet)
    return found


async def _nodes(
    scale: Scale, place: Path, server: PostgresServer, mail: Mail, dice: random.Random
) -> Series:
    """One node and two, each on a database of its own, and the sink waits."""
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(SlowSink(place, scale.delay_ms))
        fleets = [
            await stack.enter_async_context(Fleet(name, place, sink, nodes=nodes, server=server))
            for name, nodes in (("one", 1), ("two", 2))
        ]
        for fleet in fleets:
            take_trip(fleet, mail, scale.warm_up, scale.sessions)
        counts = {fleet.name: scale.slow * len(fleet.nodes) for fleet in fleets}
        found = _rounds(scale, fleets, mail, counts, dice)
        for fleet in fleets:
            _leave_nothing(fleet)
    return found


def _rounds(
    scale: Scale,
    fleets: Sequence[Fleet],
    mail: Mail,
    counts: Mapping[str, int],
    dice: random.Random,
) -> Series:
    found: Series = {fleet.name: [] for fleet in fleets}
    for number in range(1, scale.rounds + 1):
        for fleet in dice.sample(fleets, len(fleets)):
            trip = take_trip(fleet, mail, counts[fleet.name], scale.sessions)
            found[fleet.name].append(trip)
            _say(
                f"round {number} of {scale.rounds}, {mail.path.name}, {fleet.name}: "
                f"{trip.per_second:,.0f} a second, {trip.cpu_us:,.0f} us of CPU a message "
                f"({trip.server_cpu_us:,.0f} of the server), "
                f"{trip.count} in {trip.seconds:.2f} s"
            )
    return found


def _leave_nothing(fleet: Fleet) -> None:
    """What arrived is settled a moment later."""
    fleet.rest()
    if not wait_until(lambda: not fleet.waiting(), seconds=_SETTLE_SECONDS, every=0.5):
        raise BenchError(f"{fleet.name}: {fleet.waiting()} messages still wait at the end")


def _ratios(
    ours: Sequence[Trip],
    theirs: Sequence[Trip],
    figure: Callable[[Trip], float],
    *,
    less_is_better: bool = False,
) -> Ratios:
    pairs = zip(ours, theirs, strict=True)
    return Ratios(tuple(figure(one) / figure(other) for one, other in pairs), less_is_better)


def _figures(series: Series) -> dict[str, object]:
    return {
        name: {
            "messages": sum(trip.count for trip in trips),
            "per_second": round(statistics.median(trip.per_second for trip in trips)),
            "accepted_per_second": round(
                statistics.median(trip.count / trip.accepted_seconds for trip in trips)
            ),
            "cpu_us": round(statistics.median(trip.cpu_us for trip in trips), 1),
            "server_cpu_us": round(statistics.median(trip.server_cpu_us for trip in trips), 1),
            "trips": [
                {name: round(value, 3) for name, value in asdict(trip).items()} for trip in trips
            ],
        }
        for name, trips in series.items()
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
