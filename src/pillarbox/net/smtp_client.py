"""one connection to a server: banner, TLS, login, then one transaction after the other

A server may stall, lie or vanish at any moment. So every step has a time of its own, every end
names the stage at which it came, and whether the final dot was already on its way: only then may
the mail have been delivered although nobody said so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final, Self

from pillarbox.net.client_facts import ClientTimeouts, ConnectionFacts
from pillarbox.net.client_wire import Wire
from pillarbox.net.dialling import dial
from pillarbox.net.dialogue import Dialogue
from pillarbox.net.envelope import EnvelopeWords
from pillarbox.net.errors import Broken
from pillarbox.net.opening import Opening
from pillarbox.net.progress import Progress, Told, secured
from pillarbox.net.securing import Security, security_for
from pillarbox.net.tls import describe_tls
from pillarbox.observe.crash import crash_point
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import EnvelopeAnswered, VerdictReceived
from pillarbox.protocol.reply import Reply
from pillarbox.protocol.states import ClientState
from pillarbox.terms.secret import Secret

__all__ = ["ClientTimeouts", "Connection", "ConnectionFacts", "EnvelopeWords"]

_AT_ONCE_BYTES: Final = 256 * 1024
_AHEAD_SECONDS: Final = 30.0
"""A server that drops what follows content must not cost a message minutes."""
_PIECE_BYTES: Final = 128 * 1024

_REFUSED: Final = 4
_CLOSING: Final = 421


class Connection:
    """An open, greeted and, where wanted, protected and logged-in connection.

    One transaction at a time: `envelope`, then `content` where its answer is ready. Every failure
    is `Broken`; afterwards the connection is of no more use.
    """

    def __init__(self, wire: Wire, timeouts: ClientTimeouts, said: Dialogue) -> None:
        """Use `open`."""
        self._wire = wire
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._said = said
        self.transactions = 0
        """How many were begun on it."""
        self._dot_sent = False
        self._ahead = False
        self.proven = False
        """Whether it is under TLS, with a server that has shown who it is."""
        self.idle_since = self._loop.time()
        """Monotonic seconds at which the last transaction ended."""

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        *,
        encryption: str = "starttls",
        verify: bool = True,
        ca_file: str = "",
        hello_name: str,
        username: str = "",
        password: Secret | None = None,
        token: Secret | None = None,
        timeouts: ClientTimeouts | None = None,
        local_address: str = "",
        told: Told | None = None,
        pin: str = "",
        plan: TlsPlan | None = None,
        addresses: Sequence[str] = (),
    ) -> Self:
        """Connect and come to the point where mail may be sent.

        `encryption` is ``none``, ``starttls`` or ``tls``; what it asks for is had or the
        connection fails, with nothing of the login or the mail said before. A login in clear
        happens only with ``none``. With an access `token` the login is made by that. With a `pin` the
        server's key must be that one, and no authority is asked; a `plan` says what is asked of an MX
        host, and whether one that does not offer STARTTLS will do. Connections come from
        `local_address` where one is given, and lead to one of `addresses` where there are any; `told`
        hears of each stage when it is behind us. Raises `Broken`, or `TlsFilesUnusable` for `ca_file`.
        """
        patience = timeouts or ClientTimeouts()
        security = security_for(
            host, encryption, verify=verify, ca_file=ca_file, pin=pin, plan=plan
        )
        said = Dialogue(asyncio.get_running_loop().time)
        sock = await dial(
            host,
            port,
            seconds=patience.connect_seconds,
            local_address=local_address,
            told=told,
            addresses=addresses,
        )
        wire = Wire()
        await wire.connect(sock, security, patience.tls_seconds)
        connection = cls(wire, patience, said)
        opening = Opening(wire, patience, said)
        mechanism = ""
        try:
            if told is not None and security.at_once:
                told(secured(wire.transport.get_extra_info("ssl_object")))
            greeting = await opening.greeted()
            if told is not None:
                told(Progress("banner", greeting))
            await opening.hello(hello_name)
            if await opening.start_tls(security):
                if told is not None:
                    told(secured(wire.transport.get_extra_info("ssl_object")))
                await opening.hello(hello_name)
            if token is not None:
                mechanism = await opening.login(
                    username, token, token=True, host=host.rstrip("."), port=port
                )
            elif username:
                mechanism = await opening.login(username, password or Secret(""))
            if mechanism and told is not None:
                told(Progress("auth", mechanism))
        except Broken as broken:
            broken.dialogue = tuple(connection.dialogue)
            broken.address = wire.address
            wire.close()
            raise
        except BaseException:
            wire.close()
            raise
        connection._note_facts(host, port, security, greeting, mechanism)
        return connection

    # --- state ------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether another transaction may begin."""
        return not self._wire.lost and not self._wire.spoke and self._wire.session.usable

    @property
    def session(self) -> ClientSession:
        """For its `extensions`: what the server offers."""
        return self._wire.session

    @property
    def dialogue(self) -> list[tuple[int, str]]:
        """What the server said in this transaction: milliseconds since its start, verb and reply.

        Equal replies to RCPT are one line with their number. Before the first transaction: what
        was said while opening.
        """
        return self._said.lines()

    # --- a transaction ----------------------------------------------------------------------

    async def envelope(self, words: EnvelopeWords, *, elsewhere: bool = False) -> EnvelopeAnswered:
        """Say MAIL, RCPT and DATA, in one go where the server takes that.

        Where the mail could go `elsewhere`, less patience is had: nothing of its content has left.

        Raises `Broken`; it is `reused` where the connection had carried mail before, so that a
        fresh one may be tried at no cost. Raises `LocalProtocolError` for what cannot be said.
        """
        wire = self._wire
        again = self.transactions > 0
        seconds = self._timeouts.envelope_seconds
        if elsewhere:
            seconds = min(seconds, self._timeouts.elsewhere_seconds)
        self._said.begin()
        wire.stage = "mail"
        try:
            wire.check()
            if self._ahead:
                self._ahead = False
                seconds = min(seconds, _AHEAD_SECONDS)
            else:
                words.say(wire.session)
                wire.flush()
            self.transactions += 1
            answered = await wire.expect(EnvelopeAnswered, "mail", seconds, renewed=True)
        except Broken as broken:
            raise self._completed(broken, reused=again) from broken.__cause__
        self._said.note_envelope(answered)
        if again and answered.mail.code == _CLOSING:
            self.close()
            why = f"the server was about to close: {answered.mail}"
            raise self._completed(Broken("mail", why, answered.mail), reused=True)
        return answered

    @property
    def ahead(self) -> bool:
        """Whether the next envelope was said already; `envelope` must be called with it next.

        Not once the session has ended, as by a verdict of 421: then nothing answers it any more.
        """
        return self._ahead and self._wire.session.state is not ClientState.CLOSING

    async def content(
        self,
        data: bytes | AsyncIterator[bytes],
        ahead: EnvelopeWords | None = None,
        *,
        plain: bool = False,
    ) -> Reply:
        """Send the content and return the verdict, whatever it is.

        `ahead` is the envelope of the next message, said in the same breath where that is possible:
        one round trip for each message instead of two. See `ahead` whether it was.
        `plain` content was taken in by a server session and goes out as it came: see `stuff`.

        Raises `Broken`, `after_dot` where all of the content was on its way. What the iterator
        raises passes through; the connection is then closed without the final dot.
        """
        wire = self._wire
        wire.stage = "data"
        self._dot_sent = False
        try:
            if isinstance(data, bytes):
                await self._send_whole(data, ahead, plain=plain)
            else:
                await self._send_blocks(data)
            if self._dot_sent:
                crash_point("content-after-dot")
            stage = "verdict" if self._dot_sent else "data"
            verdict = (
                await self._wire.expect(VerdictReceived, stage, self._timeouts.verdict_seconds)
            ).reply
        except Broken as broken:
            early = broken.reply
            if early is None or self._dot_sent or early.severity < _REFUSED:
                raise self._completed(broken, after_dot=self._dot_sent) from broken.__cause__
            # Refused before it was complete: a verdict, if one that came early.
            verdict = early
        except BaseException:
            wire.fail("given up")
            raise
        self._said.note(".", verdict)
        self.idle_since = self._loop.time()
        if verdict.code == _CLOSING:
            self.close()
        if not self._dot_sent:
            self.close()
            if verdict.severity < _REFUSED:
                words = f"the server took content that was never sent: {verdict}"
                raise self._completed(Broken("data", words, verdict))
        return verdict

    async def reset(self) -> None:
        """Say RSET, to see whether the server is still there; its answer is not waited for."""
        self._wire.check()
        self._wire.session.reset()
        self._wire.flush()

    async def quit(self) -> None:
        """Say goodbye, wait a moment for the answer, close. Never raises."""
        wire = self._wire
        if not wire.lost:
            with suppress(LocalProtocolError):
                wire.session.quit()
                wire.flush()
                await wire.gone(self._timeouts.quit_seconds)
        wire.close()

    def close(self) -> None:
        """Close without a word; what was written is still sent."""
        self._wire.close()

    # --- inside -------------------------------------------------------------------------------

    async def _send_whole(self, data: bytes, ahead: EnvelopeWords | None, *, plain: bool) -> None:
        wire = self._wire
        wire.check()
        wire.session.content(data, plain=plain)
        if ahead is not None and len(data) < _AT_ONCE_BYTES // 2:
            if wire.session.may_go_ahead:
                # What is wrong with the next envelope is said when its own turn comes.
                with suppress(LocalProtocolError):
                    ahead.say(wire.session)
                    self._ahead = True
        out = wire.session.bytes_to_send()
        # With an envelope behind it the final dot is not at the end of what is written, so pieces
        # could not tell when it went.
        if self._ahead or len(out) <= _AT_ONCE_BYTES:
            self._dot_sent = True
            wire.write(out)
            return
        with memoryview(out) as view:
            for at in range(0, len(out), _PIECE_BYTES):
                await wire.drain(self._timeouts.block_seconds)
                if wire.spoke:
                    return
                self._dot_sent = at + _PIECE_BYTES >= len(out)
                wire.write(view[at : at + _PIECE_BYTES])

    async def _send_blocks(self, blocks: AsyncIterator[bytes]) -> None:
        wire = self._wire
        async for block in blocks:
            # While the block was being fetched the server may have said its verdict, or left.
            wire.check()
            wire.session.content_block(block)
            wire.flush()
            await wire.drain(self._timeouts.block_seconds)
            if wire.spoke:
                return
        wire.check()
        wire.session.content_end()
        self._dot_sent = True
        wire.flush()

    def _completed(
        self, broken: Broken, *, after_dot: bool = False, reused: bool = False
    ) -> Broken:
        broken.after_dot = after_dot
        broken.reused = reused
        broken.dialogue = tuple(self.dialogue)
        return broken

    def _note_facts(
        self, host: str, port: int, security: Security, greeting: str, mechanism: str
    ) -> None:
        transport = self._wire.transport
        tls = describe_tls(transport.get_extra_info("ssl_object"))
        self.proven = bool(tls) and security.proves
        offered = self._wire.session.extensions.keywords
        self.facts = ConnectionFacts(
            host=host,
            address=self._wire.address or host,
            port=port,
            tls=f"{tls}, {security.checked}" if tls else "",
            greeting=greeting,
            extensions=tuple(f"{name} {text}".rstrip() for name, text in offered.items()),
            mechanism=mechanism,
            opening=tuple(self.dialogue),
        )
        self.idle_since = self._loop.time()
