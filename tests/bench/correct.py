"""the pass without a clock: every message once, every byte, on disk before it is acknowledged

The relays are started as for the measurement, but for what stands around them: the driver gives
each message an id and a body of its own, and the sink writes down what it took.
"""

from __future__ import annotations

import asyncio
import time
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
from tests.doubles.trace import LOG_NAME, read_acceptances, wait_for_trace

_ARRIVE_SECONDS = 60.0
_SETTLE_SECONDS = 20.0


async def check_peer(
    name: str,
    place: Path,
    sizes_kb: Sequence[int],
    count: int,
    connections: int,
    *,
    trace: Path | None = None,
) -> dict[str, dict[str, int]]:
    """Pass `count` messages of each size through a relay; the numbers.

    With `trace` Pillarbox runs under strace and ``syncs`` says what was seen; that is slow, and
    the trace has four bytes for each byte of mail. Raises `BenchError` where a message is
    missing, doubled, changed or left in the queue, or was acknowledged before it was synced.
    """
    sink = SinkProcess(place / f"{name}-sink-{'traced' if trace else 'plain'}.jsonl")
    found: dict[str, dict[str, int]] = {}
    async with sink:
        peer: Peer
        if name == "pillarbox":
            peer = pillarbox = PillarboxPeer(place, sink.port, trace=trace)
        else:
            peer, pillarbox = PostfixPeer(place, sink.port), None
        async with peer:
            for kilobytes in sizes_kb:
                found[f"{kilobytes}KB"] = await _check_size(
                    peer, sink, kilobytes, count, connections
                )
            pid = peer.root()
    if trace is not None and pillarbox is not None:
        await asyncio.to_thread(wait_for_trace, trace, pid)
        found["syncs"] = _check_syncs(trace, pillarbox, count * len(sizes_kb))
    return found


async def _check_size(
    peer: Peer, sink: SinkProcess, kilobytes: int, count: int, connections: int
) -> dict[str, int]:
    size = kilobytes * 1024
    path = sink.journal.with_name(f"{sink.journal.stem}-{kilobytes}KB-clients.jsonl")
    clients = Journal(path)
    already = len(sink.taken())
    report = await run_load(
        LoadSettings(
            port=peer.port,
            count=count,
            connections=connections,
            sizes=Sizes(size, size),
            run=f"{kilobytes}KB",
        ),
        clients,
    )
    clients.close()
    # One more would be a double, so it is looked for only when the relay has nothing left.
    await asyncio.to_thread(
        wait_until, lambda: len(sink.taken()) - already >= count, seconds=_ARRIVE_SECONDS
    )
    left = peer.waiting()
    deadline = time.monotonic() + _SETTLE_SECONDS
    while left and time.monotonic() < deadline:
        left = await asyncio.to_thread(peer.waiting)
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
        "left_in_queue": left,
    }
    wanted = dict.fromkeys(numbers, 0) | dict.fromkeys(
        ("acknowledged", "delivered", "copies", "bodies_compared"), count
    )
    if numbers != wanted:
        raise BenchError(f"{peer.name}, {kilobytes} KB: {numbers}\n{verdict}\n{peer.log_tail()}")
    return numbers


def _check_syncs(trace: Path, peer: PillarboxPeer, acknowledged: int) -> dict[str, int]:
    """A sync must begin behind each final dot, and return before its 250 is written."""
    acceptances = read_acceptances(trace, port=peer.port, synced_below=peer.data / LOG_NAME)
    covered = sum(acceptance.covered for acceptance in acceptances)
    if not acknowledged == len(acceptances) == covered:
        raise BenchError(
            f"{acknowledged} messages acknowledged, {len(acceptances)} seen by strace, "
            f"{covered} of them synced before their 250"
        )
    return {"acknowledged": acknowledged, "synced_before": covered}
