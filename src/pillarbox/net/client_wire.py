"""the socket under a client session: one future per awaited event, one timer per connection"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import Final, TypeVar, cast

from pillarbox.net.errors import Broken
from pillarbox.net.peer_certificate import result_of
from pillarbox.net.securing import Security
from pillarbox.net.tls import explain_tls_failure
from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.errors import RemoteProtocolError
from pillarbox.protocol.events import ClientEvent, TlsAnswered, Unsolicited
from pillarbox.protocol.reply import Reply

E = TypeVar("E")

_TLS_SHUTDOWN_SECONDS: Final = 2.0
_MOST_RENEWALS: Final = 10


class Wire(asyncio.Protocol):
    """Feeds the session with what the server sends; whoever waits gets the next event.

    Waiting ends with `Broken` when the time is over, the line breaks, or the server talks nonsense.
    """

    def __init__(self) -> None:
        """Not connected yet; see `connect`."""
        self.session = ClientSession()
        self.stage = "connect"
        self._loop = asyncio.get_running_loop()
        self._events: deque[ClientEvent] = deque()
        self._waiter: asyncio.Future[ClientEvent] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._parting: asyncio.Future[None] | None = None
        self._write_paused = False
        self._deadline: float | None = None
        self._renewal = 0.0
        self._last_renewal_at = 0.0
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._blind = False
        self._handshake = False
        self._early = b""
        self._words = ""
        self._reply: Reply | None = None
        self._misbehaved = False
        self.lost = False
        """Whether the connection is gone, or of no more use."""

    # --- what the transport calls ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes from the server."""
        if self._handshake:
            # Decrypted already, but `start_tls` has not returned to us yet.
            self._early += data
            return
        if self.lost or self._blind:
            return
        self._heard_at = self._loop.time()
        session = self.session
        try:
            session.receive(data)
        except RemoteProtocolError as error:
            self._take_events()
            self._misbehaved = True
            self.fail(error.sentence)
            return
        self._take_events()
        if self._parting is not None and session.expecting is None:
            _release(self._parting)
        if not self._blind:
            out = session.bytes_to_send()
            if out:
                self._transport.write(out)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if exc is None or isinstance(exc, ConnectionResetError):
            how = "closed" if exc is None else "reset"
            self.fail(f"the server {how} the connection")
        else:
            self.fail(f"the connection broke: {getattr(exc, 'strerror', None) or exc}")
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        """The server reads more slowly than we write."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._write_paused = False
        _release(self._writable)

    # --- what the connection calls ----------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """The TLS transport once there is one."""
        return self._transport

    @property
    def address(self) -> str:
        """The server's; empty where it is gone already."""
        peer = self._transport.get_extra_info("peername")
        return str(peer[0]) if peer else ""

    @property
    def spoke(self) -> bool:
        """Whether an event waits that nobody has asked for yet."""
        return bool(self._events) or self._reply is not None

    def flush(self) -> None:
        """Write what the session wants to say."""
        out = self.session.bytes_to_send()
        if out and not self.lost:
            self._transport.write(out)

    def write(self, data: bytes | memoryview) -> None:
        """Write a piece of what the session wanted to say; nothing where the line is gone."""
        if not self.lost:
            self._transport.write(data)

    async def next_event(self, stage: str, seconds: float, *, renewed: bool = False) -> ClientEvent:
        """The next thing the server says; `stage` is what a failure will name.

        Where one event takes several replies, `renewed` gives every piece of them `seconds`, and
        all together ten times as much.
        """
        self.stage = stage
        if self._events:
            return self._events.popleft()
        self.check()
        waiter = self._waiter = self._loop.create_future()
        self._limit(seconds, renewed=renewed)
        try:
            return cast(ClientEvent, await waiter)
        except asyncio.CancelledError:
            # What the server answers now would be taken for the answer to something else.
            self.fail("given up")
            raise
        finally:
            self._waiter = None
            self._deadline = None

    async def expect(
        self, kind: type[E], stage: str, seconds: float, *, renewed: bool = False
    ) -> E:
        """As `next_event`, of the only kind that can come now."""
        event = await self.next_event(stage, seconds, renewed=renewed)
        if not isinstance(event, kind):
            # The session pairs replies with commands, so this is our mistake, not the server's.
            self.fail("replies and commands were mixed up")
            self.check()
        return cast(E, event)

    async def drain(self, seconds: float) -> None:
        """Wait until the server has read enough that more may be written."""
        self.check()
        if not self._write_paused:
            return
        self._writable = self._loop.create_future()
        self._limit(seconds)
        try:
            await self._writable
        except asyncio.CancelledError:
            self.fail("given up")
            raise
        finally:
            self._writable = None
            self._deadline = None

    async def connect(self, sock: socket.socket, security: Security, seconds: float) -> None:
        """Take a connected socket; under TLS from the first byte where that is asked for."""
        context = security.context if security.at_once else None
        secured = context is not None
        try:
            await self._loop.create_connection(
                lambda: self,
                sock=sock,
                ssl=context,
                server_hostname=security.name if secured else None,
                ssl_handshake_timeout=seconds if secured else None,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS if secured else None,
            )
        except (OSError, ValueError) as error:
            sock.close()
            raise _no_tls(error, security.host) from error
        if secured:
            try:
                security.check(self._transport)
            except Broken:
                self.fail("no TLS")
                raise

    async def start_tls(self, context: ssl.SSLContext, security: Security, seconds: float) -> None:
        """Do the handshake, and look at what was shown in it. Stage ``starttls``."""
        self.stage = "starttls"
        self.check()
        self._handshake = True
        transport: asyncio.Transport | None = None
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_hostname=security.name,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
            )
            if transport is not None:
                security.check(transport)
        except (OSError, ValueError) as error:
            raise _no_tls(error, security.host) from error
        except Broken:
            transport = None
            raise
        finally:
            self._handshake = False
            if transport is None:
                self.fail("no TLS")
        if transport is None or transport.is_closing():
            self.fail("the server closed the connection during the handshake")
        self.check()
        self._transport = cast(asyncio.Transport, transport)
        self._blind = False

    def hear_early(self) -> None:
        """Hear what came with the last flight of the handshake."""
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    async def gone(self, seconds: float) -> None:
        """Wait until the server has answered our QUIT or closed; at most `seconds`."""
        if self.session.expecting is not None and not self.lost:
            self._parting = self._loop.create_future()
            self._limit(seconds)
            await self._parting

    def check(self) -> None:
        """Raise `Broken` where the line is gone."""
        if self.lost:
            raise self._broken()

    def fail(self, words: str, reply: Reply | None = None) -> None:
        """Cut the line; whoever waits hears why. The first reason counts."""
        if self.lost:
            return
        self.lost = True
        self._words = words
        self._reply = reply or self._reply
        for future in (self._waiter, self._writable):
            if future is not None and not future.done():
                future.set_exception(self._broken())
        _release(self._parting)
        self._transport.abort()

    def close(self) -> None:
        """Send what is left and close."""
        self.lost = True
        self._words = self._words or "we closed the connection"
        self._transport.close()

    # --- inside -----------------------------------------------------------------------------

    def _broken(self) -> Broken:
        broken = Broken(self.stage, self._words, self._reply)
        if self._misbehaved:
            broken.error_code = "upstream_misbehaved"
        return broken

    def _take_events(self) -> None:
        while (event := self.session.next_event()) is not None:
            if type(event) is Unsolicited:
                self.fail(f"the server ended the conversation: {event.reply}", event.reply)
                return
            if type(event) is TlsAnswered and event.reply.severity == 2:
                # Nothing that comes in clear from here on may be taken for SMTP.
                self._blind = True
                self._transport.pause_reading()
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(event)
            else:
                self._events.append(event)
                # Refused while it is still being written: no use in waiting to write the rest.
                _release(self._writable)

    def _limit(self, seconds: float, *, renewed: bool = False) -> None:
        # The timer stays armed over many short waits; it only looks whether time is really over.
        now = self._loop.time()
        self._deadline = deadline = now + seconds
        self._renewal = seconds if renewed else 0.0
        self._last_renewal_at = now + seconds * _MOST_RENEWALS
        if self._timer is None or deadline < self._timer_at:
            self._arm(deadline)

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None or self.lost:
            return
        if self._renewal:
            renewed = min(self._heard_at + self._renewal, self._last_renewal_at)
            self._deadline = max(self._deadline, renewed)
        if self._loop.time() >= self._deadline:
            self.fail("the server did not answer in time")
        else:
            self._arm(self._deadline)


def _no_tls(error: BaseException, host: str) -> Broken:
    words = explain_tls_failure(error, host)
    return Broken("starttls", words, tls_result=result_of(error))


def _release(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
