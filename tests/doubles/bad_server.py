"""a scriptable misbehaving SMTP server that records every byte

Usage, in a test's own event loop::

    script = Script().on(Stage.DOT, drop(), times=1)
    async with BadServer(script) as server:
        ...                                   # deliver to 127.0.0.1, server.port
        await server.until(lambda: len(server.messages) == 2)
    assert server.messages[0].code == 0       # no reply was written
    assert server.messages[0].content == server.messages[1].content

Without a script it is a well-behaved server. What a stage does is told in `script`. With `tls` it
offers STARTTLS, or speaks TLS from the first byte with `implicit_tls`; with `credentials` it offers
AUTH PLAIN and LOGIN (under TLS, or everywhere with `auth_in_clear`), with `tokens` XOAUTH2, or the
mechanisms in `bearer`; what lies in `tokens` may change while it runs. A reply of 421 does not close
by itself: add `drop()`.

An error in the double itself is raised when the server is left; it never looks like the product's.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Self

from tests.doubles.channel import Channel, Gone, set_reset, unstuff
from tests.doubles.journal import wall_ms
from tests.doubles.records import (
    CommandRecord,
    LoginRecord,
    MessageRecord,
    RecipientRecord,
    SessionRecord,
)
from tests.doubles.script import (
    Drop,
    Moment,
    Rule,
    Script,
    Stage,
    Stall,
    Trickle,
    Usual,
    Write,
    format_reply,
)

DEFAULT_EXTENSIONS = (
    "PIPELINING",
    "SIZE 52428800",
    "8BITMIME",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "SMTPUTF8",
)

_STAGES = {
    "EHLO": Stage.EHLO,
    "HELO": Stage.HELO,
    "STARTTLS": Stage.STARTTLS,
    "AUTH": Stage.AUTH,
    "MAIL": Stage.MAIL,
    "RCPT": Stage.RCPT,
    "DATA": Stage.DATA,
    "RSET": Stage.RSET,
    "NOOP": Stage.NOOP,
    "QUIT": Stage.QUIT,
}


class _Dropped(Exception):
    pass


class BadServer:
    """A server on a loopback port chosen by the system; several may run at once."""

    def __init__(
        self,
        script: Script | None = None,
        *,
        extensions: Sequence[str] = DEFAULT_EXTENSIONS,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        credentials: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        bearer: Sequence[str] = ("XOAUTH2",),
        auth_in_clear: bool = False,
        require_auth: bool = False,
        naive: bool = False,
        hostname: str = "mx.example.test",
        host: str = "127.0.0.1",
        port: int = 0,
        max_session_seconds: float = 120.0,
    ) -> None:
        """`naive`: a lone dot ends content whatever the line ends are (what smuggling needs)."""
        if implicit_tls and tls is None:
            raise ValueError("implicit TLS needs a certificate")
        self.script = script or Script()
        self.extensions = tuple(extensions)
        self.tls = tls
        self.implicit_tls = implicit_tls
        self.credentials = credentials
        self.tokens = tokens
        self.bearer = tuple(bearer)
        self.auth_in_clear = auth_in_clear
        self.require_auth = require_auth
        self.naive = naive
        self.hostname = hostname
        self.host = host
        self.port = port
        self.max_session_seconds = max_session_seconds
        self.sessions: list[SessionRecord] = []
        self.messages: list[MessageRecord] = []
        self._news = asyncio.Condition()
        self._listening: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[Exception] = []

    async def __aenter__(self) -> Self:
        self._listening = socket.create_server((self.host, self.port), backlog=128)
        self._listening.setblocking(False)
        self.port = self._listening.getsockname()[1]
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._listening))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop_listening()
        for session in self.sessions:
            session.channel.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._errors:
            raise ExceptionGroup("errors of the double itself", self._errors)

    async def stop_listening(self) -> None:
        """Refuse new connections from now on; those that exist go on."""
        if self._accepting is not None and self._listening is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listening.close()
            self._accepting = self._listening = None

    async def until(self, condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
        """Wait until `condition()` holds; looked at after each record. Raises TimeoutError."""
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(condition), seconds)

    @property
    def delivered(self) -> list[MessageRecord]:
        """The messages that were answered 2xx."""
        return [message for message in self.messages if 200 <= message.code < 300]

    async def tell(self) -> None:
        """Something was recorded: called by the conversations."""
        async with self._news:
            self._news.notify_all()

    async def _accept(self, listening: socket.socket) -> None:
        # By hand: what happens before a handshake must not be left to a loop that reads at once.
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            session = SessionRecord(len(self.sessions) + 1, Channel(), wall_ms())
            self.sessions.append(session)
            task = loop.create_task(self._serve(session, connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, session: SessionRecord, connection: socket.socket) -> None:
        channel = session.channel
        try:
            async with asyncio.timeout(self.max_session_seconds):
                await _Conversation(self, session).run(connection)
            session.ended = "quit"
            channel.close()
        except _Dropped:
            session.ended = "dropped"
        except (Gone, TimeoutError) as error:
            session.ended, session.reason = "gone", str(error)
            channel.abort()
        except Exception as error:
            session.ended, session.reason = "gone", repr(error)
            self._errors.append(error)
            channel.abort()
        finally:
            if not channel.connected:
                connection.close()
        await self.tell()


class _Conversation:
    """One session's dialogue."""

    def __init__(self, server: BadServer, session: SessionRecord) -> None:
        self.server = server
        self.session = session
        self.channel = session.channel
        self.username: str | None = None
        self._said = 0
        self._reset()

    def _reset(self) -> None:
        self.return_path: str | None = None
        self.parameters: tuple[str, ...] = ()
        self.recipients: list[RecipientRecord] = []

    async def run(self, connection: socket.socket) -> None:
        server, channel = self.server, self.channel
        await self._before_anything(connection)
        if not server.implicit_tls:
            await channel.connect(connection)
        elif (rule := server.script.choose(self._moment(Stage.HANDSHAKE))) is None:
            await channel.connect(connection, server.tls)
        else:
            await channel.connect(connection)
            await self._handshake_as_told(rule)
        await self._act(Stage.BANNER, format_reply(220, f"{server.hostname} ESMTP"))
        while True:
            line = await channel.line()
            verb, _, rest = line.decode("utf-8", "surrogateescape").strip().partition(" ")
            stage = _STAGES.get(verb.upper(), Stage.OTHER)
            record = CommandRecord(line, stage, channel.tls, wall_ms())
            self.session.commands.append(record)
            try:
                record.code = await self._obey(stage, rest.strip(), line)
            finally:
                record.code = record.code or self._said
                await self.server.tell()
            if stage is Stage.QUIT:
                return
            if stage is Stage.STARTTLS and record.code == 220:
                await self._start_tls()
            elif stage is Stage.DATA and record.code == 354:
                await self._content()

    async def _before_anything(self, connection: socket.socket) -> None:
        """Stage CONNECT, on the bare socket: nothing is read."""
        rule = self.server.script.choose(self._moment(Stage.CONNECT))
        for step in () if rule is None else rule.steps:
            match step:
                case Write(data) | Trickle(data):
                    await asyncio.get_running_loop().sock_sendall(connection, data)
                case Stall(gate):
                    await gate.pass_through()
                    if gate.timed_out:
                        raise Gone("nobody released the gate")
                case Drop(reset):
                    if reset:
                        set_reset(connection)
                    connection.close()
                    raise _Dropped

    async def _obey(self, stage: Stage, rest: str, line: bytes) -> int:
        match stage:
            case Stage.AUTH:
                return await self._login(rest, line)
            case Stage.MAIL:
                return await self._mail(rest, line)
            case Stage.RCPT:
                return await self._rcpt(rest, line)
            case Stage.STARTTLS:
                return await self._go_ahead(line)
        code = await self._act(stage, self._usual(stage), line)
        if stage is Stage.RSET or (stage in (Stage.EHLO, Stage.HELO) and code // 100 == 2):
            self._reset()
        return code

    def _usual(self, stage: Stage) -> bytes:
        """The reply of a well-behaved server to a command that needs no more thought."""
        match stage:
            case Stage.EHLO:
                return format_reply(250, *self._offers())
            case Stage.HELO:
                return format_reply(250, self.server.hostname)
            case Stage.STARTTLS if self.server.tls is None or self.channel.tls:
                return format_reply(503, "5.5.1 no TLS now")
            case Stage.STARTTLS:
                return format_reply(220, "2.0.0 go ahead")
            case Stage.DATA if any(200 <= r.code < 300 for r in self.recipients):
                return format_reply(354, "go on")
            case Stage.DATA:
                return format_reply(554, "5.5.1 no valid recipients")
            case Stage.RSET:
                return format_reply(250, "2.0.0 reset")
            case Stage.NOOP:
                return format_reply(250, "2.0.0 here")
            case Stage.QUIT:
                return format_reply(221, "2.0.0 bye")
        return format_reply(500, "5.5.1 what?")

    def _offers(self) -> tuple[str, ...]:
        server = self.server
        offers = [server.hostname, *server.extensions]
        if server.tls is not None and not self.channel.tls:
            offers.append("STARTTLS")
        if self.channel.tls or server.auth_in_clear:
            mechanisms = ["PLAIN", "LOGIN"] if server.credentials is not None else []
            mechanisms += server.bearer if server.tokens is not None else ()
            if mechanisms:
                offers.append(f"AUTH {' '.join(mechanisms)}")
        return tuple(offers)

    async def _mail(self, rest: str, line: bytes) -> int:
        if self.return_path is not None:
            usual = format_reply(503, "5.5.1 one at a time")
        elif self.server.require_auth and self.username is None:
            usual = format_reply(530, "5.7.0 authentication required")
        else:
            usual = format_reply(250, "2.1.0 ok")
        code = await self._act(Stage.MAIL, usual, line)
        if code // 100 == 2:
            self._reset()
            self.return_path, self.parameters = _path(rest)
            self.session.transactions += 1
        return code

    async def _rcpt(self, rest: str, line: bytes) -> int:
        address, parameters = _path(rest)
        opened = self.return_path is not None
        usual = format_reply(250, "2.1.5 ok") if opened else format_reply(503, "5.5.1 MAIL first")
        code = await self._act(Stage.RCPT, usual, line, len(self.recipients) + 1, address)
        if opened:
            self.recipients.append(RecipientRecord(address, parameters, code))
        return code

    async def _login(self, rest: str, line: bytes) -> int:
        mechanism, _, initial = rest.partition(" ")
        mechanism = mechanism.upper()
        if self.server.tokens is not None and mechanism in self.server.bearer:
            return await self._token(mechanism, initial, line)
        if self.server.credentials is None or mechanism not in ("PLAIN", "LOGIN"):
            return await self._act(Stage.AUTH, format_reply(504, "5.5.4 not offered"), line)
        try:
            if mechanism == "PLAIN":
                answer = _decode(initial) if initial else await self._ask("")
                _, username, password = answer.split("\0")
            else:
                username = _decode(initial) if initial else await self._ask("Username:")
                password = await self._ask("Password:")
        except (ValueError, binascii.Error):
            return await self._act(Stage.AUTH, format_reply(501, "5.5.2 cannot read that"), line)
        right = self.server.credentials.get(username) == password
        usual = format_reply(235, "2.7.0 in") if right else format_reply(535, "5.7.8 no")
        try:
            code = await self._act(Stage.AUTH, usual, line)
        finally:
            self.session.logins.append(LoginRecord(mechanism, username, password, self._said))
        if code == 235:
            self.username = username
        return code

    async def _token(self, mechanism: str, initial: str, line: bytes) -> int:
        assert self.server.tokens is not None
        said = _decode(initial) if initial else await self._ask("")
        parts = dict(part.partition("=")[::2] for part in said.split("\1") if "=" in part)
        username = parts.get("user") or said.split(",")[1].removeprefix("a=")
        token = parts.get("auth", "").removeprefix("Bearer ")
        right = self.server.tokens.get(username) == token
        if not right:
            # As Google does it: the reason first, the verdict after another answer.
            await self._ask('{"status":"401","schemes":"bearer","scope":"https://mail.example/"}')
        usual = format_reply(235, "2.7.0 in") if right else format_reply(535, "5.7.8 no")
        try:
            code = await self._act(Stage.AUTH, usual, line)
        finally:
            self.session.logins.append(LoginRecord(mechanism, username, token, self._said))
        if code == 235:
            self.username = username
        return code

    async def _ask(self, prompt: str) -> str:
        challenge = base64.b64encode(prompt.encode()).decode()
        if await self._act(Stage.PROMPT, format_reply(334, challenge)) != 334:
            raise ValueError("the script did not ask")
        return _decode((await self.channel.line()).strip().decode("ascii", "replace"))

    async def _go_ahead(self, line: bytes) -> int:
        # Deaf while answering: a quick client's first TLS bytes belong to the handshake.
        self.channel.stop_listening()
        code = await self._act(Stage.STARTTLS, self._usual(Stage.STARTTLS), line)
        if code != 220:
            self.channel.listen()
        return code

    async def _start_tls(self) -> None:
        self.session.injected = self.channel.take_buffered()
        await self._handshake()
        self.username = None
        self._reset()

    async def _handshake(self) -> None:
        assert self.server.tls is not None
        rule = self.server.script.choose(self._moment(Stage.HANDSHAKE))
        if rule is None:
            await self.channel.secure(self.server.tls)
        else:
            self.channel.listen()
            await self._handshake_as_told(rule)

    async def _handshake_as_told(self, rule: Rule) -> None:
        assert self.server.tls is not None
        for step in rule.steps:
            if isinstance(step, Usual):
                await self.channel.secure(self.server.tls)
            else:
                await self._do(step, b"", bytearray())

    async def _content(self) -> None:
        naive = self.server.naive
        rule = self.server.script.choose(self._moment(Stage.CONTENT))
        if rule is not None:
            await self.channel.content(naive=naive, at_bytes=rule.at_bytes)
            for step in rule.steps:
                await self._do(step, b"", bytearray())
        raw, _ = await self.channel.content(naive=naive)
        received_at = wall_ms()
        try:
            await self._act(Stage.DOT, format_reply(250, "2.0.0 taken"))
        finally:
            self.server.messages.append(
                MessageRecord(
                    session=self.session.number,
                    transaction=self.session.transactions,
                    return_path=self.return_path or "",
                    parameters=self.parameters,
                    recipients=tuple(self.recipients),
                    content=unstuff(raw),
                    raw=raw,
                    code=self._said,
                    tls=self.channel.tls,
                    username=self.username,
                    received_at=received_at,
                    answered_at=wall_ms() if self._said else 0,
                )
            )
        self._reset()
        await self.server.tell()

    def _moment(self, stage: Stage, line: bytes = b"", nth: int = 0, recipient: str = "") -> Moment:
        text = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
        session = self.session
        return Moment(stage, session.number, session.transactions, nth, text, recipient)

    async def _act(
        self, stage: Stage, usual: bytes, line: bytes = b"", nth: int = 0, recipient: str = ""
    ) -> int:
        """Do what the script says, or the usual; the code that was written, 0 for none."""
        rule = self.server.script.choose(self._moment(stage, line, nth, recipient))
        said = bytearray()
        self._said = 0
        for step in rule.steps if rule is not None else (Usual(),):
            await self._do(step, usual, said)
            self._said = _code(said)
        return self._said

    async def _do(
        self, step: Write | Trickle | Stall | Drop | Usual, usual: bytes, said: bytearray
    ) -> None:
        channel = self.channel
        match step:
            case Usual() if usual:
                said += usual
                await channel.write(usual)
            case Write(data):
                said += data
                await channel.write(data)
            case Trickle(data, pause_seconds):
                for byte in data:
                    said.append(byte)
                    await channel.write(bytes((byte,)))
                    await asyncio.sleep(pause_seconds)
            case Stall(gate, deaf):
                if deaf:
                    channel.stop_listening()
                passing = asyncio.ensure_future(gate.pass_through())
                leaving = asyncio.ensure_future(channel.gone.wait())
                try:
                    await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    passing.cancel()
                    leaving.cancel()
                if channel.gone.is_set():
                    raise Gone("the peer left while stalled")
                if gate.timed_out:
                    raise Gone("nobody released the gate")
                if deaf:
                    channel.listen()
            case Drop(reset):
                channel.drop(reset=reset)
                raise _Dropped


def _code(said: bytes | bytearray) -> int:
    return int(said[:3]) if said[:3].isdigit() and len(said) >= 3 else 0


def _path(rest: str) -> tuple[str, tuple[str, ...]]:
    """Address and parameters of what follows MAIL or RCPT; forgiving."""
    start, end = rest.find("<"), rest.rfind(">")
    if 0 <= start < end:
        return rest[start + 1 : end], tuple(rest[end + 1 :].split())
    return rest.partition(":")[2].strip(), ()


def _decode(text: str) -> str:
    if text == "*":
        raise ValueError("cancelled")
    if text == "=":
        return ""
    return base64.b64decode(text, validate=True).decode("utf-8")
