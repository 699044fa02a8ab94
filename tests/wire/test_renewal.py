"""certificates replaced while mail comes in: nobody is disturbed, and the next client sees the new"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pillarbox.net.certificates import Certificates
from pillarbox.net.listener import Listener
from pillarbox.net.smtp_ports import PortKind
from pillarbox.terms.clock import SystemClock
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.wire.conversation import ALL_PORTS, HOST, Handler, Told, Typist, letter

HELLO = b"EHLO client.example.test\r\n"
LOGIN = b"AUTH PLAIN AGZpcnN0LWFwcABwYl9zZWNyZXQ=\r\n"
PROTECTED = (PortKind.STARTTLS, PortKind.TLS)


@dataclass
class Showing:
    """A listener that shows what lies in files."""

    files: CertificateFiles
    certificates: Certificates
    told: Told
    ports: dict[PortKind, int]

    def replace(self, by: CertificateFiles) -> None:
        for source, target in ((by.key, self.files.key), (by.certificate, self.files.certificate)):
            beside = target.with_suffix(".new")
            shutil.copyfile(source, beside)
            beside.replace(target)

    @contextlib.asynccontextmanager
    async def client(
        self, kind: PortKind, trusted: CertificateFiles, name: str = "localhost"
    ) -> AsyncIterator[Typist]:
        """Under TLS, greeted; raises where the certificate is another authority's."""
        context = trusted.client_context()
        port = self.ports[kind]
        if kind is PortKind.TLS:
            streams = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name)
            client = Typist(*streams)
            assert (await client.heard()).startswith(b"220 ")
        else:
            client = await Typist.call(port)
            assert (await client.heard()).startswith(b"220 ")
            await client.say(HELLO)
            assert (await client.say(b"STARTTLS\r\n")).startswith(b"220")
            await client.writer.start_tls(context, server_hostname=name)
        try:
            assert (await client.say(HELLO)).startswith(b"250-")
            yield client
        finally:
            await client.hang_up()

    async def sees(self, kind: PortKind, trusted: CertificateFiles, name: str) -> bool:
        """Whether a client that trusts only this authority gets in."""
        try:
            async with self.client(kind, trusted, name):
                return True
        except ssl.SSLCertVerificationError:
            return False


@contextlib.asynccontextmanager
async def showing(*pairs: CertificateFiles) -> AsyncIterator[Showing]:
    clock = SystemClock()
    certificates = Certificates([(str(p.certificate), str(p.key)) for p in pairs], clock)
    told = Told()
    listener = Listener(
        ALL_PORTS,
        lambda purposes: Handler(told),
        hostname="mx.example.test",
        tls=certificates.current,
    )
    opened = await listener.start()
    try:
        ports = {each.kind: each.port for each in opened}
        yield Showing(pairs[0], certificates, told, ports)
    finally:
        await listener.drain(0.05)


async def send(client: Typist) -> None:
    client.type(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n")
    for code in (b"250", b"250", b"354"):
        assert (await client.heard()).startswith(code)
    assert (await client.say(letter(20_000) + b".\r\n")).startswith(b"250 2.0.0")


async def test_running_sessions_go_on_and_new_ones_see_the_new_certificate(tmp_path: Path) -> None:
    old, new = issue_certificate(tmp_path / "old"), issue_certificate(tmp_path / "new")
    async with showing(old) as server:
        async with contextlib.AsyncExitStack() as stack:
            running = [
                await stack.enter_async_context(server.client(kind, old)) for kind in PROTECTED
            ]
            for client in running:
                assert (await client.say(LOGIN)).startswith(b"235")
                await send(client)
            server.replace(new)
            server.certificates.look()
            for client in running:
                await send(client)
            for kind in PROTECTED:
                assert await server.sees(kind, new, "localhost")
                assert not await server.sees(kind, old, "localhost")


async def test_a_broken_pair_disturbs_nobody(tmp_path: Path) -> None:
    good, other = issue_certificate(tmp_path / "good"), issue_certificate(tmp_path / "other")
    async with showing(good) as server:
        good.certificate.write_bytes(other.certificate.read_bytes())  # of another key
        assert not server.certificates.reload()
        for kind in PROTECTED:
            assert not await server.sees(kind, other, "localhost")
            async with server.client(kind, good) as client:
                assert (await client.say(LOGIN)).startswith(b"235")
                await send(client)


async def test_no_message_is_lost_while_certificates_change_again_and_again(tmp_path: Path) -> None:
    """Clients that trust both authorities send on, on new connections, through thirty changes."""
    pairs = [issue_certificate(tmp_path / name) for name in ("one", "two")]
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(pair.ca.read_bytes() for pair in pairs))
    trusted = CertificateFiles(both, Path(), Path())
    shown = issue_certificate(tmp_path / "shown")
    async with showing(shown) as server:
        server.replace(pairs[0])
        server.certificates.look()
        sent, over = 0, False

        async def keep_sending(kind: PortKind) -> None:
            nonlocal sent
            while not over:
                async with server.client(kind, trusted) as client:
                    assert (await client.say(LOGIN)).startswith(b"235")
                    await send(client)
                    sent += 1

        async with asyncio.TaskGroup() as group:
            for kind in PROTECTED * 2:
                group.create_task(keep_sending(kind))
            for number in range(30):
                before = sent
                while sent <= before:
                    await asyncio.sleep(0)
                server.replace(pairs[(number + 1) % 2])
                server.certificates.look()
            over = True
        assert len(server.told.contents) == sent >= 30


@pytest.mark.parametrize("kind", PROTECTED)
async def test_each_name_is_shown_its_own_certificate(tmp_path: Path, kind: PortKind) -> None:
    first = issue_certificate(tmp_path / "first", "mail.example.com", "localhost")
    second = issue_certificate(tmp_path / "second", "smtp.example.org")
    async with showing(first, second) as server:
        assert await server.sees(kind, first, "mail.example.com")
        assert await server.sees(kind, second, "smtp.example.org")
        assert await server.sees(kind, first, "localhost")
        assert not await server.sees(kind, second, "mail.example.com")
