"""dialogues a mail person can read and extend, played against the session alone

A file begins with the sentence it proves. Then, line by line:

    with: tls=starttls require_tls      what the listener allows, as fields of ServerLimits
    C: NOOP                             the client says a line; lines in a row go out in one write
    R: NOOP\\n                           the client says these bytes, escapes resolved, no line end
    {x*500}                             inside any of these: 500 times an x
    S: 250 2.0.0 Ok                     the server says exactly this line
    S: 250 2.0.0 ...                    a line that begins so
    S: 250 ~                            a whole reply with this code, of however many lines
    S: (closed)                         the server has closed
    = TLS                               both sides start TLS
    E: <a@example.com> <b@example.net>  the message taken last has this return path, these recipients
    M: Subject: x\\r\\n\\r\\nhello         the message taken last is these bytes, written as behind R:

Who answers behind the session is described at `Answers` in tests/pair/answering.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import pytest

from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import ReplyParser
from tests.pair.answering import HOSTNAME, Listener, Message

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.smtp"))


class Exchange(Protocol):
    """The other end of a dialogue: a session in memory, or a socket."""

    def send(self, data: bytes) -> None:
        """Say `data` in one write."""
        ...

    def line(self) -> str:
        """The next line of the server, without its end; empty where there is none any more."""
        ...

    def start_tls(self) -> None:
        """Do the handshake."""
        ...

    def closed(self) -> bool:
        """Whether the server has closed and said all."""
        ...

    def taken(self) -> Message:
        """The message that was taken last."""
        ...


def limits_of(lines: Iterable[str]) -> ServerLimits:
    """What the `with:` line of a dialogue asks for."""
    fields: dict[str, object] = {"max_message_bytes": 1_000_000, "max_recipients": 100}
    for line in lines:
        if line.startswith("with:"):
            for word in line.removeprefix("with:").split():
                name, _, value = word.partition("=")
                if name == "parameters":
                    fields["mail_parameters"] = frozenset(value.split(","))
                elif value.isdigit():
                    fields[name] = int(value)
                else:
                    fields[name] = value or True
    return ServerLimits(**fields)  # type: ignore[arg-type]


def play(lines: Iterable[str], exchange: Exchange) -> None:
    """Say what the client says, and insist on what the server says."""
    waiting = b""
    for number, line in enumerate(lines, 1):
        kind, _, text = line.rstrip("\n").partition(" ")
        if kind in ("C:", "R:"):
            waiting += _said(kind, text)
            continue
        where = f"line {number}: {line!r}"
        if waiting and kind in ("S:", "="):
            exchange.send(waiting)
            waiting = b""
        if kind == "S:":
            _expect(text, exchange, where)
        elif kind == "E:":
            message = exchange.taken()
            addresses = [message.return_path, *message.recipients]
            said = " ".join(f"<{address}>" for address in addresses)
            assert said == text, f"{where}, but it is {said}"
        elif kind == "M:":
            content = exchange.taken().content
            assert content == _said("R:", text), f"{where}, but it is {content!r}"
        elif kind == "=":
            assert text == "TLS", f"line {number}"
            exchange.start_tls()
        else:
            assert not kind or kind in ("#", "with:"), f"{where} is no dialogue"
    assert not waiting, "the last word is the server's"


def _said(kind: str, text: str) -> bytes:
    text = re.sub(r"\{(.+?)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
    if kind == "C:":
        return text.encode() + b"\r\n"
    return text.encode().decode("unicode_escape").encode("latin-1")


def _expect(text: str, exchange: Exchange, where: str) -> None:
    if text == "(closed)":
        assert exchange.closed(), where
    elif text.endswith(" ~"):
        while (line := exchange.line())[:4] == f"{text[:3]}-":
            pass
        assert line[:4] == f"{text[:3]} ", f"{where}, but the server said {line!r}"
    elif text.endswith("..."):
        line = exchange.line()
        assert line.startswith(text[:-3]), f"{where}, but the server said {line!r}"
    else:
        line = exchange.line()
        assert line == text, f"{where}, but the server said {line!r}"


class InMemory:
    """A session without a socket; `portion` is how many bytes it is given at a time."""

    def __init__(self, limits: ServerLimits, portion: int | None) -> None:
        self.listener = Listener(limits)
        self.lines = self.listener.sent.decode().splitlines()
        self._portion = portion

    def send(self, data: bytes) -> None:
        size = self._portion or len(data)
        for at in range(0, len(data), size):
            said = self.listener.hear(data[at : at + size])
            self.lines += said.decode().split("\r\n")[:-1]

    def line(self) -> str:
        return self.lines.pop(0) if self.lines else ""

    def start_tls(self) -> None:
        self.listener.session.tls_started()

    def closed(self) -> bool:
        return self.listener.ended and not self.lines

    def taken(self) -> Message:
        return self.listener.messages[-1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("portion", [None, 1, 5])
def test_every_dialogue_goes_as_it_is_written(path: Path, portion: int | None) -> None:
    if portion and path.stem == "starttls-injection":
        portion = None  # it is about what comes in one read
    lines = path.read_text(encoding="utf-8").splitlines()
    exchange = InMemory(limits_of(lines), portion)
    play(lines, exchange)
    assert exchange.lines == [], "the server said more than is written"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_reply_in_a_dialogue_has_an_enhanced_code_of_its_class(path: Path) -> None:
    """RFC 2034 §4; but not the banner, the answer to EHLO and HELO, and what asks to go on."""
    lines = path.read_text(encoding="utf-8").splitlines()
    exchange = InMemory(limits_of(lines), None)
    play(lines, exchange)
    for reply in ReplyParser().feed(exchange.listener.sent):
        if reply.status is None:
            hello = reply.code in (220, 250) and reply.lines[0].startswith(HOSTNAME)
            assert hello or reply.code in (334, 354), reply
        else:
            assert reply.status[0] == str(reply.code)[0], reply
            assert reply.text, reply
            assert reply.code // 100 != 3, reply


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_dialogue_begins_with_the_sentence_it_proves_and_where_it_is_asked_for(
    path: Path,
) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.match(r"# [A-Z].{20,}", text)
    head = " ".join(line for line in text.splitlines() if line.startswith("#"))
    assert re.search(r"RFC \d{3,4} §", head), "name the section that asks for it"


def test_there_are_dialogues_and_a_wrong_one_fails() -> None:
    assert len(FILES) > 40
    exchange = InMemory(limits_of([]), None)
    with pytest.raises(AssertionError, match="but the server said '220 "):
        play(["S: 554 ~"], exchange)
    for wrong in ("S: 250 2.0.0 Okay", "S: 250 2.1.0 ...", "S: (closed)", "X: what"):
        exchange = InMemory(limits_of([]), None)
        with pytest.raises(AssertionError):
            play(["S: 220 ~", "C: NOOP", wrong], exchange)
    letter = [
        "C: EHLO x",
        "C: MAIL FROM:<>",
        "C: RCPT TO:<b@example.net>",
        "R: BDAT 2 LAST\\r\\nhi",
    ]
    for right, wrong in (("M: hi", r"M: hi\r\n"), ("E: <> <b@example.net>", "E: <b@example.net>")):
        exchange = InMemory(limits_of([]), None)
        play([*letter, "S: 220 ~", *["S: 250 ~"] * 4, right], exchange)
        with pytest.raises(AssertionError, match="but it is"):
            play([wrong], exchange)
