"""`pillarbox serve` as a service: its usual ports, a service manager's sockets, SIGHUP"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.ports import free_port
from tests.doubles.process import Program, http_ready
from tests.e2e.product import ROOT, Pillarbox

# As a manager does it: the sockets from descriptor 3 on, and the process told that they are its.
LAUNCHER = """
import os, sys
given = [int(each) for each in sys.argv[1].split(",")]
count, aside = len(given), max(given) + 10
for number, each in enumerate(given):
    os.dup2(each, aside + number)
for number in range(count):
    os.dup2(aside + number, 3 + number)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = str(count)
os.execv(sys.executable, [sys.executable, "-m", "pillarbox", *sys.argv[2:]])
"""


class Service(Program):
    """``pillarbox serve``, found by what it says when it is ready."""

    def __init__(
        self,
        home: Path,
        *options: str,
        before: Sequence[str] = (),
        descriptors: Sequence[int] = (),
        **environment: str,
    ) -> None:
        self.data_dir = home / "data"
        started = [*(before or (sys.executable, "-m", "pillarbox")), "serve", "--json"]
        super().__init__(
            [*started, "--data-dir", str(self.data_dir), *options],
            output=home / "service.log",
            ready=lambda: '"word": "started"' in self.text(),
            env={"PYTHONPATH": str(ROOT / "src"), **environment},
            cwd=home,
            ready_seconds=40.0,
            descriptors=descriptors,
        )

    @property
    def smtp(self) -> list[tuple[str, int, str]]:
        line = next(line for line in self.text().splitlines() if '"word": "started"' in line)
        return [(each["host"], each["port"], each["security"]) for each in json.loads(line)["smtp"]]


@contextlib.contextmanager
def listening(*hosts: str) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(socket.create_server((host, 0))) for host in hosts]


def port_of(sock: socket.socket) -> int:
    return int(sock.getsockname()[1])


def banner(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.settimeout(20)
        return sock.recv(200)


def shown(port: int, trusted: CertificateFiles, *, greets: bool = True) -> bool:
    """Whether the certificate at a TLS port is from this authority."""
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as sock:
            context = trusted.client_context()
            with context.wrap_socket(sock, server_hostname="localhost") as tls:
                return not greets or tls.recv(200).startswith(b"220 ")
    except ssl.SSLCertVerificationError:
        return False


class Manager:
    """Hears what a service tells it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(20)

    def heard(self) -> dict[str, str]:
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    found = Manager(tmp_path_factory.mktemp("notify") / "socket")
    yield found
    found.socket.close()


def handed(
    home: Path, sockets: Sequence[socket.socket], manager: Manager, *options: str
) -> Service:
    """A service that gets these at each of its starts: STARTTLS, TLS, for bounces, and HTTP."""
    numbers = [sock.fileno() for sock in sockets]
    launcher = [sys.executable, "-c", LAUNCHER, ",".join(map(str, numbers))]
    return Service(
        home, *options, before=launcher, descriptors=numbers,
        LISTEN_FDNAMES="starttls:tls:bounces:http", NOTIFY_SOCKET=str(manager.path),
    )  # fmt: skip


async def test_a_service_uses_the_sockets_it_is_handed_and_says_when_it_is_ready(
    tmp_path: Path, manager: Manager
) -> None:
    with listening("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1") as sockets:
        starttls, tls, bounces, http = map(port_of, sockets)
        async with handed(tmp_path, sockets, manager) as service:
            assert service.smtp == [
                ("127.0.0.1", starttls, "STARTTLS"), ("127.0.0.1", tls, "TLS"),
                ("127.0.0.1", bounces, "bounces"),
            ]  # fmt: skip
            assert http_ready(f"http://127.0.0.1:{http}/healthz")()
            assert (await asyncio.to_thread(manager.heard))["READY"] == "1"
            assert banner(starttls).startswith(b"220 ") and banner(bounces).startswith(b"220 ")
            service.signal(signal.SIGTERM)
            assert (await asyncio.to_thread(manager.heard))["STOPPING"] == "1"
            assert await service.dead() == 0
            # Nobody is refused while it is away: the manager's socket still listens.
            waiting = asyncio.create_task(asyncio.to_thread(banner, starttls))
            await service.start()
            assert (await asyncio.wait_for(waiting, 20)).startswith(b"220 ")


async def test_a_service_reads_its_certificates_again_when_it_is_told(
    tmp_path: Path, manager: Manager
) -> None:
    old, new = issue_certificate(tmp_path / "old"), issue_certificate(tmp_path / "new")
    files = (f"--set=tls.cert_file={old.certificate}", f"--set=tls.key_file={old.key}")
    with listening("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1") as sockets:
        tls = port_of(sockets[1])
        async with handed(tmp_path, sockets, manager, *files) as service:
            assert (await asyncio.to_thread(manager.heard))["READY"] == "1"
            assert await asyncio.to_thread(shown, tls, old)
            with socket.create_connection(("127.0.0.1", port_of(sockets[0])), 20) as running:
                running.settimeout(20)
                assert running.recv(200).startswith(b"220 ")
                shutil.copyfile(new.certificate, old.certificate)
                service.signal(signal.SIGHUP)
                assert "MONOTONIC_USEC" in await asyncio.to_thread(manager.heard)
                refused = await asyncio.to_thread(manager.heard)
                assert refused["READY"] == "1" and "cannot be used" in refused["STATUS"]
                assert await asyncio.to_thread(shown, tls, old)
                shutil.copyfile(new.key, old.key)
                service.signal(signal.SIGHUP)
                await asyncio.to_thread(manager.heard)
                assert await asyncio.to_thread(manager.heard) == {
                    "READY": "1", "STATUS": "Taking mail",
                }  # fmt: skip
                assert await asyncio.to_thread(shown, tls, new)
                assert not await asyncio.to_thread(shown, tls, old)
                running.sendall(b"NOOP\r\n")
                assert running.recv(200).startswith(b"250 "), "who is connected notices nothing"
    assert "certificate.refused" in service.text(all_starts=True)


async def test_the_tracking_host_s_own_files_are_read_again_with_them(
    tmp_path: Path, manager: Manager
) -> None:
    old, new = issue_certificate(tmp_path / "old"), issue_certificate(tmp_path / "new")
    port = free_port()
    settings = {
        "tracking.host": "localhost",
        "tracking_host.listen_tls": f"127.0.0.1:{port}",
        "tracking_tls.cert_file": str(old.certificate),
        "tracking_tls.key_file": str(old.key),
    }
    options = [f"--set={name}={value}" for name, value in settings.items()]
    with listening("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1") as sockets:
        async with handed(tmp_path, sockets, manager, *options) as service:
            assert (await asyncio.to_thread(manager.heard))["READY"] == "1"
            assert await asyncio.to_thread(shown, port, old, greets=False)
            for number, status in enumerate(("; the new certificate cannot be used", "")):
                shutil.copyfile(*((new.certificate, old.certificate), (new.key, old.key))[number])
                service.signal(signal.SIGHUP)
                await asyncio.to_thread(manager.heard)
                assert (await asyncio.to_thread(manager.heard))["STATUS"] == f"Taking mail{status}"
                used = await asyncio.to_thread(shown, port, new, greets=False)
                assert used == (not status)


async def test_what_is_no_service_ends_when_its_terminal_is_closed(tmp_path: Path) -> None:
    # Whoever runs the tests by nohup has it ignored, and so would what is started here.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        async with Pillarbox(tmp_path) as product:
            product.signal(signal.SIGHUP)
            assert await product.dead() == -signal.SIGHUP
    finally:
        signal.signal(signal.SIGHUP, before)


def in_a_network_of_its_own(*command: str) -> list[str]:
    """Where every port is free, and its loopback is up."""
    return ["unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]


@pytest.mark.needs("namespaces", "ip")
async def test_a_service_opens_the_ports_of_a_mail_server_on_every_address(tmp_path: Path) -> None:
    program = in_a_network_of_its_own(sys.executable, "-m", "pillarbox")
    async with Service(tmp_path, before=program) as service:
        assert service.smtp == [
            ("*", 587, "STARTTLS"), ("*", 2525, "STARTTLS"), ("*", 465, "TLS"),
            ("*", 25, "bounces"),
        ]  # fmt: skip


@pytest.mark.needs("namespaces", "ip", "setpriv", "root")
async def test_without_the_privilege_it_says_which_port_and_what_to_do(tmp_path: Path) -> None:
    without = ["setpriv", "--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service"]
    program = in_a_network_of_its_own(*without, sys.executable, "-m", "pillarbox")
    service = Service(tmp_path, before=program)
    service.launch()
    try:
        assert await service.dead(seconds=40) == 1
    finally:
        service.kill()
    said = service.text()
    assert "port 587 on * is not allowed for this user" in said
    assert "--smtp-port 2525 --smtps-port 2465 --bounce-port 2025" in said
    assert "port_not_permitted" in said
