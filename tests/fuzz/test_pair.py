"""any message through both sessions arrives as it left, whatever the portions"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.protocol.events import EnvelopeAnswered, VerdictReceived
from tests.pair.answering import LIMITS
from tests.pair.channel import Channel

contents = st.lists(
    st.sampled_from([b"\r\n", b".", b"..", b"a", b"\0", b"\xff", b" ", b"\r\n.\r\n", b"x" * 30])
).map(b"".join)
local_parts = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=8)


@given(
    contents,
    st.lists(local_parts.map("r{}@example.net".format), min_size=1, max_size=4),
    st.integers(1, 50),
    st.integers(5, 40),
    st.booleans(),
)
def test_content_and_recipients_arrive_as_they_left(
    content: bytes, recipients: list[str], portion: int, block: int, pipelining: bool
) -> None:
    without = frozenset[str]() if pipelining else frozenset({"PIPELINING"})
    channel = Channel(replace(LIMITS, block_bytes=block), without=without, portion=portion)
    channel.do(channel.client.hello, "me.example.com")
    answered = channel.do(channel.client.envelope, "a@example.com", recipients)
    assert isinstance(answered, EnvelopeAnswered)
    assert answered.ready
    verdict = channel.do(channel.client.content, content)
    assert isinstance(verdict, VerdictReceived)
    assert verdict.reply.code == 250
    (message,) = channel.listener.messages
    assert message.recipients == recipients
    complete = not content or content.endswith(b"\r\n")
    assert message.content == (content if complete else content + b"\r\n")
