"""the pass without a clock: every message once, every byte, on disk before it is acknowledged

The relays are started as for the measurement, but for what stands around them: the driver gives
each message an id and a body of its own, and the sink writes down what it took.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from tests.bench.meter import wait_until
from tests.bench.peers import Peer, PillarboxPeer, PostfixPeer
from tests.bench.turn import BenchError
from tests.doubles.journal import Journal, read_journal
from tests.doubles.judge import judge
from tests.doubles.letters import Sizes
from tests.doubles.load import run_load
from tests.doubles.outbox import LoadSettings
from tests.doubles.sink import SinkProcess
from tests.doubles.trace import read_acceptances, wait_for_trace

_ARRIVE_SECONDS = 60.0
_SETTLE_SECONDS = 20.0
_TRACED_MESSAGES = 40
_TRACED_CONNECTIONS = 4


async def check_peer(
    name: str, place: Path, sizes_kb: Sequence[int], count: int, connections: int
) -> dict[str, object]:
    """Pass `count` messages of each size through a relay; the numbers.

    Raises `BenchError` where one is missing, doubled, changed, or left in the queue.
    """
    sink = SinkProcess(place / f"{name}-sink.jsonl")
    async with sink:
        peer: Peer
        if name == "pillarbox":
            peer = PillarboxPeer(place, sink.port)
        else:
            peer = PostfixPeer(place, sink.port)
        async with peer:
            return {
                f"{kilobytes}KB": await _check_size(
                    peer, sink, place, kilobytes, count, connections
                )
                for kilobytes in sizes_kb
            }


async def _check_size(
    peer: Peer, sink: SinkProcess, place: Path, kilobytes: int, count: int, connections: int
) -> dict[str, int]:
    size = kilobytes * 1024
    path = place / f"{peer.name}-{kilobytes}KB-clients.jsonl"
    clients = Journal(path)
    already = len(sink.taken())
    report = await run_load(
        LoadSettings(
            port=peer.port,
            count=count,
            connections=connections,
            sizes=Sizes(size, size),
            run=f"{peer.name}{kilobytes}",
        ),
        clients,
    )
    clients.close()
    # One more would be a double, so it is looked for only when the relay has nothing left.
    await asyncio.to_thread(
        wait_until, lambda: len(sink.taken()) - already >= count, seconds=_ARRIVE_SECONDS
    )
    await asyncio.to_thread(wait_until, lambda: not peer.waiting(), seconds=_SETTLE_SECONDS)
    verdict = judge(
        read_journal(path),
        [fact for fact in sink.facts() if fact["event"] != "taken"] + sink.taken()[already:],
    )
    numbers = {
        "acknowledged": report.acknowledged,
        "delivered": verdict.delivered,
        "copies": verdict.copies,
        "bodies_compared": verdict.bodies_compared,
        "lost": verdict.lost,
        "phantoms": verdict.phantoms,
        "mismatches": verdict.mismatches,
        "bare_line_ends": verdict.bare_line_ends,
        "left_in_queue": peer.waiting(),
    }
    wanted = dict.fromkeys(numbers, 0) | dict.fromkeys(
        ("acknowledged", "delivered", "copies", "bodies_compared"), count
    )
    if numbers != wanted:
        raise BenchError(f"{peer.name}, {kilobytes} KB: {numbers}\n{verdict}\n{peer.log_tail()}")
    return numbers


async def check_syncs(place: Path) -> dict[str, int]:
    """Watch Pillarbox's system calls: how many acceptances there were, all of them synced before.

    Raises `BenchError` where a 250 left without a sync that began behind the final dot.
    """
    trace = place / "trace"
    sink = SinkProcess(place / "traced-sink.jsonl")
    async with sink:
        peer = PillarboxPeer(place, sink.port, trace=trace)
        async with peer:
            report = await run_load(
                LoadSettings(
                    port=peer.port, count=_TRACED_MESSAGES, connections=_TRACED_CONNECTIONS
                )
            )
            pid = peer.root()
        await asyncio.to_thread(wait_for_trace, trace, pid)
    _without_devices(trace)
    acceptances = read_acceptances(trace, port=peer.port, synced_below=peer.data)
    covered = sum(acceptance.covered for acceptance in acceptances)
    if not report.acknowledged == len(acceptances) == covered == _TRACED_MESSAGES:
        raise BenchError(
            f"{report.acknowledged} messages acknowledged, {len(acceptances)} seen by strace, "
            f"{covered} of them synced before their 250; all ought to be {_TRACED_MESSAGES}"
        )
    return {"acknowledged": len(acceptances), "synced_before": covered}


def _without_devices(trace: Path) -> None:
    """Take out what strace writes behind the path of a device; the reader of traces knows paths."""
    trace.write_text(re.sub(r"<char \d+:\d+>", "", trace.read_text()))
