"""what was said, what waits, and whose the next reply is"""

from __future__ import annotations

import pytest

from pillarbox.protocol.pipeline import Expected, Pipeline


def test_replies_are_expected_in_the_order_of_their_commands() -> None:
    pipeline = Pipeline(Expected.BANNER)
    pipeline.say(b"EHLO me\r\n", Expected.EHLO)
    pipeline.say(b"MAIL, RCPT, DATA\r\n", Expected.MAIL, Expected.RCPT, Expected.DATA)
    assert list(pipeline.expected) == ["banner", "ehlo", "mail", "rcpt", "data"]
    assert pipeline.bytes_to_send() == b"EHLO me\r\nMAIL, RCPT, DATA\r\n"
    assert pipeline.bytes_to_send() == b""


def test_what_is_said_once_goes_out_as_it_is() -> None:
    pipeline = Pipeline()
    content = b"x" * 1000
    pipeline.say(content)
    assert pipeline.bytes_to_send() is content
    assert pipeline.expecting is None


@pytest.mark.parametrize(
    ("expected", "timed_as"),
    [
        (Expected.BANNER, "banner"),
        (Expected.EHLO, "ehlo"),
        (Expected.HELO, "ehlo"),
        (Expected.STARTTLS, "starttls"),
        (Expected.AUTH, "auth"),
        (Expected.MAIL, "envelope"),
        (Expected.RCPT, "envelope"),
        (Expected.CLEAN_UP, "envelope"),
        (Expected.DATA, "data"),
        (Expected.VERDICT, "verdict"),
        (Expected.QUIT, "quit"),
    ],
)
def test_every_reply_has_a_name_for_its_time_out(expected: Expected, timed_as: str) -> None:
    assert Pipeline(expected).expecting == timed_as


def test_every_expected_reply_is_in_the_list_above() -> None:
    assert len(Expected) == 11


def holding(*expected: Expected) -> Pipeline:
    pipeline = Pipeline(*expected)
    pipeline.hold(b"one\r\n", Expected.RCPT)
    pipeline.hold(b"two\r\n", Expected.DATA)
    return pipeline


def test_what_is_held_back_goes_out_one_by_one_where_groups_are_not_taken() -> None:
    pipeline = holding(Expected.MAIL)
    said = []
    for _ in range(4):
        pipeline.release(at_once=False)
        said.append(pipeline.bytes_to_send())
        if pipeline.expected:
            pipeline.expected.popleft()
    assert said == [b"", b"one\r\n", b"two\r\n", b""]


def test_what_is_held_back_goes_out_at_once_where_groups_are_taken() -> None:
    pipeline = holding(Expected.MAIL)
    pipeline.release(at_once=True)
    assert pipeline.bytes_to_send() == b"one\r\ntwo\r\n"
    assert list(pipeline.expected) == ["mail", "rcpt", "data"]
    assert not pipeline.held_back


def test_cleared_it_expects_nothing_and_says_only_what_was_said() -> None:
    pipeline = holding(Expected.VERDICT)
    pipeline.say(b"said\r\n", Expected.QUIT)
    pipeline.clear()
    pipeline.release(at_once=True)
    assert pipeline.expecting is None
    assert pipeline.bytes_to_send() == b"said\r\n"
