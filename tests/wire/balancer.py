"""a client behind a balancer, which says whom it speaks for before the client is heard"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address

from tests.wire.conversation import ALL_PORTS, HOST, Typist

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BALANCED = replace(ALL_PORTS, proxy_from=("127.0.0.1",))
"""All that comes from 127.0.0.1 is a balancer's; 127.0.0.2 is somebody else."""


def in_text(address: str, port: int = 4711) -> bytes:
    """A header of version 1."""
    family = ip_address(address).version
    ours = "192.0.2.25" if family == 4 else "2001:db8::25"
    return f"PROXY TCP{family} {address} {ours} {port} 25\r\n".encode()


def in_octets(address: str, port: int = 4711, *, command: int = 0x21) -> bytes:
    """A header of version 2, with something behind the addresses that is to be skipped."""
    source = ip_address(address)
    body = source.packed * 2 + struct.pack("!HH", port, 25) + b"\x03\x00\x04abcd\x04\x00\x01x"
    family = 0x11 if source.version == 4 else 0x21
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


@contextlib.asynccontextmanager
async def introduced(
    port: int, header: bytes, tls: ssl.SSLContext | None = None, *, address: str = HOST
) -> AsyncIterator[Typist]:
    """A client for whom a balancer at `address` has said `header`; then TLS, where it is wanted."""
    reader, writer = await asyncio.open_connection(HOST, port, local_addr=(address, 0))
    client = Typist(reader, writer)
    try:
        client.type(header)
        if tls is not None:
            await writer.start_tls(tls, server_hostname="localhost")
        yield client
    finally:
        await client.hang_up()
