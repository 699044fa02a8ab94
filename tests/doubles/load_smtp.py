"""one client that hands mail over by SMTP, again and again

A protocol without an await per line: what is read is worked through in bulk, so that the driver
costs little beside what it measures. A worker keeps one connection after the other; a message
counts as handed over from the moment its final dot is given to the transport.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import ssl
import time
from dataclasses import dataclass, field
from typing import cast

from tests.doubles.certificates import describe_channel
from tests.doubles.letters import Letter
from tests.doubles.outbox import Errand, Outbox

_TRY_AGAIN_SECONDS = 0.02
_MAX_REPLY_BYTES = 256 * 1024


@dataclass(slots=True)
class _Transaction:
    """One message on one connection."""

    errand: Errand
    letter: Letter
    accepted: list[str] = field(default_factory=list)
    asked: int = 0
    """Recipients already answered."""
    settled: bool = False
    """All that can be said about it is in the outbox."""
    handed_over_at: float = 0.0
    """By the monotonic clock; 0: not yet."""
    begun_at: float = field(default_factory=time.monotonic)
    """When MAIL was on its way, likewise."""


class SmtpWorker:
    """Keeps one connection after the other until the outbox is empty."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.context = outbox.settings.client_context()
        self.locked_out = False

    async def run(self) -> None:
        """Work until nothing is left, time is up, the server stays away or refuses the login."""
        outbox, settings = self.outbox, self.outbox.settings
        away_since = time.monotonic()
        while not outbox.over and not self.locked_out:
            if await self._one_connection():
                away_since = time.monotonic()
                continue
            if time.monotonic() - away_since > settings.away_seconds:
                return
            await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _one_connection(self) -> bool:
        """Whether it was of use: a message got an answer, or it ended by QUIT."""
        outbox, settings = self.outbox, self.outbox.settings
        loop = asyncio.get_running_loop()
        implicit = settings.tls == "implicit"
        try:
            async with asyncio.timeout(settings.answer_seconds):
                _, client = await loop.create_connection(
                    lambda: SmtpClient(outbox, self.context),
                    settings.host,
                    settings.port,
                    ssl=self.context if implicit else None,
                    server_hostname=settings.server_name if implicit else None,
                )
        except (OSError, ssl.SSLError, TimeoutError):
            outbox.report.reconnections += 1
            return False
        outbox.report.connections += 1
        try:
            await client.watch()
        finally:
            client.abort()
        self.locked_out = client.locked_out
        outbox.report.reconnections += not client.in_good_order
        return client.answers > 0 or client.in_good_order


class SmtpClient(asyncio.Protocol):
    """One connection: greeting, TLS, login, then transaction after transaction."""

    def __init__(self, outbox: Outbox, context: ssl.SSLContext | None) -> None:
        self.outbox = outbox
        self.settings = outbox.settings
        self.context = context
        self.done = asyncio.Event()
        self.answers = 0
        """Final answers to messages that were read."""
        self.in_good_order = False
        """Whether the connection ended by QUIT."""
        self.locked_out = False
        """Whether the login was refused for good."""
        self.heard_at = time.monotonic()
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._lines: list[bytes] = []
        self._expected: collections.deque[str] = collections.deque(["banner"])
        self._offers: set[bytes] = set()
        self._tls = False
        self._current: _Transaction | None = None
        self._next: _Transaction | None = None
        """Its envelope was sent together with the content of the current one."""
        self._handed_over = 0
        self._ended = False

    # --- called by the loop --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self._transport = cast(asyncio.Transport, transport)
        self._tls = transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.heard_at = time.monotonic()
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > _MAX_REPLY_BYTES or len(self._lines) > 1000:
            self.abort()
            return
        for line in lines:
            self._lines.append(line)
            if line[3:4] == b"-":
                continue
            reply, self._lines = self._lines, []
            if not line[:3].isdigit() or not self._expected:
                self.abort()
                return
            self._heard(self._expected.popleft(), int(line[:3]), reply)
            if self._ended:
                return

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._finish()

    # --- ending --------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Wait until the connection is over; cut it when an answer takes too long."""
        while not self.done.is_set():
            limit = self.settings.answer_seconds
            left = min(self.heard_at + limit, self.outbox.deadline + 1) - time.monotonic()
            if left <= 0:
                self.abort()
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.done.wait(), left)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()
        self._finish()

    def _finish(self) -> None:
        """Account for what was in flight; harmless when done twice."""
        self._ended = True
        for transaction in (self._current, self._next):
            if transaction is None or transaction.settled:
                continue
            if transaction.handed_over_at:
                self.outbox.unanswered(
                    transaction.errand, transaction.accepted, transaction.letter.sha256
                )
            else:
                self.outbox.give_back(transaction.errand)
        self._current = self._next = None
        self.done.set()

    # --- the dialogue --------------------------------------------------------------------------

    def _say(self, data: bytes, *expected: str) -> None:
        self._expected.extend(expected)
        assert self._transport is not None
        self._transport.write(data)

    def _heard(self, what: str, code: int, lines: list[bytes]) -> None:
        match what:
            case "mail" | "rcpt" | "data" | "verdict":
                self._heard_in_transaction(what, code, lines)
            case "reset":
                self._begin()
            case "quit":
                self.in_good_order = True
                self.abort()
            case "auth" | "challenge" if code >= 500:
                self.outbox.report.logins_refused += 1
                self.locked_out = True
                self.abort()
            case _ if code >= 400:
                self.abort()
            case "banner":
                self._hello()
            case "ehlo":
                self._offers = {line[4:].strip().upper() for line in lines}
                self._after_hello()
            case "starttls":
                self._start_tls()
            case "challenge":
                self._say(base64.b64encode(self.settings.password.encode()) + b"\r\n", "auth")
            case "auth" if code == 235:
                self._begin()
            case _:
                self.abort()

    def _hello(self) -> None:
        assert self._transport is not None
        if self._tls:
            channel = describe_channel(self._transport)
            channels = self.outbox.report.channels
            channels[channel] = channels.get(channel, 0) + 1
        self._say(b"EHLO " + self.settings.hello_name.encode() + b"\r\n", "ehlo")

    def _after_hello(self) -> None:
        settings = self.settings
        if settings.tls == "starttls" and not self._tls:
            assert self._transport is not None
            self._say(b"STARTTLS\r\n", "starttls")
        elif settings.username is None:
            self._begin()
        elif settings.mechanism == "PLAIN":
            words = f"\0{settings.username}\0{settings.password}".encode()
            self._say(b"AUTH PLAIN " + base64.b64encode(words) + b"\r\n", "auth")
        else:
            name = base64.b64encode(settings.username.encode())
            self._say(b"AUTH LOGIN " + name + b"\r\n", "challenge")

    def _start_tls(self) -> None:
        # Bytes behind the go-ahead would be an injection: never read them as a reply.
        if self._rest or self._lines:
            self.abort()
            return
        self._task = asyncio.get_running_loop().create_task(self._shake_hands())

    async def _shake_hands(self) -> None:
        assert self._transport is not None and self.context is not None
        try:
            secured = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                self.context,
                server_hostname=self.settings.server_name,
                ssl_handshake_timeout=10,
            )
        except (OSError, ssl.SSLError):
            secured = None
        if secured is None:
            self.abort()
            return
        self._transport = secured
        self._tls = True
        self._hello()

    # --- transactions --------------------------------------------------------------------------

    def _begin(self) -> None:
        """Send the next envelope, or say goodbye."""
        if self._next is not None:
            self._current, self._next = self._next, None
            return
        limit = self.settings.per_connection
        if self.outbox.over or (limit and self._handed_over >= limit):
            self._goodbye()
            return
        pause_seconds = self.outbox.pause_seconds()
        if pause_seconds > 0:
            self.heard_at = time.monotonic() + pause_seconds
            asyncio.get_running_loop().call_later(pause_seconds, self._begin_late)
            return
        self._current = self._take()
        if self._current is None:
            self._goodbye()
            return
        self._send_envelope(self._current)

    def _begin_late(self) -> None:
        if not self._ended:
            self._begin()

    def _goodbye(self) -> None:
        self._say(b"QUIT\r\n", "quit")

    def _take(self) -> _Transaction | None:
        errand = self.outbox.take()
        return None if errand is None else _Transaction(errand, self.outbox.letter(errand))

    def _send_envelope(self, transaction: _Transaction) -> None:
        if self.settings.pipelined and b"PIPELINING" in self._offers:
            envelope, expected = self._envelope(transaction)
            self._say(envelope, *expected)
        else:
            self._say(self._mail_line(), "mail")

    def _envelope(self, transaction: _Transaction) -> tuple[bytes, list[str]]:
        recipients = transaction.errand.recipients
        lines = self._mail_line() + _rcpt_lines(recipients) + b"DATA\r\n"
        return lines, ["mail", *["rcpt"] * len(recipients), "data"]

    def _mail_line(self) -> bytes:
        return b"MAIL FROM:<" + self.settings.return_path.encode() + b">\r\n"

    def _heard_in_transaction(self, what: str, code: int, lines: list[bytes]) -> None:
        transaction = self._current
        assert transaction is not None
        positive = 200 <= code < 400
        if what == "verdict":
            self._verdict(transaction, positive, lines)
            return
        if code == 421:
            # Not handed over: it is given back when the connection is accounted for.
            self.abort()
            return
        stepwise = not self._expected
        match what:
            case "mail" if not positive:
                self._refuse(transaction, transaction.errand.recipients, lines)
            case "rcpt":
                recipient = transaction.errand.recipients[transaction.asked]
                transaction.asked += 1
                if positive:
                    transaction.accepted.append(recipient)
                elif not transaction.settled:
                    self.outbox.refused(transaction.errand, [recipient], _text(lines))
            case "data" if code == 354:
                self._hand_over(transaction)
                return
            case "data":
                if transaction.accepted:
                    self._refuse(transaction, transaction.accepted, lines)
                self._reset(transaction)
                return
        if stepwise:
            self._next_step(transaction)

    def _next_step(self, transaction: _Transaction) -> None:
        """Without pipelining: what follows the reply just read."""
        if transaction.settled:
            self._reset(transaction)
        elif transaction.asked < len(transaction.errand.recipients):
            self._say(_rcpt_lines([transaction.errand.recipients[transaction.asked]]), "rcpt")
        elif transaction.accepted:
            self._say(b"DATA\r\n", "data")
        else:
            self._reset(transaction)

    def _reset(self, transaction: _Transaction) -> None:
        self._settle(transaction)
        self._current = None
        self._say(b"RSET\r\n", "reset")

    def _refuse(self, transaction: _Transaction, whom: list[str], lines: list[bytes]) -> None:
        """A refusal that is the last word on this message."""
        self.outbox.refused(transaction.errand, whom, _text(lines))
        self._settle(transaction)

    def _settle(self, transaction: _Transaction) -> None:
        if not transaction.settled:
            transaction.settled = True
            self.outbox.done_with(transaction.errand)

    def _hand_over(self, transaction: _Transaction) -> None:
        if not transaction.accepted:
            # 354 though nobody was accepted: a lone dot, and whatever is answered means nothing.
            self._settle(transaction)
            self._say(b".\r\n", "verdict")
            return
        wire = transaction.letter.wire
        transaction.handed_over_at = time.monotonic()
        self._handed_over += 1
        following = self._overlapping()
        if following is None:
            self._say(wire, "verdict")
            return
        self._next = following
        envelope, expected = self._envelope(following)
        self._say(wire + envelope, "verdict", *expected)

    def _overlapping(self) -> _Transaction | None:
        settings = self.settings
        if not settings.overlap or b"PIPELINING" not in self._offers or self.outbox.over:
            return None
        if settings.per_connection and self._handed_over >= settings.per_connection:
            return None
        return self._take() if self.outbox.pause_seconds() <= 0 else None

    def _verdict(self, transaction: _Transaction, positive: bool, lines: list[bytes]) -> None:
        if not transaction.settled:
            self.answers += 1
            letter = transaction.letter
            if positive:
                transaction.settled = True
                now = time.monotonic()
                self.outbox.note_latency(now - transaction.handed_over_at)
                self.outbox.acknowledged(
                    transaction.errand,
                    transaction.accepted,
                    letter.sha256,
                    len(letter.content),
                    _text(lines),
                    seconds=now - transaction.begun_at,
                )
            else:
                self._refuse(transaction, transaction.accepted, lines)
        self._current = None
        self._begin()


def _rcpt_lines(recipients: list[str]) -> bytes:
    return b"".join(b"RCPT TO:<" + recipient.encode() + b">\r\n" for recipient in recipients)


def _text(lines: list[bytes]) -> str:
    return " ".join(line.strip().decode("utf-8", "replace") for line in lines)
