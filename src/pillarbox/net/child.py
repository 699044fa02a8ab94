"""one child process: jobs go in, answers come out in the same order"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self, cast

from pillarbox.net.errors import WorkerLost

LENGTH_OCTETS: Final = 4
"""Each job and each answer follows its length, most significant octet first."""
_MOST_OCTETS: Final = 1 << 30
_STDIN: Final = 0
_STDOUT: Final = 1


class Child(asyncio.SubprocessProtocol):
    """Lives until a job is too much for it: then it is gone, and so is all that it was given."""

    def __init__(self, seconds: float) -> None:
        """Use `start`. `seconds` may pass until the next answer."""
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._asked: deque[asyncio.Future[bytes]] = deque()
        self._come = bytearray()
        self._begun_at = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._too_slow = False
        self._lives = True
        self._gone = asyncio.Event()
        self.on_rest: Callable[[Child], None] | None = None
        """Hears when it owes nothing any more."""
        self._transport: asyncio.SubprocessTransport | None = None

    @classmethod
    async def start(cls, module: str, arguments: tuple[str, ...], seconds: float) -> Self:
        """Run a module of this interpreter. Raises `OSError`."""
        _, child = await asyncio.get_running_loop().subprocess_exec(
            lambda: cls(seconds), sys.executable, "-P", "-m", module, *arguments,
            # Nothing of what this process was told goes to one that may be taken over.
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        return child

    @property
    def lives(self) -> bool:
        """Whether it may answer."""
        return self._lives

    @property
    def load(self) -> int:
        """How many answers it owes."""
        return len(self._asked)

    def ask(self, job: bytes) -> asyncio.Future[bytes]:
        """The answer to a job, behind those before it.

        It fails with `WorkerLost` where the child does not live to give it: `begun` is true for the
        one job that it was at work on.
        """
        answer: asyncio.Future[bytes] = self._loop.create_future()
        if self._gone.is_set():
            answer.set_exception(WorkerLost(self._why()))
            self._rest()
            return answer
        if not self._asked:
            self._begun_at = self._loop.time()
            if self._watch is None:
                self._watch = self._loop.call_later(self._seconds, self._look)
        self._asked.append(answer)
        assert self._transport is not None
        pipe = self._transport.get_pipe_transport(_STDIN)
        if self._lives and pipe is not None:
            writing = cast(asyncio.WriteTransport, pipe)
            writing.writelines((len(job).to_bytes(LENGTH_OCTETS, "big"), job))
        return answer

    def kill(self) -> None:
        """End it, whatever it does."""
        self._lives = False
        if self._transport is not None and self._transport.get_returncode() is None:
            # Not the transport's own: that one takes the status of a process that has just ended from
            # whoever waits for it, and why it ended is lost.
            with suppress(ProcessLookupError):
                os.kill(self._transport.get_pid(), signal.SIGKILL)

    async def ended(self) -> None:
        """Done when the process is no more."""
        await self._gone.wait()

    # --- what the loop calls --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It was started."""
        self._transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        """A piece of an answer, or several answers."""
        assert isinstance(data, bytes)
        come = self._come
        come += data
        at = 0
        while len(come) >= at + LENGTH_OCTETS:
            begin = at + LENGTH_OCTETS
            length = int.from_bytes(come[at:begin], "big")
            if length > _MOST_OCTETS or not self._asked:
                self.kill()  # that is no answer
                return
            if len(come) < begin + length:
                break
            at = begin + length
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_result(bytes(come[begin:at]))
            self._begun_at = self._loop.time()
        del come[:at]
        if at:
            self._rest()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """It will say nothing more, or hear nothing more."""
        if fd == _STDOUT:
            self.kill()

    def process_exited(self) -> None:
        """What it said before it did may still come."""
        self._lives = False

    def connection_lost(self, exc: Exception | None) -> None:
        """All of it is over."""
        self._lives = False
        if self._watch is not None:
            self._watch.cancel()
        why, begun = self._why(), True
        if self._transport is not None:
            self._transport.close()
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(WorkerLost(why, begun=begun))
            begun = False
        self._gone.set()
        self._rest()

    def _rest(self) -> None:
        if self.on_rest is not None and not self._asked:
            self.on_rest(self)

    def _look(self) -> None:
        self._watch = None
        if not self._asked:
            return
        left = self._begun_at + self._seconds - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._look)
        else:
            self._too_slow = True
            self.kill()

    def _why(self) -> str:
        if self._too_slow:
            return f"it took more than {self._seconds:g} seconds"
        code = self._transport.get_returncode() if self._transport is not None else None
        if code == -signal.SIGPROF:
            return "it took too much processor time"
        return "the process that did it ended, perhaps for want of memory"
