"""PROXY headers: from those who were named, and from nobody else"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace

import pytest

from pillarbox.net.port_terms import Patience
from pillarbox.net.smtp_ports import PortKind
from tests.wire.balancer import BALANCED, in_octets, in_text, introduced
from tests.wire.conversation import HOST, Typist, calling, letter, served

HELLO = b"EHLO client.example.test\r\n"
Make = Callable[[str], bytes]


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
@pytest.mark.parametrize("make", [in_text, in_octets])
@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
async def test_the_client_is_whom_the_balancer_names(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, kind: PortKind, make: Make, address: str
) -> None:
    """On a port that speaks TLS from the start the header comes before it, in clear."""
    async with served(BALANCED, tls=server_tls) as server:
        in_tls = client_tls if kind is PortKind.TLS else None
        async with introduced(server.ports[kind], make(address), in_tls) as client:
            assert (await client.heard()).startswith(b"220 ")
            assert (await client.say(HELLO)).startswith(b"250-")
            if in_tls is None:
                await client.start_tls(client_tls)
                assert b"AUTH PLAIN" in await client.say(HELLO)
    (peer,) = server.told.peers
    assert (peer.address, peer.port, peer.listener) == (address, 4711, kind.value)
    assert not peer.loopback


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1 2 3 4\r\n", in_octets("192.0.2.7", command=0x20)],
)
async def test_a_balancer_that_speaks_for_itself_is_the_client(
    server_tls: ssl.SSLContext, header: bytes
) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.starttls, header) as client:
            assert (await client.heard()).startswith(b"220 ")
    assert server.told.peers[0].address == HOST


@pytest.mark.parametrize("make", [in_text, in_octets])
async def test_a_header_in_small_pieces_is_read_to_its_last_octet(
    server_tls: ssl.SSLContext, make: Make
) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.starttls, b"") as client:
            client.writer.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )
            for octet in make("192.0.2.7"):
                client.type(bytes([octet]))
                await asyncio.sleep(0)
            assert (await client.heard()).startswith(b"220 ")
    assert server.told.peers[0].address == "192.0.2.7"


async def test_what_follows_the_header_at_once_is_the_clients(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.starttls, in_octets("192.0.2.7") + HELLO) as client:
            assert (await client.heard()).startswith(b"220 ")
            assert (await client.heard()).startswith(b"250-")


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
@pytest.mark.parametrize(
    "said", [HELLO, b"\x16\x03\x01\x00\x20hello", b"PROXY TCP4 x\r\n", b"\r\n\r\nEHLO", b"P" * 200]
)
async def test_a_balancer_that_leaves_the_header_out_is_cut_off(
    server_tls: ssl.SSLContext,
    kind: PortKind,
    said: bytes,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.ports[kind], said) as client:
            heard = b""
            try:
                heard = await client.over()
            except ConnectionError:
                pass
            assert heard == b""
        assert server.listener.sessions == 0
    assert server.told.peers == []
    assert "".join(capfd.readouterr()).count("balancer.refused") == 1


async def test_a_balancer_that_says_nothing_is_not_waited_for(server_tls: ssl.SSLContext) -> None:
    patience = Patience(proxy_header_seconds=0.2)
    async with served(BALANCED, tls=server_tls, patience=patience) as server:
        for begun in (b"", b"PROXY TCP4 192.0.2"):
            async with introduced(server.starttls, begun) as client:
                assert await client.over() == b""
    assert server.told.peers == []


async def test_a_balancer_that_leaves_in_the_middle_is_forgotten(
    server_tls: ssl.SSLContext,
) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        for port in (server.starttls, server.tls):
            async with introduced(port, b"PROXY TCP4 192.0") as client:
                client.writer.write_eof()
                assert await client.over() == b""
        async with introduced(server.starttls, in_text("192.0.2.7")) as client:
            assert (await client.heard()).startswith(b"220 ")


async def test_from_others_a_header_means_nothing(server_tls: ssl.SSLContext) -> None:
    """Anybody could claim any address."""
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.starttls, in_text("192.0.2.7"), address="127.0.0.2") as client:
            assert (await client.heard()).startswith(b"220 ")
            assert (await client.heard()).startswith(b"500 5.5.1")
        async with introduced(server.tls, in_text("192.0.2.7"), address="127.0.0.2") as client:
            assert (await client.over()).startswith(b"421 4.7.0 This port speaks TLS")
    assert [peer.address for peer in server.told.peers] == ["127.0.0.2"]


async def test_others_need_no_header(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.starttls, b"", address="127.0.0.2") as client:
            assert (await client.heard()).startswith(b"220 ")
        async with introduced(server.tls, b"", client_tls, address="127.0.0.2") as client:
            assert (await client.heard()).startswith(b"220 ")


async def test_plain_ports_know_no_balancers(server_tls: ssl.SSLContext) -> None:
    """They are for programs of this machine, which may also be that of the balancer."""
    async with served(BALANCED, tls=server_tls) as server:
        async with calling(server.local) as client:
            assert (await client.say(b"NOOP\r\n")).startswith(b"250")


async def test_caps_hold_for_the_clients_and_not_for_the_balancer(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    config = replace(BALANCED, max_sessions_per_address=1)
    async with served(config, tls=server_tls) as server:
        async with introduced(server.starttls, in_text("192.0.2.1")) as first:
            assert (await first.heard()).startswith(b"220 ")
            async with introduced(server.starttls, in_octets("192.0.2.1")) as second:
                assert await second.over() == (
                    b"421 4.7.0 Too many connections; close some first\r\n"
                )
            async with introduced(server.tls, in_octets("192.0.2.1")) as third:
                assert await third.over() == b"", "no handshake is spent on it"
            async with introduced(server.tls, in_octets("192.0.2.2"), client_tls) as other:
                assert (await other.heard()).startswith(b"220 ")
                assert server.listener.sessions == 2


async def test_mail_goes_through_with_many_clients_behind_one_balancer(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(BALANCED, tls=server_tls) as server:

        async def one(number: int) -> None:
            make = in_text if number % 2 else in_octets
            in_tls = client_tls if number % 3 else None
            port = server.tls if in_tls else server.starttls
            async with introduced(port, make(f"192.0.2.{number}"), in_tls) as client:
                assert (await client.heard()).startswith(b"220 ")
                assert (await client.say(HELLO)).startswith(b"250-")
                if in_tls is None:
                    await client.start_tls(client_tls)
                    await client.say(HELLO)
                assert (await client.say(b"AUTH PLAIN AGZpcnN0LWFwcABwYl9zZWNyZXQ=\r\n"))[:3] == (
                    b"235"
                )
                client.type(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
                for code in (b"250", b"250", b"354"):
                    assert (await client.heard()).startswith(code)
                assert (await client.say(letter(5000) + b".\r\n")).startswith(b"250")

        await asyncio.gather(*(one(number) for number in range(1, 31)))
    assert len(server.told.contents) == 30
    assert {peer.address for peer in server.told.peers} == {f"192.0.2.{n}" for n in range(1, 31)}


async def test_draining_does_not_wait_for_headers(server_tls: ssl.SSLContext) -> None:
    async with served(BALANCED, tls=server_tls) as server:
        async with introduced(server.starttls, b"PROXY ") as early, await Typist.call(server.tls):
            async with introduced(server.starttls, in_text("192.0.2.7")) as client:
                assert (await client.heard()).startswith(b"220 ")
                assert await server.listener.drain(5.0) == 0
                assert (await client.over()).startswith(b"421 4.3.2")
            with_reset = b""
            try:
                with_reset = await early.over()
            except ConnectionError:
                pass
            assert with_reset == b""


async def test_starttls_may_be_said_before_the_banner_is_read(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    """Accepting by hand and the handshake that follows are two tasks, and must not meet."""
    async with served(BALANCED, tls=server_tls) as server:
        for _ in range(20):
            early = in_text("192.0.2.7") + HELLO + b"STARTTLS\r\n"
            async with introduced(server.starttls, early) as client:
                assert (await client.heard()).startswith(b"220 ")
                assert (await client.heard()).startswith(b"250-")
                assert (await client.heard()).startswith(b"220 2.0.0")
                await client.writer.start_tls(client_tls, server_hostname="localhost")
                assert b"AUTH PLAIN" in await client.say(HELLO)
