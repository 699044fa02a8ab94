"""a program as its operator sees it: started, killed, restarted, asked for JSON

::

    product = Product(
        [sys.executable, "-m", "pillarbox", "serve", "--data", str(data)],
        output=tmp_path / "product.log",
        ready=http_ready("http://127.0.0.1:8025/readyz"),
    )
    async with product:                         # started, and ready
        product.kill()                          # SIGKILL to it and all it started
        await product.start(crash_at("after_accept_insert", 3))
        await product.dead()                    # it killed itself there
        await product.start()

Each program leads a session of its own, so that everything it started can be found by number and
nothing else is ever touched. Its environment is the test's without `PILLARBOX_*`, plus what is
given. A crash point is named by the environment variable PILLARBOX_CRASH_AT, ``NAME`` or
``NAME:N``: the product ends itself by SIGKILL when it passes that point for the N-th time.

Waiting is waiting for a condition, looked at every few milliseconds, never for time to pass; a
program that dies meanwhile is an error with the end of its output in it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from tests.doubles.usage import members_of_session

LOOK_EVERY_SECONDS = 0.01
_SWEEP_SECONDS = 5.0
_OUTPUT_TAIL_CHARACTERS = 4000

Ready = Callable[[], bool]


class ProgramError(AssertionError):
    """A program did not do what the test needs of it; the end of its output is in the message."""


_LIVING: set[int] = set()
"""Sessions that were started and not yet swept."""


def _sweep(session: int) -> None:
    """Kill what is left of a session that we made, and wait until it is gone."""
    deadline = time.monotonic() + _SWEEP_SECONDS
    while members := members_of_session(session):
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise ProgramError(f"processes {members} of session {session} do not die")
        time.sleep(LOOK_EVERY_SECONDS)
    _LIVING.discard(session)


@atexit.register
def _sweep_all() -> None:
    for session in list(_LIVING):
        _sweep(session)


class Program:
    """A child process with its output in a file. May be started again after it died."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: Path,
        ready: Ready | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        ready_seconds: float = 20.0,
        descriptors: Sequence[int] = (),
    ) -> None:
        """`output` is appended to at each start. `ready` is called in a thread. `descriptors` of
        ours are the program's as well.
        """
        self.command = list(command)
        self.output = output
        self.ready = ready
        self.env = dict(env or {})
        self.cwd = cwd
        self.ready_seconds = ready_seconds
        self.descriptors = tuple(descriptors)
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._output_start = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    @property
    def pid(self) -> int:
        """Of the process started last."""
        if self._process is None:
            raise ProgramError("the program was never started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the main process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Of the process started last; negative: the signal that ended it; None: it lives."""
        return None if self._process is None else self._process.poll()

    async def start(self, env: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it is ready. `env` is for this start only.

        Raises ProgramError when it dies before it is ready, or is not in `ready_seconds`.
        """
        self.launch(env)
        ready = self.ready
        if ready is None:
            return
        deadline = time.monotonic() + self.ready_seconds
        while not await asyncio.to_thread(ready):
            if not self.running:
                raise self._error("died before it was ready")
            if time.monotonic() > deadline:
                self.kill()
                raise self._error(f"was not ready in {self.ready_seconds:g} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def launch(self, env: Mapping[str, str] | None = None) -> None:
        """Start it and do not wait."""
        if self.running:
            raise ProgramError("the program is already running")
        self._output_start = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment({**self.env, **(env or {})}),
                cwd=self.cwd,
                start_new_session=True,
                pass_fds=self.descriptors,
            )
        self.starts += 1
        _LIVING.add(self._process.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the main process only."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self, *, alone: bool = False) -> None:
        """SIGKILL, and wait until it is gone: all of its processes, or the main one `alone`."""
        if self._process is None:
            return
        if self._process.poll() is None:
            if not alone:
                # Not reaped yet, so the group's number cannot belong to anybody else.
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
            self._process.wait(10)
        if not alone:
            _sweep(self._process.pid)

    def stop(self, *, seconds: float = 15.0) -> int | None:
        """SIGTERM, then wait; after `seconds` SIGKILL. Returns the exit status."""
        if self._process is None:
            return None
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()
        return self._process.returncode

    async def dead(self, *, seconds: float = 20.0) -> int:
        """Wait until the main process has ended by itself; its exit status."""
        await self.until(lambda: not self.running, seconds=seconds, alive=False)
        _sweep(self.pid)
        code = self.returncode
        assert code is not None
        return code

    async def until(
        self, condition: Callable[[], bool], *, seconds: float = 20.0, alive: bool = True
    ) -> None:
        """Wait until `condition()` holds. Raises ProgramError when time is over or it died."""
        deadline = time.monotonic() + seconds
        while not condition():
            if alive and not self.running:
                raise self._error("died while it was waited for")
            if time.monotonic() > deadline:
                raise self._error(f"what was waited for did not happen in {seconds:g} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def text(self, *, all_starts: bool = False) -> str:
        """What it wrote since it was last started, or since ever."""
        try:
            with self.output.open("rb") as file:
                file.seek(0 if all_starts else self._output_start)
                return file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _error(self, what: str) -> ProgramError:
        tail = self.text()[-_OUTPUT_TAIL_CHARACTERS:]
        name = " ".join(self.command[:4])
        return ProgramError(f"{name}: {what} (exit status {self.returncode})\n{tail}")


class Product(Program):
    """Pillarbox itself; only the caller knows its command line."""

    async def restart(self, env: Mapping[str, str] | None = None) -> None:
        """Kill it, all of it, and start it again."""
        await asyncio.to_thread(self.kill)
        await self.start(env)


def crash_at(point: str, passage: int = 1) -> dict[str, str]:
    """The environment that makes the product kill itself at the n-th passage of a point."""
    return {"PILLARBOX_CRASH_AT": point if passage == 1 else f"{point}:{passage}"}


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without PILLARBOX_*, unbuffered output, plus `more`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PILLARBOX_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **(more or {})}


def http_ready(url: str, *, status: int = 200, tls: ssl.SSLContext | None = None) -> Ready:
    """Ready when a GET of this address is answered with `status`."""
    parts = urllib.parse.urlsplit(url)
    host, port, path = parts.hostname or "127.0.0.1", parts.port, parts.path or "/"

    def look() -> bool:
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=2, context=tls)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == status
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    return look


def smtp_ready(port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Ready:
    """Ready when a banner of 220 comes; `tls` where the port speaks TLS from the first byte."""

    def look() -> bool:
        try:
            with socket.create_connection((host, port), 2) as clear:
                line = clear if tls is None else tls.wrap_socket(clear, server_hostname="localhost")
                with line:
                    banner = line.recv(512)
                    line.sendall(b"QUIT\r\n")
                    return banner.startswith(b"220")
        except OSError:
            return False

    return look


def read_json(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    seconds: float = 30.0,
    statuses: Sequence[int] = (0,),
) -> Any:
    """Run a command with ``--json`` behind it; what it wrote, decoded.

    Several lines of JSON become a list. Raises ProgramError on an exit status not in `statuses`
    and on output that is no JSON.
    """
    full = [*command, "--json"]
    done = subprocess.run(
        full,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=clean_environment(env),
        cwd=cwd,
        timeout=seconds,
        check=False,
    )
    told = f"{' '.join(full)}\n{done.stdout.decode(errors='replace')[-2000:]}"
    if done.returncode not in statuses:
        errors = done.stderr.decode(errors="replace")[-_OUTPUT_TAIL_CHARACTERS:]
        raise ProgramError(f"exit status {done.returncode} of {told}\n{errors}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        try:
            return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        except ValueError as error:
            raise ProgramError(f"no JSON from {told}") from error
