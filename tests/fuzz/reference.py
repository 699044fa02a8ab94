"""the server session a second time, octet by octet: slow, short, and made of nothing of the first

It reads what RFC 5321 and its extensions say about order, line ends, dots, limits and logins, and
nothing else; what stands behind MAIL FROM and RCPT TO is read by `protocol.path`, which has a target
of its own. Where it and `ServerSession` disagree about any input, one of them is wrong.

It is fed like the session. Whoever answers the events is asked at once; the session must come to the
same when it is answered later.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable

from pillarbox.protocol import replies
from pillarbox.protocol.errors import InputError
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
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.path import parse_mail, parse_rcpt
from pillarbox.protocol.reply import Reply
from pillarbox.terms.secret import Secret

END = b"\r\n.\r\n"
MAX_DISCARDED_OCTETS = 1 << 30
LONG = {b"MAIL": 2048, b"RCPT": 2048, b"AUTH": 12_288}
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
ALONE = {"STARTTLS", "DATA", "RSET", "QUIT"}


class Chunks:
    """What BDAT announced."""

    size = left = total = 0
    last = False
    starts_line = True


class Reference:
    """One connection. `where` is ``command``, ``exchange``, ``content``, ``handshake``, ``ended``."""

    def __init__(
        self, limits: ServerLimits, hostname: str, answer: Callable[[ServerEvent], Reply | None]
    ) -> None:
        self.limits, self.hostname, self.answer = limits, hostname, answer
        self.events: list[ServerEvent] = []
        self.said: list[Reply] = [replies.banner(hostname)]
        self.where = "command"
        self.tls = limits.tls == "active"
        self.hello = self.logged_in = self.transaction = self.utf8 = False
        self.accepted = self.errors = self.idle_commands = 0
        self.line = b""
        self.user: str | None = None
        self.mechanism = ""
        self.chunks: Chunks | None = None
        self.refusal: Reply | None = None

    # --- fed ----------------------------------------------------------------------------------

    def hear(self, data: bytes) -> None:
        if data and self.where == "handshake":
            self.end()
        for at in range(len(data)):
            if self.where == "ended":
                return
            octet = data[at : at + 1]
            if self.where == "content":
                self.content_octet(octet)
            else:
                self.line_octet(octet, followed=at + 1 < len(data))

    def secured(self) -> None:
        self.where, self.tls, self.refusal = "command", True, None
        self.hello = self.logged_in = False

    def hang_up(self) -> None:
        if self.where != "ended":
            self.end()

    def shut(self, reply: Reply) -> None:
        if self.where != "ended":
            self.said.append(reply)
            self.end()

    # --- lines --------------------------------------------------------------------------------

    def line_octet(self, octet: bytes, *, followed: bool) -> None:
        self.line += octet
        line = self.line
        most = 12_288 if self.where == "exchange" else self.limits.max_command_bytes
        if len(line) > max(most, LONG.get(line[:4].upper(), 0)):
            self.fail(replies.LINE_TOO_LONG)
        elif octet == b"\n":
            self.line = b""
            if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                self.fail(replies.BARE_LINE_END)
                return
            try:
                text = line[:-2].decode()
                readable = "\0" not in text
            except UnicodeDecodeError:
                text, readable = "", False
            if not readable:
                self.where = "command"
                self.refuse(replies.UNREADABLE_COMMAND)
            elif self.where == "exchange":
                self.respond(text)
            else:
                self.command(text, followed=followed)

    def command(self, text: str, *, followed: bool) -> None:
        verb, _, rest = text.partition(" ")
        verb = verb.upper() if verb.isascii() else ""
        rest = rest.strip(" ")
        if verb in ALONE and rest:
            self.refuse(replies.NO_ARGUMENT_WANTED)
        elif verb in ("EHLO", "HELO"):
            self.say_hello(verb, rest)
        elif verb == "STARTTLS":
            self.starttls(followed=followed)
        elif verb == "AUTH":
            self.auth(rest)
        elif verb == "MAIL":
            self.mail(rest)
        elif verb == "RCPT":
            self.rcpt(rest)
        elif verb == "DATA":
            self.data()
        elif verb == "BDAT":
            self.bdat(rest)
        elif verb == "RSET":
            self.forget()
            self.idle(replies.OK)
        elif verb == "QUIT":
            self.said.append(replies.GOODBYE)
            self.end()
        elif verb in ("NOOP", "VRFY", "EXPN", "HELP"):
            self.idle(
                {
                    "NOOP": replies.OK,
                    "VRFY": replies.CANNOT_VERIFY,
                    "EXPN": replies.NOT_EXPANDED,
                    "HELP": replies.HELP,
                }[verb]
            )
        else:
            self.refuse(replies.UNKNOWN_COMMAND)

    def say_hello(self, verb: str, name: str) -> None:
        if not 0 < len(name) <= 255:
            self.refuse(replies.HELLO_NAME_WANTED)
            return
        self.forget()
        self.hello = True
        words = self.offered() if verb == "EHLO" else []
        self.said.append(replies.hello(self.hostname, *words))
        shown = "".join(c if c.isascii() and (c.isalnum() or c in "._:[]-") else "?" for c in name)
        self.events.append(HelloReceived(shown, verb == "EHLO"))
        self.count_idle()

    def offered(self) -> list[str]:
        limits = self.limits
        words = ["PIPELINING", f"SIZE {limits.max_message_bytes}", "8BITMIME"]
        words += ["ENHANCEDSTATUSCODES", "CHUNKING"]
        if "SMTPUTF8" in limits.mail_parameters:
            words.append("SMTPUTF8")
        if limits.mail_parameters & {"RET", "ENVID"}:
            words.append("DSN")
        if self.tls and "REQUIRETLS" in limits.mail_parameters:
            words.append("REQUIRETLS")
        if limits.tls == "starttls" and not self.tls:
            words.append("STARTTLS")
        if self.may_log_in() and not self.logged_in:
            words.append("AUTH PLAIN LOGIN")
        return words

    def may_log_in(self) -> bool:
        return self.limits.auth == "clear" or (self.limits.auth == "tls" and self.tls)

    def starttls(self, *, followed: bool) -> None:
        if self.tls:
            self.refuse(replies.TLS_ALREADY)
        elif self.limits.tls != "starttls":
            self.refuse(replies.TLS_NOT_OFFERED)
        elif not self.hello:
            self.refuse(replies.HELLO_FIRST)
        elif self.transaction:
            self.refuse(replies.TLS_IN_TRANSACTION)
        elif followed:
            self.fail(replies.SPOKE_BEFORE_TLS)
        else:
            self.where = "handshake"
            self.said.append(replies.READY_FOR_TLS)
            self.events.append(TlsWanted())

    # --- logins -------------------------------------------------------------------------------

    def auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        initial = initial.strip(" ")
        if self.limits.auth == "none":
            self.refuse(replies.LOGIN_NOT_OFFERED)
        elif not self.may_log_in():
            self.refuse(replies.LOGIN_NEEDS_TLS)
        elif self.logged_in:
            self.refuse(replies.LOGIN_ALREADY)
        elif not self.hello:
            self.refuse(replies.HELLO_FIRST)
        elif self.transaction:
            self.refuse(replies.LOGIN_IN_TRANSACTION)
        elif not mechanism:
            self.refuse(replies.MECHANISM_WANTED)
        elif mechanism.upper() not in ("PLAIN", "LOGIN"):
            self.refuse(replies.UNKNOWN_MECHANISM)
        else:
            self.mechanism, self.user = mechanism.upper(), None
            if initial:
                self.respond("" if initial == "=" else initial)
            else:
                self.challenge("" if self.mechanism == "PLAIN" else "VXNlcm5hbWU6")

    def challenge(self, text: str) -> None:
        self.where = "exchange"
        self.said.append(replies.challenge(text))

    def respond(self, line: str) -> None:
        self.where = "command"
        if line == "*":
            self.refuse(replies.EXCHANGE_CANCELLED)
            return
        try:
            text = b64decode(line).decode() if BASE64.fullmatch(line) else None
        except UnicodeDecodeError:
            text = None
        if text is None:
            self.refuse(replies.BAD_EXCHANGE)
        elif self.mechanism == "PLAIN":
            parts = text.split("\0")
            if len(parts) != 3 or not parts[1]:
                self.refuse(replies.BAD_EXCHANGE)
            else:
                acts_as = "" if parts[0] == parts[1] else parts[0]
                self.claim(parts[1], parts[2], acts_as)
        elif "\0" in text or not (text or self.user):
            self.refuse(replies.BAD_EXCHANGE)
        elif self.user is None:
            self.user = text
            self.challenge("UGFzc3dvcmQ6")
        else:
            self.claim(self.user, text, "")

    def claim(self, user: str, password: str, acts_as: str) -> None:
        reply = self.ask(LoginReceived(self.mechanism, user, Secret(password), acts_as))
        if reply is not None:
            self.logged_in = reply.severity == 2
            if reply.severity == 5:
                self.count_error()

    # --- a transaction ------------------------------------------------------------------------

    def mail(self, argument: str) -> None:
        if not self.hello:
            self.refuse(replies.HELLO_FIRST)
        elif self.transaction:
            self.refuse(replies.TRANSACTION_OPEN)
        elif self.limits.require_tls and not self.tls:
            self.refuse(replies.STARTTLS_FIRST)
        elif self.limits.require_login and not self.logged_in:
            self.refuse(replies.LOGIN_FIRST)
        else:
            try:
                path, given = parse_mail(argument, self.limits.of_mail(tls=self.tls))
            except InputError as error:
                self.refuse(error.answer)
                return
            size = int(given.pop("SIZE")) if "SIZE" in given else None
            body = given.pop("BODY", "7BIT")
            utf8 = given.pop("SMTPUTF8", None) is not None
            if size is not None and size > self.limits.max_message_bytes:
                self.refuse(replies.TOO_LARGE)
                return
            self.refusal, self.chunks = None, None
            reply = self.ask(MailReceived(path, size, body, utf8, given))
            if reply is not None and reply.severity == 2:
                self.transaction, self.accepted, self.utf8 = True, 0, utf8

    def rcpt(self, argument: str) -> None:
        if self.misplaced():
            return
        try:
            address, given = parse_rcpt(argument, self.limits.of_rcpt(), utf8=self.utf8)
        except InputError as error:
            self.refuse(error.answer)
            return
        if self.accepted == self.limits.max_recipients:
            self.said.append(replies.TOO_MANY_RECIPIENTS)
            return
        reply = self.ask(RecipientReceived(address, given))
        if reply is not None and reply.severity == 2:
            self.accepted += 1

    def misplaced(self) -> bool:
        """RCPT or DATA where no envelope is open."""
        if not self.transaction:
            self.refuse(replies.RETURN_PATH_FIRST)
        elif self.chunks is not None:
            self.refuse(replies.CHUNKS_BEGUN)
        return not self.transaction or self.chunks is not None

    def data(self) -> None:
        if self.misplaced():
            return
        if not self.accepted:
            self.refuse(replies.NO_RECIPIENTS)
            return
        self.said.append(replies.START_CONTENT)
        self.where, self.held, self.first = "content", b"\r\n", True
        self.begin_content()
        self.blamed = self.resets = True

    def begin_content(self) -> None:
        self.block, self.size = b"", 0
        self.dotted = self.discards = False

    def content_octet(self, octet: bytes) -> None:
        if self.chunks is not None:
            self.chunk_octet(self.chunks, octet)
            return
        held = self.held + octet
        if held == END:
            self.release(b"\r\n")
            self.content_ended()
        elif END.startswith(held):
            self.held = held
        else:
            self.held = b"\r" if octet == b"\r" else b""
            gone = held[: len(held) - len(self.held)]
            inner = gone.removeprefix(b"\r\n")
            if b"\r" in inner or b"\n" in inner:
                self.bare()
                return
            if gone.startswith(b"\r\n."):
                self.dotted = True
                gone = b"\r\n" + gone[3:]
            self.release(gone)
            if len(self.block) >= self.limits.block_bytes:
                self.give_block()

    def release(self, content: bytes) -> None:
        if self.first and content:
            self.first = False
            content = content[2:]
        self.size += len(content)
        if self.size > self.limits.max_message_bytes:
            self.discards = True
        self.block = b"" if self.discards else self.block + content

    def give_block(self) -> None:
        most = self.limits.block_bytes
        event = ContentReceived(self.block[:most], last=False)
        self.block = self.block[most:]
        self.events.append(event)
        reply = self.answer(event)
        if reply is not None and reply.code == 421:
            self.shut(reply)
        elif reply is not None:
            self.discards, self.block = True, b""
            self.refusal, self.blamed = reply, False

    def content_ended(self) -> None:
        if self.discards:
            self.discarded(self.refusal or replies.TOO_LARGE)
            return
        self.where, self.transaction, self.chunks = "command", False, None
        reply = self.ask(ContentReceived(self.block, last=True, plain=not self.dotted))
        if reply is not None and reply.severity == 2:
            self.errors = self.idle_commands = 0

    def discarded(self, refusal: Reply) -> None:
        more = self.chunks is not None and not self.chunks.last
        self.where, self.transaction, self.chunks = "command", False, None
        self.refusal = refusal if more else None
        if self.resets:
            self.events.append(TransactionReset())
        if self.blamed:
            self.refuse(refusal)
        else:
            self.said.append(refusal)

    def bare(self) -> None:
        self.events.append(TransactionReset())
        self.fail(replies.BARE_LINE_END)

    # --- chunks -------------------------------------------------------------------------------

    def bdat(self, argument: str) -> None:
        size, _, mark = argument.partition(" ")
        last = mark.strip(" ").upper() == "LAST"
        if not re.fullmatch("[0-9]+", size) or not (last or not mark.strip(" ")):
            self.fail(replies.BAD_CHUNK)
            return
        octets = int(size)
        if octets > max(self.limits.max_message_bytes, MAX_DISCARDED_OCTETS):
            self.fail(replies.TOO_LARGE)
            return
        chunks = self.chunks
        if chunks is None:
            chunks = self.chunks = Chunks()
            self.begin_content()
            self.held = b""
        chunks.size = chunks.left = octets
        chunks.last = last
        chunks.total += octets
        self.blamed, self.resets = self.refusal is None, self.transaction
        if self.refusal is None:
            if not self.transaction:
                self.refusal = replies.RETURN_PATH_FIRST
            elif not self.accepted:
                self.refusal = replies.NO_RECIPIENTS
            elif chunks.total > self.limits.max_message_bytes:
                self.refusal = replies.TOO_LARGE
        if self.refusal is not None:
            self.discards, self.block = True, b""
        elif last and not octets and self.held:
            self.fail(replies.BARE_LINE_END)
            return
        self.where = "content"
        if not octets:
            self.chunk_ended(chunks)

    def chunk_octet(self, chunks: Chunks, octet: bytes) -> None:
        chunks.left -= 1
        if not self.discards:
            raw = self.held + octet
            ended = chunks.last and not chunks.left
            self.held = b"\r" if raw.endswith(b"\r") and not ended else b""
            content = raw[: len(raw) - len(self.held)]
            if content and content != b"\r\n" and (b"\r" in content or b"\n" in content):
                self.bare()
                return
            if content == b"." and chunks.starts_line:
                self.dotted = True
            if content:
                chunks.starts_line = content == b"\r\n"
            self.block += content
            if len(self.block) >= self.limits.block_bytes and not ended:
                self.give_block()
        if not chunks.left and self.where != "ended":
            self.chunk_ended(chunks)

    def chunk_ended(self, chunks: Chunks) -> None:
        if self.refusal is not None:
            self.discarded(self.refusal)
        elif chunks.last:
            self.content_ended()
        else:
            self.where = "command"
            self.said.append(replies.chunk_received(chunks.size))

    # --- consequences -------------------------------------------------------------------------

    def ask(self, event: ServerEvent) -> Reply | None:
        """The handler's answer, said; None where it ended the session."""
        self.events.append(event)
        reply = self.answer(event)
        assert reply is not None
        if reply.code == 421:
            self.shut(reply)
            return None
        self.said.append(reply)
        return reply

    def forget(self) -> None:
        self.refusal, self.chunks = None, None
        if self.transaction:
            self.transaction = False
            self.events.append(TransactionReset())

    def refuse(self, reply: Reply) -> None:
        self.said.append(reply)
        self.events.append(Misbehaved("", reply))
        self.count_error()

    def idle(self, reply: Reply) -> None:
        self.said.append(reply)
        self.count_idle()

    def count_idle(self) -> None:
        self.idle_commands += 1
        if self.idle_commands > self.limits.max_idle_commands:
            self.fail(replies.TOO_MANY_COMMANDS)

    def count_error(self) -> None:
        self.errors += 1
        if self.errors >= self.limits.max_errors:
            self.fail(replies.TOO_MANY_ERRORS)

    def fail(self, reply: Reply) -> None:
        self.said.append(reply)
        self.events.append(Misbehaved("", reply))
        self.end()

    def end(self) -> None:
        self.where, self.transaction = "ended", False
        self.events.append(SessionEnded(""))
