"""CPU and memory of a whole process tree, and the moment when it has come to rest

A tree is found by parent from its root. CPU counts processes that live and, through their parents,
those that ended: Postfix replaces its daemons all the time, and that is part of its cost.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.doubles.usage import cpu_seconds, family_of, memory_bytes

_LOOKS = 20
_REST_LOOK_SECONDS = 0.05
_REST_CPU_SECONDS = 0.001
_REST_AT_MOST_SECONDS = 15.0
_MEMORY_LOOK_SECONDS = 0.1
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def tree_pids(root: int) -> list[int]:
    """The root and everything below it that lives."""
    return [facts.pid for facts in family_of(root)]


def tree_cpu_seconds(root: int) -> float:
    """CPU of the tree since it began, processes that ended included."""
    total = 0.0
    for _ in range(_LOOKS):
        before = tree_pids(root)
        total = cpu_seconds(before)
        # One that ended meanwhile was perhaps counted neither as living nor as reaped.
        if set(tree_pids(root)) == set(before):
            return total
    return total


def tree_memory_bytes(root: int) -> int:
    """Proportional set size of the tree: what is shared is counted once."""
    return memory_bytes(tree_pids(root))


def rest(root: int, *, at_most_seconds: float = _REST_AT_MOST_SECONDS) -> bool:
    """Wait until the tree uses next to no CPU; whether it came to that.

    What a relay does behind the last reply (writing down, removing, replacing processes) belongs
    to the messages that caused it.
    """
    deadline = time.monotonic() + at_most_seconds
    calm = 0
    before = tree_cpu_seconds(root)
    while time.monotonic() < deadline:
        time.sleep(_REST_LOOK_SECONDS)
        now = tree_cpu_seconds(root)
        calm = calm + 1 if abs(now - before) < _REST_CPU_SECONDS else 0
        if calm == 2:
            return True
        before = now
    return False


class MemoryWatch:
    """Looks at the tree's memory again and again, as a context manager. Costs CPU: never timed."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, tree_memory_bytes(self.root))
            if self._over.wait(_MEMORY_LOOK_SECONDS):
                return


@dataclass(frozen=True, slots=True)
class MachineTime:
    """What all processors together have done since the machine started, in seconds."""

    busy: float
    stolen: float

    @classmethod
    def now(cls) -> MachineTime:
        """Read it from /proc/stat."""
        with Path("/proc/stat").open() as lines:
            fields = [int(field) for field in lines.readline().split()[1:9]]
        user, nice, system, _idle, _iowait, irq, softirq, steal = fields
        busy = user + nice + system + irq + softirq
        return cls(busy * _TICK_SECONDS, steal * _TICK_SECONDS)


def idle_cpu_shares(roots: dict[str, int], seconds: float) -> dict[str, float]:
    """Share of one processor that each tree uses while nobody asks anything of it."""
    before = {name: tree_cpu_seconds(root) for name, root in roots.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {
        name: max(0.0, tree_cpu_seconds(root) - before[name]) / passed
        for name, root in roots.items()
    }


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.01) -> bool:
    """Whether the condition came to hold in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
