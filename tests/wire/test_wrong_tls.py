"""clear text where TLS is due, and TLS where clear text is: both are told, and told about"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import replace

import pytest

from pillarbox.net.port_terms import Patience
from pillarbox.net.smtp_ports import PortKind
from tests.wire.conversation import ALL_PORTS, HOST, Typist, calling, letter, served

HELLO = b"EHLO client.example.test\r\n"


def client_hello() -> bytes:
    """What a TLS client sends first."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="mx.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("said", [HELLO, b"AUTH PLAIN x\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n"])
async def test_clear_text_on_a_tls_port_is_answered_with_the_port_for_starttls(
    server_tls: ssl.SSLContext, said: bytes
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.tls) as client:
            client.type(said)
            assert await client.over() == (
                b"421 4.7.0 This port speaks TLS from the start; use port %d for STARTTLS\r\n"
                % server.starttls
            )
        assert server.problems == [("clear_on_tls_port", HOST, server.tls, "tls")]
    assert server.told.peers == []


async def test_a_long_message_in_clear_does_not_lose_the_answer(
    server_tls: ssl.SSLContext,
) -> None:
    """Closed over unread input the kernel sends a reset, which may overtake what was said."""
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.tls) as client:
            client.type(HELLO + letter(12_000))
            assert (await client.over()).startswith(b"421 4.7.0")


async def test_a_client_that_waits_for_a_banner_on_a_tls_port_is_told(
    server_tls: ssl.SSLContext,
) -> None:
    patience = Patience(hello_seconds=0.2)
    config = replace(ALL_PORTS, starttls_ports=())
    async with served(config, tls=server_tls, patience=patience) as server:
        async with await Typist.call(server.tls) as client:
            assert await client.over() == b"421 4.7.0 This port speaks TLS from the start\r\n"
        assert server.problems == [("silent_on_tls_port", HOST, server.tls, "tls")]


async def test_a_look_whether_a_tls_port_is_open_is_no_problem(server_tls: ssl.SSLContext) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.tls) as client:
            client.writer.write_eof()
            assert await client.over() == b""
        assert server.problems == []


@pytest.mark.parametrize("in_pieces", [False, True])
@pytest.mark.parametrize("greeted", [False, True])
async def test_tls_on_a_port_that_begins_in_clear_ends_with_one_sentence(
    server_tls: ssl.SSLContext, greeted: bool, in_pieces: bool
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.starttls) as client:
            assert (await client.heard()).startswith(b"220 ")
            if greeted:
                assert (await client.say(HELLO)).startswith(b"250-")
            hello = client_hello()
            client.type(hello[:1] if in_pieces else hello)
            assert await client.over() == (
                b"421 4.7.0 This port begins in clear; use port %d for TLS from the start\r\n"
                % server.tls
            )
        assert server.problems == [("tls_on_starttls_port", HOST, server.starttls, "starttls")]
        await server.told.until(lambda: bool(server.told.ends))
        assert server.told.ends == ["the client spoke TLS where SMTP begins in clear"]


async def test_a_tls_program_sees_why_it_cannot_talk_to_a_port_in_clear(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.wait_for(Typist.call(server.starttls, client_tls), 10)
        await server.told.until(lambda: bool(server.told.ends))
        assert [problem for problem, *_ in server.problems] == ["tls_on_starttls_port"]


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
async def test_a_client_that_does_not_trust_us_is_a_problem_in_words(
    server_tls: ssl.SSLContext, kind: PortKind
) -> None:
    def call(port: int) -> None:
        """As most programs do: the event loop's own client leaves without saying why."""
        with socket.create_connection((HOST, port), 10) as sock:
            if kind is PortKind.STARTTLS:
                for said in (b"", HELLO, b"STARTTLS\r\n"):
                    sock.sendall(said)
                    assert sock.recv(4096)[:2] in (b"22", b"25")
            ssl.create_default_context().wrap_socket(sock, server_hostname="localhost")

    async with served(ALL_PORTS, tls=server_tls) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(call, server.ports[kind])
        async with asyncio.timeout(10):
            while not server.problems:
                await asyncio.sleep(0.01)
        assert server.problems == [("tls_handshake_failed", HOST, server.ports[kind], kind.value)]
        assert server.details == ["the other side does not trust our authority"]


async def test_a_client_that_hangs_up_in_the_handshake_is_no_problem(
    server_tls: ssl.SSLContext,
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.tls) as client:
            client.type(client_hello()[:50])
            client.writer.write_eof()
            await client.over()
        while server.listener.sessions:
            await asyncio.sleep(0.01)
        assert server.problems == []


async def test_content_may_begin_as_tls_does(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Any octets may be content, wherever a read of it begins; also inside TLS."""
    odd = b"\x16\x03\x01 is how it begins\r\n"
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with calling(server.local) as client:
            client.type(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
            for code in (b"250", b"250", b"354"):
                assert (await client.heard()).startswith(code)
            assert (await client.say(odd + b".\r\n")).startswith(b"250")
        async with calling(server.tls, client_tls) as client:
            assert (await client.say(b"\x16\x03\x01\r\n")).startswith(b"500 5.5.1")
            assert (await client.say(b"NOOP\r\n")).startswith(b"250")
    assert server.told.contents == [odd]
    assert server.problems == []
