"""drives a server session: events to the handler, its answers back, replies out

The session knows SMTP, the handler knows who may do what; here is only what waits. An event that
the handler answers at once costs no task and no trip through the loop, and all that one read led
to is written in one call: that, and scanning content in bulk, is what makes a relay fast.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final

from pillarbox.net.budget import ContentShare
from pillarbox.net.interface import Answer, SessionHandler
from pillarbox.net.pace import Pace
from pillarbox.net.phase import Phase
from pillarbox.net.port_terms import PortTerms
from pillarbox.net.server_wire import ServerWire
from pillarbox.protocol import replies
from pillarbox.protocol.events import (
    ContentReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    ServerEvent,
    SessionEnded,
    TlsWanted,
    TransactionReset,
)
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.server import ServerSession
from pillarbox.protocol.states import ServerState

_MAX_BUFFERED: Final = 128 * 1024
"""Bytes a client may send ahead while a reply is owed to it; then it is no longer read."""

_BITE_BYTES: Final = 16 * 1024
_OWING: Final = frozenset({ContentReceived, LoginReceived, MailReceived, RecipientReceived})
_QUIT: Final = "QUIT"
_TLS_RECORD: Final = b"\x16\x03"
_BETWEEN_COMMANDS: Final = frozenset({ServerState.COMMAND, ServerState.ENVELOPE})
_DONE: Final = 2

_log = logging.getLogger(__name__)


class SmtpServerProtocol(ServerWire):
    """One client's session. Hand a factory of these to ``create_server``."""

    def __init__(self, terms: PortTerms) -> None:
        """A fresh one per connection."""
        super().__init__(terms)
        self._handler: SessionHandler | None = None
        self._owed: tuple[asyncio.Future[Reply | None], ServerEvent] | None = None
        self._pace = Pace(terms.patience, self._started_at)
        self._share = ContentShare(terms.budget)
        self._uneaten = b""
        self._in_transaction = False
        self._leaving = self._shutting = False

    # --- what the listener calls --------------------------------------------------------------

    def ask_to_leave(self) -> None:
        """Say goodbye with 421 as soon as nothing is owed and no transaction is open."""
        self._leaving = True
        if self._phase is Phase.OPEN:
            self._leave_if_idle()
        elif self._phase in (Phase.FLUSHING, Phase.HANDSHAKE):
            self.abort()

    def abort(self) -> None:
        """End it now; a handler's answer still under way is cancelled."""
        super().abort()
        if self._owed is not None:
            self._owed[0].cancel()

    # --- what the wire calls ------------------------------------------------------------------

    def _open(self) -> None:
        terms = self._terms
        self._session = ServerSession(terms.limits, terms.hostname)
        try:
            self._handler = terms.make_handler()
            banner = self._handler.opened(self._peer)
        except Exception:
            self._complain("at its start")
            banner = replies.SHUTTING_DOWN
        self._session.greet(banner)
        self._plan_look(self._loop.time())
        self._pump()

    def _secured(self) -> None:
        self._session.tls_started()
        now = self._loop.time()
        self._pace.begins_again(now)
        try:
            if self._handler is not None:
                self._handler.secured(self._peer)
        except Exception:
            self._complain("at STARTTLS")
        self._plan_look(now)

    def _received(self, data: bytes) -> None:
        if data[0] == _TLS_RECORD[0] and self._ends_for_tls(data):
            return
        self._pace.heard(self._loop.time(), len(data))
        if self._uneaten:
            self._uneaten += data
        elif len(data) > _BITE_BYTES and self._session.state is not ServerState.CONTENT:
            self._uneaten = data
            self._pause_reading()
            self._bite()
        else:
            self._eat(data)

    def _ends_for_tls(self, data: bytes) -> bool:
        """A handshake where SMTP begins in clear. Content may begin so, but no command does."""
        session, terms = self._session, self._terms
        fresh = session.state in _BETWEEN_COMMANDS and not (session.buffered or self._uneaten)
        if self._peer.tls or not fresh or not _TLS_RECORD.startswith(data[:2]):
            return False
        terms.note("tls_on_starttls_port", self._peer.address)
        session.shut(terms.mistaken)
        self._pump()
        self._reason = "the client spoke TLS where SMTP begins in clear"
        return True

    def _received_eof(self) -> None:
        if self._uneaten:
            return  # first things first
        self._session.receive_eof()
        if self._owed is None and self._unread_since is None:
            self._pump()

    def _writable(self) -> None:
        if self._owed is None:
            self._pump()

    def _lost(self) -> None:
        # A handler in the middle of an answer is not disturbed; it hears of the end afterwards.
        if self._owed is None:
            self._release()

    # --- the conversation ---------------------------------------------------------------------

    def _eat(self, data: bytes) -> None:
        session = self._session
        session.receive(data)
        if self._owed is None and self._unread_since is None:
            self._pump()
        elif not self._read_paused and session.buffered > _MAX_BUFFERED:
            self._pause_reading()

    def _bite(self) -> None:
        # One read may hold forty thousand commands; whoever sends that must not keep the others
        # waiting. Content is exempt: it costs next to nothing for each byte.
        if self._phase is not Phase.OPEN:
            return
        uneaten = self._uneaten
        at = len(uneaten) if self._session.state is ServerState.CONTENT else _BITE_BYTES
        self._uneaten = uneaten[at:]
        self._eat(uneaten[:at])
        if self._uneaten:
            self._loop.call_soon(self._bite)
        elif self._phase is Phase.OPEN:
            if self._eof:
                self._received_eof()
            elif self._owed is None:
                self._resume_reading()

    def _resume_reading(self) -> None:
        if not self._uneaten:
            super()._resume_reading()

    def _pump(self) -> None:
        session = self._session
        moved = False
        while (event := session.next_event()) is not None:
            moved = True
            kind = type(event)
            if kind in _OWING:
                answer = self._ask(event) if self._affords(event) else replies.TOO_MUCH_AT_ONCE
                if isinstance(answer, Reply) or answer is None:
                    self._settle(event, answer)
                else:
                    self._wait_for(answer, event)
                    break
            elif kind is TlsWanted and self._uneaten:
                # More was read with STARTTLS: it was sent in clear, and the session says no.
                behind, self._uneaten = self._uneaten, b""
                session.receive(behind)
            elif kind is TlsWanted:
                self._start_handshake(session.bytes_to_send())
                return
            elif isinstance(event, SessionEnded):
                self._reason = event.reason
                self._uneaten = b""  # or the rest would not be read and thrown away
                self._finish(
                    session.bytes_to_send(), at_once=self._shutting or event.reason == _QUIT
                )
                return
            else:
                if kind is TransactionReset:
                    self._in_transaction = False
                    self._share.release()
                self._ask(event)
        if (held := session.held_bytes) and not self._share.keep(held):
            session.give_up_content(replies.TOO_MUCH_AT_ONCE)
            self._share.release()
        out = session.bytes_to_send()
        if moved or out:
            # Also what the session answers by itself, such as NOOP, shows that somebody is there.
            self._pace.got_on()
        if out:
            self._terms.burst.write(self._transport, out)
        if self._leaving:
            self._leave_if_idle()

    def _affords(self, event: ServerEvent) -> bool:
        """Whether there is memory for this piece of content; otherwise its transaction is over."""
        if not isinstance(event, ContentReceived) or self._share.hand_over(len(event.data)):
            return True
        self._ask(TransactionReset())
        return False

    def _ask(self, event: ServerEvent) -> Answer:
        try:
            # None only where the handler failed at its start; the session has ended then.
            return self._handler.handle(event) if self._handler is not None else None
        except Exception:
            self._complain(type(event).__name__)
            return _trouble(event)

    def _settle(self, event: ServerEvent, answer: Reply | None) -> None:
        session = self._session
        if isinstance(event, ContentReceived):
            if not event.last:
                if answer is None:
                    session.proceed()
                else:
                    session.refuse_content(answer)
                    self._share.release()
                return
            self._in_transaction = False
            self._share.release()
        if answer is None:
            _log.error("%s: %s was left without an answer", self._who(), type(event).__name__)
            answer = _trouble(event)
        elif isinstance(event, MailReceived) and answer.severity == _DONE:
            self._in_transaction = True
        session.reply(answer)

    def _wait_for(self, answer: Awaitable[Reply | None], event: ServerEvent) -> None:
        owed = answer if isinstance(answer, asyncio.Future) else asyncio.ensure_future(answer)
        self._owed = (owed, event)
        owed.add_done_callback(self._answered)

    def _answered(self, owed: asyncio.Future[Reply | None]) -> None:
        assert self._owed is not None
        event = self._owed[1]
        self._owed = None
        if owed.cancelled():
            answer: Reply | None = replies.SHUTTING_DOWN
        elif (error := owed.exception()) is not None:
            self._complain(type(event).__name__, error)
            answer = _trouble(event)
        else:
            answer = owed.result()
        if self._phase is Phase.LOST:
            self._release()
            return
        # The client could not go on before: its time begins now.
        self._pace.begins_again(self._loop.time())
        self._settle(event, answer)
        if self._unread_since is None:
            self._pump()
        if self._free and self._phase is Phase.OPEN:
            self._resume_reading()

    @property
    def _free(self) -> bool:
        return self._owed is None

    def _leave_if_idle(self) -> None:
        if self._free and not self._in_transaction:
            self._shut(replies.SHUTTING_DOWN, "shutting down")

    def _shut(self, reply: Reply, reason: str) -> None:
        self._leaving = False
        # Nothing of the client's is on its way as a rule, so there is nothing to linger for.
        self._shutting = True
        self._session.shut(reply)
        self._pump()
        self._reason = reason

    def _release(self) -> None:
        handler, self._handler = self._handler, None
        try:
            if handler is not None:
                handler.closed(self._reason)
        except Exception:
            self._complain("at its end")
        self._share.release()
        self._uncount()

    # --- time ---------------------------------------------------------------------------------

    def _plan_look(self, now: float) -> None:
        self._arm(self._pace.next_look(now, self._unread_since))

    def _look(self) -> None:
        if self._phase is not Phase.OPEN:
            return
        now = self._loop.time()
        if self._unread_since is not None:
            if now >= self._unread_since + self._terms.patience.idle_seconds:
                self._reason = "the client did not read our replies"
                self._transport.abort()
                return
        elif self._owed is None:
            reason = self._pace.overdue(
                now,
                in_transaction=self._in_transaction,
                in_content=self._session.state is ServerState.CONTENT,
            )
            if reason:
                self._shut(replies.IDLE, reason)
                return
        self._plan_look(now)

    # --- small things -------------------------------------------------------------------------

    def _who(self) -> str:
        return f"{self._peer.address or 'unix'} port {self._peer.port} ({self._peer.listener})"

    def _complain(self, where: str, error: BaseException | None = None) -> None:
        _log.error("%s: the handler failed: %s", self._who(), where, exc_info=error or True)


def _trouble(event: ServerEvent) -> Reply:
    return replies.LOGIN_UNAVAILABLE if isinstance(event, LoginReceived) else replies.TRY_LATER
