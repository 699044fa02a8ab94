"""child processes for work that may take too long, need too much memory, or end a process

A child serves one job at a time, and lives until one is too much for it: then it is gone, and so is
the job, and whoever asked hears why. Nobody else notices.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pillarbox.net.errors import WorkerLost
from pillarbox.terms.setting import InvalidSetting, setting

LENGTH_OCTETS: Final = 4
"""Each job and each answer follows its length, most significant octet first."""
_MOST_OCTETS: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class WorkersConfig:
    """How mail is changed in processes of its own."""

    processes: int = setting(
        2, "How many processes at most inline style sheets and change large mail."
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
        self._idle: list[Process] = []
        self._busy: set[Process] = set()
        self._closed = False

    @property
    def running(self) -> int:
        """How many children there are."""
        return sum(map(_lives, self._idle)) + len(self._busy)

    @property
    def has_room(self) -> bool:
        """Whether a job would be begun at once."""
        return not (self._closed or self._room.locked())

    async def do(self, job: Callable[[], bytes]) -> bytes:
        """The answer to a job, which is made when it is its turn: those that wait take no room.

        Raises `WorkerLost` where the child did not survive it.
        """
        async with self._room:
            child = await self._child()
            self._busy.add(child)
            try:
                async with asyncio.timeout(self._config.seconds):
                    answer = await _ask(child, job())
            except TimeoutError:
                await self._end(child)
                raise WorkerLost(f"it took more than {self._config.seconds:g} seconds") from None
            except (asyncio.IncompleteReadError, ConnectionError):
                raise WorkerLost(_why(await self._end(child))) from None
            except BaseException:
                self._busy.discard(child)
                _kill(child)
                raise
            self._busy.discard(child)
            if self._closed or child.returncode is not None:
                await self._end(child)
            else:
                self._idle.append(child)
            return answer

    async def close(self) -> None:
        """End all children; what they work at is lost."""
        self._closed = True
        for child in [*self._idle, *self._busy]:
            await self._end(child)
        self._idle.clear()

    async def _child(self) -> Process:
        """One that waits for work. Those that ended while they did, killed for want of memory
        elsewhere, must not be counted against a job that they never saw.
        """
        while self._idle:
            child = self._idle.pop()
            if _lives(child):
                return child
            await self._end(child)
        return await self._start()

    async def _start(self) -> Process:
        config = self._config
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", self._module, str(config.cpu_seconds), str(config.memory_mb),
            # Nothing of what this process was told goes to one that may be taken over.
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip

    async def _end(self, child: Process) -> int:
        self._busy.discard(child)
        _kill(child)
        return await child.wait()


async def _ask(child: Process, job: bytes) -> bytes:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.writelines((len(job).to_bytes(LENGTH_OCTETS, "big"), job))
    await child.stdin.drain()
    length = int.from_bytes(await child.stdout.readexactly(LENGTH_OCTETS), "big")
    if length > _MOST_OCTETS:
        raise ConnectionError("that is no answer")
    return await child.stdout.readexactly(length)


def _lives(child: Process) -> bool:
    ended = child.stdout is None or child.stdout.at_eof()
    return child.returncode is None and not ended


def _kill(child: Process) -> None:
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.kill()


def _why(code: int) -> str:
    if code == -signal.SIGPROF:
        return "it took too much processor time"
    return "the process that did it ended, perhaps for want of memory"
