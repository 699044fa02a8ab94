"""one program that tries passwords as fast as it can, from one address, over many connections

As a process of its own::

    python -m tests.doubles.guesser --starttls-port P --tls-port P --ca ca.pem --from 127.0.0.2 ...

Half of its connections use STARTTLS, the others the port with TLS from the first byte; every other
login is tried under a user name that exists. What happens to it is counted, and told as a line of
JSON some times a second, until SIGTERM:

refused
    A login was answered, and it was no.
sent_away
    421 in answer to a login.
at_the_door
    421 in place of the banner, or closed before a handshake.
broken
    Any other end of a connection.

`engaged_at` is when the first 421 or closed door came, in milliseconds since the Unix epoch; 0: not
yet.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import signal
import ssl
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from tests.doubles.journal import wall_ms
from tests.doubles.process import Program

_SERVER_NAME = "localhost"
_TELL_SECONDS = 0.2
_ANSWER_SECONDS = 30.0
_NO_PORT_SECONDS = 0.05
_REFUSED = b"535"
_AWAY = b"421"


@dataclass(frozen=True, slots=True)
class GuesserSettings:
    """Whom it bothers, and from where."""

    starttls_port: int
    tls_port: int
    ca_file: Path
    username: str
    """One that exists."""
    address: str = "127.0.0.2"
    connections: int = 20


class _ShutDoorError(Exception):
    """It was not let in."""


class Guesser:
    """What all its connections share."""

    def __init__(self, settings: GuesserSettings) -> None:
        self.settings = settings
        self.counts: Counter[str] = Counter()
        self.engaged_at = 0
        self._context = ssl.create_default_context(cafile=str(settings.ca_file))
        self._tries = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.settings.connections):
                group.create_task(self._worker(implicit=number % 2 == 1))

    def line(self) -> bytes:
        """For whoever started it."""
        return msgspec.json.encode({**self.counts, "engaged_at": self.engaged_at}) + b"\n"

    async def _worker(self, *, implicit: bool) -> None:
        while True:
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    await self._visit(implicit=implicit)
            except _ShutDoorError:
                self._sent_away("at_the_door")
            except (OSError, EOFError, ssl.SSLError):
                self.counts["broken"] += 1
                # Ports of ours may have run out; it is no use to spin.
                await asyncio.sleep(_NO_PORT_SECONDS)

    def _sent_away(self, how: str) -> None:
        self.counts[how] += 1
        self.engaged_at = self.engaged_at or wall_ms()

    async def _visit(self, *, implicit: bool) -> None:
        settings = self.settings
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            settings.tls_port if implicit else settings.starttls_port,
            local_addr=(settings.address, 0),
        )
        try:
            if implicit:
                await self._secure(writer)
            if (await _reply(reader)).startswith(_AWAY):
                raise _ShutDoorError
            await _ask(reader, writer, b"EHLO guess.example.test")
            if not implicit:
                await _ask(reader, writer, b"STARTTLS")
                await writer.start_tls(self._context, server_hostname=_SERVER_NAME)
                await _ask(reader, writer, b"EHLO guess.example.test")
            while await self._guess(reader, writer):
                pass
        finally:
            writer.transport.abort()

    async def _secure(self, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(self._context, server_hostname=_SERVER_NAME)
        except (OSError, ssl.SSLError) as error:
            # Without TLS nothing can be said there, so the door is shut without a word.
            raise _ShutDoorError from error

    async def _guess(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether another may be tried on the same connection."""
        self._tries += 1
        known = self._tries % 2 == 0
        username = self.settings.username if known else f"user{self._tries}"
        words = base64.b64encode(f"\0{username}\0guess-{self._tries}".encode())
        answer = await _ask(reader, writer, b"AUTH PLAIN " + words)
        if answer.startswith(_REFUSED):
            self.counts["refused"] += 1
            return True
        if answer.startswith(_AWAY):
            self._sent_away("sent_away")
            return False
        raise EOFError


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    writer.write(line + b"\r\n")
    return await _reply(reader)


async def _reply(reader: asyncio.StreamReader) -> bytes:
    """Its last line. Raises EOFError where the connection ended."""
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        if line[3:4] != b"-":
            return line


class GuesserProcess(Program):
    """It, as a process of its own."""

    def __init__(self, output: Path, settings: GuesserSettings) -> None:
        super().__init__(
            [
                sys.executable, "-m", "tests.doubles.guesser",
                "--starttls-port", str(settings.starttls_port),
                "--tls-port", str(settings.tls_port),
                "--ca", str(settings.ca_file),
                "--username", settings.username,
                "--from", settings.address,
                "--connections", str(settings.connections),
            ],
            output=output,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def numbers(self) -> dict[str, int]:
        """What it said last."""
        lines = [line for line in self.text().splitlines() if line.endswith("}")]
        last: dict[str, int] = msgspec.json.decode(lines[-1]) if lines else {}
        return last

    @property
    def engaged_at(self) -> int:
        """See the module."""
        return self.numbers().get("engaged_at", 0)


def _parse(arguments: Sequence[str] | None) -> GuesserSettings:
    parser = argparse.ArgumentParser(description="tries passwords", allow_abbrev=False)
    parser.add_argument("--starttls-port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--ca", type=Path, required=True, metavar="PEM")
    parser.add_argument("--username", required=True)
    parser.add_argument("--from", dest="address", default="127.0.0.2")
    parser.add_argument("--connections", type=int, default=20)
    told = parser.parse_args(arguments)
    return GuesserSettings(
        starttls_port=told.starttls_port,
        tls_port=told.tls_port,
        ca_file=told.ca,
        username=told.username,
        address=told.address,
        connections=told.connections,
    )


async def _serve(settings: GuesserSettings) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    guesser = Guesser(settings)
    work = asyncio.ensure_future(guesser.run())
    while not ended.is_set() and not work.done():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _TELL_SECONDS)
        sys.stdout.buffer.write(guesser.line())
        sys.stdout.flush()
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it until SIGTERM."""
    run: Any = asyncio.run
    with contextlib.suppress(ImportError):
        import uvloop

        run = uvloop.run
    run(_serve(_parse(arguments)))


if __name__ == "__main__":
    main()
