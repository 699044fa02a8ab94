"""rounds of turns in pairs, and what their ratios come to"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.bench.cells import Cell, Mail
from tests.bench.meter import MemoryWatch
from tests.bench.peers import Peer
from tests.bench.turn import BenchError, CountingSink, Turn, take_turn

Say = Callable[[str], None]

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How thoroughly a cell is measured."""

    rounds: int = 5
    warm_up: int = 500
    """Messages that each relay gets before anything counts."""
    aimed_seconds: float = 2.0
    """A turn gets as many messages as should take so long."""
    least_seconds: float = 1.0
    """A turn that took less is thrown away and taken again with more messages."""


FULL = Plan()
QUICK = Plan(rounds=2, aimed_seconds=1.3)
FUNCTIONAL = Plan(rounds=1, warm_up=50, aimed_seconds=0.2, least_seconds=0.0)


class Contender(Protocol):
    """A relay that runs, with a sink behind it, and how it is driven."""

    @property
    def peer(self) -> Peer:
        """The relay."""
        ...

    def turn(self, cell: Cell, mail: Mail, count: int) -> Turn:
        """Hand `count` messages over and wait until the sink has them all.

        Raises `BenchError` when anything stops, or what arrived is not what was handed over.
        """
        ...


@dataclass(frozen=True, slots=True)
class PlainContender:
    """In clear and without logins: smtp-source in front, smtp-sink behind."""

    peer: Peer
    sink: CountingSink

    def turn(self, cell: Cell, mail: Mail, count: int) -> Turn:
        """See `take_turn`."""
        return take_turn(self.peer, self.sink, cell, mail, count)


@dataclass(slots=True)
class Series:
    """All turns of one relay in one cell."""

    turns: list[Turn] = field(default_factory=list)
    peak_bytes: int = 0

    def median(self, figure: Callable[[Turn], float]) -> float:
        """Of one figure over all turns."""
        return statistics.median(figure(turn) for turn in self.turns)

    def facts(self) -> dict[str, object]:
        """For the record."""
        return {
            "messages": sum(turn.count for turn in self.turns),
            "per_second": round(self.median(lambda turn: turn.per_second)),
            "accepted_per_second": round(self.median(lambda turn: turn.accepted_per_second)),
            "cpu_us": round(self.median(lambda turn: turn.cpu_us), 1),
            "load_cpu_us": round(
                self.median(lambda turn: turn.load_cpu_seconds / turn.count * 1e6), 1
            ),
            "peak_memory_mb": round(self.peak_bytes / 2**20, 1),
            "turns": [
                {
                    "messages": turn.count,
                    "seconds": round(turn.seconds, 3),
                    "accepted_seconds": round(turn.accepted_seconds, 3),
                    "cpu_seconds": round(turn.cpu_seconds, 3),
                    "others_share": round(turn.others_share, 3),
                    "stolen_share": round(turn.stolen_share, 3),
                }
                for turn in self.turns
            ],
        }


@dataclass(slots=True)
class Measured:
    """One cell, done."""

    cell: Cell
    content_bytes: int
    series: Mapping[str, Series]

    def ratios(self, ours: str, theirs: str, figure: Callable[[Turn], float]) -> list[float]:
        """Ours to theirs, round by round: the two turns of a round stood next to each other."""
        pairs = zip(self.series[ours].turns, self.series[theirs].turns, strict=True)
        return [figure(one) / figure(other) for one, other in pairs]

    def facts(self) -> dict[str, object]:
        """For the record; ratios only where both relays took part."""
        found: dict[str, object] = {
            "cell": self.cell.name,
            "content_bytes": self.content_bytes,
            "sessions": self.cell.sessions,
            "connections": "kept" if self.cell.kept else "one for each message",
        }
        if {"pillarbox", "postfix"} <= set(self.series):
            figures: dict[str, Callable[[Turn], float]] = {
                "end_to_end": lambda turn: turn.per_second,
                "accepted": lambda turn: turn.accepted_per_second,
                "cpu": lambda turn: 1 / turn.cpu_us,
            }
            for name, figure in figures.items():
                ratios = self.ratios("pillarbox", "postfix", figure)
                found[f"{name}_times"] = round(statistics.median(ratios), 2)
                found[f"{name}_times_worst"] = round(min(ratios), 2)
        shares = [turn.others_share for series in self.series.values() for turn in series.turns]
        found["others_share"] = round(statistics.median(shares), 3)
        return found | {name: series.facts() for name, series in self.series.items()}


def measure(
    contenders: Sequence[Contender],
    cell: Cell,
    mail: Mail,
    plan: Plan,
    dice: random.Random,
    say: Say,
) -> Measured:
    """Warm up, look at memory, then rounds in which each relay has its turn, in random order."""
    series = {contender.peer.name: Series() for contender in contenders}
    counts = {}
    for contender in contenders:
        name = contender.peer.name
        say(f"{cell.name}: {name} warms up")
        counts[name], series[name].peak_bytes = _warm_up(contender, cell, mail, plan)
    for number in range(1, plan.rounds + 1):
        for contender in dice.sample(contenders, len(contenders)):
            name = contender.peer.name
            turn = _long_enough(contender, cell, mail, counts, plan)
            series[name].turns.append(turn)
            say(
                f"{cell.name}: round {number} of {plan.rounds}, {name}: "
                f"{turn.per_second:,.0f} a second, {turn.cpu_us:,.0f} us of CPU a message, "
                f"{turn.count} in {turn.seconds:.2f} s, others {turn.others_share:.0%}"
            )
    return Measured(cell, mail.content_bytes, series)


def _warm_up(contender: Contender, cell: Cell, mail: Mail, plan: Plan) -> tuple[int, int]:
    """How many messages a turn is to have, and the most memory it took to pass so many."""
    first = contender.turn(cell, mail, plan.warm_up)
    count = _count_for(first, plan)
    with MemoryWatch(contender.peer.root()) as watch:
        second = contender.turn(cell, mail, count)
    return max(count, _count_for(second, plan)), watch.peak_bytes


def _count_for(turn: Turn, plan: Plan) -> int:
    return max(plan.warm_up, math.ceil(turn.per_second * plan.aimed_seconds))


def _long_enough(
    contender: Contender, cell: Cell, mail: Mail, counts: dict[str, int], plan: Plan
) -> Turn:
    name = contender.peer.name
    for _ in range(_TRIES):
        turn = contender.turn(cell, mail, counts[name])
        if turn.seconds >= plan.least_seconds:
            return turn
        counts[name] = math.ceil(counts[name] * 1.2 * plan.least_seconds / turn.seconds)
    raise BenchError(f"{name}, {cell.name}: {_TRIES} turns in a row were too short")
