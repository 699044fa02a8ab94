"""beside Postfix, mail handed in with TLS and a login costs a fraction of the processor time

Both relays show the same certificate, take the same load from the same driver, and pass it on to a
sink that wants STARTTLS and a login, too; every message is judged in every turn. Nobody resumes a
session of TLS, and both agree on the same version and cipher with driver and sink: that is asserted,
as are the counts. One more cell is in clear, through the tools of Postfix, for the rate.

The record holds the figures and says of each target whether it was met; nothing about time is
asserted. docs/performance.md says how to read it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.bench.cells import Cell
from tests.bench.guarded import Guards, make_guarded
from tests.bench.judged import GuardedContender, JudgingSink, guarded_mail
from tests.bench.meter import wait_until
from tests.bench.peers import PEERS
from tests.bench.place import disk_place
from tests.bench.record import Figures, Order, run
from tests.bench.rounds import FULL, Plan, measure
from tests.bench.targets import Target, held_against
from tests.bench.turn import NEEDS as TURN_NEEDS
from tests.bench.turn import BenchError
from tests.doubles.certificates import issue_certificate

NEEDS = (*TURN_NEEDS, "saslpasswd2")

_SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    clear: Order | None
    """In clear, besides; the small size leaves that to the test of `bench`."""
    cells: tuple[Cell, ...]
    plan: Plan
    fill: int
    """Messages that pass through Pillarbox first, with TLS and a login."""


SCALES = {
    "small": Scale(
        None,
        (Cell(10, 8, True, "starttls"), Cell(10, 8, False, "implicit")),
        Plan(rounds=1, warm_up=24, aimed_seconds=0.0, least_seconds=0.0),
        fill=0,
    ),
    "full": Scale(
        Order(cells=(Cell(1, 50, False),)),
        (
            Cell(10, 50, True, "starttls"),
            Cell(10, 50, False, "starttls"),
            Cell(10, 50, False, "implicit"),
        ),
        FULL,
        fill=20_000,
    ),
}

TARGETS = (
    Target("10KB-50-kept-starttls", "cpu_times", 4, "less CPU a message, TLS and login, 10 KB"),
    Target(
        "10KB-50-new-starttls", "cpu_times", 2,
        "less CPU a message, a connection for each with STARTTLS and login, 10 KB",
    ),
    Target(
        "10KB-50-new-implicit", "cpu_times", 2,
        "less CPU a message, a connection for each with implicit TLS and login, 10 KB",
    ),
    Target(
        "1KB-50-new", "end_to_end_times", 4,
        "messages a second, in clear, a connection for each, 1 KB",
    ),
)  # fmt: skip


def prove(size: str) -> dict[str, object]:
    """Measure; targets first. Raises AssertionError where the figures would not count."""
    seed = random.randrange(1_000_000)
    try:
        return asyncio.run(_prove(SCALES[size], seed))
    except BenchError as error:
        raise AssertionError(str(error)) from error


async def _prove(scale: Scale, seed: int) -> dict[str, object]:
    found = await _measure_guarded(scale, random.Random(seed))
    cells = found["cells"]
    if scale.clear is not None:
        clear = await run(dataclasses.replace(scale.clear, seed=seed), _say)
        cells = [*cells, *clear["cells"]]
        found["in_clear"] = {name: clear[name] for name in ("counted", "relays", "parameters")}
    return {
        "targets": held_against(cells, TARGETS),
        **found,
        "cells": cells,
        "parameters": {
            "rounds": scale.plan.rounds,
            "warm_up_messages": scale.plan.warm_up,
            "aimed_seconds": scale.plan.aimed_seconds,
            "fill_messages": scale.fill,
            "seed": seed,
            "driver": "tests.doubles.load, and one tests.doubles.sink for each relay",
        },
    }


async def _measure_guarded(scale: Scale, dice: random.Random) -> Figures:
    with disk_place() as place:
        guards = Guards(issue_certificate(place.path / "tls"))
        mail = guarded_mail(place.path, scale.cells[0].kilobytes)
        async with AsyncExitStack() as stack:
            contenders = []
            for name in PEERS:
                sink = await stack.enter_async_context(JudgingSink(name, place.path, guards))
                peer = await stack.enter_async_context(
                    make_guarded(name, place.path, sink.port, guards)
                )
                contenders.append(GuardedContender(peer, sink, guards, place.path))
            if scale.fill:
                _say(f"{contenders[0].peer.name}: filling the store with {scale.fill} messages")
                contenders[0].turn(scale.cells[0], mail, scale.fill)
            cells = dice.sample(scale.cells, len(scale.cells))
            done = {
                cell: await asyncio.to_thread(
                    measure, contenders, cell, mail, scale.plan, dice, _say
                )
                for cell in cells
            }
            for contender in contenders:
                await asyncio.to_thread(_leave_nothing, contender)
        return {
            "cells": [done[cell].facts() for cell in scale.cells],
            "agreed": _same(contenders),
            "relays": {contender.peer.name: contender.peer.about() for contender in contenders},
            "place": place.facts(),
        }


def _leave_nothing(contender: GuardedContender) -> None:
    """What arrived is settled a moment later."""
    peer = contender.peer
    if not wait_until(lambda: not peer.waiting(), seconds=_SETTLE_SECONDS, every=0.2):
        raise BenchError(f"{peer.name}: {peer.waiting()} messages still wait at the end")


def _same(contenders: Sequence[GuardedContender]) -> dict[str, object]:
    """What was spoken; asserts that it was the same with either relay, and never resumed."""
    spoken = {contender.peer.name: contender.agreed.facts() for contender in contenders}
    kinds = {
        (way, kind) for facts in spoken.values() for way, found in facts.items() for kind in found
    }
    assert len(kinds) == 2, f"not the same TLS everywhere: {spoken}"
    assert not any("resumed" in kind for _, kind in kinds), f"a session was resumed: {spoken}"
    return {
        "certificate": "ECDSA, P-256, the same for both relays and for the sink",
        "resumption": "none: the driver offers no session, and neither relay does to the sink",
        "connections": spoken,
    }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
