"""no acknowledged message is lost when power fails while mail is taken at full speed

The data directory lies on an ext4 of its own, on a loop device. While eight clients hand messages
over as fast as they are taken, the process is stopped where it is and the file system is shut down
without flushing its journal (EXT4_IOC_SHUTDOWN): nothing more reaches the disk, and what was not
synced is gone. At every other cut that is the end of the process, in the middle of whatever it
wrote. At the others it goes on with a disk that fails: it has to notice, must take no more mail and
must stop by itself with exit status 7. Then the disk is mounted again, and before anybody starts
Pillarbox its database is looked at.

lost 0
    Every message for which a client read 250 is in the database, with its recipients and its whole
    content: the stored body's SHA-256 is the client's. In the end it is at the upstream as well.
integrity
    After each cut the database passes ``PRAGMA integrity_check``, and no row lies there that no
    step of docs/queue.md can leave.
phantoms 0
    Nothing is at the upstream that a client did not hand over, or that was answered 451.
duplicates
    As in `kill_loop`: explained by a transaction that was open when its connection ended. That the
    process on a failing disk can write nothing down any more must not make it deliver on.

kill -9 cannot show this: what a dead process wrote is still in the kernel's memory. The layers
below the file system stay honest here: a missing sync is seen, a disk that lies is not.

Why the process is stopped first: Linux may report success for a sync that was under way when the
file system was shut down, though nothing of it was written (seen at one cut in ten, with nothing
but a loop of write and fdatasync). Power that fails takes whoever could act on that report with it;
the ioctl does not.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.crash.ledger import look
from tests.crash.relay import IN_CLEAR, Relay
from tests.doubles.journal import Fact, Journal, JournalTail, read_journal, wall_ms
from tests.doubles.judge import judge
from tests.doubles.letters import Sizes
from tests.doubles.load import LoadSettings, run_load
from tests.doubles.powercut import PowerCutDisk
from tests.doubles.sink import SinkProcess

NEEDS = ("root", "mounts", "mkfs.ext4", "losetup")

SEED = 7_411
_BROKEN_STATUS = 7
_STOP_SECONDS = 40.0
_DRAIN_SECONDS = 60.0
_TRAFFIC_SECONDS = 60.0
_MOST_DELAY_SECONDS = 0.02
_MOST_MORE = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    cuts: int
    least_answers: int
    """Acknowledged before the power fails; from so many on up to `most_answers`."""
    most_answers: int
    connections: int = 8
    smallest_bytes: int = 1024
    largest_bytes: int = 20 * 1024
    disk_mb: int = 512


SCALES = {"small": Scale(2, 40, 120), "full": Scale(20, 100, 800)}


@dataclass(slots=True)
class Cuts:
    """What was done, and what was found before the next start."""

    acknowledged: list[int] = field(default_factory=list)
    """Before each cut, since the start before it."""
    per_second: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    stopped_by_itself: int = 0
    survived: int = 0
    """Cuts after which nothing was missing."""
    moments: list[tuple[int, int]] = field(default_factory=list)
    """When each cut began and was done, in milliseconds since the epoch."""


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with tempfile.TemporaryDirectory(prefix="power-cut-") as folder:
        return asyncio.run(_prove(SCALES[size], Path(folder)))


async def _prove(scale: Scale, folder: Path) -> dict[str, object]:
    sink = SinkProcess(folder / "sink.jsonl", "--delay-ms", "2", "--jitter-ms", "10")
    clients = folder / "clients.jsonl"
    journal = Journal(clients)
    dice = random.Random(SEED)
    cuts = Cuts()
    with PowerCutDisk(size_mb=scale.disk_mb) as disk:
        relay = Relay(disk.path / "data", folder / "relay.log", IN_CLEAR)
        async with sink:
            try:
                await relay.start()
                await relay.go_live(sink.port)
                while disk.cuts < scale.cuts or _waits_for_another(disk, scale, clients):
                    if disk.cuts:
                        await relay.start()
                    await _hand_over_until_cut(relay, disk, scale, journal, dice, cuts)
                    await asyncio.to_thread(disk.recover)
                    _examine(relay, clients, cuts)
                    assert not cuts.lost and not cuts.damaged, _loss(cuts, read_journal(clients))
                await relay.start()
                await relay.rest(seconds=_DRAIN_SECONDS)
                with look(relay.data_dir, alive=True) as ledger:
                    deliveries, left_faults = ledger.deliveries(), ledger.faults()
            finally:
                await asyncio.to_thread(relay.stop)
            await asyncio.to_thread(sink.stop)
    journal.close()
    verdict = judge(read_journal(clients), sink.facts(), deliveries)

    assert min(cuts.acknowledged) >= scale.least_answers, "void: a cut met too little traffic"
    assert verdict.unanswered, "void: no client was waiting for an answer"
    assert not cuts.faults and not left_faults, cuts.faults + left_faults
    unwanted = (
        "lost", "waiting", "phantoms", "duplicates_unexplained", "duplicates_unnamed",
        "mismatches", "ledger_missing", "ledger_lies", "ledger_denials", "ledger_unsettled",
    )  # fmt: skip
    assert not any(getattr(verdict, name) for name in unwanted), str(verdict)
    return {
        "cuts": len(cuts.moments),
        "survived": cuts.survived,
        "lost": len(cuts.lost),
        "stopped_by_itself": cuts.stopped_by_itself,
        "refused_on_the_failing_disk": verdict.refused,
        "duplicates": verdict.duplicates,
        "duplicates_unexplained": verdict.duplicates_unexplained,
        "acknowledged_before_each_cut": cuts.acknowledged,
        "acknowledged_per_second": cuts.per_second,
        "judge": verdict.numbers(),
        "parameters": asdict(scale) | {"seed": SEED},
    }


def _waits_for_another(disk: PowerCutDisk, scale: Scale, clients: Path) -> bool:
    """A cut between all transactions shows little: until one met a client that waited, more come."""
    met = any(fact["event"] == "unanswered" for fact in read_journal(clients))
    return not met and disk.cuts < scale.cuts + _MOST_MORE


async def _hand_over_until_cut(
    relay: Relay,
    disk: PowerCutDisk,
    scale: Scale,
    journal: Journal,
    dice: random.Random,
    cuts: Cuts,
) -> None:
    number = disk.cuts
    settings = LoadSettings(
        port=relay.port("plain"), count=1_000_000, connections=scale.connections,
        sizes=Sizes(scale.smallest_bytes, scale.largest_bytes), seed=SEED + number,
        run=f"cut{number:02}", max_seconds=600.0, away_seconds=60.0,
    )  # fmt: skip
    wanted = dice.randrange(scale.least_answers, scale.most_answers)
    tail = JournalTail(journal.path)
    tail.new_facts()
    load = asyncio.create_task(run_load(settings, journal))
    began = time.monotonic()
    answers = 0
    try:
        while answers < wanted:
            assert not load.done() and time.monotonic() - began < _TRAFFIC_SECONDS, "void: no mail"
            await asyncio.sleep(0.002)
            answers += tail.count_new("acknowledged")
        await asyncio.sleep(dice.uniform(0, _MOST_DELAY_SECONDS))
        seconds = time.monotonic() - began
        lives_on = number % 2 == 1 and number < scale.cuts
        relay.signal(signal.SIGSTOP)
        if lives_on:
            await _stopped(relay.pid)
        began_at = wall_ms()
        disk.cut()
        cuts.moments.append((began_at, wall_ms()))
        if lives_on:
            relay.signal(signal.SIGCONT)
            status = await relay.dead(seconds=_STOP_SECONDS)
            told = f"exit status {status} on a disk that fails\n{relay.text()[-3000:]}"
            assert status == _BROKEN_STATUS, told
            cuts.stopped_by_itself += 1
        await asyncio.to_thread(relay.kill)
    finally:
        while not load.done():  # a worker that is just being told something may miss one call
            load.cancel()
            await asyncio.wait([load], timeout=0.05)
    answers += tail.count_new("acknowledged")
    cuts.acknowledged.append(answers)
    cuts.per_second.append(round(answers / seconds, 1))
    print(f"cut {number + 1}: {answers} in {seconds:.2f} s", file=sys.stderr)


async def _stopped(pid: int) -> None:
    """Until no thread of a stopped process is in the middle of a system call."""
    deadline = time.monotonic() + _STOP_SECONDS
    while True:
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{pid}/task").iterdir()
        ]
        if set(states) == {"T"}:
            return
        assert time.monotonic() < deadline, f"the process does not stop: {states}"
        await asyncio.sleep(0.001)


def _examine(relay: Relay, clients: Path, cuts: Cuts) -> None:
    """The database as the power cut left it, against what the clients were told."""
    with look(relay.data_dir) as ledger:
        faults = ledger.faults() if not ledger.blank else ["no tables"]
        known, digests = set(), {}
        if not ledger.blank:
            known = {(row["message"], row["recipient"]) for row in ledger.deliveries()}
            digests = ledger.digests()
    missing, damaged = [], []
    for fact in read_journal(clients):
        if fact["event"] != "acknowledged":
            continue
        identity = fact["id"]
        if any((identity, recipient) not in known for recipient in fact["recipients"]):
            missing.append(identity)
        elif digests.get(identity) != fact["sha256"]:
            damaged.append(identity)
    new = [identity for identity in missing if identity not in cuts.lost]
    cuts.lost += new
    cuts.damaged += [identity for identity in damaged if identity not in cuts.damaged]
    cuts.faults += faults
    cuts.survived += not (missing or damaged or faults)


def _loss(cuts: Cuts, facts: Sequence[Fact]) -> str:
    """What is missing, and when it was acknowledged: before the cut, or on a disk that failed."""
    began_at, done_at = cuts.moments[-1]
    when = [
        fact["at"] - began_at
        for fact in facts
        if fact["event"] == "acknowledged" and fact["id"] in {*cuts.lost, *cuts.damaged}
    ]
    return (
        f"cut {len(cuts.moments)}: {len(cuts.lost)} of {sum(cuts.acknowledged)} acknowledged are "
        f"lost, {len(cuts.damaged)} damaged, first {[*cuts.lost, *cuts.damaged][0]}; they were "
        f"acknowledged from {min(when)} to {max(when)} ms after the cut began, which took "
        f"{done_at - began_at} ms; {cuts.faults}"
    )
