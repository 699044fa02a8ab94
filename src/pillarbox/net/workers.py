"""child processes for work that may take too long, need too much memory, or end a process

A child serves one job at a time, and lives until one is too much for it: then it is gone, and so is
the job, and whoever asked hears why. Nobody else notices. Small jobs may wait together for one child,
so that it need not wait for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pillarbox.net.child import Child
from pillarbox.terms.setting import InvalidSetting, setting

_TOGETHER: Final = 8
"""Small jobs that one child is given at once."""


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """How mail is changed in processes of its own."""

    processes: int = setting(
        2,
        "How many processes at most inline style sheets and change large mail, and small mail where "
        "there is much of it.",
    )
    seconds: float = setting(
        10.0, "How long one may take for a message before it is ended and the mail left as it is."
    )
    cpu_seconds: int = setting(
        1, "How much processor time, in whole seconds, a message may take there."
    )
    memory_mb: int = setting(512, "How much memory, in megabytes, a message may take there.")

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise InvalidSetting("processes must be at least 1")
        if self.seconds <= 0:
            raise InvalidSetting("seconds must be above 0")
        if self.cpu_seconds < 1:
            raise InvalidSetting("cpu_seconds must be at least 1")
        if self.memory_mb < 64:
            raise InvalidSetting("memory_mb must be at least 64, or no work could begin")


class Workers:
    """Children that run one module, started when they are first needed."""

    def __init__(self, module: str, config: WorkersConfig) -> None:
        """`module` is run with `cpu_seconds` and `memory_mb` as its arguments, and bounds itself."""
        self._module = module
        self._config = config
        self._room = asyncio.Semaphore(config.processes)
        self._waiting = 0
        """Jobs that want a child for themselves, and have none."""
        self._idle: list[Child] = []
        self._busy: set[Child] = set()
        self._shared: set[Child] = set()
        self._closed = False

    @property
    def running(self) -> int:
        """How many children there are."""
        return sum(child.lives for child in (*self._idle, *self._busy, *self._shared))

    @property
    def has_room(self) -> bool:
        """Whether a small job would be taken at once."""
        if self._closed or self._waiting:
            return False
        return not self._room.locked() or self._lightest() is not None

    async def do(self, job: Callable[[], bytes]) -> bytes:
        """The answer to a job, which is made when it is its turn: those that wait take no room.

        Raises `WorkerLost` where the child did not survive it.
        """
        self._waiting += 1
        try:
            await self._room.acquire()
        finally:
            self._waiting -= 1
        try:
            child = await self._child()
            self._busy.add(child)
            try:
                return await child.ask(job())
            except asyncio.CancelledError:
                child.kill()
                raise
            finally:
                self._busy.discard(child)
                await self._put_back(child)
        finally:
            self._room.release()

    async def share(self, job: Callable[[], bytes]) -> bytes:
        """The answer to a small job, given to a child that may have others before it.

        Only where it `has_room`. Raises `WorkerLost`; unless that was `begun`, nothing is known about
        this job.
        """
        made = job()  # before a child is taken for it: one that owes nothing gives no room back
        child = self._lightest()
        if child is None or not self._room.locked():
            await self._room.acquire()
            try:
                child = await self._child()
            except BaseException:
                self._room.release()
                raise
            self._shared.add(child)
            child.on_rest = self._rested
        return await child.ask(made)

    async def close(self) -> None:
        """End all children; what they work at is lost."""
        self._closed = True
        children = [*self._idle, *self._busy, *self._shared]
        self._idle.clear()
        for child in children:
            child.kill()
        for child in children:
            await child.ended()

    def _lightest(self) -> Child | None:
        """That of those who share that owes least, unless all owe enough."""
        open_to_more = [each for each in self._shared if each.lives and each.load < _TOGETHER]
        return min(open_to_more, key=_load) if open_to_more else None

    def _rested(self, child: Child) -> None:
        """One of those who share owes nothing: whoever wants a child for himself may have it."""
        child.on_rest = None
        self._shared.discard(child)
        if child.lives and not self._closed:
            self._idle.append(child)
        self._room.release()

    async def _put_back(self, child: Child) -> None:
        if child.lives and not self._closed:
            self._idle.append(child)
        else:
            child.kill()
            await child.ended()

    async def _child(self) -> Child:
        """One that waits for work. Those that ended while they did, killed for want of memory
        elsewhere, must not be counted against a job that they never saw.
        """
        while self._idle:
            child = self._idle.pop()
            if child.lives:
                return child
            await child.ended()
        config = self._config
        bounds = (str(config.cpu_seconds), str(config.memory_mb))
        return await Child.start(self._module, bounds, config.seconds)


def _load(child: Child) -> int:
    return child.load
