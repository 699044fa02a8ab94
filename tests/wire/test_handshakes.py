from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from typing import cast

import pytest

from pillarbox.net.hand_port import HandPort
from pillarbox.net.handshakes import Handshakes
from pillarbox.net.ports import bind
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.wire.conversation import HOST


class Echo(asyncio.Protocol):
    """Says back what it is told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return issue_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@contextlib.asynccontextmanager
async def port_of(files: CertificateFiles, **bounds: float) -> AsyncIterator[int]:
    handshakes = Handshakes(files.server_context(), Echo, **bounds)  # type: ignore[arg-type]
    bound = bind(HOST, 0)
    port = HandPort(bound.sock, lambda: handshakes)
    try:
        yield bound.port
    finally:
        port.close()
        bound.sock.close()
        await handshakes.close()


async def echoed(port: int, files: CertificateFiles, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(
        HOST, port, ssl=files.client_context(), server_hostname="localhost"
    )
    writer.write(data)
    async with asyncio.timeout(10):
        said = await reader.readexactly(len(data))
    writer.close()
    return said


async def test_after_the_handshake_it_is_another_protocols_connection(
    files: CertificateFiles,
) -> None:
    async with port_of(files) as port:
        for size in (1, 100_000):
            assert await echoed(port, files, b"x" * size) == b"x" * size


async def test_what_comes_with_the_end_of_the_handshake_is_not_lost(
    files: CertificateFiles,
) -> None:
    """The client's last flight and its first words in one packet."""
    async with port_of(files) as port:
        into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = files.client_context().wrap_bio(into, out, server_hostname="localhost")
        reader, writer = await asyncio.open_connection(HOST, port)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(out.read())
                into.write(await reader.read(65536))
        tls.write(b"at once")
        writer.write(out.read())
        said = b""
        async with asyncio.timeout(10):
            while not said:
                into.write(await reader.read(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    said = tls.read(100)
        assert said == b"at once"
        writer.close()


async def test_who_never_finishes_is_sent_away_in_time(files: CertificateFiles) -> None:
    async with port_of(files, seconds=0.2) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()


async def test_of_too_many_the_oldest_goes_and_others_get_through(
    files: CertificateFiles,
) -> None:
    async with port_of(files, seconds=60.0, most=5) as port:
        idle = [await asyncio.open_connection(HOST, port) for _ in range(20)]
        assert await echoed(port, files, b"hello") == b"hello"
        async with asyncio.timeout(10):
            for reader, _ in idle[:14]:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        assert not idle[-1][0].at_eof()
        for _, writer in idle:
            writer.close()


async def test_who_opens_many_pushes_out_his_own_and_nobody_else(files: CertificateFiles) -> None:
    async with port_of(files, seconds=60.0, most=5) as port:
        slow = [await asyncio.open_connection(HOST, port) for _ in range(2)]
        crowd = [
            await asyncio.open_connection(HOST, port, local_addr=("127.0.0.2", 0))
            for _ in range(40)
        ]
        async with asyncio.timeout(10):
            for reader, _ in crowd[:37]:
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        assert await echoed(port, files, b"hello") == b"hello"
        assert not any(reader.at_eof() for reader, _ in slow), "they had come before all of these"
        for _, writer in (*slow, *crowd):
            writer.close()


async def test_no_tls_at_all_ends_there_and_the_next_is_served(files: CertificateFiles) -> None:
    async with port_of(files) as port:
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                assert b"HTTP" not in await reader.read()
        writer.close()
        assert await echoed(port, files, b"hello") == b"hello"
