"""a loop whose clock stands still, and a connection in memory that asyncio's protocols can be given

Time passes only where somebody sleeps: then it jumps. Threads of a store may work meanwhile.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextvars import Context
from typing import Any


class StillLoop(asyncio.SelectorEventLoop):
    """The standard loop but for its clock, and for TLS, which here is a word."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Whoever sleeps wakes at once, that much later."""
        if getattr(callback, "__name__", "") == "_set_result_unless_cancelled":
            self.now += delay
            delay = 0
        return super().call_later(delay, callback, *args, context=context)

    async def start_tls(self, transport: Any, *_: Any, **__: Any) -> Any:
        """The handshake, as the client of that connection goes about it."""
        await asyncio.sleep(0)
        return transport.secured()


class Cipher:
    """As much of an `ssl.SSLObject` as is asked for."""

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)

    def version(self) -> str:
        return "TLSv1.3"


class Line(asyncio.Transport):
    """The server's end of a connection. What is written is kept; who reads it may be slow."""

    def __init__(
        self,
        loop: StillLoop,
        protocol: asyncio.Protocol,
        address: str,
        *,
        tls: bool,
        shakes_hands: Callable[[], bool],
        room: int = 0,
    ) -> None:
        """`room`: so many bytes, and the client is behind with reading; 0: it never is."""
        super().__init__()
        self.out = bytearray()
        self.reading = True
        self.ended = self.lost = self.finished = self.tls = False
        self._loop, self._protocol, self._address = loop, protocol, address
        self.tls = tls
        self._shakes_hands = shakes_hands
        self._room, self._unread, self._paused = room, 0, False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return Cipher() if self.tls else None
        return (self._address, 1234) if name == "peername" else default

    def secured(self) -> Line:
        """Under TLS from here on; or not, where the client leaves."""
        if not self._shakes_hands():
            raise ConnectionResetError
        assert not self.tls and not self.ended and not self.reading
        self.tls = self.reading = True
        return self

    # --- what a protocol does to it -----------------------------------------------------------

    def write(self, data: Any) -> None:
        assert data, "an empty write makes some loops spin"
        assert not self.ended and not self.finished, f"written after the end: {bytes(data)!r}"
        if self.lost:
            return
        self.out += data
        self._unread += len(data)
        if self._room and self._unread > self._room and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def write_eof(self) -> None:
        assert not self.tls, "TLS cannot close one side"
        self.finished = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.ended or self.lost

    def close(self) -> None:
        if not self.is_closing():
            self.ended = True
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        self.ended = True
        self._loop.call_soon(self._lose, None)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """None is kept here."""

    def get_write_buffer_size(self) -> int:
        return 0

    # --- what the client does -----------------------------------------------------------------

    def catch_up(self) -> bool:
        """The client reads what there is; whether it had been behind."""
        was, self._paused, self._unread = self._paused, False, 0
        if was and not self.lost:
            self._protocol.resume_writing()
        return was

    def lose(self, error: OSError | None) -> None:
        """The connection breaks, now."""
        self.ended = True
        self._lose(error)

    def _lose(self, error: OSError | None) -> None:
        if not self.lost:
            self.lost = True
            self._protocol.connection_lost(error)


def any_context() -> ssl.SSLContext:
    """For whoever insists on having one."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
