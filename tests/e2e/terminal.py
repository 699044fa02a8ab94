"""a terminal with a program in it, as a person has it before them"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.doubles.usage import members_of_session

_PAINT = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """80 columns wide. What is shown is kept; keys can be pressed."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self.command = list(command)
        self.cwd = cwd
        self.env = dict(env)
        self._shown = bytearray()
        self._news = asyncio.Event()
        self._closed = False

    async def __aenter__(self) -> Self:
        self._keyboard, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._process = subprocess.Popen(
            self.command,
            stdin=screen,
            stdout=screen,
            stderr=screen,
            cwd=self.cwd,
            env={**self.env, "TERM": "xterm"},
            start_new_session=True,
            # So that Ctrl-C reaches the program through the terminal.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(screen)
        os.set_blocking(self._keyboard, False)
        asyncio.get_running_loop().add_reader(self._keyboard, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._closed:
            asyncio.get_running_loop().remove_reader(self._keyboard)
        for pid in members_of_session(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait, 10)
        os.close(self._keyboard)

    def _read(self) -> None:
        try:
            data = os.read(self._keyboard, 65536)
        except OSError:  # how Linux says that nobody holds the other side any more
            data = b""
        if not data:
            self._closed = True
            asyncio.get_running_loop().remove_reader(self._keyboard)
        self._shown += data
        self._news.set()

    @property
    def text(self) -> str:
        """What was shown so far, without colours."""
        shown = self._shown.decode(errors="replace").replace("\r\n", "\n")
        return _PAINT.sub("", shown)

    def press(self, keys: str) -> None:
        """Type; ``\\x03`` is Ctrl-C."""
        os.write(self._keyboard, keys.encode())

    async def until(self, text: str, *, seconds: float) -> None:
        """Wait until it is shown. Raises AssertionError where the program ends or time does."""
        try:
            async with asyncio.timeout(seconds):
                while text not in self.text:
                    assert not self._closed, f"it ended without {text!r}:\n{self.text}"
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"no {text!r} in {seconds:g} s:\n{self.text}") from None

    async def ended(self, *, seconds: float = 20.0) -> int:
        """Wait until the program has ended; its exit status."""
        return await asyncio.to_thread(self._process.wait, seconds)
