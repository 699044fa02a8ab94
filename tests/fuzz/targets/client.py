"""any bytes from a server to a client that goes on as far as it can"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from pillarbox.protocol.client import ClientSession
from pillarbox.protocol.errors import RemoteProtocolError
from pillarbox.protocol.events import (
    ClientEvent,
    EnvelopeAnswered,
    Greeted,
    HelloAnswered,
    LoginAnswered,
    TlsAnswered,
    VerdictReceived,
)
from pillarbox.protocol.reply import MalformedReply, Reply, ReplyParser
from pillarbox.protocol.states import ClientState
from pillarbox.terms.secret import Secret
from tests.dialogue.test_dialogues import HERE
from tests.fuzz.targets import Target
from tests.fuzz.words import replies_in

CONTENT = b"hello\r\n.dot\r\n"
STUFFED = b"hello\r\n..dot\r\n.\r\n"
MOST_ENVELOPES = 5
MOST_LINES, MOST_LINE_OCTETS = 100, 8192
PASSWORD = "pa ss word"

_CODE = re.compile(rb"([2-5][0-9]{2})([ -]|$)")


def run(data: bytes) -> None:
    """The first octet says how the client goes about it; the rest is what the server says."""
    choice, wire = (data[0], data[1:]) if data else (0, b"")
    parse(wire)
    heard_ahead(wire, (_pipelined, _stepwise, _talking)[choice % 3])
    converse(wire, recipients=1 + choice // 3 % 3, mechanism=("PLAIN", "LOGIN", "XOAUTH2")[choice // 9 % 3],
             ahead=bool(choice & 1))  # fmt: skip


# --- replies ------------------------------------------------------------------------------------


def parse(wire: bytes) -> None:
    """Replies are what somebody reads who goes line by line, in whatever portions they came."""
    expected, whole = read_replies(wire)
    for size in (max(len(wire), 1), 1, 7):
        parser, found, broken = ReplyParser(), list[Reply](), False
        for at in range(0, len(wire), size):
            try:
                found += parser.feed(wire[at : at + size])
            except MalformedReply as error:
                found += error.before
                broken = True
                break
        assert [(reply.code, " ".join(reply.lines)) for reply in found] == expected
        assert broken != whole
    for code, text in expected:
        again = Reply.of(code, None, text).encode()
        assert all(len(line) <= 510 for line in again.split(b"\r\n"))
        assert len(ReplyParser().feed(again)) == 1, "a reply passed on is one reply"


def read_replies(wire: bytes) -> tuple[list[tuple[int, str]], bool]:
    """Code and text of every reply, and whether there was nothing else."""
    *lines, rest = wire.split(b"\n")
    found: list[tuple[int, str]] = []
    texts: list[str] = []
    for line in lines:
        bare = line.removesuffix(b"\r")
        code = _CODE.match(bare[:4])
        if code is None or len(line) > MOST_LINE_OCTETS or len(texts) == MOST_LINES:
            return found, False
        words = bare[4:].decode("utf-8", "replace").strip()
        texts.append("".join(c if c.isprintable() else "?" for c in words))
        if code[2] != b"-":
            found.append((int(code[1]), _text(int(code[1]), texts)))
            texts.clear()
    return found, len(rest) <= MOST_LINE_OCTETS


def _text(code: int, texts: list[str]) -> str:
    """Without the enhanced status, which may be said again on every line, and which one gateway
    writes with a number sign; and cut off somewhere.
    """
    kept, room = [], 2048
    for text in texts:
        if room > 0 or not kept:
            kept.append(text[:room])
            room -= len(kept[-1])
    found = re.match(r"#?(([245])\.[0-9]{1,3}\.[0-9]{1,3})(?: +|$)", kept[0])
    if found is None or int(found[2]) != code // 100:
        return " ".join(kept)
    first, *others = kept
    status = found[1]
    rest = [one[len(status) :].lstrip() if one.startswith(status) else one for one in others]
    return " ".join([first[found.end() :], *rest])


# --- sessions -----------------------------------------------------------------------------------


@dataclass
class Heard:
    """What came of it."""

    events: list[ClientEvent] = field(default_factory=list)
    said: bytes = b""
    fault: str = ""


def heard_ahead(wire: bytes, start: Callable[[], ClientSession]) -> None:
    """All is said before anything is heard, so that portions can make no difference."""
    outcomes = []
    for size in (max(len(wire), 1), 1):
        session, heard = start(), Heard()
        for at in range(0, len(wire), size):
            _hear(session, wire[at : at + size], heard)
        outcomes.append((heard, session.state, session.usable, session.expecting))
    assert outcomes[0] == outcomes[1]
    heard, state, *_ = outcomes[0]
    if heard.fault:
        assert state is ClientState.CLOSING


def _hear(session: ClientSession, portion: bytes, heard: Heard) -> None:
    try:
        session.receive(portion)
    except RemoteProtocolError as error:
        assert not heard.fault, "a fault is told once"
        heard.fault = error.sentence
    while (event := session.next_event()) is not None:
        heard.events.append(event)
    heard.said += session.bytes_to_send()


def _pipelined() -> ClientSession:
    return begun(b"250-hi\r\n250 PIPELINING\r\n")


def _stepwise() -> ClientSession:
    return begun(b"250 hi\r\n")


def _talking() -> ClientSession:
    """In the middle of content, with the next envelope said ahead."""
    session = _pipelined()
    session.receive(b"250 ok\r\n" * 4 + b"354 go\r\n")
    while session.next_event() is not None:
        pass
    session.content(CONTENT)
    session.envelope("", ["d@example.net"])
    session.bytes_to_send()
    return session


def begun(hello: bytes) -> ClientSession:
    """A session behind this answer to EHLO, with an envelope to three on its way."""
    session = ClientSession()
    session.receive(b"220 hi\r\n")
    session.hello("me.example.com")
    session.receive(hello)
    session.envelope("a@example.com", ["b@example.net", "c@example.net", "d@example.net"])
    session.bytes_to_send()
    while session.next_event() is not None:
        pass
    return session


class Client:
    """Goes on as far as it can, driven by nothing but events."""

    def __init__(self, recipients: int, mechanism: str, *, ahead: bool) -> None:
        self.session = ClientSession()
        self.heard = Heard()
        self.tls = False
        self.in_clear = b""
        self.envelopes = self.contents = self.logins = 0
        self._recipients = [f"r{n}@example.net" for n in range(recipients)]
        self._mechanism = mechanism
        self._goes_ahead = ahead

    def hear(self, portion: bytes) -> None:
        session, heard = self.session, self.heard
        before, spoken = len(heard.events), len(heard.said)
        _hear(session, portion, heard)
        for event in heard.events[before:]:
            if session.state is not ClientState.CLOSING:
                self._react(event)
        said = session.bytes_to_send()
        heard.said += said
        if not self.tls:
            self.in_clear = heard.said
        lately = heard.said[spoken:]
        if not session.extensions.has("PIPELINING") and STUFFED not in lately:
            assert lately.count(b"\n") <= 1, "a group of commands for a server that takes none"

    def _react(self, event: ClientEvent) -> None:
        session = self.session
        match event:
            case Greeted(reply) if reply.severity == 2:
                session.hello("me.example.com")
            case HelloAnswered(reply) if reply.severity == 2:
                if session.extensions.has("STARTTLS") and not self.tls:
                    session.start_tls()
                elif self.tls and not self.logins and session.extensions.has("AUTH"):
                    self.logins += 1
                    session.login(self._mechanism, "shop", Secret(PASSWORD))
                else:
                    self._envelope()
            case TlsAnswered(reply):
                if reply.severity == 2:
                    session.tls_started()
                    self.tls = True
                    assert not session.extensions.keywords, "what was offered in clear is forgotten"
                    session.hello("me.example.com")
                else:
                    self._envelope()
            case EnvelopeAnswered(ready=True):
                self.contents += 1
                session.content(CONTENT)
                if self._goes_ahead and session.may_go_ahead:
                    self._envelope()
            case EnvelopeAnswered() | VerdictReceived() | LoginAnswered():
                if session.usable:
                    self._envelope()
            case _:
                pass

    def _envelope(self) -> None:
        if self.envelopes < MOST_ENVELOPES:
            self.envelopes += 1
            self.session.envelope("a@example.com", self._recipients, size=len(CONTENT))


def converse(wire: bytes, *, recipients: int, mechanism: str, ahead: bool) -> None:
    """Nothing is sent that was not asked for, and nothing secret in clear."""
    client = Client(recipients, mechanism, ahead=ahead)
    for line in wire.splitlines(keepends=True):  # at any CR, too; a reply ends at LF alone
        client.hear(line)
        if client.heard.fault:
            break
    heard = client.heard
    assert heard.said.count(STUFFED) == client.contents
    assert heard.said.count(b"\r\n") == heard.said.count(b"\n") == heard.said.count(b"\r")
    assert b"AUTH" not in client.in_clear
    verdicts = sum(isinstance(event, VerdictReceived) for event in heard.events)
    assert verdicts <= client.contents, "a verdict on what was never sent"
    for event in heard.events:
        if isinstance(event, EnvelopeAnswered):
            _envelope_holds(event, recipients)
    if heard.fault:
        assert client.session.state is ClientState.CLOSING
        assert client.session.bytes_to_send() == b""


def _envelope_holds(event: EnvelopeAnswered, recipients: int) -> None:
    assert len(event.recipients) in (0, recipients)
    accepted = any(reply.severity == 2 for reply in event.recipients)
    invited = event.data is not None and event.data.severity == 3
    assert event.ready == (event.mail.severity == 2 and accepted and invited)


def seeds() -> Iterator[bytes]:
    """Servers that make sense for a while."""
    opening = b"220 hi\r\n250-hi\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250 STARTTLS\r\n220 go\r\n"
    secured = (
        b"250-hi\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n334 \r\n334 \r\n235 in\r\n"
    )
    message = b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n250 2.0.0 taken\r\n"
    for choice in range(27):
        yield bytes([choice]) + opening + secured + message * 3
        yield bytes([choice]) + b"220 hi\r\n502 what\r\n250 hi\r\n" + message * 2
    yield b"\0220 hi\r\n250-hi\r\n250 PIPELINING\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n554 none\r\n"
    yield b"\0220-one\r\n220-2.0.0 two\r\n220 three\r\n"
    yield b"\0421 4.3.2 bye\r\n"
    yield b"\0" + b"250-" * 120
    yield from (b"\0" + said[:1500] for said in replies_in(HERE))


TARGET = Target(
    run,
    seeds,
    (
        b"220 ", b"250 ", b"250-", b"354 ", b"334 ", b"235 ", b"221 ", b"421 ", b"450 ", b"451 ",
        b"452 ", b"500 ", b"502 ", b"503 ", b"535 ", b"550 ", b"552 ", b"554 ", b"2.0.0 ", b"4.3.0 ",
        b"5.1.1 ", b"\r\n", b"\n", b"\r", b"PIPELINING", b"STARTTLS", b"AUTH PLAIN LOGIN XOAUTH2",
        b"AUTH=LOGIN", b"SIZE 1000", b"8BITMIME", b"SMTPUTF8", b"CHUNKING", b"DSN", b"\xff", b"\0",
    ),
    2000,
)  # fmt: skip
