"""a line ends in CRLF, within bounds, whatever the portions"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.errors import BareLineEnd, InputError, LineTooLong, UnreadableCommand
from pillarbox.protocol.lines import (
    MAX_ENVELOPE_LINE_OCTETS,
    MAX_LONG_LINE_OCTETS,
    LineBuffer,
    has_bare_line_end,
)


def filled(*pieces: bytes) -> LineBuffer:
    buffer = LineBuffer()
    for piece in pieces:
        buffer.put(piece)
    return buffer


def test_lines_come_out_one_after_the_other() -> None:
    buffer = filled(b"NOOP\r\nQU", b"IT\r\n", b"RS")
    assert (buffer.line(512), buffer.line(512), buffer.line(512)) == ("NOOP", "QUIT", None)
    assert len(buffer) == 2
    buffer.put(b"ET\r\n")
    assert buffer.line(512) == "RSET"
    assert len(buffer) == 0


def test_an_empty_line_is_a_line() -> None:
    assert filled(b"\r\n").line(512) == ""


@pytest.mark.parametrize("data", [b"NOOP\n", b"\n", b"NO\rOP\r\n", b"NOOP\r\r\n", b"\rNOOP\r\n"])
def test_a_bare_cr_or_lf_is_an_error_and_not_a_line_end(data: bytes) -> None:
    with pytest.raises(BareLineEnd):
        filled(data).line(512)


def test_a_cr_still_without_its_lf_is_waited_for() -> None:
    buffer = filled(b"NOOP\r")
    assert buffer.line(512) is None
    buffer.put(b"\n")
    assert buffer.line(512) == "NOOP"


@pytest.mark.parametrize("data", [b"NO\0OP\r\n", b"NO\xffOP\r\n", b"\xed\xa0\x80\r\n"])
def test_a_line_that_cannot_be_read_is_skipped(data: bytes) -> None:
    buffer = filled(data + b"QUIT\r\n")
    with pytest.raises(UnreadableCommand):
        buffer.line(512)
    assert buffer.line(512) == "QUIT"


def test_a_line_may_be_in_utf_8() -> None:
    assert filled("MAIL FROM:<ü@example.com>\r\n".encode()).line(512) == "MAIL FROM:<ü@example.com>"


@pytest.mark.parametrize(
    ("start", "limit"),
    [
        (b"NOOP", 512),
        (b"MAIL", MAX_ENVELOPE_LINE_OCTETS),
        (b"rcpt", MAX_ENVELOPE_LINE_OCTETS),
        (b"AUTH", MAX_LONG_LINE_OCTETS),
        (b"AUT", 512),
    ],
)
def test_each_verb_has_its_longest_line(start: bytes, limit: int) -> None:
    longest = start + b" " + b"x" * (limit - len(start) - 3) + b"\r\n"
    assert len(longest) == limit
    assert filled(longest).line(512) is not None
    for data in (longest[:-2] + b"xx", longest[:-2] + b"x\r\n"):
        with pytest.raises(LineTooLong):
            filled(data + b"x").line(512)


def test_a_line_without_end_is_noticed_before_it_ends() -> None:
    assert filled(b"x" * 512).line(512) is None
    with pytest.raises(LineTooLong):
        filled(b"x" * 513).line(512)


def test_bytes_can_be_taken_as_they_are_behind_a_line() -> None:
    buffer = filled(b"DATA\r\nabc", b"def")
    assert buffer.line(512) == "DATA"
    data, at = buffer.rest()
    assert data[at:] == b"abcdef"
    buffer.skip_to(at + 4)
    assert len(buffer) == 2
    data, at = buffer.rest()
    assert data[at:] == b"ef"
    buffer.skip_to(len(data))
    assert buffer.rest() == (b"", 0)
    buffer.put(b"QUIT\r\n")
    assert buffer.line(512) == "QUIT"


def test_what_is_forgotten_is_gone() -> None:
    buffer = filled(b"abc", b"def")
    buffer.clear()
    assert len(buffer) == 0
    assert buffer.line(512) is None


def test_pieces_that_wait_are_counted_and_joined_once() -> None:
    buffer = filled(*[b"x"] * 10_000)
    assert len(buffer) == 10_000
    assert buffer.rest() == (b"x" * 10_000, 0)


@given(
    st.lists(st.sampled_from([b"NOOP", b"\r\n", b"\n", b"\r", b"\0", b"x" * 30, b"AUTH "])),
    st.data(),
)
def test_portions_make_no_difference(tokens: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(tokens)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    def outcome(pieces: list[bytes]) -> list[object]:
        buffer = LineBuffer()
        found: list[object] = []
        for piece in pieces:
            buffer.put(piece)
            while True:
                try:
                    line = buffer.line(40)
                except UnreadableCommand as error:
                    found.append(type(error))
                    continue
                except InputError as error:
                    return [*found, type(error)]
                if line is None:
                    break
                found.append(line)
        return found

    assert outcome(pieces) == outcome([wire])


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"a", b".", b"\r\n", b"\0"]), max_size=12).map(b"".join)
)
def test_a_bare_line_end_is_seen(content: bytes) -> None:
    left = content.replace(b"\r\n", b"")
    assert has_bare_line_end(content) == (b"\r" in left or b"\n" in left)
