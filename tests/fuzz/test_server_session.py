"""any bytes in any portions: the same events, the same bytes, and promises that always hold"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillarbox.protocol import replies
from pillarbox.protocol.dots import has_bare_line_end
from pillarbox.protocol.events import ContentReceived, SessionEnded
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import ReplyParser
from pillarbox.protocol.server import ServerSession
from tests.pair.answering import HOSTNAME, LIMITS, PASSWORD, USERNAME, Listener

SMALL = replace(
    LIMITS,
    max_message_bytes=60,
    max_recipients=2,
    block_bytes=16,
    max_command_bytes=64,
    max_errors=6,
    auth="clear",
)

COMMANDS = [
    b"EHLO client.example.com\r\n",
    b"HELO x\r\n",
    b"MAIL FROM:<a@example.com>\r\n",
    b"MAIL FROM:<> SIZE=50 BODY=8BITMIME RET=FULL\r\n",
    b"MAIL FROM:<a@example.com> SIZE=61\r\n",
    b"MAIL FROM:<forged@example.com>\r\n",
    "MAIL FROM:<ü@example.com> SMTPUTF8\r\n".encode(),
    b"RCPT TO:<b@example.net>\r\n",
    b"RCPT TO:<unknown@example.net>\r\n",
    b"RCPT TO:<closing@example.net>\r\n",
    b"RCPT TO:<postmaster> NOTIFY=NEVER\r\n",
    b"DATA\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    b"QUIT\r\n",
    b"AUTH PLAIN " + b64encode(f"\0{USERNAME}\0{PASSWORD}".encode()) + b"\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN\r\n",
    b"c2hvcA==\r\n",
    b"*\r\n",
    b"garbage\r\n",
    b"\r\n",
    b".\r\n",
    b"hello\r\n.\r\n",
    b"..dots\r\n...\r\n",
    b"x" * 40 + b"\r\n",
    b"please refuse this\r\n",
    b"\r\n.\r\n",
]
NOISE = [b"\r", b"\n", b".", b"\0", b" ", b"\xff", b"<", b">", b"x" * 70, b"\r\n.\r", b"\n.\r\n"]

# Conversations that get somewhere, bent at random.
conversations = st.builds(
    lambda start, rest: start + b"".join(rest),
    st.sampled_from(
        [
            b"",
            COMMANDS[0],
            COMMANDS[0] + COMMANDS[2] + COMMANDS[7],
            COMMANDS[0] + COMMANDS[2] + COMMANDS[7] + COMMANDS[11],
        ]
    ),
    st.lists(
        st.sampled_from(COMMANDS) | st.sampled_from(NOISE) | st.binary(max_size=8), max_size=14
    ),
)


@st.composite
def cut(draw: st.DrawFn, wire: bytes) -> list[bytes]:
    cuts = sorted(draw(st.sets(st.integers(0, len(wire)), max_size=10)))
    return [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]


def heard(pieces: list[bytes], limits: ServerLimits, *, hang_up: bool) -> Listener:
    listener = Listener(limits)
    listener.hear_in(pieces)
    if hang_up:
        listener.hang_up()
    return listener


@given(conversations, st.data(), st.booleans())
@example(
    COMMANDS[0] + COMMANDS[2] + COMMANDS[7] + b"DATA\r\n" + b"x" * 30 + b"\r\n.\r\n", None, True
)
def test_portions_make_no_difference(
    wire: bytes, data: st.DataObject | None, hang_up: bool
) -> None:
    pieces = data.draw(cut(wire)) if data else [wire]
    whole = heard([wire], SMALL, hang_up=hang_up)
    bytewise = heard([bytes([octet]) for octet in wire], SMALL, hang_up=hang_up)
    portioned = heard(pieces, SMALL, hang_up=hang_up)
    assert whole.events == bytewise.events == portioned.events
    assert whole.sent == bytewise.sent == portioned.sent
    assert whole.messages == bytewise.messages == portioned.messages


@given(conversations)
def test_what_is_said_is_always_smtp(wire: bytes) -> None:
    listener = heard([wire], SMALL, hang_up=False)
    parser = ReplyParser()
    for reply in parser.feed(listener.sent):
        assert reply.status is None or reply.status[0] == str(reply.severity)
    assert not parser.pending
    assert all(len(line) <= 510 for line in listener.sent.split(b"\r\n"))


@given(conversations)
def test_what_is_taken_is_whole_clean_and_within_its_limits(wire: bytes) -> None:
    listener = heard([wire], SMALL, hang_up=True)
    for message in listener.messages:
        assert message.recipients
        assert len(message.recipients) <= SMALL.max_recipients
        assert len(message.content) <= SMALL.max_message_bytes
        assert not has_bare_line_end(message.content)
    blocks = [event for event in listener.events if isinstance(event, ContentReceived)]
    assert all(len(block.data) == SMALL.block_bytes for block in blocks if not block.last)


@given(conversations)
def test_a_session_ends_once_and_says_nothing_afterwards(wire: bytes) -> None:
    listener = heard([wire], SMALL, hang_up=True)
    assert isinstance(listener.events[-1], SessionEnded)
    assert len(listener.told(SessionEnded)) == 1
    assert listener.hear(b"NOOP\r\n") == b""


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=30))
def test_nothing_a_client_says_comes_back_to_it(word: str) -> None:
    told = f"zqx{word}"
    lines = [
        f"{told}",
        f"EHLO {told}",
        f"MAIL FROM:<{told}>",
        f"MAIL FROM:<a@example.com> {told}",
        "MAIL FROM:<a@example.com>",
        f"RCPT TO:<{told}>",
        f"VRFY {told}",
        f"HELP {told}",
        f"NOOP {told}",
        f"AUTH {told}",
        f"AUTH PLAIN {told}",
    ]
    listener = Listener(replace(SMALL, max_errors=100, max_command_bytes=512))
    for line in lines:
        listener.hear(line.encode() + b"\r\n")
    assert b"zqx" not in listener.sent.lower()


@given(st.binary(max_size=40), st.booleans())
def test_nothing_is_executed_between_starttls_and_the_handshake(
    behind: bytes, together: bool
) -> None:
    listener = Listener(replace(LIMITS, tls="starttls"))
    listener.hear(b"EHLO x\r\n")
    if not behind:
        return
    said = listener.hear_in([b"STARTTLS\r\n" + behind] if together else [b"STARTTLS\r\n", behind])
    assert said in (replies.SPOKE_BEFORE_TLS.encode(), replies.READY_FOR_TLS.encode())
    assert listener.ended
    listener.session.tls_started()
    assert listener.hear(b"EHLO x\r\n") == b""


def test_a_flood_while_a_reply_is_owed_is_only_kept() -> None:
    session = ServerSession(LIMITS, HOSTNAME)
    session.greet(replies.banner(HOSTNAME))
    session.receive(b"EHLO x\r\nMAIL FROM:<>\r\n")
    session.bytes_to_send()
    for _ in range(50_000):
        session.receive(b"NOOP\r\n")
    assert session.buffered == 300_000
    assert session.bytes_to_send() == b""
    session.reply(replies.OK)
    assert session.bytes_to_send().count(b"250 2.0.0 Ok\r\n") == 50_001
    assert session.buffered == 0


@pytest.mark.parametrize("size", [1, 3, 64])
def test_long_content_in_small_portions_is_not_copied_again_and_again(size: int) -> None:
    """A megabyte by the byte would take minutes if every portion cost what came before it."""
    body = b"0123456789abcdef\r\n" * (1_000_000 // 18 // (64 // size))
    listener = Listener(replace(LIMITS, max_message_bytes=2_000_000))
    listener.hear(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
    for at in range(0, len(body), size):
        listener.session.receive(body[at : at + size])
    listener.hear(b".\r\n")
    assert listener.messages[0].content == body
