from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import ssl
from dataclasses import replace

import pytest

from pillarbox.net.port_terms import Patience
from pillarbox.protocol.events import HelloReceived, LoginReceived, MailReceived
from tests.wire.conversation import (
    ALL_PORTS,
    HOST,
    PASSWORD,
    USERNAME,
    Typist,
    calling,
    letter,
    served,
)

LOGIN = b"AUTH PLAIN " + base64.b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()) + b"\r\n"
ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


async def _send_mail(client: Typist) -> None:
    assert (await client.say(LOGIN)).startswith(b"235")
    client.type(ENVELOPE + letter() + b".\r\n")
    for code in (b"250", b"250", b"354", b"250"):
        assert (await client.heard()).startswith(code)


async def test_mail_goes_through_starttls(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"530 5.7.0")
        await client.start_tls(client_tls)
        greeting = await client.say(b"EHLO client.example.test\r\n")
        assert b"STARTTLS" not in greeting and b"AUTH PLAIN LOGIN" in greeting
        await _send_mail(client)
        assert (await client.say(b"QUIT\r\n")).startswith(b"221")
    assert len(server.told.contents) == 1
    assert server.told.peers[0].tls == ""
    assert server.told.secured[0].tls.startswith("TLSv1.3 TLS_")


async def test_mail_goes_over_tls_from_the_first_byte(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with calling(server.tls, client_tls) as client:
            await _send_mail(client)
    assert server.told.peers[0].listener == "tls"
    assert server.told.peers[0].tls.startswith("TLSv1.3")
    assert server.told.secured == []


@pytest.mark.parametrize("smuggled", [b"NOOP\r\n", b"MAIL FROM:<a@example.com>\r\n", b"x"])
async def test_nothing_said_in_clear_behind_starttls_is_executed(
    server_tls: ssl.SSLContext, smuggled: bytes
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        client.type(b"STARTTLS\r\n" + smuggled)
        said = await client.over()
        assert not said.startswith(b"250")
        assert said.count(b"\r\n") <= 1
    assert MailReceived not in server.told.kinds()


async def test_clear_text_in_place_of_the_handshake_ends_the_connection(
    server_tls: ssl.SSLContext,
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"220")
        client.type(b"EHLO again.example.test\r\nMAIL FROM:<a@example.com>\r\n")
        said = await client.over()
        assert b"250" not in said
        await server.told.until(lambda: bool(server.told.ends))
    assert server.told.kinds() == [HelloReceived]
    assert server.told.ends[0].startswith("TLS with the client failed")


async def test_everything_said_before_tls_is_forgotten(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        await client.start_tls(client_tls)
        assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"503")
        assert (await client.say(b"EHLO client.example.test\r\n")).startswith(b"250-")
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"503")


async def test_a_login_in_clear_is_refused_unseen_where_tls_is_offered(
    server_tls: ssl.SSLContext,
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        assert (await client.say(LOGIN)).startswith(b"538 5.7.11")
    assert LoginReceived not in server.told.kinds()


async def test_the_first_command_may_come_with_the_last_flight_of_the_handshake(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """The client's Finished and its EHLO in one segment: read before `start_tls` returns."""
    async with served(ALL_PORTS, tls=server_tls) as server:
        loop = asyncio.get_running_loop()
        for port in (server.starttls, server.tls):
            sock = socket.create_connection((HOST, port))
            sock.setblocking(False)
            if port == server.starttls:
                assert (await loop.sock_recv(sock, 4096)).startswith(b"220")
                await loop.sock_sendall(sock, b"EHLO x\r\nSTARTTLS\r\n")
                said = b""
                while b"220 2.0.0" not in said:
                    said += await loop.sock_recv(sock, 4096)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
            done = False
            while not done:
                try:
                    tls.do_handshake()
                    done = True
                    tls.write(b"EHLO early.example.test\r\n")
                except ssl.SSLWantReadError:
                    pass
                await loop.sock_sendall(sock, outgoing.read())
                if not done:
                    data = await asyncio.wait_for(loop.sock_recv(sock, 65536), 10)
                    assert data, "closed by the server"
                    incoming.write(data)
            said = b""
            while b"250 " not in said:
                data = await asyncio.wait_for(loop.sock_recv(sock, 65536), 10)
                assert data, "closed by the server"
                incoming.write(data)
                with contextlib.suppress(ssl.SSLWantReadError):
                    while piece := tls.read():
                        said += piece
            assert b"mx.example.test" in said
            sock.close()
        await server.told.until(lambda: len(server.told.ends) == 2)
        names = [e.name for e in server.told.events if isinstance(e, HelloReceived)]
        assert names.count("early.example.test") == 2


async def test_a_client_that_never_shakes_hands_is_dropped(server_tls: ssl.SSLContext) -> None:
    patience = Patience(handshake_seconds=0.2)
    async with served(ALL_PORTS, tls=server_tls, patience=patience) as server:
        async with await Typist.call(server.tls) as silent:
            assert await silent.over() == b""
        async with calling(server.starttls) as client:
            assert (await client.say(b"STARTTLS\r\n")).startswith(b"220")
            assert await client.over() == b""
        assert server.listener.sessions == 0
    assert len(server.told.peers) == 1, "no handler is made before TLS from the first byte"


async def test_clear_text_on_the_tls_port_is_closed_cleanly(server_tls: ssl.SSLContext) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.tls) as client:
            client.type(b"EHLO client.example.test\r\n")
            assert b"220" not in await client.over()
    assert server.told.peers == []


async def test_a_client_that_leaves_during_the_handshake_is_forgotten(
    server_tls: ssl.SSLContext,
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"220")
        client.writer.transport.abort()
        await server.told.until(lambda: bool(server.told.ends))


async def test_the_crowd_is_counted_before_the_handshake(server_tls: ssl.SSLContext) -> None:
    config = replace(ALL_PORTS, max_sessions_per_address=1)
    async with served(config, tls=server_tls) as server:
        async with await Typist.call(server.tls), await Typist.call(server.tls) as second:
            assert await second.over() == b""
            assert server.listener.sessions == 1


async def test_draining_does_not_wait_for_a_handshake(server_tls: ssl.SSLContext) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with await Typist.call(server.tls) as silent:
            async with calling(server.starttls) as client:
                assert (await client.say(b"STARTTLS\r\n")).startswith(b"220")
                assert server.listener.sessions == 2
                assert await server.listener.drain(5.0) == 0
                await client.over()
            await silent.over()


async def test_the_go_ahead_is_flushed_before_the_handshake_begins(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """A client that reads slowly, with megabytes of replies still to come."""
    async with served(ALL_PORTS, tls=server_tls) as server, calling(server.starttls) as client:
        count = 30_000
        client.type(b"HELP\r\n" * count + b"STARTTLS\r\n")
        await client.writer.drain()
        lines = 0
        while lines < 2 * count:
            lines += (await client.heard()).count(b"\r\n")
        assert (await client.heard()).startswith(b"220 2.0.0")
        await client.writer.start_tls(client_tls, server_hostname="localhost")
        assert (await client.say(b"EHLO client.example.test\r\n")).startswith(b"250-")
        await _send_mail(client)
    assert len(server.told.contents) == 1
