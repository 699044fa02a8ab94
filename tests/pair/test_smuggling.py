"""one message in is one message, whatever it pretends to end with

The vectors are those known from CVE-2023-51764 and its kin: each pretends that content is over
and goes on with the commands of a second transaction.
"""

from __future__ import annotations

import pytest

from pillarbox.protocol import replies
from pillarbox.protocol.events import MailReceived
from pillarbox.protocol.lines import has_bare_line_end
from tests.pair.answering import Listener

REFUSED = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "CR.LF": b"\r.\n",
    "LF.CR": b"\n.\r",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
    "LFLF.CRLF": b"\n\n.\r\n",
    "LFCR": b"\n\r.\n\r",
}
CONTENT = {
    "CRLF NUL.CRLF": b"\r\n\0.\r\n",
    "CRLF.NUL CRLF": b"\r\n.\0\r\n",
    "CRLF.SP CRLF": b"\r\n. \r\n",
    "FF": b"\r\n\x0c.\x0c\r\n",
    "VT": b"\r\n\x0b.\x0b\r\n",
    "NEL": "\r\n\x85.\x85\r\n".encode() + b"\r\n\x85.\x85\r\n",
    "U+2028": "\r\n\u2028.\u2028\r\n".encode(),
}
SECOND = (
    b"MAIL FROM:<smuggler@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\n"
    b"Subject: smuggled\r\n\r\nhello\r\n.\r\n"
)
HELLO = b"EHLO client.example.com\r\n"
ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
START = b"Subject: x\r\n\r\nhello"


def wire(vector: bytes) -> bytes:
    return HELLO + ENVELOPE + START + vector + SECOND


def portions(data: bytes) -> list[list[bytes]]:
    """Whole, one byte at a time, and cut in two at every place around the vector."""
    near = range(len(HELLO + ENVELOPE), len(HELLO + ENVELOPE + START) + 40)
    return [
        [data],
        [bytes([octet]) for octet in data],
        *([data[:at], data[at:]] for at in near),
    ]


def test_there_are_eighteen_vectors() -> None:
    assert len(REFUSED | CONTENT) == 18


@pytest.mark.parametrize("vector", REFUSED.values(), ids=REFUSED.keys())
def test_a_bare_line_end_ends_the_session_and_takes_no_message(vector: bytes) -> None:
    for pieces in portions(wire(vector)):
        listener = Listener()
        listener.hear_in(pieces)
        assert listener.messages == []
        assert listener.sent.endswith(replies.BARE_LINE_END.encode())
        assert listener.ended
        assert b"victim" not in repr(listener.events).encode()


@pytest.mark.parametrize("vector", CONTENT.values(), ids=CONTENT.keys())
def test_what_only_looks_like_the_end_is_content(vector: bytes) -> None:
    for pieces in portions(wire(vector)):
        listener = Listener()
        listener.hear_in(pieces)
        (message,) = listener.messages
        assert message.recipients == ["b@example.net"]
        assert b"MAIL FROM:<smuggler@example.com>" in message.content
        assert not has_bare_line_end(message.content)
        assert not listener.ended


def test_a_true_end_behind_a_lone_cr_is_no_hole() -> None:
    """CR CRLF.CRLF holds the true end; the lone CR before it refuses the message all the same."""
    listener = Listener()
    listener.hear(wire(b"\r\r\n.\r\n"))
    assert listener.messages == []
    assert listener.ended


@pytest.mark.parametrize(
    "between",
    [b"\n", b"\r", b"\n\r", b"\r\r\n", b"\0", b"\x0b", b"\x0c", b"\xc2\x85", b"\xe2\x80\xa8"],
)
def test_commands_are_parted_by_nothing_but_crlf(between: bytes) -> None:
    for pieces in ([HELLO + b"NOOP" + between + ENVELOPE], [HELLO, b"NOOP", between, ENVELOPE]):
        listener = Listener()
        listener.hear_in(pieces)
        assert not listener.told(MailReceived)
