"""uvicorn's HTTP protocol on sockets of ours, started and stopped in our order

uvicorn's own ``Server`` takes the signals and decides when the process ends; both belong to
``wiring``. So only its protocol is used. What it leaves open is closed here: a request head has a
size and a time, a body a rate, a response a reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from pillarbox.net import ports
from pillarbox.net.hand_port import HandPort
from pillarbox.net.handshakes import Handshakes
from pillarbox.terms.setting import setting

Asgi = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 100
_KEEP_ALIVE_SECONDS: Final = 75
_DATE_SECONDS: Final = 1.0
_LINGER_SECONDS: Final = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """Where the REST API and the dashboard are found."""

    listen: str = setting(
        "127.0.0.1", about="Address to listen on; 0.0.0.0 opens it to all networks."
    )
    port: int = setting(8480, about="Port of the REST API and the dashboard.")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a peer may take. A slow request must not outlast the ones that wait behind it."""

    head_seconds: float = 30.0
    """From the first byte, or from the connection's start, to the end of the request's head."""
    body_window_seconds: float = 30.0
    body_bytes_per_second: int = 200
    """Within every window a body must arrive at least this fast."""
    unread_seconds: float = 120.0
    """How long a peer may leave a response unread."""
    connections: int = 1000
    """TCP connections at once; one more is answered 503. The Unix socket is never refused."""


class HttpServer:
    """An ASGI application on a TCP port, on a Unix socket of the owner, or on both.

    Over the Unix socket ``scope["client"]`` is None and ``scope["server"]`` its path.
    """

    def __init__(
        self,
        app: Asgi,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        unix_path: Path | None = None,
        take_next_port: bool = False,
        passed: ports.Passed | None = None,
        patience: Patience | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bind at once, so that a busy port is known before anything else starts.

        A socket that was `passed` to us is used in place of `host` and `port`. With `tls`, TLS is
        spoken on it from the first byte. Raises `PortInUse`, `PortNotPermitted` or `CannotListen`.
        """
        self._handshakes = Handshakes(tls, self._guarded) if tls is not None else None
        self._hand_port: HandPort | None = None
        self._config = Config(
            cast(Any, app),
            loop="none",
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            # Behind a proxy on loopback anybody could claim any address otherwise.
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._patience = patience or Patience()
        self._servers: list[asyncio.AbstractServer] = []
        self._gone = asyncio.Event()
        self._dates: asyncio.Task[None] | None = None
        self._unix_path = unix_path
        self._bound = None
        if passed is not None:
            self._bound = passed.adopt()
        elif port is not None:
            self._bound = ports.bind(host, port, take_next_port=take_next_port)
        try:
            self._unix = ports.bind_unix(unix_path) if unix_path is not None else None
        except BaseException:
            if self._bound is not None:
                self._bound.sock.close()
            raise

    @property
    def port(self) -> int:
        """The TCP port listened on; 0 where there is none."""
        return self._bound.port if self._bound else 0

    @property
    def note(self) -> str:
        """Why the port is not the one asked for; empty where it is."""
        return self._bound.note if self._bound else ""

    async def start(self) -> None:
        """Answer requests from now on."""
        loop = asyncio.get_running_loop()
        self._set_date()
        self._dates = loop.create_task(self._keep_date())
        if self._bound is not None:
            if (handshakes := self._handshakes) is not None:
                self._hand_port = HandPort(self._bound.sock, lambda: handshakes)
            else:
                server = await loop.create_server(self._guarded, sock=self._bound.sock)
                self._servers.append(server)
        if self._unix is not None:
            self._servers.append(await loop.create_unix_server(self._trusted, sock=self._unix))

    async def stop(self, seconds: float = 10.0) -> None:
        """Accept nothing more, let running requests finish within `seconds`, close the rest."""
        for server in self._servers:
            server.close()
        if self._hand_port is not None:
            self._hand_port.close()
            self._hand_port = None
        for bound in (self._bound.sock if self._bound else None, self._unix):
            if bound is not None:
                bound.close()
        if self._unix_path is not None:
            # A disk that fails may refuse this, too; why we stop must not be lost over it.
            with contextlib.suppress(OSError):
                self._unix_path.unlink()
        if self._handshakes is not None:
            await self._handshakes.close()
        for connection in list(self._state.connections):
            cast(_Connection, connection).shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._state.connections:
                    self._gone.clear()
                    await self._gone.wait()
                if self._state.tasks:
                    await asyncio.wait(set(self._state.tasks))
        await self._cut_off()
        if self._dates is not None:
            self._dates.cancel()

    async def _cut_off(self) -> None:
        late = list(self._state.tasks)
        for task in late:
            task.cancel()
        if late:
            _log.warning("%d HTTP requests did not finish in time and were cut off", len(late))
            await asyncio.wait(late, timeout=1.0)
        for connection in list(self._state.connections):
            cast(_Connection, connection).transport.abort()

    def _guarded(self) -> _Connection:
        return _Connection(self._config, self._state, self._patience, self._gone, capped=True)

    def _trusted(self) -> _Connection:
        return _Connection(self._config, self._state, self._patience, self._gone, capped=False)

    def _set_date(self) -> None:
        self._state.default_headers = [(b"date", formatdate(usegmt=True).encode())]

    async def _keep_date(self) -> None:
        while True:
            await asyncio.sleep(_DATE_SECONDS)
            self._set_date()


class _Connection(HttpToolsProtocol):
    """uvicorn's protocol under bounds of size, time and rate."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        patience: Patience,
        gone: asyncio.Event,
        *,
        capped: bool,
    ) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self._gone = gone
        self._patience = patience
        self._capped = capped
        self._in_head = True
        self._head_bytes = 0
        self._head_since = self.loop.time()
        self._window_since = self._head_since
        self._window_bytes = 0
        self._unread_since: float | None = None
        self._refused = False
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._capped and len(self.connections) > self._patience.connections:
            self._refuse(b"503 Service Unavailable")
            return
        self._watch = self.loop.call_later(self._period(), self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        super().connection_lost(exc)
        self._gone.set()

    def data_received(self, data: bytes) -> None:
        self._window_bytes += len(data)
        if self._in_head:
            self._head_bytes += len(data)
        if self._refused or self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._unread_since = None
        super().resume_writing()

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._head_since = self.loop.time()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADERS:
            # The parser turns it into a 400 and the connection's end.
            raise ValueError("too many header fields")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._window_since = self.loop.time()
        self._window_bytes = 0
        super().on_headers_complete()

    def _period(self) -> float:
        patience = self._patience
        return min(patience.head_seconds, patience.body_window_seconds, patience.unread_seconds) / 3

    def _look(self) -> None:
        now = self.loop.time()
        if self._unread_since is not None:
            if now - self._unread_since > self._patience.unread_seconds:
                self.transport.abort()
                return
        elif self._head_is_late(now) or self._body_is_slow(now):
            self._refuse(b"408 Request Timeout")
            return
        self._watch = self.loop.call_later(self._period(), self._look)

    def _head_is_late(self, now: float) -> bool:
        # A kept connection between two requests is no late head: uvicorn's own timer ends it.
        begun = self._head_bytes > 0 or self._request is None
        return self._in_head and begun and now - self._head_since > self._patience.head_seconds

    def _body_is_slow(self, now: float) -> bool:
        cycle = self._request
        if self._in_head or cycle is None or not cycle.more_body or self.flow.read_paused:
            self._window_since, self._window_bytes = now, 0
            return False
        elapsed = now - self._window_since
        if elapsed < self._patience.body_window_seconds:
            return False
        slow = self._window_bytes < elapsed * self._patience.body_bytes_per_second
        self._window_since, self._window_bytes = now, 0
        return slow

    @property
    def _request(self) -> RequestResponseCycle | None:
        # None before the first request, whatever its declared type says.
        return cast(RequestResponseCycle | None, self.cycle)

    def _refuse(self, status: bytes) -> None:
        cycle = self._request
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(
                b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        # What still comes in is read and thrown away: to close over it would send a reset, which
        # may overtake the answer.
        self._refused = True
        if self.transport.can_write_eof():  # not under TLS
            self.transport.write_eof()
        if self._watch is not None:
            self._watch.cancel()
        self._watch = self.loop.call_later(_LINGER_SECONDS, self.transport.abort)
