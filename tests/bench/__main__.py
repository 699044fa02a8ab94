"""the command line of the measurement: ./do bench"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests import components
from tests.bench.cells import QUICK as QUICK_CELLS
from tests.bench.cells import USUAL, all_cells, chosen
from tests.bench.peers import PEERS
from tests.bench.place import DEFAULT, NoDiskError
from tests.bench.record import Figures, Order, remarks, run, table
from tests.bench.rounds import FULL
from tests.bench.rounds import QUICK as QUICK_PLAN
from tests.bench.targets import held_against, verdicts
from tests.bench.turn import NEEDS, BenchError
from tests.proofs.__main__ import machine, versions


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="./do bench",
        description="Measure relaying beside Postfix. The table goes to stdout, progress to stderr.",
        epilog=f"Cells: {', '.join(cell.name for cell in all_cells())}. "
        "Those with one session are measured only when named.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="two short rounds of two cells, nothing filled")
    add("--cells", metavar="NAMES", help="names or shell patterns, separated by commas")
    add("--peers", default=",".join(PEERS), help="pillarbox, postfix, or both (default)")
    add("--rounds", type=int, help=f"default: {FULL.rounds}")
    add("--seconds", type=float, help=f"what a turn aims at; default: {FULL.aimed_seconds:g}")
    add("--fill", type=int, metavar="N", help=f"messages stored before; default: {Order().fill}")
    add("--seed", type=int, help="of the order of turns; default: a new one, recorded")
    add("--directory", type=Path, default=DEFAULT, help=f"on a disk; default: {DEFAULT}")
    add("--keep", action="store_true", help="leave the data directory and the log where they are")
    add("--unchecked", action="store_true", help="without the pass that counts every message")
    add("--json", type=Path, metavar="FILE", help="write everything there")
    return parser.parse_args(arguments)


def _order(told: argparse.Namespace) -> Order:
    """What was asked for. Raises ValueError for what does not exist."""
    plan = QUICK_PLAN if told.quick else FULL
    if told.rounds is not None:
        plan = dataclasses.replace(plan, rounds=max(1, told.rounds))
    if told.seconds is not None:
        plan = dataclasses.replace(
            plan, aimed_seconds=told.seconds, least_seconds=min(plan.least_seconds, told.seconds)
        )
    peers = told.peers.split(",")
    if unknown := set(peers) - set(PEERS):
        raise ValueError(f"no peer is called {', '.join(sorted(unknown))}; there are {PEERS}")
    usual = Order()
    cells = chosen(told.cells.split(",")) if told.cells else QUICK_CELLS if told.quick else USUAL
    fill = (0 if told.quick else usual.fill) if told.fill is None else told.fill
    return Order(
        cells=tuple(cells),
        peers=tuple(name for name in PEERS if name in peers),
        plan=plan,
        seed=random.randrange(1_000_000) if told.seed is None else told.seed,
        fill=fill,
        checked=0 if told.unchecked else 100 if told.quick else usual.checked,
        idle_seconds=2.0 if told.quick else usual.idle_seconds,
        directory=told.directory,
        keep=told.keep,
    )


def say(text: str) -> None:
    """Progress."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def complete(figures: Figures) -> Figures:
    """With the targets in front, and on what it ran behind."""
    return {
        "targets": held_against(figures["cells"]),
        **figures,
        "versions": versions(),
        "machine": machine(),
    }


def _leave(_number: int, _frame: object) -> None:
    # The loop's own way waits for the task to wait for something, which a round never does.
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 0 unless nothing was measured."""
    told = _parse(arguments)
    try:
        order = _order(told)
    except ValueError as error:
        print(f"./do bench: {error}", file=sys.stderr)
        return 2
    if lacking := components.missing(NEEDS):
        print(f"./do bench cannot run here: {lacking}", file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    began = time.monotonic()
    try:
        figures = complete(asyncio.run(run(order, say)))
    except (BenchError, NoDiskError) as error:
        print(f"./do bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("./do bench: stopped, nothing was recorded", file=sys.stderr)
        return 130
    figures["duration_seconds"] = round(time.monotonic() - began, 1)
    print(table(figures), remarks(figures), sep="\n\n")
    for name in ("versions", "machine"):
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in figures[name].items()))
    if figures["targets"]:
        print(f"\n{verdicts(figures['targets'])}")
    if told.json is not None:
        told.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
