"""beside Postfix, mail that Pillarbox dresses and signs on its way passes faster than plain mail there

A message about an order and a newsletter (tests/samples) are relayed with everything on: styles
inlined, links and images tracked, signed with RSA-2048; Postfix passes the same mail on as it came.
And they are signed alone, where Postfix has opendkim on a unix socket do so. Paired rounds, counted at
the sink, as in `bench`; what leaves is looked at first: tracked, and signed so that dkimpy finds it
good.

The record says of each target whether it was met; nothing about time is asserted.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from smtplib import SMTP
from typing import Any, Final

from pillarbox.message.dkim import SigningKey, new_key
from tests.bench.cells import AUTHOR, RECIPIENT
from tests.bench.dressed import (
    EVERYTHING,
    HOST,
    SAMPLES,
    DressedPillarbox,
    SigningPostfix,
    sample_cell,
    write_sample,
)
from tests.bench.libraries import verified
from tests.bench.libraries import versions as library_versions
from tests.bench.meter import rest
from tests.bench.peers import Peer, PostfixPeer
from tests.bench.place import disk_place
from tests.bench.rounds import FULL, FUNCTIONAL, PlainContender, Plan, measure
from tests.bench.targets import Target, held_against
from tests.bench.turn import NEEDS as TURN_NEEDS
from tests.bench.turn import BenchError, CountingSink
from tests.doubles.sink import Sink, SinkSettings

NEEDS = (*TURN_NEEDS, "opendkim", "dkimpy")

DOMAIN: Final = "shop.example.test"
SESSIONS: Final = 50
CELLS: Final = tuple(sample_cell(sample, SESSIONS) for sample in SAMPLES)

TARGETS: Final = {
    "everything": (
        Target(CELLS[0].name, "end_to_end_times", 3, "messages a second, everything on, order"),
        Target(CELLS[1].name, "end_to_end_times", 1.2, "messages a second, everything on, news"),
    ),
    "signed": (
        Target(CELLS[1].name, "end_to_end_times", 3, "messages a second, signed alone, news"),
    ),
}
PLANS: Final[dict[str, Plan]] = {"small": FUNCTIONAL, "full": FULL}


Make = Callable[[Path, int], Peer]
"""A relay in this directory that passes on to this port."""


def prove(size: str) -> dict[str, object]:
    """Measure; targets first. Raises AssertionError where the figures would not count."""
    seed = random.randrange(1_000_000)
    try:
        return asyncio.run(_prove(PLANS[size], seed))
    except BenchError as error:
        raise AssertionError(str(error)) from error


async def _prove(plan: Plan, seed: int) -> dict[str, object]:
    key = new_key(DOMAIN, "bench")
    dice = random.Random(seed)
    parts: dict[str, dict[str, Any]] = {}
    for name, ours, theirs in (
        (
            "everything",
            lambda place, port: DressedPillarbox(place, port, EVERYTHING, key),
            PostfixPeer,
        ),
        (
            "signed",
            lambda place, port: DressedPillarbox(place, port, (), key),
            lambda place, port: SigningPostfix(place, port, key),
        ),
    ):
        looked_at = {
            "pillarbox": await _look(ours, key, tracked=name == "everything"),
            "postfix": await _look(theirs, key if name == "signed" else None, tracked=False),
        }
        parts[name] = {"looked_at": looked_at, **await _measure((ours, theirs), plan, dice)}
    return {
        "targets": [
            held
            for name, part in parts.items()
            for held in held_against(part["cells"], TARGETS[name])
        ],
        **parts,
        "parameters": {
            "rounds": plan.rounds,
            "warm_up_messages": plan.warm_up,
            "aimed_seconds": plan.aimed_seconds,
            "seed": seed,
            "driver": "smtp-source, and one smtp-sink for each relay",
        },
        "versions": library_versions(),
    }


async def _look(make: Make, key: SigningKey | None, *, tracked: bool) -> dict[str, int]:
    """What one of each sample becomes; a signature by `key` must hold."""
    sink = Sink(SinkSettings(keep_content=True))
    await sink.start()
    try:
        with disk_place() as place:
            async with make(place.path, sink.port) as peer:
                await asyncio.to_thread(_hand_over, peer.port)
                await sink.until(lambda: len(sink.taken) >= len(SAMPLES), seconds=30)
    finally:
        await sink.stop()
    contents = [fact["content"] for fact in sink.taken]
    for content in contents:
        if key is not None:
            assert verified(content, _answering(key)), content[:3000]
        else:
            assert b"DKIM-Signature" not in content
        assert (HOST.encode("ascii") in content.replace(b"=\r\n", b"")) == tracked, content
    return {"messages": len(contents), "signed": len(contents) if key else 0}


def _answering(key: SigningKey) -> Callable[[bytes], bytes]:
    """A DNS in which everything is the key's record."""
    record = key.record.encode("ascii")
    return lambda _: record


def _hand_over(port: int) -> None:
    with SMTP("127.0.0.1", port, timeout=30) as client:
        for make in SAMPLES.values():
            client.sendmail(AUTHOR, [RECIPIENT], make())


async def _measure(makes: tuple[Make, Make], plan: Plan, dice: random.Random) -> dict[str, Any]:
    with disk_place() as place:
        async with AsyncExitStack() as stack:
            contenders = []
            for number, make in enumerate(makes):
                sink = await stack.enter_async_context(CountingSink(f"{number}", place.path))
                peer = await stack.enter_async_context(make(place.path, sink.port))
                contenders.append(PlainContender(peer, sink))
                rest(peer.root())
            cells = [
                measure(contenders, cell, write_sample(place.path, cell.sample), plan, dice, _say)
                for cell in CELLS
            ]
            for contender in contenders:
                if left := contender.peer.waiting():
                    raise BenchError(f"{contender.peer.name}: {left} messages still wait")
            return {
                "cells": [cell.facts() for cell in cells],
                "relays": {each.peer.name: each.peer.about() for each in contenders},
                "place": place.facts(),
            }


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
