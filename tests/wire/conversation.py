"""a listener with a handler that does as it is told, and a client that types by hand"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from pillarbox.net.interface import Admit, Answer, Peer
from pillarbox.net.listener import Listener
from pillarbox.net.port_terms import Patience, admit_everybody
from pillarbox.net.smtp_ports import PortKind, SmtpConfig
from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    ServerEvent,
)
from pillarbox.protocol.reply import Reply

HOST = "127.0.0.1"
USERNAME, PASSWORD = "first-app", "pb_secret"
QUEUED = replies.accepted_message("msg_1")


@dataclass
class Told:
    """What all handlers of one listener are told, and what they saw."""

    banner: Callable[[Peer], Reply] = lambda peer: replies.banner("mx.example.test")
    answer: Callable[[ServerEvent], Answer] | None = None
    """Tried first; None falls through to the usual answers."""
    peers: list[Peer] = field(default_factory=list)
    secured: list[Peer] = field(default_factory=list)
    events: list[ServerEvent] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Wait until `condition` holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def kinds(self) -> list[type[ServerEvent]]:
        return [type(event) for event in self.events]


class Handler:
    def __init__(self, told: Told) -> None:
        self.told = told
        self.parts: list[bytes] = []

    def opened(self, peer: Peer) -> Reply:
        self.told.peers.append(peer)
        self.told.changed.set()
        return self.told.banner(peer)

    def secured(self, peer: Peer) -> None:
        self.told.secured.append(peer)

    def handle(self, event: ServerEvent) -> Answer:
        self.told.events.append(event)
        self.told.changed.set()
        if self.told.answer is not None:
            answer = self.told.answer(event)
            if answer is not None:
                return answer
        return self.usual(event)

    def usual(self, event: ServerEvent) -> Answer:
        match event:
            case LoginReceived():
                right = event.username == USERNAME and event.password.reveal() == PASSWORD
                return replies.LOGIN_OK if right else replies.LOGIN_REFUSED
            case MailReceived():
                self.parts.clear()
                return replies.RETURN_PATH_OK
            case RecipientReceived():
                return replies.RECIPIENT_OK
            case ContentReceived():
                self.parts.append(event.data)
                if not event.last:
                    return None
                self.told.contents.append(b"".join(self.parts))
                return QUEUED
        return None

    def closed(self, reason: str) -> None:
        self.told.ends.append(reason)
        self.told.changed.set()


@dataclass
class Served:
    listener: Listener
    told: Told
    ports: dict[PortKind, int]
    problems: list[tuple[str, str, int, str]]
    """Connections that could not become sessions, as they were noted."""
    details: list[str]
    """What else was said of each."""

    @property
    def local(self) -> int:
        return self.ports[PortKind.LOCAL]

    @property
    def starttls(self) -> int:
        return self.ports[PortKind.STARTTLS]

    @property
    def tls(self) -> int:
        return self.ports[PortKind.TLS]


EASY = SmtpConfig(
    starttls_ports=(), tls_ports=(), local_ports=(0,), local_credential="anybody", max_errors=5,
    max_idle_commands=1_000_000,
)  # fmt: skip
ALL_PORTS = replace(EASY, starttls_ports=(0,), tls_ports=(0,))


@contextlib.asynccontextmanager
async def served(
    config: SmtpConfig = EASY,
    *,
    told: Told | None = None,
    tls: ssl.SSLContext | None = None,
    patience: Patience | None = None,
    admit: Admit = admit_everybody,
) -> AsyncIterator[Served]:
    told = told or Told()
    problems: list[tuple[str, str, int, str]] = []

    def note(problem: str, address: str, port: int, listener: str, detail: str) -> None:
        problems.append((problem, address, port, listener))
        details.append(detail)

    details: list[str] = []
    listener = Listener(
        config,
        lambda purposes: Handler(told),
        hostname="mx.example.test",
        tls=(lambda: tls) if tls is not None else None,
        mail_parameters=frozenset({"RET", "ENVID", "SMTPUTF8"}),
        patience=patience,
        admit=admit,
        note_problem=note,
    )
    opened = await listener.start()
    try:
        found = {each.kind: each.port for each in opened}
        yield Served(listener, told, found, problems, details)
    finally:
        await listener.drain(0.05)
        assert listener.sessions == 0
        assert len(told.ends) == len(told.peers), "closed is called exactly once per session"


class Typist:
    """Types bytes, reads whole replies."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def __aenter__(self) -> Typist:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()

    @classmethod
    async def call(cls, port: int, tls: ssl.SSLContext | None = None) -> Typist:
        name = "localhost" if tls else None
        return cls(*await asyncio.open_connection(HOST, port, ssl=tls, server_hostname=name))

    def type(self, data: bytes) -> None:
        self.writer.write(data)

    async def heard(self, seconds: float = 10.0) -> bytes:
        """The next reply, all its lines; empty at the end."""
        lines = b""
        async with asyncio.timeout(seconds):
            while line := await self.reader.readline():
                lines += line
                if line[3:4] != b"-":
                    break
        return lines

    async def say(self, data: bytes) -> bytes:
        self.type(data)
        return await self.heard()

    async def over(self, seconds: float = 10.0) -> bytes:
        """Everything up to the end of the connection."""
        async with asyncio.timeout(seconds):
            return await self.reader.read()

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert (await self.say(b"STARTTLS\r\n")).startswith(b"220")
        await self.writer.start_tls(context, server_hostname="localhost")

    async def hang_up(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def calling(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Typist]:
    """A client that has read the banner and said EHLO."""
    typist = await Typist.call(port, tls)
    try:
        assert (await typist.heard()).startswith(b"220 ")
        assert (await typist.say(b"EHLO client.example.test\r\n")).startswith(b"250-")
        yield typist
    finally:
        await typist.hang_up()


def letter(size: int = 200) -> bytes:
    head = b"From: <a@example.com>\r\nTo: <b@example.com>\r\nSubject: Hello\r\n\r\n"
    line = b"The quick brown fox jumps over the lazy dog.\r\n"
    return head + line * max(1, (size - len(head)) // len(line))
