from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pillarbox.net import ports
from pillarbox.net.errors import CannotListen, PortInUse, PortNotPermitted
from pillarbox.net.listener import Listener
from pillarbox.net.smtp_ports import PortKind, Purpose, SmtpConfig
from pillarbox.terms.setting import InvalidSetting
from tests.doubles.ports import free_port
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
    return Listener(
        config,
        lambda purposes: Handler(told),
        hostname="mx.example.test",
        tls=(lambda: tls) if tls is not None else None,
    )


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


@pytest.fixture
def ipv6() -> None:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            pass
    except OSError:
        pytest.skip("no IPv6 on this machine's loopback")


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("listen", ["::", "*"])
async def test_ipv6_and_ipv4_clients_reach_an_ipv6_listener(listen: str) -> None:
    told = Told()
    config = replace(EASY, listen=listen, starttls_ports=(0,), local_ports=())
    async with served(config, told=told, tls=_context()) as server:
        for host in ("::1", "127.0.0.1"):
            reader, writer = await asyncio.open_connection(host, server.starttls)
            async with Typist(reader, writer) as client:
                assert (await client.heard()).startswith(b"220")
    assert [peer.address for peer in told.peers] == ["::1", "127.0.0.1"]
    assert all(peer.loopback for peer in told.peers)


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize(
    ("listen", "reached"),
    [
        (("127.0.0.1", "::1"), ["127.0.0.1", "::1"]),
        (("127.0.0.2", "127.0.0.3"), ["127.0.0.2", "127.0.0.3"]),
        (("0.0.0.0", "::"), ["127.0.0.1", "::1"]),
        (("127.0.0.1", "::"), ["127.0.0.1", "::1"]),
    ],
)
async def test_each_port_is_open_on_every_address_that_is_listed(
    listen: tuple[str, ...], reached: list[str], server_tls: ssl.SSLContext
) -> None:
    port = free_port()
    told = Told()
    config = replace(EASY, listen=listen, starttls_ports=(port,), local_ports=())
    async with served(config, told=told, tls=server_tls) as server:
        assert [(each.host, each.port) for each in server.listener.open_ports] == [
            (host, port) for host in listen
        ]
        for host in reached:
            async with Typist(*await asyncio.open_connection(host, port)) as client:
                assert (await client.heard()).startswith(b"220")
    assert len(told.peers) == len(reached)


async def test_every_address_is_that_of_ipv4_where_there_is_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = socket.socket

    def no_ipv6(family: int, *facts: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return made(family, *facts)

    monkeypatch.setattr(ports.socket, "socket", no_ipv6)
    listener = _listener(replace(EASY, listen="*", starttls_ports=(0,), local_ports=()), _context())
    (port,) = listener.bind()
    monkeypatch.undo()
    assert port.host == "*"
    with socket.create_connection(("127.0.0.1", port.port), 5):
        pass
    listener.stop_accepting()


def test_a_port_that_needs_a_privilege_says_so_and_what_to_do() -> None:
    class Refusing(socket.socket):
        def bind(self, _: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports.socket, "socket", Refusing)
        with pytest.raises(PortNotPermitted) as caught:
            ports.bind("*", 587)
    assert caught.value.sentence == "port 587 on * is not allowed for this user"
    assert f"uid {os.geteuid()}" in str(caught.value.detail)
    assert "--smtp-port 2525" in str(caught.value.fix) and "systemd" in str(caught.value.fix)


# --- sockets that were passed to us ---------------------------------------------------------------


@contextlib.contextmanager
def passing(*names: str, host: str = HOST) -> Iterator[list[ports.Passed]]:
    """Sockets that listen, as a service manager passes them."""
    with contextlib.ExitStack() as stack:
        found = []
        for name in names:
            sock = stack.enter_context(socket.create_server((host, 0)))
            found.append(ports.Passed(sock, name, host, sock.getsockname()[1]))
        yield found


async def test_a_socket_for_a_configured_port_is_used_and_the_others_are_opened(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    with passing("pillarbox.socket") as passed:
        number = passed[0].port
        config = replace(EASY, starttls_ports=(0,), tls_ports=(number,), local_ports=(0,))
        listener = _listener(config, server_tls)
        opened = listener.bind(passed=passed)
        assert sorted(each.kind for each in opened) == ["local", "starttls", "tls"]
        assert [each.port for each in opened if each.kind is PortKind.TLS] == [number]
        await listener.start()
        async with calling(number, client_tls):
            pass
        await listener.drain(1.0)
        assert listener.open_ports == ()
        again = _listener(config, server_tls)
        assert number in [each.port for each in again.bind(passed=passed)], "it is not used up"
        again.stop_accepting()


async def test_sockets_with_the_name_of_a_kind_stand_for_all_configured_ports_of_it(
    server_tls: ssl.SSLContext,
) -> None:
    config = replace(
        EASY, starttls_ports=(587, 2525), tls_ports=(0,), bounce_ports=(25,), local_ports=()
    )
    with passing("starttls", "bounces", "starttls") as passed:
        listener = _listener(config, server_tls)
        opened = listener.bind(passed=passed)
        assert {(each.kind, each.port, *each.purposes) for each in opened if each.port in {
            sock.port for sock in passed}} == {
            (PortKind.STARTTLS, passed[0].port, Purpose.SUBMISSION),
            (PortKind.STARTTLS, passed[1].port, Purpose.BOUNCES),
            (PortKind.STARTTLS, passed[2].port, Purpose.SUBMISSION),
        }  # fmt: skip
        assert len(opened) == 4, "TLS was not passed, so its port is opened as configured"
        listener.stop_accepting()


async def test_a_name_is_stronger_than_a_number(server_tls: ssl.SSLContext) -> None:
    with passing("bounces") as passed:
        config = replace(EASY, starttls_ports=(passed[0].port,), local_ports=())
        listener = _listener(config, server_tls)
        assert [each.purposes for each in listener.bind(passed=passed)] == [
            frozenset({Purpose.BOUNCES})
        ]
        listener.stop_accepting()


async def test_a_socket_nobody_asked_for_is_refused(server_tls: ssl.SSLContext) -> None:
    with passing("pillarbox.socket") as passed:
        listener = _listener(EASY, server_tls)
        with pytest.raises(CannotListen, match=f"for port {passed[0].port}, which no setting"):
            listener.bind(passed=passed)
        assert listener.open_ports == ()


async def test_a_plain_port_is_not_taken_open_to_others(server_tls: ssl.SSLContext) -> None:
    with passing("x", host="0.0.0.0") as passed:
        listener = _listener(replace(EASY, local_ports=(passed[0].port,)), server_tls)
        with pytest.raises(CannotListen, match=r"was passed open to 0\.0\.0\.0"):
            listener.bind(passed=passed)


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
