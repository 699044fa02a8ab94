"""the dialogues of tests/dialogue once more, over real sockets and real TLS

A dialogue that starts TLS does so in its course; every other one is carried by TLS from the first
byte. What the listener allows is what the file says, so that not a word of it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from pillarbox.net import ports
from pillarbox.net.interface import Answer, Peer
from pillarbox.net.port_terms import Patience, PortTerms
from pillarbox.net.sessions import Sessions
from pillarbox.net.smtp_server import SmtpServerProtocol
from pillarbox.net.tls_port import TlsPort
from pillarbox.protocol import replies
from pillarbox.protocol.events import ServerEvent
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import Reply
from tests.dialogue.test_dialogues import FILES, limits_of, play
from tests.pair.answering import HOSTNAME, Answers
from tests.wire.conversation import HOST


class Behind:
    """A session's handler: the answers of the dialogues."""

    def __init__(self) -> None:
        self.answers = Answers()

    def opened(self, peer: Peer) -> Reply:
        return replies.banner(HOSTNAME)

    def secured(self, peer: Peer) -> None: ...

    def handle(self, event: ServerEvent) -> Answer:
        return self.answers.answer(event)

    def closed(self, reason: str) -> None: ...


class OnTheWire:
    """The client's end of a dialogue. Blocks, and so runs in a thread of its own."""

    def __init__(self, port: int, context: ssl.SSLContext, *, at_once: bool) -> None:
        self.context = context
        self.socket = socket.create_connection((HOST, port), 10)
        self._listen()
        if at_once:
            self.start_tls()

    def __enter__(self) -> OnTheWire:
        return self

    def __exit__(self, *_: object) -> None:
        self.replies.close()
        self.socket.close()

    def _listen(self) -> None:
        self.replies = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> str:
        return self.replies.readline().decode().removesuffix("\r\n")

    def start_tls(self) -> None:
        self.replies.close()
        self.socket = self.context.wrap_socket(self.socket, server_hostname="localhost")
        self._listen()

    def closed(self) -> bool:
        return self.replies.read() == b""


@contextlib.asynccontextmanager
async def listening(limits: ServerLimits, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """A port with these limits."""
    sessions = Sessions(10, 10)
    terms = PortTerms("dialogue", limits, HOSTNAME, Behind, sessions, Patience(), tls)
    bound = ports.bind(HOST, 0)
    make_session = partial(SmtpServerProtocol, terms)
    server: asyncio.AbstractServer | TlsPort
    if limits.tls == "starttls":
        server = await asyncio.get_running_loop().create_server(make_session, sock=bound.sock)
    else:
        server = TlsPort(bound.sock, make_session)
    try:
        yield bound.sock.getsockname()[1]
    finally:
        server.close()
        bound.sock.close()
        await sessions.drain(0.05)


async def played(lines: list[str], server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    limits = limits_of(lines)
    async with listening(limits, server_tls) as port:

        def talk() -> None:
            with OnTheWire(port, client_tls, at_once=limits.tls != "starttls") as exchange:
                play(lines, exchange)

        await asyncio.to_thread(talk)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_every_dialogue_goes_over_tls_as_it_is_written(
    path: Path, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    await played(path.read_text(encoding="utf-8").splitlines(), server_tls, client_tls)


async def test_a_wrong_dialogue_fails_here_too(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with pytest.raises(AssertionError, match="but the server said '250 2.0.0 Ok'"):
        await played(["S: 220 ~", "C: NOOP", "S: 250 2.0.0 Okay"], server_tls, client_tls)
    with pytest.raises(ssl.SSLError):
        await played(
            ["with: tls=starttls", "S: 220 ~", "C: NOOP", "S: 250 ~", "= TLS"],
            server_tls,
            client_tls,
        )
