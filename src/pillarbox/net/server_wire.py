"""the socket under a server session: counted in, protected by TLS, held back, closed with care"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from abc import abstractmethod
from contextlib import suppress
from typing import Final, cast

from pillarbox.net.doorstep import begins_tls
from pillarbox.net.interface import Peer, is_loopback
from pillarbox.net.phase import Phase
from pillarbox.net.port_terms import PortTerms
from pillarbox.net.sessions import crowd_of
from pillarbox.net.tls import describe_tls, explain_tls_failure
from pillarbox.protocol import replies
from pillarbox.protocol.reply import Reply

_LINGER_SECONDS: Final = 10.0
"""For a client to take our last words; then the connection is cut."""

_MOST_THROWN_AWAY_BYTES: Final = 32 * 1024 * 1024
"""Of what a client says meanwhile; one that says more does not listen."""

_SHORTEST_LOOK_SECONDS: Final = 0.02
_CLIENT: Final = "the client"

_log = logging.getLogger(__name__)


class ServerWire(asyncio.Protocol):
    """One client's connection, without what is said on it."""

    def __init__(self, terms: PortTerms) -> None:
        """A fresh one per connection."""
        self._terms = terms
        self._loop = asyncio.get_running_loop()
        self._phase = Phase.STARTING
        self._peer = Peer("", 0, terms.name)
        self._reason = "the client left"
        self._started_at = self._loop.time()
        self._unread_since: float | None = None
        """When the client ceased to read our replies; None while it reads."""
        self._eof = False
        self._read_paused = False
        self._counted = False
        self._handshake: asyncio.Task[None] | None = None
        self._early = b""
        self._thrown_away = 0
        self._written: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # --- what is said on it -------------------------------------------------------------------

    @abstractmethod
    def _open(self) -> None:
        """The banner is due; under TLS already, on ports that begin so."""

    @abstractmethod
    def _secured(self) -> None:
        """The handshake that followed STARTTLS is done."""

    @abstractmethod
    def _received(self, data: bytes) -> None:
        """Bytes from the client."""

    @abstractmethod
    def _received_eof(self) -> None:
        """The client sends no more."""

    @abstractmethod
    def _writable(self) -> None:
        """The client reads again."""

    @abstractmethod
    def _lost(self) -> None:
        """The connection is gone; called once, if it was counted in."""

    @abstractmethod
    def _look(self) -> None:
        """The timer rang."""

    # --- what the transport calls ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the client in, or refuse it before any work is done."""
        self._transport = transport = cast(asyncio.Transport, transport)
        if not self._counted:
            host, port, *_ = transport.get_extra_info("peername") or ("", 0)
            refusal = self._refusal(str(host), int(port))
            if refusal is not None:
                transport.write(refusal.encode())
                transport.close()
                self._phase = Phase.ENDED
                return
        self._phase = Phase.OPEN
        self._note_tls()
        self._open()

    def data_received(self, data: bytes) -> None:
        """Bytes from the socket."""
        phase = self._phase
        if phase is Phase.OPEN:
            self._received(data)
        elif phase is Phase.HANDSHAKE:
            # Already decrypted: a client may send its EHLO together with the last flight of the
            # handshake, and then we read it before `start_tls` has returned to us.
            self._early += data
        elif phase is Phase.FLUSHING:
            # Reading is paused; bytes in clear behind STARTTLS are never taken for anything else.
            self._transport.abort()
        elif phase is Phase.ENDED:
            self._thrown_away += len(data)
            if self._thrown_away > _MOST_THROWN_AWAY_BYTES:
                self._transport.abort()

    def eof_received(self) -> bool:
        """A client may close its side and still read; only TLS cannot do that."""
        self._eof = True
        if self._phase is Phase.OPEN:
            self._received_eof()
        elif self._phase is Phase.ENDED:
            self._transport.close()
        return not self._peer.tls and self._phase is Phase.OPEN

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone."""
        if self._phase is Phase.HANDSHAKE:
            self._reason = explain_tls_failure(exc or ConnectionResetError(), _CLIENT)
        elif exc is not None:
            self._reason = f"the connection broke: {exc}"
        self._forget()

    def pause_writing(self) -> None:
        """The client does not read our replies: it gets no more of them, and is not read."""
        self._unread_since = self._loop.time()
        self._pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unread_since = None
        if self._written is not None and not self._written.done():
            self._written.set_result(None)
        if self._phase is Phase.OPEN:
            self._writable()
        if self._phase in (Phase.OPEN, Phase.ENDED):
            self._resume_reading()

    def abort(self) -> None:
        """End it now."""
        if self._handshake is not None:
            self._handshake.cancel()
        else:
            self._transport.abort()

    # --- TLS ----------------------------------------------------------------------------------

    def take(self, sock: socket.socket, host: str, port: int) -> None:
        """A client that was accepted by hand: counted, then let in, with a handshake where the
        port speaks TLS from the first byte.

        Who is refused there hears nothing: without TLS it would not understand.
        """
        refusal = self._refusal(host, port)
        if refusal is None:
            self._phase = Phase.HANDSHAKE
            self._handshake = self._loop.create_task(self._let_in(sock))
            self._handshake.add_done_callback(lambda task: self._handshake_ended(task, sock))
            return
        if not self._terms.begins_in_tls:
            with suppress(OSError):
                sock.send(refusal.encode())
        sock.close()

    async def _let_in(self, sock: socket.socket) -> None:
        terms = self._terms
        try:
            if not terms.begins_in_tls:
                await self._loop.connect_accepted_socket(lambda: self, sock)
            elif await begins_tls(sock, terms, self._peer.address):
                assert terms.tls is not None
                await self._loop.connect_accepted_socket(
                    lambda: self, sock, ssl=terms.tls(),
                    ssl_handshake_timeout=terms.patience.handshake_seconds,
                    ssl_shutdown_timeout=_LINGER_SECONDS,
                )  # fmt: skip
        except OSError as error:
            self._note_failure(error)

    def _start_handshake(self, ready: bytes) -> None:
        """Say `ready`, the last words in clear; then nothing but TLS."""
        self._phase = Phase.FLUSHING
        # Before anything else, so that nothing sent in clear behind STARTTLS is read as SMTP.
        self._transport.pause_reading()
        self._disarm()
        self._terms.burst.flush()
        self._transport.write(ready)
        self._handshake = self._loop.create_task(self._shake_hands())
        self._handshake.add_done_callback(lambda task: self._handshake_ended(task, self._transport))

    async def _shake_hands(self) -> None:
        terms = self._terms
        seconds = terms.patience.handshake_seconds
        assert terms.tls is not None
        try:
            async with asyncio.timeout(seconds):
                await self._flushed()
            self._phase = Phase.HANDSHAKE
            transport = await self._loop.start_tls(
                self._transport,
                self,
                terms.tls(),
                server_side=True,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=_LINGER_SECONDS,
            )
        except OSError as error:
            self._note_failure(error)
            return
        if transport is None or transport.is_closing() or self._phase is not Phase.HANDSHAKE:
            return
        self._transport = transport
        self._read_paused = False
        self._phase = Phase.OPEN
        self._note_tls()
        self._secured()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _handshake_ended(
        self, task: asyncio.Task[None], channel: socket.socket | asyncio.Transport
    ) -> None:
        # `connection_lost` does not tell of a failed handshake, nor does a cancelled task run. A client
        # that was accepted by hand may have begun the next handshake before this is over.
        if self._handshake is task:
            self._handshake = None
            if self._phase in (Phase.FLUSHING, Phase.HANDSHAKE):
                channel.close()
                self._forget()
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a handshake with %s failed: %r", self._peer.address, error)

    def _note_failure(self, error: OSError) -> None:
        self._reason = why = explain_tls_failure(error, _CLIENT)
        # One that only hangs up was looking whether somebody is here.
        if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
            self._terms.note("tls_handshake_failed", self._peer.address, why.partition(": ")[2])

    def _note_tls(self) -> None:
        tls = describe_tls(self._transport.get_extra_info("ssl_object"))
        if tls:
            peer = self._peer
            self._peer = Peer(peer.address, peer.port, peer.listener, tls, peer.local_port)

    async def _flushed(self) -> None:
        # start_tls of uvloop must not meet bytes that are not sent yet.
        self._transport.set_write_buffer_limits(0)
        while self._transport.get_write_buffer_size():
            self._written = self._loop.create_future()
            await self._written
        self._transport.set_write_buffer_limits()

    # --- the end ------------------------------------------------------------------------------

    def _finish(self, last_words: bytes, *, at_once: bool) -> None:
        """Say `last_words` and close; `at_once` where the client is known to send no more."""
        transport = self._transport
        self._phase = Phase.ENDED
        self._terms.burst.flush()
        if last_words:
            transport.write(last_words)
        self._disarm()
        if not at_once or self._peer.tls or transport.get_write_buffer_size():  # else it has all
            self._timer = self._loop.call_later(_LINGER_SECONDS, transport.abort)
        if at_once or self._eof or self._peer.tls:
            transport.close()
            return
        # To close with input unread makes the kernel send a reset, which may overtake our last
        # reply. So only our side is closed, and the rest is read and thrown away for a while.
        self._resume_reading()
        transport.write_eof()

    def _forget(self) -> None:
        if self._phase is Phase.LOST:
            return
        self._phase = Phase.LOST
        self._disarm()
        if self._written is not None and not self._written.done():
            self._written.set_exception(ConnectionResetError())
        if self._counted:
            self._lost()

    def _refusal(self, host: str, port: int) -> Reply | None:
        """Why this client is not let in; None where it is, and then it is counted."""
        terms = self._terms
        address = host.removeprefix("::ffff:")
        self._peer = Peer(address, port, terms.name, local_port=terms.port)
        if terms.sessions.leaving:
            return replies.SHUTTING_DOWN
        if not is_loopback(address) and terms.arrivals.too_many(
            crowd_of(address), self._loop.time()
        ):
            return replies.TOO_MANY_ARRIVALS
        if terms.sessions.full(address):
            return replies.TOO_MANY_CONNECTIONS
        refusal = terms.admit(address)
        if refusal is None:
            self._counted = True
            terms.sessions.enter(self, address)
        return refusal

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self._terms.sessions.leave(self, self._peer.address)

    @abstractmethod
    def ask_to_leave(self) -> None:
        """End the session as soon as nothing is owed to the client."""

    # --- small things -------------------------------------------------------------------------

    def _pause_reading(self) -> None:
        if not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused and self._unread_since is None:
            self._read_paused = False
            self._transport.resume_reading()

    def _arm(self, seconds: float) -> None:
        # One timer per connection, looked at seldom: commands only note the time.
        self._disarm()
        self._timer = self._loop.call_later(max(seconds, _SHORTEST_LOOK_SECONDS), self._look)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
