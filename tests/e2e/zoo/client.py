"""what a mail client is to these tests: something that hands a letter over at a door"""

from __future__ import annotations

import asyncio
import subprocess
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.e2e.zoo.letters import KINDS, Letter

Security = Literal["STARTTLS", "TLS"]
SECURITIES: Final[tuple[Security, ...]] = ("STARTTLS", "TLS")


@dataclass(frozen=True, slots=True)
class Door:
    """A port that takes mail after TLS and a login."""

    port: int
    security: Security
    ca: Path
    """Whom to trust; the certificate is for `host`."""
    username: str
    password: str
    host: str = "localhost"

    @property
    def mechanism(self) -> str:
        """What to log in by where one can choose: so that both mechanisms have their turn."""
        return "PLAIN" if self.security == "STARTTLS" else "LOGIN"


@dataclass(frozen=True, slots=True)
class Said:
    """What a client puts on the wire, by its own account."""

    content: bytes
    """With CRLF line ends, without stuffed dots."""
    traces: int = 0
    """How many Received fields it puts on top of that."""


NO_UTF8: Final = frozenset({"utf8"})
"""Of clients without SMTPUTF8."""
ALWAYS_DATED: Final = frozenset({"undated"})
"""Of clients that add Date and Message-ID by themselves."""


class ClientFailed(AssertionError):
    """A client did not get rid of its mail; what it said is in the message."""


class Client(ABC):
    """One program or library. Handing over returns when it says that its mail was taken."""

    name: str
    needs: tuple[str, ...] = ()
    """As `tests.components` names them."""
    package: str = ""
    """Debian's, to tell the version by."""
    lacks: frozenset[str] = frozenset()
    """Kinds of letters that it cannot send."""
    securities: tuple[Security, ...] = SECURITIES
    ends_seconds: float = 45.0
    """After which its program is taken to hang."""

    def __init__(self, folder: Path) -> None:
        """Files for and of it lie in `folder`. What it starts ends with `running`."""
        self.folder = folder
        self.running = AsyncExitStack()

    @abstractmethod
    async def hand(self, letter: Letter, door: Door) -> Said:
        """Hand it over. Raises `ClientFailed`."""

    @classmethod
    def kinds(cls) -> tuple[str, ...]:
        """The letters it can send."""
        return tuple(kind for kind in KINDS if kind not in cls.lacks)

    @classmethod
    def version(cls) -> str:
        """For the record."""
        command = ["dpkg-query", "-W", "-f", "${Version}", cls.package or cls.name]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def asks_utf8(self, letter: Letter) -> bool:
        """Whether it says SMTPUTF8 to whoever offers it."""
        return letter.utf8

    def file(self, name: str, content: bytes) -> Path:
        """A file for a program to read, nobody else's business."""
        path = self.folder / name
        path.touch(0o600)
        path.write_bytes(content)
        return path

    async def run(self, *command: str, stdin: bytes = b"", **environment: str) -> bytes:
        """A program that must succeed; what it wrote to standard output. Raises `ClientFailed`."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
            env={"PATH": PATH, "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **environment},
        )
        talk = asyncio.ensure_future(process.communicate(stdin))
        try:
            await asyncio.wait({talk}, timeout=self.ends_seconds)
        finally:
            if hung := not talk.done():
                process.kill()
        out, errors = await talk
        if hung or process.returncode != 0:
            how = f"did not end in {self.ends_seconds:g} s" if hung else "failed"
            told = (out + errors).decode(errors="replace")[-3000:]
            raise ClientFailed(f"{self.name} {how} ({process.returncode}):\n{told}")
        return out


PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
