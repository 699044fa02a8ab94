"""how many may come, how fast, and who is asked before anything is spent on them"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pillarbox.net.smtp_ports import PortKind
from pillarbox.protocol import replies
from pillarbox.protocol.reply import Reply
from tests.wire.balancer import BALANCED, in_text, introduced
from tests.wire.conversation import ALL_PORTS, Typist, calling, served

PORTS = (PortKind.STARTTLS, PortKind.TLS)


@contextlib.asynccontextmanager
async def strangers(port: int, *addresses: str) -> AsyncIterator[list[Typist]]:
    """Greeted clients from elsewhere."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for address in addresses:
            client = await stack.enter_async_context(introduced(port, in_text(address)))
            assert (await client.heard()).startswith(b"220 ")
            clients.append(client)
        yield clients


async def test_new_connections_of_one_address_may_not_come_too_fast(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    config = replace(BALANCED, max_arrivals_per_minute=3)
    async with served(config, tls=server_tls) as server:
        for _ in range(3):
            async with strangers(server.starttls, "192.0.2.1"):
                pass
        async with introduced(server.starttls, in_text("192.0.2.1")) as client:
            assert await client.over() == (
                b"421 4.7.0 Too many new connections in a short time; come back in a minute\r\n"
            )
        async with introduced(server.tls, in_text("192.0.2.1")) as client:
            assert await client.over() == b"", "no handshake is spent on it"
        async with strangers(server.starttls, "192.0.2.2", "2001:db8::1", "2001:db8::2"):
            pass
        async with strangers(server.starttls, "2001:db8::3"):
            pass
        async with introduced(server.starttls, in_text("2001:db8::4")) as client:
            assert (await client.over()).startswith(b"421 4.7.0"), "one network is one crowd"
    assert len(server.told.peers) == 7


async def test_this_machine_may_come_as_fast_as_it_likes(server_tls: ssl.SSLContext) -> None:
    config = replace(ALL_PORTS, max_arrivals_per_minute=1)
    async with served(config, tls=server_tls) as server:
        for _ in range(5):
            async with calling(server.starttls), calling(server.local):
                pass


async def test_strangers_in_any_number_leave_the_door_open_for_this_machine(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    config = replace(BALANCED, max_sessions=3)
    async with served(config, tls=server_tls) as server:
        async with strangers(server.starttls, "192.0.2.1", "192.0.2.2", "192.0.2.3"):
            async with introduced(server.starttls, in_text("192.0.2.4")) as late:
                assert (await late.over()).startswith(b"421 4.7.0 Too many connections")
            for kind, tls in ((PortKind.STARTTLS, None), (PortKind.TLS, client_tls)):
                async with introduced(server.ports[kind], b"", tls, address="127.0.0.2") as here:
                    assert (await here.heard()).startswith(b"220 ")
            async with calling(server.local) as client:
                assert (await client.say(b"NOOP\r\n")).startswith(b"250")


@pytest.mark.parametrize("kind", PORTS)
async def test_whoever_is_asked_may_turn_a_client_away_before_any_handshake(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, kind: PortKind
) -> None:
    asked: list[str] = []

    def admit(address: str) -> Reply | None:
        asked.append(address)
        return replies.TOO_MANY_ERRORS if address == "192.0.2.1" else None

    in_tls = client_tls if kind is PortKind.TLS else None
    async with served(BALANCED, tls=server_tls, admit=admit) as server:
        port = server.ports[kind]
        async with introduced(port, in_text("192.0.2.1")) as client:
            heard = await client.over()
            assert heard == (b"" if in_tls else replies.TOO_MANY_ERRORS.encode())
        async with introduced(port, in_text("192.0.2.2"), in_tls) as client:
            assert (await client.heard()).startswith(b"220 ")
        async with introduced(port, b"", in_tls, address="127.0.0.2") as client:
            assert (await client.heard()).startswith(b"220 ")
        assert asked == ["192.0.2.1", "192.0.2.2", "127.0.0.2"]
    assert [peer.address for peer in server.told.peers] == ["192.0.2.2", "127.0.0.2"]


async def test_who_is_turned_away_is_not_counted_as_present(server_tls: ssl.SSLContext) -> None:
    config = replace(ALL_PORTS, max_sessions_per_address=1)
    turned_away = True

    def admit(_: str) -> Reply | None:
        return replies.TOO_MANY_ERRORS if turned_away else None

    async with served(config, tls=server_tls, admit=admit) as server:
        for _ in range(3):
            async with await Typist.call(server.starttls) as client:
                assert (await client.over()).startswith(b"421")
        assert server.listener.sessions == 0
        turned_away = False
        async with calling(server.starttls):
            assert server.listener.sessions == 1
