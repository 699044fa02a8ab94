"""content by chunks: what is kept, what is thrown away, and what is said to it"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillarbox.protocol import replies
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import (
    ContentReceived,
    MailReceived,
    Misbehaved,
    SessionEnded,
    TransactionReset,
)
from pillarbox.protocol.server import ServerSession
from pillarbox.protocol.states import ServerState
from tests.pair.answering import HOSTNAME, LIMITS, Listener, codes

ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n"
BLOCKS = replace(LIMITS, block_bytes=10)
SMALL = replace(LIMITS, max_message_bytes=20)


def in_envelope(limits=LIMITS) -> Listener:
    listener = Listener(limits)
    assert codes(listener.hear(b"EHLO client.example.com\r\n" + ENVELOPE)) == [250, 250, 250]
    return listener


def bdat(octets: bytes, *, last: bool = False) -> bytes:
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


# --- what is taken ---------------------------------------------------------------------------------


def test_a_message_in_one_chunk_is_answered_by_the_handler() -> None:
    listener = in_envelope()
    assert listener.hear(bdat(b"Subject: x\r\n\r\nhello\r\n", last=True)) == (
        b"250 2.0.0 Ok: queued as msg_1\r\n"
    )
    assert listener.messages[0].content == b"Subject: x\r\n\r\nhello\r\n"
    assert listener.told(ContentReceived) == [
        ContentReceived(b"Subject: x\r\n\r\nhello\r\n", True, plain=True)
    ]
    assert listener.session.state is ServerState.COMMAND


def test_every_chunk_is_answered_and_they_are_one_message() -> None:
    listener = in_envelope()
    said = listener.hear(bdat(b"Subject: x\r\n\r") + bdat(b"\nhel") + bdat(b""))
    assert said.splitlines() == [
        b"250 2.0.0 13 octets received",
        b"250 2.0.0 4 octets received",
        b"250 2.0.0 0 octets received",
    ]
    assert listener.session.state is ServerState.CHUNKS
    assert codes(listener.hear(b"NOOP\r\n" + bdat(b"", last=True))) == [250, 250]
    assert listener.messages[0].content == b"Subject: x\r\n\r\nhel"


def test_dots_in_chunks_are_nothing_special() -> None:
    content = b".\r\n..\r\n.\r\nQUIT\r\n"
    listener = in_envelope()
    assert codes(listener.hear(bdat(content, last=True) + b"NOOP\r\n")) == [250, 250]
    assert listener.messages[0].content == content
    assert listener.told(ContentReceived)[0].plain is False


def test_an_empty_message_is_a_message() -> None:
    listener = in_envelope()
    assert codes(listener.hear(b"BDAT 0 LAST\r\n")) == [250]
    assert listener.messages[0].content == b""


@pytest.mark.parametrize("size", [1, 3, 10, 11, 25])
def test_long_content_comes_in_blocks_whatever_its_chunks(size: int) -> None:
    content = b"".join(b"%d\r\n.\r\n" % n for n in range(40))
    chunks = [content[at : at + size] for at in range(0, len(content), size)]
    listener = in_envelope(BLOCKS)
    said = listener.hear(b"".join(map(bdat, chunks)) + b"BDAT 0 LAST\r\n")
    assert codes(said) == [250] * (len(chunks) + 1)
    blocks = listener.told(ContentReceived)
    assert [len(block.data) for block in blocks[:-1]] == [10] * (len(content) // 10)
    assert [block.last for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert listener.messages[0].content == content


def test_while_a_block_waits_its_chunk_is_not_answered() -> None:
    session = ServerSession(BLOCKS, HOSTNAME)
    session.greet(replies.banner(HOSTNAME))
    session.receive(b"EHLO x\r\nMAIL FROM:<>\r\n")
    session.reply(replies.OK)
    session.receive(b"RCPT TO:<a@b>\r\n")
    session.reply(replies.OK)
    while session.next_event() is not None:
        pass
    session.bytes_to_send()
    session.receive(bdat(b"0123456789") + bdat(b"abc", last=True))
    assert session.next_event() == ContentReceived(b"0123456789", False)
    assert (session.next_event(), session.bytes_to_send()) == (None, b"")
    assert not session.wants_more
    session.proceed()
    assert session.bytes_to_send() == b"250 2.0.0 10 octets received\r\n"
    assert session.next_event() == ContentReceived(b"abc", True, plain=True)
    with pytest.raises(LocalProtocolError, match="no block"):
        session.proceed()
    session.reply(replies.OK)
    assert codes(session.bytes_to_send()) == [250]


def test_two_messages_may_come_either_way_in_one_session() -> None:
    listener = in_envelope()
    said = listener.hear(bdat(b"one", last=True) + ENVELOPE + b"DATA\r\ntwo\r\n.\r\n")
    assert codes(said) == [250, 250, 250, 354, 250]
    said = listener.hear(ENVELOPE + bdat(b"thr") + bdat(b"ee", last=True))
    assert codes(said) == [250, 250, 250, 250]
    assert [each.content for each in listener.messages] == [b"one", b"two\r\n", b"three"]


# --- the order of commands -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [b"DATA\r\n", b"RCPT TO:<c@example.net>\r\n", b"MAIL FROM:<a@example.com>\r\n"],
)
def test_between_chunks_only_chunks_belong_to_the_message(line: bytes) -> None:
    listener = in_envelope()
    listener.hear(bdat(b"abc"))
    assert listener.hear(line).startswith(b"503 5.5.1 ")
    assert codes(listener.hear(bdat(b"def", last=True))) == [250]
    assert listener.messages[0].content == b"abcdef"
    assert listener.messages[0].recipients == ["b@example.net"]


@pytest.mark.parametrize("line", [b"RSET\r\n", b"EHLO x\r\n", b"HELO x\r\n"])
def test_rset_and_hello_forget_the_chunks_that_came(line: bytes) -> None:
    listener = in_envelope()
    said = listener.hear(bdat(b"abc") + line + bdat(b"def", last=True))
    assert codes(said) == [250, 250, 503]
    assert listener.told(TransactionReset) == [TransactionReset()]
    assert codes(listener.hear(ENVELOPE + bdat(b"ghi", last=True))) == [250, 250, 250]
    assert [each.content for each in listener.messages] == [b"ghi"]


def test_a_chunk_behind_the_last_one_is_refused_and_read() -> None:
    listener = in_envelope()
    said = listener.hear(bdat(b"abc", last=True) + bdat(b"QUIT\r\n", last=True) + b"NOOP\r\n")
    assert codes(said) == [250, 503, 250]
    assert len(listener.messages) == 1


# --- what is thrown away ---------------------------------------------------------------------------


@pytest.mark.parametrize("portion", [1, 1000])
@pytest.mark.parametrize(
    ("said_before", "answers", "refusal"),
    [
        (b"", [], 503),
        (b"EHLO x\r\n", [250], 503),
        (b"EHLO x\r\nMAIL FROM:<forged@example.com>\r\n", [250, 550], 503),
        (b"EHLO x\r\nMAIL FROM:<>\r\n", [250, 250], 554),
        (b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@b.example>\r\n", [250, 250, 550], 554),
    ],
)
def test_what_a_refused_chunk_holds_is_never_a_command(
    said_before: bytes, answers: list[int], refusal: int, portion: int
) -> None:
    listener = Listener()
    inside = b"RSET\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<v@example.net>\r\nQUIT\r\n\n\r"
    wire = said_before + bdat(inside) + bdat(inside) + bdat(inside, last=True) + b"NOOP\r\n"
    said = listener.hear_in([wire[at : at + portion] for at in range(0, len(wire), portion)])
    assert codes(said) == [*answers, refusal, refusal, refusal, 250]
    assert listener.messages == []
    assert b"x@example.com" not in repr(listener.told(MailReceived)).encode()
    assert len(listener.told(Misbehaved)) == 1, "a refusal that is repeated is one error"
    assert not listener.ended


def test_a_chunk_too_many_is_refused_whole_and_the_transaction_is_over() -> None:
    listener = in_envelope(SMALL)
    assert codes(listener.hear(bdat(b"0123456789"))) == [250]
    assert listener.hear(bdat(b"0123456789a")) == replies.TOO_LARGE.encode()
    assert listener.told(TransactionReset) == [TransactionReset()]
    assert listener.hear(bdat(b"b")) == replies.TOO_LARGE.encode()
    assert listener.hear(bdat(b"c", last=True)) == replies.TOO_LARGE.encode()
    assert listener.told(ContentReceived) == []
    assert listener.hear(bdat(b"d", last=True)) == replies.RETURN_PATH_FIRST.encode()
    assert codes(listener.hear(ENVELOPE + bdat(b"0" * 20, last=True))) == [250, 250, 250]


def test_what_is_left_of_a_refused_message_is_no_part_of_the_next() -> None:
    listener = in_envelope(SMALL)
    assert codes(listener.hear(bdat(b"0" * 21) + ENVELOPE)) == [552, 250, 250]
    assert codes(listener.hear(bdat(b"whole", last=True))) == [250]
    assert [each.content for each in listener.messages] == [b"whole"]


def test_a_recipient_cannot_be_had_for_the_rest_of_a_refused_message() -> None:
    listener = Listener()
    listener.hear(b"EHLO x\r\nMAIL FROM:<>\r\n")
    said = listener.hear(bdat(b"first") + b"RCPT TO:<b@example.net>\r\n" + bdat(b"rest", last=True))
    assert codes(said) == [554, 503, 554]
    assert listener.messages == []


def test_content_refused_at_a_block_is_discarded_to_the_last_chunk() -> None:
    listener = in_envelope(BLOCKS)
    said = listener.hear(bdat(b"refuse this and what follows it\n") + bdat(b"more\r"))
    assert codes(said) == [554, 554]
    assert codes(listener.hear(bdat(b"", last=True) + b"NOOP\r\n")) == [554, 250]
    assert len(listener.told(ContentReceived)) == 1
    assert listener.told(TransactionReset) == [TransactionReset()]
    assert listener.told(Misbehaved) == [], "it was the handler's decision"


def test_content_refused_at_a_block_behind_data_ends_the_transaction_too() -> None:
    listener = in_envelope(BLOCKS)
    assert codes(listener.hear(b"DATA\r\nrefuse this" + b"x" * 50 + b"\r\n.\r\n")) == [354, 554]
    assert listener.told(TransactionReset) == [TransactionReset()]


def test_content_refused_at_its_end_is_answered_once() -> None:
    listener = in_envelope()
    assert codes(listener.hear(bdat(b"refuse") + bdat(b" this", last=True))) == [250, 554]
    assert codes(listener.hear(ENVELOPE + bdat(b"x", last=True))) == [250, 250, 250]


# --- what ends the session -------------------------------------------------------------------------


@pytest.mark.parametrize("line", [b"BDAT\r\n", b"BDAT x\r\n", b"BDAT -1\r\n", b"BDAT 3 FIRST\r\n"])
def test_a_chunk_of_unknown_length_ends_the_session(line: bytes) -> None:
    listener = in_envelope()
    assert listener.hear(line + b"RSET\r\n") == replies.BAD_CHUNK.encode()
    assert listener.ended


@pytest.mark.parametrize("size", [b"99999999999", b"9223372036854775808", b"9" * 400])
def test_a_chunk_that_cannot_be_meant_is_refused_at_once_and_not_waited_for(size: bytes) -> None:
    for listener in (in_envelope(), Listener()):
        assert listener.hear(b"BDAT " + size + b"\r\nNOOP\r\n") == replies.TOO_LARGE.encode()
        assert listener.ended
        assert listener.told(ContentReceived) == []


@pytest.mark.parametrize(
    "chunks",
    [
        [b"hello\n.\r\nMAIL FROM:<x@example.com>\r\n"],
        [b"hello\r", b".\r\n"],
        [b"hello\r\n", b"\n"],
        [b"hello\r", b""],
    ],
)
@pytest.mark.parametrize("portion", [1, 1000])
def test_a_bare_line_end_in_a_chunk_ends_the_session_and_takes_nothing(
    chunks: list[bytes], portion: int
) -> None:
    wire = b"".join(map(bdat, chunks[:-1])) + bdat(chunks[-1], last=True) + b"NOOP\r\n"
    listener = in_envelope()
    listener.hear_in([wire[at : at + portion] for at in range(0, len(wire), portion)])
    assert listener.sent.endswith(replies.BARE_LINE_END.encode())
    assert isinstance(listener.events[-1], SessionEnded)
    assert listener.messages == []


def test_who_hangs_up_between_chunks_has_sent_nothing() -> None:
    for behind in (bdat(b"abc"), bdat(b"abc") + b"BDAT 10 LAST\r\nabc"):
        listener = in_envelope()
        listener.hear(behind)
        assert listener.hang_up() == b""
        assert listener.ended
        assert listener.messages == []


def test_refused_chunks_without_end_are_sent_away_when_each_is_a_mistake_of_its_own() -> None:
    listener = Listener()
    assert codes(listener.hear(bdat(b"abc", last=True) * 20)) == [503] * 10 + [421]
    assert listener.ended


# --- whatever the portions -------------------------------------------------------------------------

TINY = replace(LIMITS, max_message_bytes=40, block_bytes=8, max_errors=4)
OCTETS = st.lists(
    st.sampled_from([b"a", b".", b"\r\n", b"\r\n.\r\n", b"\r", b"\n", b"\0", b"refuse", b"x" * 9]),
    max_size=4,
).map(b"".join)
SAID = st.one_of(
    st.builds(bdat, OCTETS),
    st.builds(lambda octets: bdat(octets, last=True), OCTETS),
    st.sampled_from(
        [
            ENVELOPE,
            b"RSET\r\n",
            b"NOOP\r\n",
            b"DATA\r\n",
            b"x\r\n.\r\n",
            b"BDAT 5\r\n",
            b"BDAT 9 LAST\r\nab",
        ]
        + [b"BDAT x\r\n", b"QUIT\r\n", b"MAIL FROM:<forged@example.com>\r\n"]
    ),
)


@given(st.lists(SAID, max_size=8).map(b"".join), st.data())
@example(bdat(b"01234567\r") + bdat(b"\n", last=True), None)
@example(bdat(b"0123456\r\n") + bdat(b"refuse") + bdat(b"b\n", last=True), None)
def test_portions_make_no_difference_to_chunks(wire: bytes, data: st.DataObject | None) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=9))) if data else []
    portions = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    heard = []
    for pieces in ([wire], portions, [bytes([octet]) for octet in wire]):
        listener = in_envelope(TINY)
        listener.hear_in(pieces)
        listener.hang_up()
        heard.append((listener.events, listener.sent, listener.messages))
    assert heard[0] == heard[1] == heard[2]
    assert all(len(message.content) <= 40 for message in heard[0][2])
