"""a default sender takes the author's place and touches nothing else"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.default_sender import DefaultSender, authors_of, with_default_sender
from pillarbox.message.errors import InvalidHeaderValue

SHOP = DefaultSender("shop@example.net", "The Shop")
HEAD = b"Received: from a by b\r\nFROM:  Ann\r\n <ann@example.com>\r\nsubject:x\r\n\ty\r\n"


def test_the_author_is_replaced_where_he_stood_and_answers_still_reach_him() -> None:
    changed = with_default_sender(HEAD + b"\r\nbody\r\n", SHOP)
    assert changed == (
        b"Received: from a by b\r\n"
        b"From: The Shop <shop@example.net>\r\n"
        b"Reply-To:  Ann\r\n <ann@example.com>\r\n"
        b"subject:x\r\n\ty\r\n"
        b"\r\nbody\r\n"
    )


def test_a_reply_to_that_is_there_stays_and_is_the_only_one() -> None:
    content = b"Reply-To: help@example.com\r\n" + HEAD + b"\r\n"
    changed = with_default_sender(content, SHOP)
    assert changed.lower().count(b"reply-to") == 1
    assert changed.startswith(b"Reply-To: help@example.com\r\n")


def test_an_empty_reply_to_is_no_address_to_answer_to() -> None:
    changed = with_default_sender(HEAD + b"Reply-To: \r\n\r\n", SHOP)
    assert b"Reply-To:  Ann\r\n <ann@example.com>\r\n" in changed


def test_a_sender_field_that_the_server_would_refuse_as_well_goes() -> None:
    changed = with_default_sender(HEAD + b"Sender: bot@example.com\r\n\r\n", SHOP)
    assert b"bot@example.com" not in changed


def test_of_several_authors_one_default_sender_is_left() -> None:
    changed = with_default_sender(b"From: a@b.test\r\nFrom: c@d.test\r\n\r\n", SHOP)
    assert authors_of(changed) == ["shop@example.net"]
    assert b"Reply-To: a@b.test\r\n" in changed


def test_a_message_without_an_author_gets_one() -> None:
    assert authors_of(with_default_sender(b"Subject: x\r\n\r\n", SHOP)) == ["shop@example.net"]
    assert authors_of(with_default_sender(b"\r\nbody", SHOP)) == ["shop@example.net"]


def test_an_author_field_at_the_end_of_a_header_that_breaks_off_keeps_the_header_whole() -> None:
    changed = with_default_sender(b"Subject: x\r\nFrom: a@b.test", SHOP)
    assert changed == (b"Subject: x\r\nFrom: The Shop <shop@example.net>\r\nReply-To: a@b.test\r\n")


def test_an_author_field_without_an_address_leaves_nobody_to_answer_to() -> None:
    assert b"Reply-To" not in with_default_sender(b"From: nobody\r\n\r\n", SHOP)[:12]
    assert b"Reply-To" not in with_default_sender(b"From: \r\n\r\n", SHOP)


def test_a_name_beyond_ascii_is_written_as_encoded_words() -> None:
    changed = with_default_sender(HEAD + b"\r\n", DefaultSender("a@b.test", "Müller"))
    assert changed.isascii()
    assert b"From: =?utf-8?" in changed


@pytest.mark.parametrize("sender", [DefaultSender("no address"), DefaultSender("a@b.test", "x\ny")])
def test_a_sender_that_no_header_can_name_is_refused(sender: DefaultSender) -> None:
    with pytest.raises(InvalidHeaderValue):
        with_default_sender(HEAD + b"\r\n", sender)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_whatever_the_content_its_body_stays_and_one_author_is_read(
    head: bytes, body: bytes
) -> None:
    content = b"X: " + head.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n\r\n" + body
    changed = with_default_sender(content, SHOP)
    assert changed.endswith(b"\r\n\r\n" + body)
    assert authors_of(changed) == ["shop@example.net"]
