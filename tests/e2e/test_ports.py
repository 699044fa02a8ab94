"""what the contract says about ports, TLS and logins, on a whole Pillarbox"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator

import pytest

from pillarbox.net.smtp_ports import PortKind, Purpose, SmtpConfig
from pillarbox.policy.directory import Mode
from pillarbox.services.submission.authenticate import Authenticator
from tests.e2e.porch import HELLO, hand_in, right_login, trusting
from tests.fix_house import Houses, Running
from tests.wire.conversation import HOST, Typist

# In place of 587, 2525 and one more; of 465 and 456.
MANY = SmtpConfig(starttls_ports=(0, 0, 0), tls_ports=(0, 0), bounce_ports=(0,), idle_seconds=30)
LETTER = b"From: ann@example.com\r\nSubject: hello\r\n\r\nGood morning.\r\n"


@pytest.fixture
async def house(houses: Houses) -> Running:
    return await houses.start(Mode.SANDBOX, smtp=MANY)


def ports_of(house: Running, kind: PortKind) -> list[int]:
    """Those that take submissions and nothing else."""
    return [
        each.port
        for each in house.house.listener.open_ports
        if each.kind is kind and each.purposes == {Purpose.SUBMISSION}
    ]


@contextlib.asynccontextmanager
async def calling(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Typist]:
    """The banner read, EHLO not said."""
    name = "localhost" if tls else None
    async with Typist(
        *await asyncio.open_connection(HOST, port, ssl=tls, server_hostname=name)
    ) as client:
        assert (await client.heard()).startswith(b"220 ")
        yield client


@contextlib.asynccontextmanager
async def under_starttls(house: Running, port: int) -> AsyncIterator[Typist]:
    async with calling(port) as client:
        await client.say(HELLO)
        await client.start_tls(trusting(house))
        await client.say(HELLO)
        yield client


def capabilities(answer: bytes) -> list[bytes]:
    """What EHLO offers, without the line that names us."""
    return [line[4:] for line in answer.splitlines()[1:]]


async def test_a1_ehlo_offers_the_same_on_every_port_with_starttls(house: Running) -> None:
    offers = set()
    for port in ports_of(house, PortKind.STARTTLS):
        async with calling(port) as client:
            in_clear = capabilities(await client.say(HELLO))
            await client.start_tls(trusting(house))
            under_tls = capabilities(await client.say(HELLO))
            assert (await client.say(right_login(house))).startswith(b"235")
            logged_in = capabilities(await client.say(HELLO))
        offers.add(b"|".join(b",".join(each) for each in (in_clear, under_tls, logged_in)))
    assert len(ports_of(house, PortKind.STARTTLS)) == 3
    assert len(offers) == 1, offers


async def test_a2_before_tls_ehlo_lists_starttls(house: Running) -> None:
    for port in ports_of(house, PortKind.STARTTLS):
        async with calling(port) as client:
            offered = capabilities(await client.say(HELLO))
        assert b"STARTTLS" in offered
        assert not any(each.startswith(b"AUTH") for each in offered)


async def test_a3_the_handshake_comes_before_the_banner_where_tls_comes_first(
    house: Running,
) -> None:
    """All that the server says is TLS records, and the first of it answers the client's hello."""
    for port in ports_of(house, PortKind.TLS):
        reader, writer = await asyncio.open_connection(HOST, port)
        from_server, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting(house).wrap_bio(from_server, to_server, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        writer.write(to_server.read())
        first = await asyncio.wait_for(reader.readexactly(5), 10)
        assert first[:2] == b"\x16\x03", "a handshake record"
        from_server.write(first)
        said = b""
        while not said:
            try:
                tls.do_handshake()
                said = tls.read(512)
            except ssl.SSLWantReadError:
                writer.write(to_server.read())
                from_server.write(await asyncio.wait_for(reader.read(65536), 10))
        assert said.startswith(b"220 ")
        writer.close()
        await writer.wait_closed()


async def test_a4_mail_before_starttls_is_refused(house: Running) -> None:
    for port in ports_of(house, PortKind.STARTTLS):
        async with calling(port) as client:
            await client.say(HELLO)
            for return_path in (b"<ann@example.com>", b"<>"):
                said = await client.say(b"MAIL FROM:" + return_path + b"\r\n")
                assert said.startswith(b"530 5.7.0")


async def test_a5_mail_under_tls_before_a_login_is_refused(house: Running) -> None:
    for port in ports_of(house, PortKind.STARTTLS):
        async with under_starttls(house, port) as client:
            assert (await client.say(b"MAIL FROM:<ann@example.com>\r\n")).startswith(b"530 5.7.0")
            assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"503")


async def test_a6_a_login_in_clear_is_refused_and_its_credentials_are_not_looked_at(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right ones and wrong ones alike, in one line or begun in two."""
    assert house.first is not None
    looked_at: list[str] = []

    async def login(_: Authenticator, username: str, password: object) -> None:
        looked_at.append(username)

    monkeypatch.setattr(Authenticator, "login", login)
    right = right_login(house)
    username = base64.b64encode(house.first.username.encode()) + b"\r\n"
    for port in ports_of(house, PortKind.STARTTLS):
        async with calling(port) as client:
            await client.say(HELLO)
            refused = [
                await client.say(line)
                for line in (right, b"AUTH PLAIN AGEAYg==\r\n", b"AUTH LOGIN " + username,
                             b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n")
            ]  # fmt: skip
            assert set(refused) == {refused[0]}, "the answer tells nothing about them"
            assert refused[0].startswith(b"538 5.7.11")
    assert looked_at == []
    assert house.house.metrics.logins == {}


async def test_b3_logins_are_taken_over_starttls_and_over_tls_from_the_start(
    house: Running,
) -> None:
    async with under_starttls(house, ports_of(house, PortKind.STARTTLS)[0]) as client:
        assert (await client.say(right_login(house))).startswith(b"235 2.7.0")
        assert (await hand_in(client, LETTER)).startswith(b"250 ")
    async with calling(ports_of(house, PortKind.TLS)[0], trusting(house)) as client:
        assert b"AUTH PLAIN LOGIN" in await client.say(HELLO)
        assert (await client.say(right_login(house))).startswith(b"235 2.7.0")
        assert (await hand_in(client, LETTER)).startswith(b"250 ")


async def test_b4_any_number_of_ports_may_speak_tls_from_the_start(house: Running) -> None:
    """465, and 456 beside it where a client was told so."""
    ports = ports_of(house, PortKind.TLS)
    assert len(ports) == 2
    offers = set()
    for port in ports:
        async with calling(port, trusting(house)) as client:
            offers.add(tuple(capabilities(await client.say(HELLO))))
            assert (await client.say(right_login(house))).startswith(b"235")
            assert (await hand_in(client, LETTER)).startswith(b"250 2.0.0 Ok: queued as msg_")
    assert len(offers) == 1
    facts = house.house.smtp_facts().listeners
    assert [each.port for each in facts if each.security == "TLS"] == ports
