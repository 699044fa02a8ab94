from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
from dataclasses import replace

import pytest

from pillarbox.net.errors import CannotListen, PortInUse
from pillarbox.net.listener import Listener, PortKind, SmtpConfig
from pillarbox.terms.setting import InvalidSetting
from tests.wire.conversation import (
    ALL_PORTS,
    EASY,
    HOST,
    PASSWORD,
    USERNAME,
    Handler,
    Told,
    Typist,
    calling,
    served,
)


def _listener(config: SmtpConfig, tls: ssl.SSLContext | None = None) -> Listener:
    told = Told()
    return Listener(config, lambda: Handler(told), hostname="mx.example.test", tls=tls)


async def test_each_kind_of_port_offers_what_belongs_to_it(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    config = replace(ALL_PORTS, local_credential="", max_message_mb=2)
    offers = {}
    async with served(config, tls=server_tls) as server:
        for kind, port in server.ports.items():
            tls = client_tls if kind is PortKind.TLS else None
            async with await Typist.call(port, tls) as client:
                await client.heard()
                offers[kind] = await client.say(b"EHLO client.example.test\r\n")
    assert b"STARTTLS" in offers[PortKind.STARTTLS]
    assert b"AUTH" not in offers[PortKind.STARTTLS]
    assert b"STARTTLS" not in offers[PortKind.TLS]
    assert b"AUTH PLAIN LOGIN" in offers[PortKind.TLS]
    assert b"STARTTLS" not in offers[PortKind.LOCAL]
    assert b"AUTH PLAIN LOGIN" in offers[PortKind.LOCAL]
    assert all(b"SIZE 2097152" in offer and b"DSN" in offer for offer in offers.values())


async def test_a_local_port_takes_mail_without_login_only_under_a_credential() -> None:
    async with served(EASY) as server, calling(server.local) as client:
        assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"250")
    async with served(replace(EASY, local_credential="")) as server:
        async with calling(server.local) as client:
            assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"530 5.7.0")


async def test_local_ports_listen_on_loopback_whatever_is_configured() -> None:
    listener = _listener(replace(EASY, listen="0.0.0.0"))
    (port,) = listener.bind()
    assert port.host == HOST
    listener.stop_accepting()


async def test_a_busy_port_names_the_process_that_has_it() -> None:
    with socket.socket() as held:
        held.bind((HOST, 0))
        held.listen()
        number = held.getsockname()[1]
        listener = _listener(replace(EASY, local_ports=(0, number)))
        with pytest.raises(PortInUse) as caught:
            listener.bind()
    assert (caught.value.host, caught.value.port) == (HOST, number)
    assert f"(pid {os.getpid()})" in caught.value.sentence
    assert listener.open_ports == (), "all or nothing"


async def test_a_busy_port_is_replaced_by_the_next_free_one_where_that_is_wanted() -> None:
    with socket.socket() as held:
        held.bind((HOST, 0))
        held.listen()
        number = held.getsockname()[1]
        listener = _listener(replace(EASY, local_ports=(number,)))
        (port,) = listener.bind(take_next_port=True)
        assert port.port > number
        assert re.fullmatch(
            rf'port {number} on 127.0.0.1 is used by ".+" \(pid \d+\); using {port.port}',
            port.note,
        )
        await listener.start()
        async with calling(port.port):
            pass
        await listener.drain(1.0)


async def test_an_address_of_another_machine_is_refused_in_words() -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1"):
        _listener(replace(EASY, listen="192.0.2.1", starttls_ports=(0,)), _context()).bind()
    with pytest.raises(CannotListen, match="is not an address"):
        _listener(replace(EASY, listen="no such host", starttls_ports=(0,)), _context()).bind()


async def test_a_port_with_tls_needs_a_certificate() -> None:
    with pytest.raises(CannotListen, match="certificate"):
        _listener(replace(EASY, tls_ports=(0,))).bind()


async def test_clients_wait_in_the_backlog_between_bind_and_start() -> None:
    listener = _listener(EASY)
    (port,) = listener.bind()
    async with await Typist.call(port.port) as client:
        await listener.start()
        assert (await client.heard()).startswith(b"220")
    await listener.drain(1.0)


async def test_ipv6_and_ipv4_clients_reach_an_ipv6_listener() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")
    told = Told()
    config = replace(EASY, listen="::", starttls_ports=(0,), local_ports=())
    async with served(config, told=told, tls=_context()) as server:
        for host in ("::1", "127.0.0.1"):
            reader, writer = await asyncio.open_connection(host, server.starttls)
            async with Typist(reader, writer) as client:
                assert (await client.heard()).startswith(b"220")
    assert [peer.address for peer in told.peers] == ["::1", "127.0.0.1"]
    assert all(peer.loopback for peer in told.peers)


async def test_logins_work_under_tls(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        async with calling(server.tls, client_tls) as client:
            assert (await client.say(b"AUTH LOGIN\r\n")).startswith(b"334")
            assert (await client.say(_base64(USERNAME))).startswith(b"334")
            assert (await client.say(_base64("wrong"))).startswith(b"535 5.7.8")
            assert (await client.say(b"AUTH LOGIN " + _base64(USERNAME))).startswith(b"334")
            assert (await client.say(_base64(PASSWORD))).startswith(b"235 2.7.0")


@pytest.mark.parametrize(
    "wrong",
    [{"max_sessions": 0}, {"max_message_mb": 0}, {"starttls_ports": (25,), "tls_ports": (25,)}],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidSetting):
        SmtpConfig(**wrong)  # type: ignore[arg-type]


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


def _base64(text: str) -> bytes:
    import base64

    return base64.b64encode(text.encode()) + b"\r\n"
