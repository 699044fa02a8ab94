"""the whole measurement, from an empty directory to figures as JSON and as a table"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.cells import USUAL, Cell, Mail, write_mail
from tests.bench.correct import check_peer
from tests.bench.meter import idle_cpu_shares, rest, tree_memory_bytes
from tests.bench.peers import PEERS, make
from tests.bench.place import DEFAULT, Place, disk_place
from tests.bench.rounds import FULL, Contender, Measured, PlainContender, Plan, Say, measure
from tests.bench.turn import BenchError, CountingSink

Figures = dict[str, Any]

_FILL_AT_ONCE = 20_000
_TRACED = 40
_TRACED_SESSIONS = 10


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be measured, and how."""

    cells: Sequence[Cell] = field(default_factory=lambda: tuple(USUAL))
    peers: Sequence[str] = PEERS
    plan: Plan = FULL
    seed: int = 1
    """Of the order in which cells and relays have their turns; the mail is always the same."""
    fill: int = 100_000
    """Messages that pass through Pillarbox first: no store stays empty."""
    checked: int = 400
    """Messages of each size in the pass without a clock; 0: no such pass, and nothing counts."""
    checked_traced: bool = False
    """Let Pillarbox have that pass under strace, instead of one more of a few messages."""
    idle_seconds: float = 5.0
    directory: Path = DEFAULT
    keep: bool = False


async def run(order: Order, say: Say) -> Figures:
    """Do it. Raises `BenchError` where the figures would not count, `NoDiskError` without disk."""
    with disk_place(order.directory, keep=order.keep) as place:
        say(f"working in {place.path} ({place.file_system} on {place.device})")
        facts = place.facts()
        sizes = sorted({cell.kilobytes for cell in order.cells})
        checks = await _checks(order, place, sizes, say) if order.checked else {}
        figures = await _measure_all(order, place, say)
    return {"counted": checks, **figures, "place": facts}


async def _checks(order: Order, place: Place, sizes: list[int], say: Say) -> Figures:
    most = max(cell.sessions for cell in order.cells)
    found: Figures = {}
    for name in order.peers:
        say(f"{name}: every message once, with its bytes ({order.checked} of each size)")
        trace = place.path / "trace" if order.checked_traced and name == "pillarbox" else None
        found[name] = await check_peer(name, place.path, sizes, order.checked, most, trace=trace)
    if "pillarbox" in order.peers and not order.checked_traced:
        say("pillarbox: synced before each 250 (under strace)")
        traced = await check_peer(
            "pillarbox", place.path, [1], _TRACED, _TRACED_SESSIONS, trace=place.path / "trace"
        )
        found["pillarbox"]["syncs"] = traced["syncs"]
    return found


async def _measure_all(order: Order, place: Place, say: Say) -> Figures:
    dice = random.Random(order.seed)
    mails = {
        kilobytes: write_mail(place.path, kilobytes)
        for kilobytes in sorted({1, *(cell.kilobytes for cell in order.cells)})
    }
    done: dict[str, Measured] = {}
    load_before = os.getloadavg()[0]
    async with AsyncExitStack() as stack:
        contenders = []
        for name in order.peers:
            sink = await stack.enter_async_context(CountingSink(name, place.path))
            peer = await stack.enter_async_context(make(name, place.path, sink.port))
            say(f"{name} runs, process {peer.root()}")
            contenders.append(PlainContender(peer, sink))
            rest(peer.root())
        resting = {c.peer.name: tree_memory_bytes(c.peer.root()) for c in contenders}
        for contender in contenders:
            if contender.peer.name == "pillarbox":
                _fill(contender, mails[1], order.fill, say)
        stored = {c.peer.name: c.peer.stored_bytes() for c in contenders}
        for cell in dice.sample(list(order.cells), len(order.cells)):
            done[cell.name] = measure(
                contenders, cell, mails[cell.kilobytes], order.plan, dice, say
            )
        say(f"both idle for {order.idle_seconds:g} s")
        roots = {c.peer.name: c.peer.root() for c in contenders}
        idle = idle_cpu_shares(roots, order.idle_seconds)
        for contender in contenders:
            if left := contender.peer.waiting():
                raise BenchError(f"{contender.peer.name}: {left} messages still wait at the end")
        relays = {
            contender.peer.name: contender.peer.about()
            | {
                "idle_cpu_percent": round(idle[contender.peer.name] * 100, 2),
                "memory_at_start_mb": round(resting[contender.peer.name] / 2**20, 1),
                "memory_at_end_mb": round(tree_memory_bytes(contender.peer.root()) / 2**20, 1),
                "stored_mb_before": round(stored[contender.peer.name] / 2**20, 1),
                "stored_mb_after": round(contender.peer.stored_bytes() / 2**20, 1),
            }
            for contender in contenders
        }
    return {
        "cells": [done[cell.name].facts() for cell in order.cells],
        "relays": relays,
        "parameters": {
            "rounds": order.plan.rounds,
            "warm_up_messages": order.plan.warm_up,
            "aimed_seconds": order.plan.aimed_seconds,
            "least_seconds": order.plan.least_seconds,
            "fill_messages": order.fill if "pillarbox" in order.peers else 0,
            "seed": order.seed,
            "driver": "smtp-source, and one smtp-sink for each relay",
            "load_average_before": round(load_before, 2),
        },
    }


def _fill(contender: Contender, mail: Mail, count: int, say: Say) -> None:
    """Let so many messages pass before anything is measured."""
    cell = Cell(1, 50, True)
    for passed in range(0, count, _FILL_AT_ONCE):
        say(f"{contender.peer.name}: filling the store, {passed} of {count}")
        some = min(_FILL_AT_ONCE, count - passed)
        contender.turn(cell, mail, some)


# --- telling ---------------------------------------------------------------------------------

_HEAD = (
    "cell", "bytes", "Postfix/s", "Pillarbox/s", "times", "worst",
    "accepted/s", "CPU us Postfix", "CPU us Pillarbox", "less", "worst", "peak MB",
)  # fmt: skip


def table(figures: Figures) -> str:
    """The cells as a table in Markdown; a relay that took no part leaves its columns empty."""
    rows = [_HEAD]
    for cell in figures["cells"]:
        ours, theirs = cell.get("pillarbox", {}), cell.get("postfix", {})
        rows.append(
            (
                cell["cell"],
                _number(cell["content_bytes"]),
                _number(theirs.get("per_second")),
                _number(ours.get("per_second")),
                _times(cell.get("end_to_end_times")),
                _times(cell.get("end_to_end_times_worst")),
                _pair(theirs.get("accepted_per_second"), ours.get("accepted_per_second")),
                _number(theirs.get("cpu_us")),
                _number(ours.get("cpu_us")),
                _times(cell.get("cpu_times")),
                _times(cell.get("cpu_times_worst")),
                _pair(theirs.get("peak_memory_mb"), ours.get("peak_memory_mb")),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 1) + ":" for width in widths) + "|")
    return "\n".join(lines)


def remarks(figures: Figures) -> str:
    """What belongs beside the table, line by line."""
    lines = []
    for name, relay in figures["relays"].items():
        lines.append(
            f"{name}: idle {relay['idle_cpu_percent']} % of one processor, memory "
            f"{relay['memory_at_start_mb']} MB at the start and {relay['memory_at_end_mb']} MB at "
            f"the end, {relay['stored_mb_before']} MB on disk before and "
            f"{relay['stored_mb_after']} MB after"
        )
        lines += [f"    on: {text}" for text in relay["on"]]
        lines += [f"    set: {text}" for text in relay["set"]]
    place = figures["place"]
    lines.append(
        f"disk: {place['file_system']} on {place['device']}, a sync takes {place['sync_ms']} ms"
    )
    shares = [cell["others_share"] for cell in figures["cells"]]
    if shares and max(shares) > NOISY_SHARE:
        lines.append(
            f"NOT ALONE: other programs took {max(shares):.0%} of this machine in some cell; "
            "rates and ratios are worth less for it, CPU per message hardly"
        )
    if not figures["counted"]:
        lines.append("NOT CHECKED: without the pass that counts messages nothing here counts")
    return "\n".join(lines)


NOISY_SHARE = 0.15
"""Writing to disk is done by the kernel and looks like somebody else: some percent are usual."""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _pair(theirs: float | None, ours: float | None) -> str:
    return " : ".join(_number(value) for value in (theirs, ours) if value is not None)
