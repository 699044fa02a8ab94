"""ServerSession: bytes in, events out, replies in, bytes out"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from pillarbox.protocol import replies, sasl
from pillarbox.protocol.command import WITHOUT_ARGUMENT, Verb, parse_command
from pillarbox.protocol.content import Receiving
from pillarbox.protocol.errors import BadChunk, BareLineEnd, InputError, LineTooLong
from pillarbox.protocol.events import (
    HelloReceived,
    LoginReceived,
    MailReceived,
    RecipientReceived,
    TlsWanted,
    TransactionReset,
)
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.gate import Gate
from pillarbox.protocol.lines import MAX_LONG_LINE_OCTETS
from pillarbox.protocol.path import parse_mail, parse_rcpt
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ServerState, ServerTrigger

__all__ = ["ServerLimits", "ServerSession"]

MAX_HELLO_CHARACTERS: Final = 255

_UNSAFE_IN_TRACE: Final = re.compile(r"[^A-Za-z0-9._:\[\]\-]")


class ServerSession(Receiving):
    """One connection as the server sees it.

    The driver passes on what it receives, takes the events in order, answers those that owe a
    reply, and writes what `bytes_to_send` returns. What comes out depends on the bytes that came
    in, never on the portions they came in. Only what follows STARTTLS is refused in two ways,
    beside it or in place of the handshake; it is executed in neither.
    """

    def __init__(self, limits: ServerLimits, hostname: str) -> None:
        """A connection that was just made; nothing is read before `greet`."""
        super().__init__(limits)
        self._hostname = hostname
        self._gate = Gate(limits)
        self._exchange: sasl.ServerExchange | None = None
        self._mail_offered = limits.of_mail(tls=self._gate.tls)
        self._rcpt_offered = limits.of_rcpt()
        self._utf8 = False

    # --- what the driver tells about TLS ----------------------------------------------------------

    def tls_started(self) -> None:
        """The handshake is done: everything said before is forgotten (RFC 3207 §4.2).

        Raises `LocalProtocolError` where none was due.
        """
        if self._state is not ServerState.CLOSING:
            self._move(ServerTrigger.SECURED)
            self._gate.secured()
            self._mail_offered = self._limits.of_mail(tls=True)
            self._forget()

    # --- reading -----------------------------------------------------------------------------

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
            elif (command := _COMMANDS.get(verb)) is not None:
                command(self, argument)
            else:
                self._out.append(_ANSWERS[verb].encode())
                self._idled()
        except (BadChunk, BareLineEnd, LineTooLong) as fatal:
            self._fail(fatal.answer, fatal.sentence)
        except InputError as error:
            if exchange is not None:
                self._leave_exchange()
            self._refuse(error.answer, error.detail or error.sentence)
        return True

    # --- answers of the driver ---------------------------------------------------------------

    def _login_answered(self, reply: Reply) -> None:
        self._leave_exchange()
        self._out.append(reply.encode())
        self._gate.logged_in = reply.severity == 2
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

    # --- commands ----------------------------------------------------------------------------

    def _ehlo(self, name: str) -> None:
        self._hello(name, self._gate.offer(self._hostname), True)

    def _helo(self, name: str) -> None:
        self._hello(name, replies.hello(self._hostname), False)

    def _hello(self, name: str, reply: Reply, extended: bool) -> None:
        if not name or len(name) > MAX_HELLO_CHARACTERS:
            self._refuse(replies.HELLO_NAME_WANTED)
            return
        self._reset(ServerTrigger.HELLO)
        self._gate.hello_said = True
        self._out.append(reply.encode())
        # Clients say all sorts of things, and it ends up in a Received field.
        self._events.append(HelloReceived(_UNSAFE_IN_TRACE.sub("?", name), extended))
        self._idled()

    def _rset(self, _: str) -> None:
        self._reset(ServerTrigger.RESET)
        self._out.append(replies.OK_RESET.encode())
        self._idled()

    def _starttls(self, _: str) -> None:
        refusal = self._gate.starttls(self._state)
        if refusal is not None:
            self._refuse(refusal)
        elif len(self._input):
            # Whoever stands between could have put it there (CVE-2011-0411).
            self._fail(replies.SPOKE_BEFORE_TLS)
        else:
            self._move(ServerTrigger.STARTTLS)
            self._out.append(replies.READY_FOR_TLS.encode())
            self._events.append(TlsWanted())

    def _auth(self, argument: str) -> None:
        refusal = self._gate.auth(self._state)
        if refusal is not None:
            self._refuse(refusal)
            return
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
        refusal = self._gate.mail(self._state)
        if refusal is not None:
            self._refuse(refusal)
            return
        return_path, parameters = parse_mail(argument, self._mail_offered)
        size = int(parameters.pop("SIZE")) if "SIZE" in parameters else None
        if size is not None and size > self._limits.max_message_bytes:
            self._refuse(replies.TOO_LARGE)
            return
        body = parameters.pop("BODY", "7BIT")
        self._utf8 = parameters.pop("SMTPUTF8", None) is not None
        self._accepted = 0
        self._refusal = None
        self._awaited = self._mail_answered
        self._events.append(MailReceived(return_path, size, body, self._utf8, parameters))

    def _rcpt(self, argument: str) -> None:
        if self._state is not ServerState.ENVELOPE:
            self._refuse(self._misplaced)
            return
        address, parameters = parse_rcpt(argument, self._rcpt_offered, utf8=self._utf8)
        if self._accepted >= self._limits.max_recipients:
            self._out.append(replies.TOO_MANY_RECIPIENTS.encode())
            return
        self._awaited = self._rcpt_answered
        self._events.append(RecipientReceived(address, parameters))

    def _quit(self, _: str) -> None:
        self._out.append(replies.GOODBYE.encode())
        self._end("QUIT")

    # --- consequences ------------------------------------------------------------------------

    def _idled(self) -> None:
        self._idle_commands += 1
        if self._idle_commands > self._limits.max_idle_commands:
            self._fail(replies.TOO_MANY_COMMANDS)

    def _reset(self, trigger: ServerTrigger) -> None:
        if self._state is not ServerState.COMMAND:
            self._events.append(TransactionReset())
        self._move(trigger)
        self._forget()

    def _end(self, reason: str) -> None:
        super()._end(reason)
        self._exchange = None


_COMMANDS: Final[dict[Verb, Callable[[ServerSession, str], None]]] = {
    Verb.EHLO: ServerSession._ehlo,
    Verb.HELO: ServerSession._helo,
    Verb.STARTTLS: ServerSession._starttls,
    Verb.AUTH: ServerSession._auth,
    Verb.MAIL: ServerSession._mail,
    Verb.RCPT: ServerSession._rcpt,
    Verb.DATA: ServerSession._data,
    Verb.BDAT: ServerSession._bdat,
    Verb.RSET: ServerSession._rset,
    Verb.QUIT: ServerSession._quit,
}
_ANSWERS: Final = {
    Verb.NOOP: replies.OK,
    Verb.VRFY: replies.CANNOT_VERIFY,
    Verb.EXPN: replies.NOT_EXPANDED,
    Verb.HELP: replies.HELP,
}
