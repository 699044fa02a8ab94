"""one turn: a relay driven once by smtp-source, its mail counted by smtp-sink

The sink is told to show its counters (-c); they go to a file in memory, whose end is looked at
every few milliseconds. It stays for the whole measurement, because a sink that leaves takes the
relay's connections with it.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.cells import AUTHOR, RECIPIENT, Cell, Mail
from tests.bench.meter import MachineTime, rest, tree_cpu_seconds
from tests.bench.peers import Peer
from tests.components import path_of
from tests.doubles.ports import free_port
from tests.doubles.process import Program, smtp_ready

NEEDS = ("root", "postfix", "smtp-source", "smtp-sink", "strace")
"""What a measurement with its checks needs; see `tests.components`."""

_LOOK_SECONDS = 0.002
_STALL_SECONDS = 60.0
_MEMORY = Path("/dev/shm")
_COUNTER = re.compile(rb"mesg=(\d+)\r")
_TAIL_BYTES = 512


class BenchError(Exception):
    """The measurement cannot go on, or does not count; the message says why."""


def command(name: str) -> str:
    """Where a program of Postfix lies. Raises `BenchError` where it is not installed."""
    path = path_of(name)
    if path is None:
        raise BenchError(f"{name} is missing: apt-get install postfix")
    return path


class Counting(Protocol):
    """An upstream that counts."""

    def count(self) -> int:
        """Messages so far."""
        ...


class CountingSink:
    """One smtp-sink, as an async context manager."""

    def __init__(self, name: str, place: Path) -> None:
        self.port = free_port()
        self._count = 0
        folder = _MEMORY if os.access(_MEMORY, os.W_OK) else place
        self._counters = folder / f"{place.name}-{name}-sink"
        as_user = ["-u", "postfix"] if os.geteuid() == 0 else []
        self._program = Program(
            [command("smtp-sink"), *as_user, "-c", f"127.0.0.1:{self.port}", "1000"],
            output=self._counters,
            ready=smtp_ready(self.port),
        )

    async def __aenter__(self) -> CountingSink:
        await self._program.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._program.__aexit__()
        self._counters.unlink(missing_ok=True)

    @property
    def pid(self) -> int:
        """Of the sink."""
        return self._program.pid

    def count(self) -> int:
        """Messages taken so far."""
        with self._counters.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            found = _COUNTER.findall(file.read())
        if found:
            self._count = int(found[-1])
        return self._count

    def forget(self) -> None:
        """Make the file of counters short again."""
        self.count()
        os.truncate(self._counters, 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of one turn."""

    count: int
    accepted_seconds: float
    """Until smtp-source had read its last reply."""
    seconds: float
    """Until the sink had the last message."""
    cpu_seconds: float
    """Of the relay's whole tree, until it came to rest."""
    load_cpu_seconds: float
    """Of smtp-source and smtp-sink."""
    others_share: float
    """Of the machine's time while this was measured: what neither of those, nor we, used."""
    stolen_share: float
    """And what the host did not give to this machine."""

    @property
    def per_second(self) -> float:
        """Messages a second, end to end."""
        return self.count / self.seconds

    @property
    def accepted_per_second(self) -> float:
        """Messages a second, acceptance alone."""
        return self.count / self.accepted_seconds

    @property
    def cpu_us(self) -> float:
        """The relay's CPU for one message, in microseconds."""
        return self.cpu_seconds / self.count * 1e6


def take_turn(peer: Peer, sink: CountingSink, cell: Cell, mail: Mail, count: int) -> Turn:
    """Hand `count` messages over and wait until the sink has them all, and the relay is at rest.

    Raises `BenchError` when anything stops, or the sink counts more or less than that.
    """
    sink.forget()
    counted = sink.count()
    turn = timed(
        peer, sink.pid, count, lambda began: _drive(peer, sink, cell, mail, counted, count, began)
    )
    took = sink.count() - counted
    if took != count:
        raise BenchError(f"{peer.name}, {cell.name}: {count} handed over, the sink has {took}")
    return turn


def timed(
    peer: Peer, sink_pid: int, count: int, drive: Callable[[float], tuple[float, float]]
) -> Turn:
    """What it takes and costs when `drive` hands `count` messages over.

    `drive` gets the moment of its start, and says after how many seconds all was accepted, and
    after how many all had arrived.
    """
    # What earlier turns left to be written would be paid for by this one.
    os.sync()
    cpu, sink_cpu = tree_cpu_seconds(peer.root()), tree_cpu_seconds(sink_pid)
    own, children, machine = _own_seconds(), _children_seconds(), MachineTime.now()

    began = time.perf_counter()
    accepted, ended = drive(began)
    rest(peer.root())
    passed = time.perf_counter() - began

    relay = tree_cpu_seconds(peer.root()) - cpu
    load = tree_cpu_seconds(sink_pid) - sink_cpu + _children_seconds() - children
    now = MachineTime.now()
    others = now.busy - machine.busy - relay - load - (_own_seconds() - own)
    available = passed * (os.cpu_count() or 1)
    return Turn(
        count=count,
        accepted_seconds=accepted,
        seconds=ended,
        cpu_seconds=relay,
        load_cpu_seconds=load,
        others_share=max(0.0, others / available),
        stolen_share=(now.stolen - machine.stolen) / available,
    )


def _drive(
    peer: Peer, sink: CountingSink, cell: Cell, mail: Mail, counted: int, count: int, began: float
) -> tuple[float, float]:
    """Seconds until all was accepted, and until all had arrived."""
    options = ["-s", str(min(cell.sessions, count)), "-m", str(count)]
    if cell.kept:
        options.append("-d")
    source = subprocess.Popen(
        [
            command("smtp-source"), *options, "-f", AUTHOR, "-t", RECIPIENT,
            "-F", str(mail.path), f"127.0.0.1:{peer.port}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    return follow(
        [source], sink, counted, count, began,
        lambda words: BenchError(f"{peer.name}, {cell.name}: {words}\n{peer.log_tail()}"),
    )  # fmt: skip


def follow(
    sources: Sequence[subprocess.Popen[bytes]],
    sink: Counting,
    counted: int,
    count: int,
    began: float,
    wrong: Callable[[str], BenchError],
) -> tuple[float, float]:
    """Seconds until all sources had read their last replies, and until the sink had `count` more
    than it had `counted`. Raises what `wrong` makes of the words where a source fails or nothing
    arrives any more; the sources are over then.
    """
    accepted = ended = 0.0
    seen, seen_at = counted, began
    try:
        while not (accepted and ended):
            time.sleep(_LOOK_SECONDS)  # how a look is made: nobody tells when the last has come
            now = time.perf_counter()
            if not accepted and all(source.poll() is not None for source in sources):
                accepted = now - began
                for source in sources:
                    if source.returncode:
                        assert source.stderr is not None
                        said = source.stderr.read().decode(errors="replace").strip()
                        raise wrong(f"the driver: {said}")
            arrived = sink.count()
            if arrived - counted >= count and not ended:
                ended = now - began
            if arrived != seen:
                seen, seen_at = arrived, now
            elif now - seen_at > _STALL_SECONDS:
                raise wrong(
                    f"nothing arrived for {_STALL_SECONDS:g} s, {arrived - counted} of {count} are there"
                )
    finally:
        for source in sources:
            if source.poll() is None:
                source.kill()
                source.wait()
            if source.stderr is not None:
                source.stderr.close()
    return accepted, ended


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
