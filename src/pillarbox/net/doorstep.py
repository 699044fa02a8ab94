"""what a client shows on a raw socket before it is let in: a PROXY header, the first octet of TLS

Event loops read ahead, and TLS must not miss an octet. So all of this is looked at with MSG_PEEK
and only what belongs to a header is taken out of the socket. Each function has its time, and none
reads more than a header or a few lines.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

from pillarbox.net.port_terms import PortTerms
from pillarbox.protocol.errors import MalformedProxyHeader
from pillarbox.protocol.proxy_header import MAX_BINARY_OCTETS, ProxyHeader, Source

_TLS_HANDSHAKE: Final = 0x16
"""The first octet of a TLS connection; that of SSL 2, long gone, was none of ASCII."""

_HIGHEST_ASCII: Final = 0x7F
_PARTING_SECONDS: Final = 2.0
_PARTING_OCTETS: Final = 16 * 1024


async def read_proxy_header(sock: socket.socket, seconds: float) -> Source | None:
    """Take a PROXY header off a socket that does not block, and leave what follows in it.

    None where the balancer speaks for itself. Raises `MalformedProxyHeader`, also for a client
    that leaves before its end, and TimeoutError after `seconds`.
    """
    header = ProxyHeader()
    async with asyncio.timeout(seconds):
        while not header.complete:
            data = await _peek(sock, MAX_BINARY_OCTETS)
            used = header.feed(data)
            if not data:
                raise MalformedProxyHeader("the connection ended before a PROXY header came")
            while used:
                used -= len(sock.recv(used))
    return header.source


async def begins_tls(sock: socket.socket, terms: PortTerms, address: str) -> bool:
    """Whether the client at `address` begins a handshake, which is left in the socket.

    One that waits for a banner, or talks in clear, is told what to do instead (RFC 8314 §3.3).
    """
    try:
        async with asyncio.timeout(terms.patience.hello_seconds):
            first = await _peek(sock, 1)
    except TimeoutError:
        problem = "silent_on_tls_port"
    else:
        if not first or first[0] == _TLS_HANDSHAKE or first[0] > _HIGHEST_ASCII:
            return bool(first)
        problem = "clear_on_tls_port"
    terms.note(problem, address)
    await _say_and_part(sock, terms.mistaken.encode())
    return False


async def _say_and_part(sock: socket.socket, words: bytes) -> None:
    """Say `words` and close our side; then wait a little for the client to do so as well.

    A socket that is closed over unread input makes the kernel send a reset, which may overtake
    what was said.
    """
    with suppress(OSError, TimeoutError):
        sock.send(words)
        sock.shutdown(socket.SHUT_WR)
        left = _PARTING_OCTETS
        async with asyncio.timeout(_PARTING_SECONDS):
            while left > 0 and await _peek(sock, 1):
                left -= len(sock.recv(left))


async def _peek(sock: socket.socket, most: int) -> bytes:
    """What can be read now, as soon as there is something; empty at the end."""
    while True:
        with suppress(BlockingIOError, InterruptedError):
            return sock.recv(most, socket.MSG_PEEK)
        await _readable(sock)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _wake, readable)
    try:
        await readable
    finally:
        loop.remove_reader(sock)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
