"""how a client session begins: banner, EHLO or HELO, STARTTLS, login, until mail may be sent

With it come the things that every reply needs, whatever it answers: reading it, finding its
command, and noticing that the server no longer keeps to SMTP.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from pillarbox.protocol.command import Verb, format_hello
from pillarbox.protocol.errors import LocalProtocolError, RemoteProtocolError
from pillarbox.protocol.events import (
    ClientEvent,
    Greeted,
    HelloAnswered,
    LoginAnswered,
    TlsAnswered,
    Unsolicited,
)
from pillarbox.protocol.extensions import Extensions
from pillarbox.protocol.pipeline import Expected, Pipeline
from pillarbox.protocol.reply import MalformedReply, Reply, ReplyParser
from pillarbox.protocol.sasl import ClientExchange
from pillarbox.protocol.states import CLIENT, ClientState, ClientTrigger
from pillarbox.terms.secret import Secret

_NO_EHLO: Final = frozenset({500, 502, 504})
_MAY_QUIT: Final = frozenset({ClientState.BANNER, ClientState.HELLO, ClientState.READY})

Hears = Callable[[Any, Reply], None]
"""A method of the session that takes a reply."""


class Opening:
    """A connection from its banner to the point where mail may be sent, and its end."""

    def __init__(self, hears: Mapping[Expected, Hears] | None = None) -> None:
        """A connection that was just made; the banner is awaited. `hears` is `HEARS_OPENING`, or
        that and more.
        """
        self._hears = hears or HEARS_OPENING
        self.extensions = Extensions()
        """What the peer offered last; empty before EHLO, after HELO and after STARTTLS."""
        self._state = ClientState.BANNER
        self._ended = False
        self._parser = ReplyParser()
        self._events: deque[ClientEvent] = deque()
        self._pipeline = Pipeline(Expected.BANNER)
        self._name = ""
        self._exchange: ClientExchange | None = None

    # --- what the driver asks ----------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether an envelope may come next. RSET or a lone dot may still be on its way."""
        return self._state is ClientState.READY

    @property
    def expecting(self) -> str | None:
        """Which reply is awaited, for time-outs; None where none is.

        ``banner``, ``ehlo``, ``starttls``, ``auth``, ``envelope``, ``data``, ``verdict``, ``quit``.
        """
        return self._pipeline.expecting

    @property
    def state(self) -> ClientState:
        """Where the conversation stands."""
        return self._state

    def next_event(self) -> ClientEvent | None:
        """The next thing that happened; None until more bytes or a reply lead to another."""
        return self._events.popleft() if self._events else None

    def bytes_to_send(self) -> bytes:
        """Everything to be written, once."""
        return self._pipeline.bytes_to_send()

    # --- what the driver wants ---------------------------------------------------------------

    def hello(self, name: str) -> None:
        """Say EHLO, and HELO where EHLO is not known; `HelloAnswered` follows."""
        self._require(ClientTrigger.HELLO)
        if self._pipeline.expected:
            raise LocalProtocolError("the answer to EHLO is awaited already")
        self._pipeline.say(format_hello(Verb.EHLO, name), Expected.EHLO)
        self._name = name

    def start_tls(self) -> None:
        """Say STARTTLS; `TlsAnswered` follows."""
        if not self.extensions.has("STARTTLS"):
            raise LocalProtocolError("the server does not offer STARTTLS")
        self._move(ClientTrigger.STARTTLS)
        self._pipeline.say(b"STARTTLS\r\n", Expected.STARTTLS)

    def tls_started(self) -> None:
        """The handshake is done: everything heard before is forgotten (RFC 3207 §4.2)."""
        if self._pipeline.expected:
            raise LocalProtocolError("the server has not agreed to start TLS")
        self._move(ClientTrigger.SECURED)
        self.extensions = Extensions()

    def login(
        self, mechanism: str, username: str, password: Secret, *, host: str = "", port: int = 0
    ) -> None:
        """Go through an AUTH exchange; `LoginAnswered` follows. See `ClientExchange`."""
        exchange = ClientExchange(mechanism, username, password, host=host, port=port)
        self._move(ClientTrigger.AUTH)
        self._exchange = exchange
        self._pipeline.say(exchange.command.encode("ascii") + b"\r\n", Expected.AUTH)

    def quit(self) -> None:
        """Say QUIT, unless the session has ended. No event; `expecting` ends.

        Not in the middle of anything: there the connection can only be closed.
        """
        if self._state is ClientState.CLOSING:
            return
        if self._state not in _MAY_QUIT:
            raise LocalProtocolError(f"the session is {self._state}; close the connection instead")
        self._move(ClientTrigger.END)
        self._pipeline.say(b"QUIT\r\n", Expected.QUIT)

    # --- what the server says ----------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes from the server. Raises `RemoteProtocolError`; then the session has ended.

        Events for what came before the fault can still be taken.
        """
        if self._ended:
            return
        if self._state is ClientState.HANDSHAKE and not self._pipeline.expected:
            raise self._fault("the server spoke in clear where the TLS handshake was due")
        broken: MalformedReply | None = None
        try:
            replies = self._parser.feed(data)
        except MalformedReply as error:
            replies, broken = error.before, error
        left = len(replies)
        for reply in replies:
            left -= 1
            if left or broken or self._parser.pending:
                self._refuse_before_handshake(reply)
            if not self._take(reply):
                return
        if broken is not None:
            raise self._fault(broken.sentence, broken.detail) from broken

    def _refuse_before_handshake(self, reply: Reply) -> None:
        # Whoever stands between could have put there what follows (CVE-2011-0411).
        if self._state is ClientState.HANDSHAKE and reply.severity == 2:
            raise self._fault("the server's agreement to start TLS was followed by more in clear")

    def _take(self, reply: Reply) -> bool:
        pipeline = self._pipeline
        awaited = pipeline.expected
        if not awaited:
            self._events.append(Unsolicited(reply))
            self._end()
            return False
        expected = awaited.popleft()
        if reply.severity == 3 and expected not in (Expected.DATA, Expected.AUTH):
            raise self._fault("the server asks to go on where nothing follows", str(reply))
        self._hears[expected](self, reply)
        if reply.code == 421:
            self._end()
        elif pipeline.held_back:
            pipeline.release(at_once=self.extensions.has("PIPELINING"))
        return not self._ended

    def _banner(self, reply: Reply) -> None:
        self._events.append(Greeted(reply))
        if reply.severity == 2:
            self._move(ClientTrigger.GREETED)

    def _ehlo(self, reply: Reply) -> None:
        if reply.code in _NO_EHLO:
            self._pipeline.say(format_hello(Verb.HELO, self._name), Expected.HELO)
            return
        self.extensions = Extensions.parse(reply.lines[1:])
        self._helo(reply)

    def _helo(self, reply: Reply) -> None:
        if reply.severity == 2:
            self._move(ClientTrigger.HELLO)
        else:
            self.extensions = Extensions()
        self._events.append(HelloAnswered(reply))

    def _starttls(self, reply: Reply) -> None:
        if reply.severity != 2:
            self._move(ClientTrigger.TLS_REFUSED)
        self._events.append(TlsAnswered(reply))

    def _auth(self, reply: Reply) -> None:
        if reply.severity == 3 and self._exchange is not None:
            answer = self._exchange.answer(reply.text).encode("ascii")
            self._pipeline.say(answer + b"\r\n", Expected.AUTH)
            return
        reason = self._exchange.reason if self._exchange is not None else ""
        self._exchange = None
        self._move(ClientTrigger.LOGIN_ENDED)
        self._events.append(LoginAnswered(reply, reason))

    def _goodbye(self, _: Reply) -> None:
        self._end()

    # --- consequences ------------------------------------------------------------------------

    def _require(self, trigger: ClientTrigger) -> None:
        if trigger not in CLIENT[self._state]:
            raise self._untimely()

    def _move(self, trigger: ClientTrigger) -> None:
        try:
            self._state = CLIENT[self._state][trigger]
        except KeyError:
            raise self._untimely() from None

    def _untimely(self) -> LocalProtocolError:
        return LocalProtocolError(f"the session is {self._state}; this comes at another time")

    def _fault(self, sentence: str, detail: str | None = None) -> RemoteProtocolError:
        self._end()
        return RemoteProtocolError(sentence, detail=detail)

    def _end(self) -> None:
        self._state = ClientState.CLOSING
        self._ended = True
        self._pipeline.clear()
        self._exchange = None


HEARS_OPENING: Final[Mapping[Expected, Hears]] = {
    Expected.BANNER: Opening._banner,
    Expected.EHLO: Opening._ehlo,
    Expected.HELO: Opening._helo,
    Expected.STARTTLS: Opening._starttls,
    Expected.AUTH: Opening._auth,
    Expected.QUIT: Opening._goodbye,
}
"""What is done with the reply to each thing that is said before mail."""
