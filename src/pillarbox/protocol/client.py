"""ClientSession: intents in, bytes out; pipelined replies find their commands"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from pillarbox.protocol.command import Verb, check_envelope, format_hello, format_mail
from pillarbox.protocol.dots import DotWriter, stuff
from pillarbox.protocol.errors import LocalProtocolError, RemoteProtocolError
from pillarbox.protocol.events import (
    ClientEvent,
    EnvelopeAnswered,
    Greeted,
    HelloAnswered,
    LoginAnswered,
    TlsAnswered,
    Unsolicited,
    VerdictReceived,
)
from pillarbox.protocol.extensions import Extensions
from pillarbox.protocol.reply import MalformedReply, Reply, ReplyParser
from pillarbox.protocol.sasl import ClientExchange
from pillarbox.protocol.states import CLIENT, ClientState, ClientTrigger
from pillarbox.terms.secret import Secret

_NO_EHLO: Final = frozenset({500, 502, 504})
_MAY_QUIT: Final = frozenset({ClientState.BANNER, ClientState.HELLO, ClientState.READY})
_LONE_DOT: Final = b".\r\n"
_RSET: Final = b"RSET\r\n"


class _Expected(StrEnum):
    """To what the next reply is the answer."""

    BANNER = "banner"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    VERDICT = "verdict"
    CLEAN_UP = "clean-up"
    QUIT = "quit"

    __hash__ = str.__hash__


_TIMED_AS: Final = {
    _Expected.HELO: "ehlo",
    _Expected.MAIL: "envelope",
    _Expected.RCPT: "envelope",
    _Expected.CLEAN_UP: "envelope",
}


class ClientSession:
    """One connection as the client sees it.

    The driver says what it wants, writes what `bytes_to_send` returns, passes on what it
    receives, and takes the events. Saying something at the wrong moment raises
    `LocalProtocolError`. An answer of 421 is reported like any other and ends the session.
    """

    def __init__(self) -> None:
        """A connection that was just made; the banner is awaited."""
        self.extensions = Extensions()
        """What the peer offered last; empty before EHLO, after HELO and after STARTTLS."""
        self._state = ClientState.BANNER
        self._ended = False
        self._parser = ReplyParser()
        self._events: deque[ClientEvent] = deque()
        self._out: list[bytes] = []
        self._expected: deque[_Expected] = deque([_Expected.BANNER])
        self._held_back: deque[tuple[str, _Expected]] = deque()
        self._name = ""
        self._exchange: ClientExchange | None = None
        self._asked = 0
        self._ahead = False
        self._mail: Reply | None = None
        self._answers: list[Reply] = []
        self._dots: DotWriter | None = None

    # --- what the driver asks ----------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether an envelope may come next. RSET or a lone dot may still be on its way."""
        return self._state is ClientState.READY

    @property
    def may_go_ahead(self) -> bool:
        """Whether the next envelope may follow content at once: the server pipelines, and content
        may be the first command of a group (RFC 2920 §3.1).
        """
        return not self._ahead and self.extensions.has("PIPELINING")

    @property
    def expecting(self) -> str | None:
        """Which reply is awaited, for time-outs; None where none is.

        ``banner``, ``ehlo``, ``starttls``, ``auth``, ``envelope``, ``data``, ``verdict``, ``quit``.
        """
        if not self._expected:
            return None
        head = self._expected[0]
        return _TIMED_AS.get(head, head.value)

    @property
    def state(self) -> ClientState:
        """Where the conversation stands."""
        return self._state

    def next_event(self) -> ClientEvent | None:
        """The next thing that happened; None when that is all for now."""
        return self._events.popleft() if self._events else None

    def bytes_to_send(self) -> bytes:
        """Everything to be written, once."""
        out = self._out
        if not out:
            return b""
        joined = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return joined

    # --- what the driver wants ---------------------------------------------------------------

    def hello(self, name: str) -> None:
        """Say EHLO, and HELO where EHLO is not known; `HelloAnswered` follows."""
        self._require(ClientTrigger.HELLO)
        if self._expected:
            raise LocalProtocolError("the answer to EHLO is awaited already")
        self._out.append(format_hello(Verb.EHLO, name))
        self._expected.append(_Expected.EHLO)
        self._name = name

    def start_tls(self) -> None:
        """Say STARTTLS; `TlsAnswered` follows."""
        if not self.extensions.has("STARTTLS"):
            raise LocalProtocolError("the server does not offer STARTTLS")
        self._move(ClientTrigger.STARTTLS)
        self._out.append(b"STARTTLS\r\n")
        self._expected.append(_Expected.STARTTLS)

    def tls_started(self) -> None:
        """The handshake is done: everything heard before is forgotten (RFC 3207 §4.2)."""
        if self._expected:
            raise LocalProtocolError("the server has not agreed to start TLS")
        self._move(ClientTrigger.SECURED)
        self.extensions = Extensions()

    def login(self, mechanism: str, username: str, password: Secret) -> None:
        """Go through an AUTH exchange: PLAIN, LOGIN or XOAUTH2; `LoginAnswered` follows."""
        exchange = ClientExchange(mechanism, username, password)
        self._move(ClientTrigger.AUTH)
        self._exchange = exchange
        self._out.append(exchange.command.encode("ascii") + b"\r\n")
        self._expected.append(_Expected.AUTH)

    def envelope(
        self,
        return_path: str,
        recipients: Sequence[str],
        *,
        size: int | None = None,
        body: str = "7BIT",
        smtputf8: bool = False,
    ) -> None:
        """Say MAIL, RCPT and DATA, all at once where that was offered; `EnvelopeAnswered` follows.

        `return_path` is empty for the null return path, `size` in octets, `body` 7BIT or 8BITMIME;
        a parameter is only said to a server that offered it. Where `may_go_ahead` it may be said
        right behind the content before it; `VerdictReceived` on that comes first.
        """
        offered = self.extensions
        utf8 = smtputf8 and offered.has("SMTPUTF8")
        check_envelope(return_path, recipients, utf8=utf8)
        mail = format_mail(return_path, offered, size=size, body=body, smtputf8=utf8)
        if self._state is ClientState.VERDICT and self.may_go_ahead:
            self._ahead = True
        else:
            self._move(ClientTrigger.ENVELOPE)
        self._mail, self._answers, self._asked = None, [], len(recipients)
        if offered.has("PIPELINING"):
            middle = ">\r\nRCPT TO:<".join(recipients)
            self._out.append(f"{mail}RCPT TO:<{middle}>\r\nDATA\r\n".encode())
            self._expected.append(_Expected.MAIL)
            self._expected.extend([_Expected.RCPT] * len(recipients))
            self._expected.append(_Expected.DATA)
        else:
            self._held_back.append((mail, _Expected.MAIL))
            for recipient in recipients:
                self._held_back.append((f"RCPT TO:<{recipient}>\r\n", _Expected.RCPT))
            self._held_back.append(("DATA\r\n", _Expected.DATA))
            self._say_next()

    def content(self, data: bytes) -> None:
        """Send a whole message after a ready `EnvelopeAnswered`; `VerdictReceived` follows.

        Dots are doubled, a missing last line end is added, everything else goes as it is.
        """
        self._require(ClientTrigger.CONTENT_ENDED)
        stuffed = stuff(data)
        self._move(ClientTrigger.CONTENT_ENDED)
        self._out.append(stuffed)
        self._expected.append(_Expected.VERDICT)

    def content_block(self, data: bytes) -> None:
        """Send part of a message; any number of parts, then `content_end`."""
        self._require(ClientTrigger.CONTENT_ENDED)
        self._dots = self._dots or DotWriter()
        self._out.append(self._dots.write(data))

    def content_end(self) -> None:
        """End a message sent in parts; `VerdictReceived` follows."""
        self._require(ClientTrigger.CONTENT_ENDED)
        end = (self._dots or DotWriter()).end()
        self._dots = None
        self._move(ClientTrigger.CONTENT_ENDED)
        self._out.append(end)
        self._expected.append(_Expected.VERDICT)

    def reset(self) -> None:
        """Say RSET to see whether the peer is still there. No event; `expecting` ends."""
        self._require(ClientTrigger.ENVELOPE)
        self._clean_up(_RSET)

    def quit(self) -> None:
        """Say QUIT, unless the session has ended. No event; `expecting` ends.

        Not in the middle of anything: there the connection can only be closed.
        """
        if self._state is ClientState.CLOSING:
            return
        if self._state not in _MAY_QUIT:
            raise LocalProtocolError(f"the session is {self._state}; close the connection instead")
        self._move(ClientTrigger.END)
        self._out.append(b"QUIT\r\n")
        self._expected.append(_Expected.QUIT)

    # --- what the server says ----------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes from the server. Raises `RemoteProtocolError`; then the session has ended.

        Events for what came before the fault can still be taken.
        """
        if self._ended:
            return
        if self._state is ClientState.HANDSHAKE and not self._expected:
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
        if not self._expected:
            self._events.append(Unsolicited(reply))
            self._end()
            return False
        expected = self._expected.popleft()
        if reply.severity == 3 and expected not in (_Expected.DATA, _Expected.AUTH):
            raise self._fault("the server asks to go on where nothing follows", str(reply))
        _ANSWERS[expected](self, reply)
        if reply.code == 421:
            self._end()
        elif self._held_back:
            self._say_next()
        return not self._ended

    def _banner(self, reply: Reply) -> None:
        self._events.append(Greeted(reply))
        if reply.severity == 2:
            self._move(ClientTrigger.GREETED)

    def _ehlo(self, reply: Reply) -> None:
        if reply.code in _NO_EHLO:
            self._out.append(format_hello(Verb.HELO, self._name))
            self._expected.append(_Expected.HELO)
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
            self._out.append(self._exchange.answer(reply.text).encode("ascii") + b"\r\n")
            self._expected.append(_Expected.AUTH)
            return
        self._exchange = None
        self._move(ClientTrigger.LOGIN_ENDED)
        self._events.append(LoginAnswered(reply))

    def _mail_answer(self, reply: Reply) -> None:
        self._mail = reply
        if reply.code == 421:
            self._cut_short(reply)
        elif reply.severity != 2 and self._held_back:
            self._answer_envelope(None)

    def _rcpt_answer(self, reply: Reply) -> None:
        self._answers.append(reply)
        if reply.code == 421:
            self._cut_short(reply)
        elif len(self._held_back) == 1 and not self._anyone_accepted():
            self._answer_envelope(None)  # of what was held back, only DATA is left

    def _cut_short(self, reply: Reply) -> None:
        # The connection ends here. Whoever was not answered is answered by this.
        if self._answers or not self._held_back:
            self._answers += [reply] * (self._asked - len(self._answers))
        self._answer_envelope(None)

    def _answer_envelope(self, data: Reply | None) -> None:
        mail = self._mail
        assert mail is not None
        self._held_back.clear()
        invited = data is not None and data.severity == 3
        ready = invited and mail.severity == 2 and self._anyone_accepted()
        self._move(ClientTrigger.INVITED if ready else ClientTrigger.REFUSED)
        self._events.append(EnvelopeAnswered(mail, tuple(self._answers), data, ready))
        if ready:
            return
        if invited:
            # RFC 2920 §3.1: the server waits for content although there is nobody to get it.
            self._clean_up(_LONE_DOT)
        elif mail.severity == 2:
            self._clean_up(_RSET)

    def _data_answer(self, reply: Reply) -> None:
        if reply.severity == 2:
            raise self._fault("the server took content that was never sent", str(reply))
        self._answer_envelope(reply)

    def _verdict(self, reply: Reply) -> None:
        self._move(ClientTrigger.DECIDED)
        if self._ahead:
            self._ahead = False
            self._move(ClientTrigger.ENVELOPE)
        self._events.append(VerdictReceived(reply))

    def _clean(self, _: Reply) -> None:
        """Whatever RSET or a lone dot was answered, no transaction is open."""

    def _goodbye(self, _: Reply) -> None:
        self._end()

    # --- consequences ------------------------------------------------------------------------

    def _anyone_accepted(self) -> bool:
        return any(reply.severity == 2 for reply in self._answers)

    def _clean_up(self, what: bytes) -> None:
        self._held_back.append((what.decode(), _Expected.CLEAN_UP))
        self._say_next()

    def _say_next(self) -> None:
        while self._held_back and (not self._expected or self.extensions.has("PIPELINING")):
            line, expected = self._held_back.popleft()
            self._out.append(line.encode())
            self._expected.append(expected)

    def _require(self, trigger: ClientTrigger) -> None:
        if trigger not in CLIENT[self._state]:
            raise LocalProtocolError(f"the session is {self._state}; this comes at another time")

    def _move(self, trigger: ClientTrigger) -> None:
        self._require(trigger)
        self._state = CLIENT[self._state][trigger]

    def _fault(self, sentence: str, detail: str | None = None) -> RemoteProtocolError:
        self._end()
        return RemoteProtocolError(sentence, detail=detail)

    def _end(self) -> None:
        self._state = ClientState.CLOSING
        self._ended = True
        self._expected.clear()
        self._held_back.clear()
        self._exchange = None


_ANSWERS: Final[dict[_Expected, Callable[[ClientSession, Reply], None]]] = {
    _Expected.BANNER: ClientSession._banner,
    _Expected.EHLO: ClientSession._ehlo,
    _Expected.HELO: ClientSession._helo,
    _Expected.STARTTLS: ClientSession._starttls,
    _Expected.AUTH: ClientSession._auth,
    _Expected.MAIL: ClientSession._mail_answer,
    _Expected.RCPT: ClientSession._rcpt_answer,
    _Expected.DATA: ClientSession._data_answer,
    _Expected.VERDICT: ClientSession._verdict,
    _Expected.CLEAN_UP: ClientSession._clean,
    _Expected.QUIT: ClientSession._goodbye,
}
