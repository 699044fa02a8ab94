"""CPU and memory of a program and all it started

Read from /proc. A program started by `process` leads a session, and everything it starts stays in
it unless it leaves on purpose (as Postfix's master does: its descendants are found by parent).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process at one moment."""

    pid: int
    parent: int
    session: int
    started_ticks: int
    """When it started; together with `pid` it names a process for ever."""


def read_process(pid: int) -> ProcessFacts | None:
    """What /proc says of a process; None where it is gone or only waits to be reaped."""
    fields = _stat(pid)
    if not fields or fields[0] in ("Z", "X"):
        return None
    return ProcessFacts(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        started_ticks=int(fields[19]),
    )


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty where the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return []
    # The command's name may contain spaces and parentheses; everything behind it is plain.
    return text[text.rindex(")") + 2 :].split()


def all_processes() -> Iterator[ProcessFacts]:
    """Every process that can be seen now."""
    for name in os.listdir("/proc"):
        if name.isdigit() and (facts := read_process(int(name))) is not None:
            yield facts


def members_of_session(session: int) -> list[int]:
    """The processes of a session, its leader included."""
    return [facts.pid for facts in all_processes() if facts.session == session]


def family_of(pid: int) -> list[ProcessFacts]:
    """A process and all its descendants that still have their parents."""
    everybody = list(all_processes())
    family = [facts for facts in everybody if facts.pid == pid]
    known = {pid} if family else set()
    grew = bool(family)
    while grew:
        children = [f for f in everybody if f.parent in known and f.pid not in known]
        family += children
        known |= {facts.pid for facts in children}
        grew = bool(children)
    return family


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and kernel time of these processes and of their children that ended."""
    return sum(_cpu_seconds_of(pid) for pid in pids)


def child_cpu_seconds(pid: int) -> float:
    """User and kernel time of a process's children, those that it has waited for included."""
    while True:
        fields, children = _stat(pid), {f.pid for f in family_of(pid)} - {pid}
        total = sum(map(int, fields[13:15])) * _TICK_SECONDS + cpu_seconds(children)
        # One that ended meanwhile was perhaps counted neither as living nor as waited for.
        if fields[13:15] == _stat(pid)[13:15]:
            return total


def _cpu_seconds_of(pid: int) -> float:
    # A tick is 10 ms, cut off twice for each process: too coarse for twenty small ones. The
    # scheduler counts nanoseconds, but only of threads that still live, so the larger is right.
    fields = _stat(pid)
    if not fields:
        return 0.0
    user, kernel, children_user, children_kernel = (int(field) for field in fields[11:15])
    nanoseconds = 0
    for schedule in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            nanoseconds += int(schedule.read_text().split()[0])
        except (OSError, ValueError, IndexError):
            continue
    own_seconds = max((user + kernel) * _TICK_SECONDS, nanoseconds / 1e9)
    return own_seconds + (children_user + children_kernel) * _TICK_SECONDS


def memory_bytes(pids: Iterable[int]) -> int:
    """Proportional set size of these processes together: shared pages are counted once."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
