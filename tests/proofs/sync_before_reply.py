"""every 250 and 2xx is written after a sync that began when the message was complete

Seen from outside, by strace: each final dot that arrives in clear, each request to the email
service, the reply to it, and whether an fsync or fdatasync of a file in the data directory began
after the one and had returned 0 before the other. And on the way out: between the verdict that is
read on a connection to the upstream and the next final dot (or QUIT) on it there is such a sync,
too, so that at most one verdict a connection can be lost.

That a sync happened says nothing about what it covered; `power_cut` does.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from tests.crash.relay import APP, IN_CLEAR, Relay
from tests.doubles.letters import Sizes
from tests.doubles.load import HttpTarget, LoadSettings, run_http_load, run_load
from tests.doubles.sink import SinkProcess
from tests.doubles.trace import (
    LOG_NAME,
    SYNCS,
    Acceptance,
    Call,
    commits,
    read_acceptances,
    read_calls,
    traced,
    wait_for_trace,
)

NEEDS = ("strace",)

SEED = 97
_DRAIN_SECONDS = 60.0
_RETURN_PATH = "orders@example.test"
_BODY_END = f'"{_RETURN_PATH}"}}'.encode()
"""How a request's body ends: `tests.doubles.load_http` writes the return path last."""
_DOT = b"\r\n.\r\n"
_BANNER = b"220 sink.example.test"
_TAKEN = b"250 2.0.0 taken"
"""The sink's greeting, and its answer to a final dot."""
_WRITES = frozenset({"write", "writev", "sendto", "sendmsg"})
_READS = frozenset({"read", "readv", "recvfrom", "recvmsg"})


@dataclass(frozen=True, slots=True)
class Scale:
    """How much; strace makes the process some ten times slower."""

    smtp_messages: int
    http_messages: int
    connections: int = 3
    smallest_bytes: int = 800
    largest_bytes: int = 30 * 1024


SCALES = {"small": Scale(24, 8), "full": Scale(600, 200)}


@dataclass(frozen=True, slots=True)
class Successions:
    """Pairs of a verdict and the next final dot, or QUIT, on the same connection."""

    covered: int
    uncovered: tuple[str, ...]


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with tempfile.TemporaryDirectory(prefix="sync-") as folder:
        return asyncio.run(_prove(SCALES[size], Path(folder)))


async def _prove(scale: Scale, folder: Path) -> dict[str, object]:
    trace = folder / "trace"
    sink = SinkProcess(folder / "sink.jsonl", "--delay-ms", "1")
    # One window for all: several messages must go over the same connection.
    settings = {**IN_CLEAR, "delivery.window": "2"}
    relay = Relay(
        folder / "data", folder / "relay.log", settings, wrap=partial(traced, trace=trace)
    )
    relay.ready_seconds = 60.0
    async with sink:
        try:
            await relay.start()
            await relay.go_live(sink.port)
            smtp_port, http_port = relay.port("plain"), int(relay.http_url.rpartition(":")[2])
            await _hand_over(relay, scale)
            wanted = scale.smtp_messages + scale.http_messages
            await relay.until(lambda: len(sink.taken()) >= wanted, seconds=_DRAIN_SECONDS)
        finally:
            await asyncio.to_thread(relay.stop)
        await asyncio.to_thread(wait_for_trace, trace, relay.pid, seconds=60.0)
    below = relay.data_dir / LOG_NAME
    by_smtp = read_acceptances(trace, port=smtp_port, synced_below=below)
    by_http = read_acceptances(
        trace, port=http_port, synced_below=below, asked=_BODY_END, answered=b"HTTP/1.1 2"
    )
    succeeding = _successions(list(read_calls(trace)), below)

    assert len(by_smtp) == scale.smtp_messages, f"{len(by_smtp)} final dots seen"
    assert len(by_http) == scale.http_messages, f"{len(by_http)} requests seen"
    _assert_covered(by_smtp, "final dots")
    _assert_covered(by_http, "requests")
    assert not succeeding.uncovered, (
        f"{len(succeeding.uncovered)} final dots behind a verdict without a sync between, "
        f"first {succeeding.uncovered[0]} of the trace"
    )
    least = (scale.smtp_messages + scale.http_messages) // 2
    assert succeeding.covered >= least, f"void: {succeeding} of verdict and next final dot"
    called = Counter(sync.name for one in (*by_smtp, *by_http) for sync in one.syncs)
    return {
        "final_dots": len(by_smtp),
        "final_dots_covered": sum(one.covered for one in by_smtp),
        "requests": len(by_http),
        "requests_covered": sum(one.covered for one in by_http),
        "verdicts_followed": succeeding.covered + len(succeeding.uncovered),
        "verdicts_recorded_before_the_next": succeeding.covered,
        "syncs": dict(called),
        "parameters": asdict(scale) | {"seed": SEED},
    }


def _assert_covered(acceptances: Sequence[Acceptance], what: str) -> None:
    bare = [one for one in acceptances if not one.covered]
    assert not bare, f"{len(bare)} of {len(acceptances)} {what} without a sync, first {bare[0]}"


async def _hand_over(relay: Relay, scale: Scale) -> None:
    common = {"connections": scale.connections, "max_seconds": 300.0, "return_path": _RETURN_PATH}
    by_smtp = LoadSettings(
        port=relay.port("plain"), count=scale.smtp_messages, seed=SEED,
        sizes=Sizes(scale.smallest_bytes, scale.largest_bytes), **common,  # type: ignore[arg-type]
    )  # fmt: skip
    by_http = LoadSettings(
        port=0, count=scale.http_messages, seed=SEED + 1,
        sizes=Sizes(scale.smallest_bytes, 8 * 1024), **common,  # type: ignore[arg-type]
    )  # fmt: skip
    target = HttpTarget.parse(relay.http_url, APP, relay.secrets["Key"])
    reports = await asyncio.gather(run_load(by_smtp), run_http_load(by_http, target))
    taken = sum(report.acknowledged for report in reports)
    assert taken == scale.smtp_messages + scale.http_messages, reports


def _successions(calls: Sequence[Call], synced_below: Path) -> Successions:
    """What lies between each verdict of the upstream and the next final dot on its connection."""
    recorded = set(commits(calls, synced_below))
    syncs: list[Call] = []
    upstream: set[str] = set()
    verdict_read: dict[str, int] = {}
    tails: dict[str, bytes] = {}
    covered = 0
    uncovered: list[str] = []
    # In the order in which they began: a write is judged by the syncs that had returned by then.
    for call in sorted(calls, key=lambda call: call.began):
        if call.name in SYNCS:
            if call in recorded:
                syncs.append(call)
        elif call.name in _READS and call.data.startswith(_BANNER):
            upstream.add(call.descriptor)
        elif call.descriptor not in upstream or call.result <= 0:
            continue
        elif call.name in _READS:
            if _TAKEN in call.data:
                verdict_read[call.descriptor] = call.returned
        elif call.name in _WRITES:
            # The terminator may be split over two writes; the first byte of it is the dot's.
            said = tails.get(call.descriptor, b"") + call.data
            tails[call.descriptor] = said[-(len(_DOT) - 1) :]
            if _DOT not in said and not call.data.startswith(b"QUIT"):
                continue
            read_at = verdict_read.pop(call.descriptor, None)
            if read_at is None:
                continue
            if any(sync.began > read_at and sync.returned < call.began for sync in syncs):
                covered += 1
            else:
                uncovered.append(f"lines {read_at} and {call.began}")
    return Successions(covered, tuple(uncovered))
