"""clients that take their time: a byte every ten seconds, in handshakes, in commands, in content

As a process of its own, because there are thousands of them::

    python -m tests.doubles.dawdlers --starttls-port P --tls-port P --ca ca.pem --clients 2000 ...

Each comes from one of many loopback addresses, goes as far as its kind says, and then sends its
bytes one by one. Whoever is cut off comes again. A third of them stand each in

handshake
    on the port with TLS from the first byte: half of these in the middle of their first words, the
    other half behind them, so that the server has done its part of the handshake and waits.
command
    in clear, on the port with STARTTLS: one command that never ends.
content
    under TLS, logged in, behind DATA.

Every second one line of JSON says how many stand where, how often they were cut off, and how many
were turned away before they stood. It runs until SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import random
import signal
import ssl
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, cycle, repeat
from pathlib import Path

import msgspec

from tests.doubles.process import Program

KINDS = ("handshake", "command", "content")
_AT_ONCE = 50
"""So many connect at a time, so that no backlog overflows."""
_OPENING_SECONDS = 30.0
_AGAIN_SECONDS = 1.0
_TELL_SECONDS = 1.0
_SERVER_NAME = "localhost"
# The change-of-cipher record that TLS 1.3 clients send for old middleboxes, and no more of it.
_NEXT_RECORD = b"\x14\x03\x03\x00\x01"


@dataclass(frozen=True, slots=True)
class DawdlerSettings:
    """Where they go, how many, how slowly."""

    starttls_port: int
    tls_port: int
    ca_file: Path
    username: str
    password: str = field(repr=False)
    clients: int = 2000
    interval_seconds: float = 10.0
    """Between two bytes."""
    per_address: int = 50


@dataclass(slots=True)
class Standing:
    """How they fare."""

    now: Counter[str] = field(default_factory=Counter)
    """By kind."""
    cut: Counter[str] = field(default_factory=Counter)
    """Of those who stood."""
    turned_away: Counter[str] = field(default_factory=Counter)
    """Of those who did not come to stand."""

    def line(self) -> bytes:
        """For whoever started them."""
        numbers = {"now": self.now, "cut": self.cut, "turned_away": self.turned_away}
        return msgspec.json.encode(numbers) + b"\n"


class Dawdler:
    """One of them."""

    def __init__(
        self,
        number: int,
        settings: DawdlerSettings,
        context: ssl.SSLContext,
        standing: Standing,
        gate: asyncio.Semaphore,
    ) -> None:
        self.kind = KINDS[number % len(KINDS)]
        self._beyond_hello = number // len(KINDS) % 2 == 1
        address = number // settings.per_address + 1
        self._address = f"127.1.{address // 250}.{address % 250 + 1}"
        self._settings = settings
        self._context = context
        self._standing = standing
        self._gate = gate

    async def run(self) -> None:
        """Come again and again."""
        while True:
            try:
                await self._visit()
            except (OSError, EOFError, ssl.SSLError):
                await asyncio.sleep(_AGAIN_SECONDS * (0.5 + random.random()))

    async def _visit(self) -> None:
        standing, kind = self._standing, self.kind
        try:
            async with self._gate, asyncio.timeout(_OPENING_SECONDS):
                reader, writer, slowly = await self._come()
        except (OSError, EOFError, ssl.SSLError):
            standing.turned_away[kind] += 1
            raise
        standing.now[kind] += 1
        try:
            for byte in slowly:
                await self._pause(reader)
                writer.write(byte)
        except (OSError, EOFError, ssl.SSLError):
            standing.cut[kind] += 1
            raise
        finally:
            standing.now[kind] -= 1
            writer.transport.abort()

    async def _pause(self, reader: asyncio.StreamReader) -> None:
        """Wait for the time of the next byte. Raises EOFError when the server has had enough."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.interval_seconds
        while (left := until - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                if not await asyncio.wait_for(reader.read(65536), left):
                    raise EOFError

    async def _come(self) -> Line:
        """As far as it goes at the speed of others."""
        match self.kind:
            case "handshake":
                return await self._come_for_handshake()
            case "command":
                reader, writer = await self._connect(self._settings.starttls_port)
                with _aborted(writer):
                    await _answer(reader)
                return reader, writer, cycle(_bytes(b"x"))
            case _:
                return await self._come_for_content()

    async def _come_for_handshake(self) -> Line:
        reader, writer = await self._connect(self._settings.tls_port)
        hello = _client_hello(self._context)
        if self._beyond_hello:
            writer.write(hello)
            with _aborted(writer):
                await reader.readexactly(1)
            return reader, writer, chain(_bytes(_NEXT_RECORD), repeat(b""))
        writer.write(hello[:100])
        # Never complete: the last byte does not come.
        return reader, writer, chain(_bytes(hello[100:-1]), repeat(b""))

    async def _come_for_content(self) -> Line:
        settings = self._settings
        reader, writer = await self._connect(settings.tls_port, self._context)
        words = f"\0{settings.username}\0{settings.password}".encode()
        with _aborted(writer):
            await _answer(reader)
            for line in (
                b"EHLO slow.example.test", b"AUTH PLAIN " + base64.b64encode(words),
                b"MAIL FROM:<slow@example.test>", b"RCPT TO:<desk@example.test>", b"DATA",
            ):  # fmt: skip
                writer.write(line + b"\r\n")
                await _answer(reader)
            writer.write(b"Subject: slow\r\n\r\n")
        return reader, writer, cycle(_bytes(b"slow words, and no end of them\r\n"))

    async def _connect(
        self, port: int, context: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1",
            port,
            local_addr=(self._address, 0),
            ssl=context,
            server_hostname=None if context is None else _SERVER_NAME,
        )


Line = tuple[asyncio.StreamReader, asyncio.StreamWriter, Iterator[bytes]]
"""A connection, and what is sent on it from here on, slowly."""


def _bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


class _aborted(contextlib.AbstractContextManager["_aborted"]):
    """Cuts the connection where what is done on it fails."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._writer.transport.abort()


async def _answer(reader: asyncio.StreamReader) -> None:
    """Read one reply. Raises EOFError where it is none that lets us go on."""
    while True:
        line = await reader.readline()
        if line[:1] not in (b"2", b"3"):
            raise EOFError
        if line[3:4] != b"-":
            return


def _client_hello(context: ssl.SSLContext) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname=_SERVER_NAME)
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


class Dawdlers(Program):
    """All of them, as a process of their own."""

    def __init__(self, output: Path, settings: DawdlerSettings) -> None:
        super().__init__(
            [
                sys.executable, "-m", "tests.doubles.dawdlers",
                "--starttls-port", str(settings.starttls_port),
                "--tls-port", str(settings.tls_port),
                "--ca", str(settings.ca_file),
                "--username", settings.username, f"--password={settings.password}",
                "--clients", str(settings.clients),
                "--interval-seconds", str(settings.interval_seconds),
                "--per-address", str(settings.per_address),
            ],
            output=output,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def standing(self) -> dict[str, dict[str, int]]:
        """What they said last."""
        lines = [line for line in self.text().splitlines() if line.startswith("{")]
        last: dict[str, dict[str, int]] = msgspec.json.decode(lines[-1]) if lines else {}
        return last

    def count(self) -> int:
        """How many stand."""
        return sum(self.standing().get("now", {}).values())


def _parse(arguments: Sequence[str] | None) -> DawdlerSettings:
    parser = argparse.ArgumentParser(description="clients that take their time", allow_abbrev=False)
    parser.add_argument("--starttls-port", type=int, required=True)
    parser.add_argument("--tls-port", type=int, required=True)
    parser.add_argument("--ca", type=Path, required=True, metavar="PEM")
    parser.add_argument("--username", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--clients", type=int, default=2000)
    parser.add_argument("--interval-seconds", type=float, default=10.0)
    parser.add_argument("--per-address", type=int, default=50)
    told = parser.parse_args(arguments)
    return DawdlerSettings(
        starttls_port=told.starttls_port,
        tls_port=told.tls_port,
        ca_file=told.ca,
        username=told.username,
        password=told.password,
        clients=told.clients,
        interval_seconds=told.interval_seconds,
        per_address=told.per_address,
    )


async def _serve(settings: DawdlerSettings) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    context = ssl.create_default_context(cafile=str(settings.ca_file))
    standing = Standing()
    gate = asyncio.Semaphore(_AT_ONCE)
    tasks = [
        asyncio.ensure_future(Dawdler(number, settings, context, standing, gate).run())
        for number in range(settings.clients)
    ]
    while not ended.is_set():
        sys.stdout.buffer.write(standing.line())
        sys.stdout.flush()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), _TELL_SECONDS)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run them until SIGTERM."""
    asyncio.run(_serve(_parse(arguments)))


if __name__ == "__main__":
    main()
