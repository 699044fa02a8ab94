"""replies are written within bounds and read from anybody"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.reply import (
    MAX_HEARD_LINE_OCTETS,
    MAX_HEARD_LINES,
    MAX_KEPT_CHARACTERS,
    MalformedReply,
    Reply,
    ReplyParser,
)


def read(data: bytes) -> list[Reply]:
    return ReplyParser().feed(data)


# --- written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "wire"),
    [
        (Reply.of(250, "2.0.0", "Ok"), b"250 2.0.0 Ok\r\n"),
        (Reply.of(354, None, "Go on"), b"354 Go on\r\n"),
        (Reply.of(250, None), b"250 \r\n"),
        (Reply(250, "2.0.0", ()), b"250 2.0.0 \r\n"),
        (Reply.of(250, None, "host", "SIZE 1", "DSN"), b"250-host\r\n250-SIZE 1\r\n250 DSN\r\n"),
        (Reply.of(550, "5.7.1", "No", "Never"), b"550-5.7.1 No\r\n550 5.7.1 Never\r\n"),
    ],
)
def test_a_reply_has_code_and_status_on_every_line(reply: Reply, wire: bytes) -> None:
    assert reply.encode() == wire
    assert reply.encode() is reply.encode()


def test_long_text_is_continued_on_another_line_at_a_space() -> None:
    reply = Reply.of(550, "5.7.1", "word " * 300)
    lines = reply.encode().split(b"\r\n")[:-1]
    assert len(lines) > 2
    assert all(len(line) + 2 <= 512 for line in lines)
    assert [line[:10] for line in lines] == [b"550-5.7.1 "] * (len(lines) - 1) + [b"550 5.7.1 "]
    assert b" ".join(line[10:] for line in lines).split() == [b"word"] * 300


def test_a_word_without_end_is_cut_into_lines() -> None:
    wire = Reply.of(250, None, "x" * 1200).encode()
    assert all(len(line) + 2 <= 512 for line in wire.split(b"\r\n"))
    assert wire.count(b"x") == 1200


@given(st.text(max_size=700), st.text(max_size=20))
def test_no_text_can_end_a_line_early_or_leave_ascii(one: str, two: str) -> None:
    wire = Reply.of(250, "2.0.0", one, two).encode()
    lines = wire.split(b"\r\n")
    assert lines.pop() == b""
    assert all(line[:3] == b"250" for line in lines)
    assert [line[3:4] for line in lines] == [b"-"] * (len(lines) - 1) + [b" "]
    assert wire.isascii()
    assert not any(octet < 32 for line in lines for octet in line)
    (read_back,) = read(wire)
    assert (read_back.code, read_back.status) == (250, "2.0.0")


def test_a_reply_is_shown_to_people_in_one_line() -> None:
    reply = Reply.of(550, "5.1.1", "No such", "recipient")
    assert (reply.severity, reply.text) == (5, "No such recipient")
    assert str(reply) == "550 5.1.1 No such recipient"
    assert str(Reply.of(354, None)) == "354"


def test_having_been_encoded_does_not_make_a_reply_another() -> None:
    one, other = Reply.of(250, "2.0.0", "Ok"), Reply.of(250, "2.0.0", "Ok")
    one.encode()
    assert one == other
    assert hash(one) == hash(other)
    assert "wire" not in repr(one)


# --- read --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "reply"),
    [
        (b"250 2.1.0 Ok\r\n", Reply(250, "2.1.0", ("Ok",))),
        (b"250 2.1.0 Ok\n", Reply(250, "2.1.0", ("Ok",))),
        (b"250\r\n", Reply(250, None, ("",))),
        (b"250 \r\n", Reply(250, None, ("",))),
        (b"354 go\r\n", Reply(354, None, ("go",))),
        (b"550 #5.1.0 Address rejected.\r\n", Reply(550, "5.1.0", ("Address rejected.",))),
        (b"550 2.1.0 odd\r\n", Reply(550, None, ("2.1.0 odd",))),
        (b"250-a\r\n250 b\r\n", Reply(250, None, ("a", "b"))),
        (b"250-a\r\n250\r\n", Reply(250, None, ("a", ""))),
        (b"550-5.7.1 No\r\n550 5.7.1 Never\r\n", Reply(550, "5.7.1", ("No", "Never"))),
        (b"550-5.7.1 No\r\n550 Never\r\n", Reply(550, "5.7.1", ("No", "Never"))),
        (b"450-a\r\n550 b\r\n", Reply(550, None, ("a", "b"))),
        ("250 Größe\r\n".encode(), Reply(250, None, ("Größe",))),
        (b"250 Gr\xf6\xdfe\r\n", Reply(250, None, ("Gr\ufffd\ufffde",))),
        (b"250 a\x1b[2J\tb\0c\x0bd\r\n", Reply(250, None, ("a?[2J?b?c?d",))),
        (b"250 a\rb\r\n", Reply(250, None, ("a?b",))),
    ],
)
def test_a_reply_is_read(wire: bytes, reply: Reply) -> None:
    assert read(wire) == [reply]
    long = wire.replace(b" ", b" " + b" " * 200, 1)
    assert [one.code for one in read(long)] == [reply.code]


def test_several_replies_in_one_read_are_all_found() -> None:
    parser = ReplyParser()
    replies = parser.feed(b"250 a\r\n250-b\r\n250 c\r\n354 d\r\n25")
    assert [reply.text for reply in replies] == ["a", "b c", "d"]
    assert parser.pending
    assert parser.feed(b"0 e\r\n") == [Reply(250, None, ("e",))]
    assert not parser.pending


def test_a_reply_whose_last_line_is_missing_is_pending() -> None:
    parser = ReplyParser()
    assert parser.feed(b"250-a\r\n") == []
    assert parser.pending


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 Ok\r\n",
        b"2500 Ok\r\n",
        b"150 Ok\r\n",
        b"650 Ok\r\n",
        b"25x Ok\r\n",
        b"250_Ok\r\n",
        b"\xb2\xb3\xb4 Ok\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250-a\r\nb\r\n250 c\r\n",
    ],
)
def test_garbage_is_refused_and_what_came_before_is_kept(wire: bytes) -> None:
    with pytest.raises(MalformedReply, match="not an SMTP reply") as raised:
        read(b"250 first\r\n" + wire)
    assert raised.value.before == [Reply(250, None, ("first",))]


def test_a_line_of_eight_kilobytes_is_read_and_a_longer_one_is_not() -> None:
    longest = b"250 " + b"x" * (MAX_HEARD_LINE_OCTETS - 4)
    assert len(read(longest + b"\n")) == 1
    for data in (longest + b"x", longest + b"x\n"):
        with pytest.raises(MalformedReply, match="without end") as raised:
            read(b"250 first\r\n" + data)
        assert len(raised.value.before) == 1


def test_a_reply_of_a_hundred_lines_is_read_and_a_longer_one_is_not() -> None:
    head = b"250-x\r\n" * (MAX_HEARD_LINES - 1)
    assert len(read(head + b"250 y\r\n")) == 1
    with pytest.raises(MalformedReply, match="without end"):
        read(head + b"250-y\r\n250 z\r\n")


def test_of_a_wordy_reply_two_kilobytes_are_kept() -> None:
    (reply,) = read(b"550-" + b"a" * 1500 + b"\r\n550-" + b"b" * 1500 + b"\r\n550 c\r\n")
    assert sum(map(len, reply.lines)) == MAX_KEPT_CHARACTERS
    assert reply.code == 550
    (next_one,) = read(b"550 " + b"a" * 3000 + b"\r\n")
    assert len(next_one.text) == MAX_KEPT_CHARACTERS


line = st.builds(
    lambda code, mark, text, end: code + mark + text + end,
    st.sampled_from([b"250", b"354", b"421", b"550", b"abc"]),
    st.sampled_from([b" ", b"-"]),
    st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")),
    st.sampled_from([b"\r\n", b"\n"]),
)


@given(st.lists(line, max_size=8).map(b"".join), st.data())
def test_portions_make_no_difference(wire: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=6)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    def outcome(pieces: list[bytes]) -> tuple[list[Reply], bool]:
        parser = ReplyParser()
        heard: list[Reply] = []
        try:
            for piece in pieces:
                heard += parser.feed(piece)
        except MalformedReply as error:
            return heard + error.before, True
        return heard, False

    assert outcome(pieces) == outcome([wire])
