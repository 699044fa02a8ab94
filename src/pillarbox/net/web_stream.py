"""the connections that web requests are made on: which addresses, and the bytes

httpcore2 speaks HTTP and knows nothing of addresses; what it connects to is decided here, once, so
that a name cannot be looked up a second time and lead somewhere else.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final

import httpcore2

from pillarbox.net.dialling import dial, look_up
from pillarbox.net.errors import Broken
from pillarbox.net.tls import explain_tls_failure
from pillarbox.net.web_errors import WebFailed, WebFault

LookUp = Callable[[str, int, float], Awaitable[Sequence[tuple[str, int]]]]
"""Host, port and seconds become addresses with ports. Raises `Broken`."""
Permits = Callable[[str], bool]
"""Whether an address may be connected to."""

_CONNECT_SECONDS: Final = 10.0
"""For one request's connection, where the request itself is given more."""
_LEAST_SECONDS: Final = 0.01
_READ_BYTES: Final = 64 * 1024
_SocketOption = Any  # one of three shapes of tuple, all of which are left alone here


async def addresses_by_name(host: str, port: int, seconds: float) -> Sequence[tuple[str, int]]:
    """As this machine looks names up. Raises `Broken`."""
    return [(address, port) for address in await look_up(host, port, seconds)]


class WebStream(httpcore2.AsyncNetworkStream):
    """One connection, in clear or under TLS. Times are kept by whoever made the request.

    Nothing is read before it is known whether TLS comes first: what somebody between sends in clear
    ahead of the handshake must never be taken for the server's answer.
    """

    def __init__(self, host: str, sock: socket.socket) -> None:
        """A connected socket; `host` is for sentences."""
        self._host = host
        self._socket = sock
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has come; nothing at the end."""
        reader, _ = self._streams or await self._open(None, None)
        try:
            return await reader.read(max_bytes)
        except OSError as error:
            raise httpcore2.ReadError(error) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send, as fast as the other side reads."""
        _, writer = self._streams or await self._open(None, None)
        try:
            writer.write(buffer)
            await writer.drain()
        except OSError as error:
            raise httpcore2.WriteError(error) from error

    async def aclose(self) -> None:
        """Close without waiting for the other side."""
        if self._streams is None:
            self._socket.close()
        else:
            self._streams[1].transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """The same connection, under TLS from its first byte. Raises `WebFailed`."""
        try:
            await self._open(ssl_context, server_hostname)
        except (OSError, ValueError) as error:
            why = explain_tls_failure(error, self._host)
            words = f"cannot be asked over https: {why}"
            raise WebFailed(self._host, WebFault.TLS, words) from error
        return self

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks about: whether a kept connection has ended meanwhile."""
        if self._streams is None:
            return None
        reader, writer = self._streams
        if info == "ssl_object":
            return writer.get_extra_info("ssl_object")
        if info == "server_addr":
            return writer.get_extra_info("peername")
        if info == "is_readable":
            return reader.at_eof() or writer.transport.is_closing()
        return None

    async def _open(
        self, context: ssl.SSLContext | None, name: str | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            self._streams = await asyncio.open_connection(
                sock=self._socket,
                limit=_READ_BYTES,
                ssl=context,
                server_hostname=name,
                ssl_handshake_timeout=_CONNECT_SECONDS if context else None,
            )
        except BaseException:
            self._socket.close()
            raise
        return self._streams


class WebDialler(httpcore2.AsyncNetworkBackend):
    """Connects to the first permitted address that answers."""

    def __init__(self, look: LookUp, permits: Permits | None) -> None:
        """Without `permits` every address may be connected to."""
        self._look = look
        self._permits = permits

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection in clear. Raises `WebFailed`."""
        return WebStream(host, await self._connected(host, port))

    async def sleep(self, seconds: float) -> None:
        """Between attempts of httpcore2's own, of which we want none."""
        await asyncio.sleep(seconds)

    async def _connected(self, host: str, port: int) -> socket.socket:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CONNECT_SECONDS
        try:
            found = await self._look(host, port, _CONNECT_SECONDS)
        except Broken as error:
            raise WebFailed(host, WebFault.NAME, f"cannot be asked: {error.words}") from error
        allowed = [pair for pair in found if self._permits is None or self._permits(pair[0])]
        if not allowed:
            raise WebFailed(
                host, WebFault.FORBIDDEN, "cannot be asked: its address is not a public one"
            )
        words = ""
        for number, (address, its_port) in enumerate(allowed):
            share = (deadline - loop.time()) / (len(allowed) - number)
            try:
                return await dial(address, its_port, seconds=max(share, _LEAST_SECONDS))
            except Broken as error:
                words = error.words
        raise WebFailed(host, WebFault.CONNECT, f"cannot be asked: {words}")
