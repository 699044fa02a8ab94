"""one connection of a double: bytes in and out, TLS in the middle, everything kept

Not `asyncio.StreamReader`: a double has to see what came before a handshake, stop reading at will,
and end a connection by RST.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import cast

MAX_KEPT_BYTES = 128 * 1024 * 1024
_PAUSE_AT_BYTES = 4 * 1024 * 1024


class Gone(Exception):
    """The peer ended the connection."""


class Channel(asyncio.Protocol):
    """The server's end of a connection; useless before it is connected."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._deaf = False
        self.gone = asyncio.Event()
        """Set once the connection is over, whoever ended it."""
        self.received = bytearray()
        """All that was read, TLS taken off."""
        self.received_clear = 0
        """How many of the bytes received came before TLS."""
        self.sent = bytearray()
        """All that was written, TLS not yet put on."""
        self.tls_version = ""
        """Protocol version, empty in clear."""

    @property
    def transport(self) -> asyncio.Transport:
        """The transport of the moment: the TLS one after `secure`. Raises Gone before any."""
        if self._transport is None:
            raise Gone("never connected")
        return self._transport

    @property
    def tls(self) -> bool:
        """Whether the channel is protected."""
        return bool(self.tls_version)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)
        # Not high=0: both loops' TLS transports would then pause and never resume.
        self._transport.set_write_buffer_limits(high=1, low=0)
        self._note_tls()

    def _note_tls(self) -> None:
        ssl_object = self.transport.get_extra_info("ssl_object")
        self.tls_version = str(ssl_object.version()) if ssl_object is not None else ""

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._buffer += data
        self.received += data
        if len(self.received) > MAX_KEPT_BYTES:
            self.transport.abort()
        elif len(self._buffer) > _PAUSE_AT_BYTES:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        """Called by the loop."""
        self._news.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self.gone.set()
        self._news.set()
        self._writable.set()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._writable.set()

    @property
    def connected(self) -> bool:
        """Whether it ever was."""
        return self._transport is not None

    async def connect(
        self, connection: socket.socket, context: ssl.SSLContext | None = None
    ) -> None:
        """Take over an accepted socket, shaking hands first where there is a context.

        Raises Gone when the peer does not.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: self,
                connection,
                ssl=context,
                ssl_handshake_timeout=None if context is None else 10.0,
            )
        except (OSError, ssl.SSLError) as error:
            self.gone.set()
            raise Gone(str(error)) from error

    def listen(self) -> None:
        """Read from now on."""
        self._deaf = False
        self.transport.resume_reading()

    def stop_listening(self) -> None:
        """Read nothing until `listen`; the peer's writes block when the buffers are full."""
        self._deaf = True
        self.transport.pause_reading()

    async def secure(self, context: ssl.SSLContext, *, seconds: float = 10.0) -> None:
        """Shake hands as server. Raises Gone when the peer does not."""
        loop = asyncio.get_running_loop()
        self.received_clear = len(self.received)
        try:
            transport = await loop.start_tls(
                self.transport, self, context, server_side=True, ssl_handshake_timeout=seconds
            )
        except (OSError, ssl.SSLError) as error:
            self.gone.set()
            raise Gone(str(error)) from error
        if transport is None:
            raise Gone("connection lost in the handshake")
        self._transport = transport
        self._deaf = False
        transport.set_write_buffer_limits(high=1, low=0)
        self._note_tls()

    def take_buffered(self) -> bytes:
        """What was read and not yet asked for; the buffer is empty afterwards."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    async def line(self, max_bytes: int = 1024 * 1024) -> bytes:
        """The next line with its end (LF or CRLF). Raises Gone."""
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > max_bytes:
                raise Gone(f"a line of more than {max_bytes} bytes")
            await self._more()
        return self._take(end + 1)

    async def content(self, *, naive: bool, at_bytes: int = 0) -> tuple[bytes, bool]:
        """Read content up to and including its end; with `at_bytes` stop once so much is there.

        Returns what was read (still stuffed) and whether the end was seen. When stopped early the
        bytes stay in the buffer. Raises Gone. Strictly only CRLF.CRLF is an end; `naive` readers
        take any line of a lone dot, whatever ends the lines.
        """
        start = 0
        while True:
            end = content_end(self._buffer, start, naive=naive)
            if end >= 0:
                return self._take(end), True
            if at_bytes and len(self._buffer) >= at_bytes:
                return bytes(self._buffer), False
            start = max(0, len(self._buffer) - 4)
            await self._more()

    async def write(self, data: bytes, *, seconds: float = 30.0) -> None:
        """Write and wait until the kernel has it. Raises Gone."""
        if self.gone.is_set():
            raise Gone
        self.sent += data
        self.transport.write(data)
        if not self._writable.is_set():
            try:
                await asyncio.wait_for(self._writable.wait(), seconds)
            except TimeoutError as error:
                raise Gone("the peer does not read") from error
        if self.gone.is_set():
            raise Gone

    def drop(self, *, reset: bool) -> None:
        """End the connection without a word: by RST, or by FIN."""
        transport = self.transport
        if reset:
            sock = transport.get_extra_info("socket")
            if sock is not None and not self.gone.is_set():
                set_reset(sock)
            transport.abort()
        elif self.tls:
            transport.abort()
        else:
            transport.close()

    def abort(self) -> None:
        """End the connection at once, if there is one."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the connection in good order."""
        self.transport.close()

    async def _more(self) -> None:
        if self.gone.is_set():
            raise Gone
        self._news.clear()
        if not self._deaf:
            self.transport.resume_reading()
        await self._news.wait()
        if self.gone.is_set():
            raise Gone

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data


def set_reset(connection: socket.socket) -> None:
    """Closing this socket will send RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def content_end(data: bytearray, start: int, *, naive: bool) -> int:
    """Where content ends in `data` (behind the terminator), or -1. Looks from `start` on."""
    if not naive:
        if start == 0 and data.startswith(b".\r\n"):
            return 3
        found = data.find(b"\r\n.\r\n", start)
        return found + 5 if found >= 0 else -1
    position = 0
    while (end := data.find(b"\n", position)) >= 0:
        if bytes(data[position : end + 1]) in (b".\n", b".\r\n"):
            return end + 1
        position = end + 1
    return -1


def unstuff(raw: bytes) -> bytes:
    """The content as it was meant: terminator and stuffed dots removed (RFC 5321 §4.5.2)."""
    body = raw[: raw.rfind(b".")]
    if body.startswith(b"."):
        body = body[1:]
    return body.replace(b"\r\n.", b"\r\n")
