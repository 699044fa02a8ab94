"""one connection to the sink: commands, content, and what is open when it ends"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from typing import TYPE_CHECKING, Any, cast

from tests.doubles.certificates import describe_channel
from tests.doubles.channel import content_end, unstuff
from tests.doubles.journal import Fact, encode_fact

if TYPE_CHECKING:
    from tests.doubles.sink import Sink

MAX_LINE_BYTES = 64 * 1024
MAX_CONTENT_BYTES = 256 * 1024 * 1024


class SinkSession(asyncio.Protocol):
    """One connection."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.number = 0
        self.transactions = 0
        self.open: list[Fact] = []
        """Transactions between their final dot and the client's first sign of having read on."""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._scanned = 0
        self._in_content = False
        self._owing = False
        self._quit = False
        self._abandoned = False
        self._login: list[str] | None = None
        self._tls = False
        self._channel = ""
        self._username: str | None = None
        self._hello = ""
        self._held = False
        self._out: list[bytes] = []
        self._lines: list[bytes] = []
        self._forget()

    def _forget(self) -> None:
        self._return_path: str | None = None
        self._recipients: list[str] = []

    # --- called by the loop --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._channel = describe_channel(transport)
        self._tls = bool(self._channel)
        sink = self.sink
        sink.session_count += 1
        self.number = sink.session_count
        sink.sessions.add(self)
        self._transport.write(b"220 sink.example.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._owing:
            self._work()
        elif len(self._buffer) > MAX_CONTENT_BYTES:
            self._cut()

    def connection_lost(self, exc: Exception | None) -> None:
        sink = self.sink
        sink.sessions.discard(self)
        if self._quit or self._abandoned:
            return
        sink.record(
            encode_fact(
                sink.fact(
                    "lost",
                    session=self.number,
                    hello=self._hello,
                    open=self.open,
                    in_content=self._in_content,
                )
            )
        )

    # --- working through what was read ---------------------------------------------------------

    def _work(self) -> None:
        buffer = self._buffer
        while buffer and not self._owing and not self._quit:
            if self._in_content:
                end = content_end(buffer, self._scanned, naive=False)
                if end < 0:
                    self._scanned = max(0, len(buffer) - 4)
                    if len(buffer) > MAX_CONTENT_BYTES:
                        self._cut()
                    break
                raw = bytes(buffer[:end] if end < len(buffer) else buffer)
                del buffer[:end]
                self._in_content = False
                self._take(raw)
                continue
            end = buffer.find(b"\n")
            if end < 0:
                if len(buffer) > MAX_LINE_BYTES:
                    self._cut()
                break
            line = bytes(buffer[: end + 1]).rstrip(b"\r\n")
            del buffer[: end + 1]
            self._out.append(self._obey(line))
        self._flush()

    def _flush(self) -> None:
        # The order is the promise: on record first, then the reply.
        if self._lines:
            self.sink.record(b"".join(self._lines))
            self._lines.clear()
        transport = self._transport
        if self._out and transport is not None:
            transport.write(b"".join(self._out))
            self._out.clear()
        if self._quit and transport is not None:
            transport.close()

    def _obey(self, line: bytes) -> bytes:
        if self._login is not None:
            return self._continue_login(line)
        match line[:4].upper():
            case b"MAIL":
                if self.sink.settings.username is not None and self._username is None:
                    return b"530 5.7.0 authentication required\r\n"
                self._recipients = []
                self._return_path = _address(line)
                return b"250 2.1.0 ok\r\n"
            case b"RCPT":
                return self._recipient(_address(line))
            case b"DATA":
                if not self._recipients:
                    return b"554 5.5.1 no valid recipients\r\n"
                self._in_content, self._scanned = True, 0
                if self.sink.holding:
                    self._owing = self._held = True
                    return b""
                return b"354 go on\r\n"
            case b"EHLO":
                self._greeted(line)
                return self._offers()
            case b"HELO":
                self._greeted(line)
                return b"250 sink.example.test\r\n"
            case b"RSET":
                self._forget()
                return b"250 2.0.0 reset\r\n"
            case b"NOOP":
                return b"250 2.0.0 here\r\n"
            case b"QUIT":
                self.open = []
                self._quit = True
                return b"221 2.0.0 bye\r\n"
            case b"AUTH":
                return self._begin_login(line)
            case b"STAR" if self.sink.settings.tls is not None and not self._tls:
                self._begin_tls()
                return b""
        return b"500 5.5.1 what?\r\n"

    def _greeted(self, line: bytes) -> None:
        self._hello = line[4:].strip().decode("utf-8", "replace")
        self._forget()

    def go_on(self) -> None:
        """Answer DATA, where the sink held the answer back."""
        if self._held:
            self._owing = self._held = False
            self._out.append(b"354 go on\r\n")
            self._work()

    def _offers(self) -> bytes:
        settings = self.sink.settings
        offers = b"250-sink.example.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
        if settings.tls is not None and not self._tls:
            offers += b"250-STARTTLS\r\n"
        if settings.username is not None and (self._tls or settings.tls is None):
            offers += b"250-AUTH PLAIN LOGIN\r\n"
        return offers + b"250-ENHANCEDSTATUSCODES\r\n250-DSN\r\n250 SIZE 268435456\r\n"

    def _recipient(self, address: str) -> bytes:
        if self._return_path is None:
            return b"503 5.5.1 MAIL first\r\n"
        if address.startswith("bad-"):
            self._note("refused", recipient=address, code=550)
            return b"550 5.1.1 no such mailbox\r\n"
        if address.startswith("defer-"):
            deferrals = self.sink.deferrals
            done = deferrals.get(address, 0)
            if done < self.sink.settings.defer_times:
                deferrals[address] = done + 1
                self._note("refused", recipient=address, code=451)
                return b"451 4.2.1 not now\r\n"
        self._recipients.append(address)
        return b"250 2.1.5 ok\r\n"

    # --- a final dot ---------------------------------------------------------------------------

    def _take(self, raw: bytes) -> None:
        sink, settings = self.sink, self.sink.settings
        self.transactions += 1
        self.open = []
        content = unstuff(raw)
        identity, message_id = _identify(content)
        common: Fact = {
            "id": identity,
            "recipients": self._recipients,
            "return_path": self._return_path,
            "message_id": message_id,
            "size": len(content),
            "session": self.number,
            "hello": self._hello,
            "transaction": self.transactions,
        }
        self._forget()
        if identity not in sink.deferred_ids and sink.share_hit(
            settings.defer_share, "defer", identity
        ):
            sink.deferred_ids.add(identity)
            self._note("deferred", **common, code=451)
            self._answer(b"451 4.3.0 come again\r\n", None)
            return
        if settings.digests:
            common["sha256"] = hashlib.sha256(
                content[content.find(b"\r\n\r\n") + 4 :] if b"\r\n\r\n" in content else b""
            ).hexdigest()
            common["bare"] = count_bare(content)
        sink.taken_count += 1
        self._note(
            "taken",
            **common,
            code=250,
            tls=self._tls,
            channel=self._channel,
            username=self._username,
        )
        if settings.keep_content and sink.facts:
            sink.facts[-1]["content"] = content
        entry: Fact = {
            "id": identity,
            "recipients": common["recipients"],
            "transaction": self.transactions,
            "replied": False,
        }
        self.open = [entry]
        if identity not in sink.lost_ids and sink.share_hit(settings.lose_share, "lose", identity):
            sink.lost_ids.add(identity)
            self._cut()
            return
        self._answer(b"250 2.0.0 taken\r\n", entry)

    def _answer(self, reply: bytes, entry: Fact | None) -> None:
        settings = self.sink.settings
        delay_ms = settings.delay_ms
        if settings.jitter_ms:
            delay_ms += self.sink.draw.uniform(0, settings.jitter_ms)
        if delay_ms <= 0:
            if entry is not None:
                entry["replied"] = True
            self._out.append(reply)
            return
        self._owing = True
        asyncio.get_running_loop().call_later(delay_ms / 1000, self._answer_late, reply, entry)

    def _answer_late(self, reply: bytes, entry: Fact | None) -> None:
        if self not in self.sink.sessions:
            return
        if entry is not None:
            entry["replied"] = True
        self._owing = False
        self._out.append(reply)
        self._work()

    def _note(self, event: str, **more: Any) -> None:
        self._lines.append(encode_fact(self.sink.fact(event, **more)))

    def _cut(self) -> None:
        """End the connection without an answer."""
        self._flush()
        self._owing = True
        if self._transport is not None:
            self._transport.abort()

    def abandon(self) -> None:
        """End it because the sink stops: no fact is owed any more."""
        self._abandoned = True
        if self._transport is not None:
            self._transport.abort()

    # --- TLS and logins ------------------------------------------------------------------------

    def _begin_tls(self) -> None:
        transport = self._transport
        assert transport is not None
        # Deaf before the go-ahead is written: what comes next belongs to the handshake.
        self._owing = True
        transport.pause_reading()
        self._out.append(b"220 2.0.0 go ahead\r\n")
        self._flush()
        self._buffer.clear()
        asyncio.get_running_loop().create_task(self._shake_hands(transport))

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        context = self.sink.settings.tls
        assert context is not None
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=10
            )
        except (OSError, ssl.SSLError):
            return
        if secured is None:
            return
        self._transport = secured
        self._tls, self._channel = True, describe_channel(secured)
        self._forget()
        self._owing = False
        self._work()

    def _begin_login(self, line: bytes) -> bytes:
        words = line.split()
        mechanism = words[1].upper() if len(words) > 1 else b""
        initial = words[2] if len(words) > 2 else None
        if mechanism == b"PLAIN":
            self._login = ["plain"]
            return b"334 \r\n" if initial is None else self._continue_login(initial)
        if mechanism == b"LOGIN":
            self._login = ["login"]
            if initial is None:
                return b"334 VXNlcm5hbWU6\r\n"
            return self._continue_login(initial)
        return b"504 5.5.4 not offered\r\n"

    def _continue_login(self, line: bytes) -> bytes:
        assert self._login is not None
        try:
            words = _decode(line).split("\0") if self._login[0] == "plain" else [_decode(line)]
        except ValueError:
            self._login = None
            return b"501 5.5.2 cannot read that\r\n"
        self._login += words[1:] if self._login[0] == "plain" else words
        if len(self._login) < 3:
            if self._login[0] == "login":
                return b"334 UGFzc3dvcmQ6\r\n"
            self._login = None
            return b"501 5.5.2 cannot read that\r\n"
        _, username, password = self._login[:3]
        self._login = None
        settings = self.sink.settings
        if (username, password) != (settings.username, settings.password):
            return b"535 5.7.8 no\r\n"
        self._username = username
        return b"235 2.7.0 in\r\n"


def count_bare(content: bytes) -> int:
    """How many CR and LF are not part of a CRLF."""
    pairs = content.count(b"\r\n")
    return content.count(b"\n") + content.count(b"\r") - 2 * pairs


def _address(line: bytes) -> str:
    start, end = line.find(b"<"), line.rfind(b">")
    found = line[start + 1 : end] if 0 <= start < end else line.partition(b":")[2].strip()
    return found.decode("utf-8", "replace")


def _identify(content: bytes) -> tuple[str, str]:
    """The experiment's id and the Message-ID of a message; empty where absent."""
    end = content.find(b"\r\n\r\n")
    header = b"\n" + (content[:end] if end >= 0 else content) + b"\r\n"
    folded = header.lower()
    identity = _field(header, folded, b"\nx-exp-id:") or _field(header, folded, b"\nsubject:")
    return identity, _field(header, folded, b"\nmessage-id:")


def _field(header: bytes, folded: bytes, name: bytes) -> str:
    start = folded.find(name)
    if start < 0:
        return ""
    start += len(name)
    return header[start : header.find(b"\r\n", start)].strip().decode("utf-8", "replace")


def _decode(line: bytes) -> str:
    return base64.b64decode(line, validate=True).decode("utf-8")
