from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pillarbox.net import systemd
from pillarbox.net.errors import CannotListen
from pillarbox.net.systemd import ServiceManager

FIRST = 700
"""Descriptors of our own choice: those from 3 on belong to whoever runs the tests."""


@pytest.fixture(autouse=True)
def descriptors(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(systemd, "_FIRST_DESCRIPTOR", FIRST)
    yield
    for number in range(FIRST, FIRST + 8):
        try:
            os.close(number)
        except OSError:
            continue


def listening(number: int, host: str = "127.0.0.1") -> int:
    """A socket that listens, at a descriptor as systemd passes it; its port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        sock.listen()
        os.dup2(sock.fileno(), FIRST + number, inheritable=True)
        return int(sock.getsockname()[1])


def said(count: int, names: str = "", *, pid: int | None = None) -> dict[str, str]:
    return {
        "LISTEN_PID": str(os.getpid() if pid is None else pid),
        "LISTEN_FDS": str(count),
        "LISTEN_FDNAMES": names,
        "HOME": "/root",
    }


def test_sockets_come_with_their_names_and_addresses() -> None:
    ports = [listening(0), listening(1, "::1"), listening(2)]
    environment = said(3, "starttls:tls")
    manager = ServiceManager.take_from(environment)
    found = [(sock.name, sock.host, sock.port) for sock in manager.sockets]
    assert found == [
        ("starttls", "127.0.0.1", ports[0]), ("tls", "::1", ports[1]), ("", "127.0.0.1", ports[2]),
    ]  # fmt: skip
    assert environment == {"HOME": "/root"}, "processes we start must not hear it again"
    assert not any(os.get_inheritable(FIRST + number) for number in range(3))
    for sock in manager.sockets:
        sock.sock.close()


def test_a_socket_is_used_through_a_handle_that_may_be_closed() -> None:
    port = listening(0)
    (passed,) = ServiceManager.take_from(said(1)).sockets
    for _ in range(2):
        bound = passed.adopt()
        assert (bound.host, bound.port, bound.note) == ("127.0.0.1", port, "")
        assert not bound.sock.getblocking()
        bound.sock.close()
    with socket.create_connection(("127.0.0.1", port), 5):
        pass
    passed.sock.close()


@pytest.mark.parametrize("environment", [{}, {"LISTEN_FDS": "1"}, said(1, pid=1)])
def test_what_was_passed_to_somebody_else_is_left_alone(environment: dict[str, str]) -> None:
    listening(0)
    assert ServiceManager.take_from(environment).sockets == ()
    os.fstat(FIRST)


def test_what_is_no_listening_socket_is_refused_with_its_name() -> None:
    with pytest.raises(CannotListen, match=rf"descriptor {FIRST} \(tls\)"):
        ServiceManager.take_from(said(1, "tls"))
    with socket.socket() as sock:
        os.dup2(sock.fileno(), FIRST)
    with pytest.raises(CannotListen, match="not a TCP socket that listens"):
        ServiceManager.take_from(said(1))
    left, right = socket.socketpair()
    os.dup2(left.fileno(), FIRST)
    left.close()
    right.close()
    with pytest.raises(CannotListen, match="not a TCP socket that listens"):
        ServiceManager.take_from(said(1))


@pytest.mark.parametrize("count", ["x", "-1", "1000", ""])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    environment = {**said(0), "LISTEN_FDS": count}
    with pytest.raises(CannotListen, match="LISTEN_FDS"):
        ServiceManager.take_from(environment)


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_what_it_is_told(tmp_path: Path, abstract: bool) -> None:
    path = f"@pillarbox-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path.replace("@", "\0", 1) if abstract else path)
        manager = ServiceManager.take_from({"NOTIFY_SOCKET": path})
        manager.notify("READY=1", "STATUS=Taking mail")
        heard.settimeout(5)
        assert heard.recv(200) == b"READY=1\nSTATUS=Taking mail"


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "relative", "vsock:2:1"])
def test_without_a_manager_that_listens_nothing_happens(address: str) -> None:
    ServiceManager.take_from({"NOTIFY_SOCKET": address}).notify("READY=1")
