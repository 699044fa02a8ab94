"""a client who types by hand at the SMTP ports of a whole house"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence

from pillarbox.net.smtp_ports import PortKind, SmtpConfig
from pillarbox.terms.ids import MessageId, parse_message_id
from tests.fix_house import Running
from tests.wire.conversation import HOST, Typist

BOTH = SmtpConfig(starttls_ports=(0,), tls_ports=(0,), idle_seconds=30)
"""A port of each kind that asks for a login."""

PROTECTED = (PortKind.STARTTLS, PortKind.TLS)
HELLO = b"EHLO client.example.com\r\n"
MAIL = b"MAIL FROM:<ann@example.com>\r\n"
ENVELOPE = b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"


def port_of(running: Running, kind: PortKind) -> int:
    """Where the listener of that kind is."""
    return next(each.port for each in running.house.listener.open_ports if each.kind is kind)


def trusting(running: Running) -> ssl.SSLContext:
    """Checks the house's certificate against its own authority."""
    return ssl.create_default_context(cafile=str(running.house.ca_path))


def plain_login(username: str, password: str) -> bytes:
    """AUTH PLAIN in one line."""
    return b"AUTH PLAIN " + base64.b64encode(f"\0{username}\0{password}".encode()) + b"\r\n"


def right_login(running: Running) -> bytes:
    """The login that the house began with."""
    assert running.first is not None
    return plain_login(running.first.username, running.first.password.reveal())


@contextlib.asynccontextmanager
async def called(running: Running, kind: PortKind, *, address: str = HOST) -> AsyncIterator[Typist]:
    """Connected from `address`, the banner read; under TLS where the port begins so."""
    tls = trusting(running) if kind is PortKind.TLS else None
    streams = await asyncio.open_connection(
        HOST, port_of(running, kind), ssl=tls, server_hostname="localhost" if tls else None,
        local_addr=(address, 0),
    )  # fmt: skip
    async with Typist(*streams) as client:
        assert (await client.heard()).startswith(b"220 ")
        yield client


@contextlib.asynccontextmanager
async def protected(
    running: Running, kind: PortKind, *, address: str = HOST
) -> AsyncIterator[Typist]:
    """Under TLS and greeted, whatever the port is like; not logged in."""
    async with called(running, kind, address=address) as client:
        if kind is PortKind.STARTTLS:
            assert (await client.say(HELLO)).startswith(b"250-")
            await client.start_tls(trusting(running))
        assert (await client.say(HELLO)).startswith(b"250-")
        yield client


@contextlib.asynccontextmanager
async def logged_in(
    running: Running, kind: PortKind, *, address: str = HOST
) -> AsyncIterator[Typist]:
    """Ready for MAIL."""
    async with protected(running, kind, address=address) as client:
        assert (await client.say(right_login(running))).startswith(b"235")
        yield client


async def converse(client: Typist, data: bytes, *, slowly: bool = False) -> bytes:
    """Type `data`, and hear all until the server closes, also where it does so in the middle.

    `slowly`: one byte to a write, and the server gets to read between any two.
    """
    hearing = asyncio.create_task(_all_of(client.reader))
    for at in range(len(data)) if slowly else ():
        client.type(data[at : at + 1])
        await asyncio.sleep(0)
        if hearing.done() or client.writer.is_closing():
            break
    if not slowly:
        client.type(data)
    return await asyncio.wait_for(hearing, 20)


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            said += piece
    return said


async def good_client(running: Running, kind: PortKind, *, address: str = "127.0.0.2") -> None:
    """Somebody else, from elsewhere, hands in a message; raises where that takes long."""
    async with asyncio.timeout(5), logged_in(running, kind, address=address) as client:
        said = await hand_in(client, b"From: ann@example.com\r\n\r\nGood morning.\r\n")
        assert said.startswith(b"250 2.0.0 Ok: queued as msg_"), said


async def hand_in(client: Typist, content: bytes) -> bytes:
    """One message through the whole dialogue; the answer to its end."""
    client.type(ENVELOPE)
    for code in (b"250", b"250", b"354"):
        said = await client.heard()
        assert said.startswith(code), said
    return await client.say(content + b".\r\n")


async def hand_in_to(
    client: Typist, recipients: Sequence[str], content: bytes, *, mail: bytes = MAIL
) -> bytes:
    """One message to these recipients, all of whom are accepted; the answer to its end."""
    named = [f"RCPT TO:<{each}>\r\n".encode() for each in recipients]
    client.type(b"".join([mail, *named, b"DATA\r\n"]))
    for code in (b"250", *(b"250" for _ in named), b"354"):
        said = await client.heard()
        assert said.startswith(code), said
    return await client.say(content + b".\r\n")


def queued_as(said: bytes) -> MessageId:
    """The message that the server took last, by the reply to its end."""
    return parse_message_id(said.rpartition(b"queued as ")[2].split()[0].decode())


def codes(said: bytes) -> list[int]:
    """Of the replies in `said`, one each."""
    return [int(line[:3]) for line in said.splitlines() if line[3:4] == b" "]
