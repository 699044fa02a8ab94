"""beside Debian's Postfix, in paired rounds in which every message counts, relaying is measured

The record holds the figures and says of each target whether it was met; nothing about time is
asserted. What is asserted: with either relay every message arrives once and with its bytes, no
turn ends with a message more or less at the sink, Pillarbox syncs before each 250, and neither
has anything left in its queue at the end. docs/performance.md says how to read it.
"""

from __future__ import annotations

import asyncio
import random
import sys

from tests.bench.cells import Cell
from tests.bench.record import Figures, Order, run
from tests.bench.rounds import FUNCTIONAL
from tests.bench.targets import held_against
from tests.bench.turn import NEEDS as NEEDS
from tests.bench.turn import BenchError

SMALL = Order(
    cells=(Cell(1, 10, True), Cell(10, 10, False)),
    plan=FUNCTIONAL,
    fill=0,
    checked=40,
    checked_traced=True,
    idle_seconds=0.2,
)
"""A few hundred messages through all of the machinery."""

_ALLOWED_TIMES = 3
"""So much of Postfix's CPU, where half of it is usual: CI runs on whatever there is."""


def prove(size: str) -> dict[str, object]:
    """Measure; targets first. Raises AssertionError where the figures would not count."""
    order = Order(seed=random.randrange(1_000_000)) if size == "full" else SMALL
    try:
        figures: Figures = asyncio.run(run(order, _say))
    except BenchError as error:
        raise AssertionError(str(error)) from error
    if size != "full":
        _spends_no_more_than_allowed(figures)
    return {"targets": held_against(figures["cells"]), **figures}


def _spends_no_more_than_allowed(figures: Figures) -> None:
    """CPU, not time. A few hundred messages are dear: what runs once weighs on each of them."""
    for cell in figures["cells"]:
        ours, theirs = cell["pillarbox"]["cpu_us"], cell["postfix"]["cpu_us"]
        allowed = _ALLOWED_TIMES * theirs
        assert ours <= allowed, f"{cell['cell']}: {ours} us of CPU a message, Postfix {theirs}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
