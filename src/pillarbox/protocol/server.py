"""ServerSession: bytes in, events out, replies in, bytes out"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from pillarbox.protocol import replies, sasl
from pillarbox.protocol.command import WITHOUT_ARGUMENT, Verb, parse_command
from pillarbox.protocol.dots import ContentReader
from pillarbox.protocol.errors import (
    BareLineEnd,
    InputError,
    LineTooLong,
    LocalProtocolError,
)
from pillarbox.protocol.events import (
    ContentReceived,
    HelloReceived,
    LoginReceived,
    MailReceived,
    Misbehaved,
    RecipientReceived,
    ServerEvent,
    SessionEnded,
    TlsWanted,
    TransactionReset,
)
from pillarbox.protocol.extensions import ServerLimits, offered_keywords
from pillarbox.protocol.lines import MAX_LONG_LINE_OCTETS, LineBuffer
from pillarbox.protocol.path import parse_mail, parse_rcpt
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import SERVER, ServerState, ServerTrigger

__all__ = ["ServerLimits", "ServerSession"]

MAX_HELLO_CHARACTERS: Final = 255

_UNSAFE_IN_TRACE: Final = re.compile(r"[^A-Za-z0-9._:\[\]\-]")
_READING: Final = frozenset(
    {ServerState.COMMAND, ServerState.ENVELOPE, ServerState.EXCHANGE, ServerState.CONTENT}
)


class ServerSession:
    """One connection as the server sees it.

    The driver passes on what it receives, takes the events in order, answers those that owe a
    reply, and writes what `bytes_to_send` returns. What comes out depends on the bytes that came
    in, never on the portions they came in. Only what follows STARTTLS is refused in two ways,
    beside it or in place of the handshake; it is executed in neither.
    """

    def __init__(self, limits: ServerLimits, hostname: str) -> None:
        """A connection that was just made; nothing is read before `greet`."""
        self._limits = limits
        self._hostname = hostname
        self._state = ServerState.GREETING
        self._tls = limits.tls == "active"
        self._hello_said = False
        self._logged_in = False
        self._errors = 0
        self._input = LineBuffer()
        self._end_of_input = False
        self._events: deque[ServerEvent] = deque()
        self._out: list[bytes] = []
        self._awaited: Callable[[Reply], None] | None = None
        self._exchange: sasl.ServerExchange | None = None
        self._mail_offered = limits.of_mail()
        self._rcpt_offered = limits.of_rcpt()
        self._accepted = 0
        self._utf8 = False
        self._content = ContentReader(0, 0)
        self._refusal: Reply | None = None

    # --- what the driver asks ----------------------------------------------------------------

    @property
    def wants_more(self) -> bool:
        """Whether input would be looked at: no reply is owed, no handshake due, nothing ended."""
        return self._awaited is None and self._state in _READING

    @property
    def buffered(self) -> int:
        """How many bytes were received and not looked at yet."""
        return len(self._input)

    @property
    def state(self) -> ServerState:
        """Where the conversation stands."""
        return self._state

    def next_event(self) -> ServerEvent | None:
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

    # --- what the driver tells ---------------------------------------------------------------

    def greet(self, reply: Reply) -> None:
        """Say the banner; a refusal (421, 554) ends the session. Called once, first.

        Raises `LocalProtocolError` where a banner was said before.
        """
        self._out.append(reply.encode())
        if reply.severity == 2:
            self._move(ServerTrigger.GREETED)
            self._advance()
        else:
            self._end("refused at the banner")

    def receive(self, data: bytes) -> None:
        """Bytes from the client. After the end they are ignored."""
        if self._state is ServerState.HANDSHAKE:
            self._end("bytes in clear where the TLS handshake was due")
        elif self._state is not ServerState.CLOSING:
            self._input.put(data)
            self._advance()

    def receive_eof(self) -> None:
        """The client sends no more. What it sent before is still executed and answered."""
        self._end_of_input = True
        self._advance()

    def reply(self, reply: Reply) -> None:
        """Answer the event that owes one; a 421 also ends the session. Ignored after the end.

        Raises `LocalProtocolError` where no event waits for it.
        """
        if self._state is ServerState.CLOSING:
            return
        awaited = self._awaited
        if awaited is None:
            raise LocalProtocolError("no event waits for a reply")
        self._awaited = None
        if reply.code == 421:
            self.shut(reply)
            return
        awaited(reply)
        self._advance()

    def proceed(self) -> None:
        """Ask for what follows a block that is not the last. Raises `LocalProtocolError`."""
        if self._state is not ServerState.CLOSING:
            self._check_block()
            self._awaited = None
            self._advance()

    def refuse_content(self, reply: Reply) -> None:
        """Answer a block that is not the last: the rest is discarded, then `reply` is given."""
        if self._state is not ServerState.CLOSING:
            self._check_block()
            self.reply(reply)

    def tls_started(self) -> None:
        """The handshake is done: everything said before is forgotten (RFC 3207 §4.2).

        Raises `LocalProtocolError` where none was due.
        """
        if self._state is not ServerState.CLOSING:
            self._move(ServerTrigger.SECURED)
            self._tls = True
            self._hello_said = self._logged_in = False

    def shut(self, reply: Reply) -> None:
        """End the session with `reply`, which is a 421, whatever it is doing."""
        if self._state is not ServerState.CLOSING:
            self._out.append(reply.encode())
            self._end("closed by the server")

    # --- reading -----------------------------------------------------------------------------

    def _advance(self) -> None:
        while self._awaited is None and self._state in _READING:
            taken = self._state is ServerState.CONTENT
            if not (self._read_content() if taken else self._read_line()):
                break
        if self._end_of_input and self._awaited is None and self._state is not ServerState.CLOSING:
            self._end("the client hung up")

    def _read_line(self) -> bool:
        exchange = self._exchange
        try:
            line = self._input.line(
                self._limits.max_command_bytes if exchange is None else MAX_LONG_LINE_OCTETS
            )
            if line is None:
                return False
            if exchange is not None:
                self._step(exchange.respond(line))
                return True
            verb, argument = parse_command(line)
            if verb is None:
                self._refuse(replies.UNKNOWN_COMMAND)
            elif argument and verb in WITHOUT_ARGUMENT:
                self._refuse(replies.NO_ARGUMENT_WANTED)
            elif verb in _ANSWERS:
                self._out.append(_ANSWERS[verb].encode())
            else:
                _COMMANDS[verb](self, argument)
        except (BareLineEnd, LineTooLong) as error:
            self._fail(error.answer, error.sentence)
        except InputError as error:
            if exchange is not None:
                self._leave_exchange()
            self._refuse(error.answer, error.sentence)
        return True

    def _read_content(self) -> bool:
        content = self._content
        data, at = self._input.rest()
        if at == len(data):
            return False
        try:
            self._input.skip_to(content.read(data, at))
        except BareLineEnd as error:
            self._events.append(TransactionReset())
            self._fail(error.answer, error.sentence)
            return False
        if content.ended:
            self._move(ServerTrigger.CONTENT_ENDED)
            if content.discards:
                self._finish_discarded()
            else:
                self._awaited = self._content_answered
                self._events.append(ContentReceived(content.give(), last=True))
        elif content.full:
            self._awaited = self._block_refused
            self._events.append(ContentReceived(content.give(), last=False))
        else:
            return False
        return True

    def _finish_discarded(self) -> None:
        self._move(ServerTrigger.DECIDED)
        if self._refusal is None:
            self._events.append(TransactionReset())
            self._refuse(replies.TOO_LARGE)
        else:
            self._out.append(self._refusal.encode())
            self._refusal = None

    # --- answers of the driver ---------------------------------------------------------------

    def _login_answered(self, reply: Reply) -> None:
        self._leave_exchange()
        self._out.append(reply.encode())
        self._logged_in = reply.severity == 2
        if reply.severity == 5:
            self._count_error()

    def _mail_answered(self, reply: Reply) -> None:
        self._out.append(reply.encode())
        if reply.severity == 2:
            self._move(ServerTrigger.MAIL)

    def _rcpt_answered(self, reply: Reply) -> None:
        self._out.append(reply.encode())
        if reply.severity == 2:
            self._accepted += 1

    def _block_refused(self, reply: Reply) -> None:
        self._refusal = reply
        self._content.discard()

    def _content_answered(self, reply: Reply) -> None:
        self._out.append(reply.encode())
        self._move(ServerTrigger.DECIDED)
        if reply.severity == 2:
            self._errors = 0

    def _check_block(self) -> None:
        if self._awaited != self._block_refused:
            raise LocalProtocolError("no block of content waits for an answer")

    # --- commands ----------------------------------------------------------------------------

    def _ehlo(self, name: str) -> None:
        self._hello(
            name, _ehlo_reply(self._hostname, self._limits, self._tls, self._logged_in), True
        )

    def _helo(self, name: str) -> None:
        self._hello(name, replies.hello(self._hostname), False)

    def _hello(self, name: str, reply: Reply, extended: bool) -> None:
        if not name or len(name) > MAX_HELLO_CHARACTERS:
            self._refuse(replies.HELLO_NAME_WANTED)
            return
        self._reset(ServerTrigger.HELLO)
        self._hello_said = True
        self._out.append(reply.encode())
        # Clients say all sorts of things, and it ends up in a Received field.
        self._events.append(HelloReceived(_UNSAFE_IN_TRACE.sub("?", name), extended))

    def _rset(self, _: str) -> None:
        self._reset(ServerTrigger.RESET)
        self._out.append(replies.OK_RESET.encode())

    def _starttls(self, _: str) -> None:
        if self._tls:
            self._refuse(replies.TLS_ALREADY)
        elif self._limits.tls != "starttls":
            self._refuse(replies.TLS_NOT_OFFERED)
        elif not self._hello_said:
            self._refuse(replies.HELLO_FIRST)
        elif self._state is ServerState.ENVELOPE:
            self._refuse(replies.TLS_IN_TRANSACTION)
        elif len(self._input):
            # Whoever stands between could have put it there (CVE-2011-0411).
            self._fail(replies.SPOKE_BEFORE_TLS)
        else:
            self._move(ServerTrigger.STARTTLS)
            self._out.append(replies.READY_FOR_TLS.encode())
            self._events.append(TlsWanted())

    def _auth(self, argument: str) -> None:
        limits = self._limits
        if limits.auth == "none":
            self._refuse(replies.LOGIN_NOT_OFFERED)
        elif not limits.takes_login(tls=self._tls):
            self._refuse(replies.LOGIN_NEEDS_TLS)
        elif self._logged_in:
            self._refuse(replies.LOGIN_ALREADY)
        elif not self._hello_said:
            self._refuse(replies.HELLO_FIRST)
        elif self._state is ServerState.ENVELOPE:
            self._refuse(replies.LOGIN_IN_TRANSACTION)
        else:
            exchange, step = sasl.begin(argument)
            self._move(ServerTrigger.AUTH)
            self._exchange = exchange
            self._step(step)

    def _step(self, step: str | sasl.Claim) -> None:
        if isinstance(step, str):
            self._out.append(replies.challenge(step).encode())
            return
        self._awaited = self._login_answered
        self._events.append(
            LoginReceived(step.mechanism, step.username, step.password, step.authorization)
        )

    def _leave_exchange(self) -> None:
        self._exchange = None
        self._move(ServerTrigger.LOGIN_ENDED)

    def _mail(self, argument: str) -> None:
        limits = self._limits
        if not self._hello_said:
            self._refuse(replies.HELLO_FIRST)
        elif self._state is ServerState.ENVELOPE:
            self._refuse(replies.TRANSACTION_OPEN)
        elif limits.require_tls and not self._tls:
            self._refuse(replies.STARTTLS_FIRST)
        elif limits.require_login and not self._logged_in:
            self._refuse(replies.LOGIN_FIRST)
        else:
            return_path, parameters = parse_mail(argument, self._mail_offered)
            size = int(parameters.pop("SIZE")) if "SIZE" in parameters else None
            if size is not None and size > limits.max_message_bytes:
                self._refuse(replies.TOO_LARGE)
                return
            body = parameters.pop("BODY", "7BIT")
            self._utf8 = parameters.pop("SMTPUTF8", None) is not None
            self._accepted = 0
            self._awaited = self._mail_answered
            self._events.append(MailReceived(return_path, size, body, self._utf8, parameters))

    def _rcpt(self, argument: str) -> None:
        if self._state is not ServerState.ENVELOPE:
            self._refuse(replies.RETURN_PATH_FIRST)
            return
        address, parameters = parse_rcpt(argument, self._rcpt_offered, utf8=self._utf8)
        if self._accepted >= self._limits.max_recipients:
            self._out.append(replies.TOO_MANY_RECIPIENTS.encode())
            return
        self._awaited = self._rcpt_answered
        self._events.append(RecipientReceived(address, parameters))

    def _data(self, _: str) -> None:
        if self._state is not ServerState.ENVELOPE:
            self._refuse(replies.RETURN_PATH_FIRST)
        elif not self._accepted:
            self._refuse(replies.NO_RECIPIENTS)
        else:
            self._move(ServerTrigger.DATA)
            self._content = ContentReader(self._limits.max_message_bytes, self._limits.block_bytes)
            self._out.append(replies.START_CONTENT.encode())

    def _quit(self, _: str) -> None:
        self._out.append(replies.GOODBYE.encode())
        self._end("QUIT")

    # --- consequences ------------------------------------------------------------------------

    def _move(self, trigger: ServerTrigger) -> None:
        try:
            self._state = SERVER[self._state][trigger]
        except KeyError:
            raise LocalProtocolError(f"the session is {self._state}; no {trigger} now") from None

    def _reset(self, trigger: ServerTrigger) -> None:
        if self._state is ServerState.ENVELOPE:
            self._events.append(TransactionReset())
        self._move(trigger)

    def _refuse(self, reply: Reply, what: str = "") -> None:
        self._out.append(reply.encode())
        self._events.append(Misbehaved(what or reply.text, reply))
        self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= self._limits.max_errors:
            self._fail(replies.TOO_MANY_ERRORS)

    def _fail(self, reply: Reply, what: str = "") -> None:
        self._out.append(reply.encode())
        self._events.append(Misbehaved(what or reply.text, reply))
        self._end(what or reply.text)

    def _end(self, reason: str) -> None:
        self._move(ServerTrigger.END)
        self._awaited = self._exchange = None
        self._input.clear()
        self._content.discard()
        self._events.append(SessionEnded(reason))


_COMMANDS: Final[dict[Verb, Callable[[ServerSession, str], None]]] = {
    Verb.EHLO: ServerSession._ehlo,
    Verb.HELO: ServerSession._helo,
    Verb.STARTTLS: ServerSession._starttls,
    Verb.AUTH: ServerSession._auth,
    Verb.MAIL: ServerSession._mail,
    Verb.RCPT: ServerSession._rcpt,
    Verb.DATA: ServerSession._data,
    Verb.RSET: ServerSession._rset,
    Verb.QUIT: ServerSession._quit,
}
_ANSWERS: Final = {
    Verb.NOOP: replies.OK,
    Verb.VRFY: replies.CANNOT_VERIFY,
    Verb.EXPN: replies.NOT_EXPANDED,
    Verb.HELP: replies.HELP,
}


@lru_cache(maxsize=64)
def _ehlo_reply(hostname: str, limits: ServerLimits, tls: bool, logged_in: bool) -> Reply:
    keywords = offered_keywords(limits, sasl.MECHANISMS, tls=tls, logged_in=logged_in)
    return replies.hello(hostname, *keywords)
