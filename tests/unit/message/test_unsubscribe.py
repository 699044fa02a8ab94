from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.markup import spliced
from pillarbox.message.unsubscribe import is_one_click, is_unsubscribable, unsubscribe_edit

ADDRESS = "https://t.example.com/EwABabc/unsubscribe"
FIELDS = (
    b"List-Unsubscribe: <https://t.example.com/EwABabc/unsubscribe>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)
FORM = "application/x-www-form-urlencoded"


def added(content: bytes) -> bytes:
    fields = HeaderBlock.parse(split_content(content)[0]).fields
    edit = unsubscribe_edit(content, fields, ADDRESS)
    return content if edit is None else spliced(content, [edit])


def test_both_fields_stand_behind_all_others_and_nothing_else_changes() -> None:
    content = b"Received: by x\r\nFrom: a@example.com\r\nSubject: a\r\n b\r\n\r\nBody\r\n"
    assert added(content) == (
        b"Received: by x\r\nFrom: a@example.com\r\nSubject: a\r\n b\r\n" + FIELDS + b"\r\nBody\r\n"
    )


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"\r\nBody", FIELDS + b"\r\nBody"),
        (b"From: a@example.com\r\n", b"From: a@example.com\r\n" + FIELDS),
        (b"From: a@example.com", b"From: a@example.com\r\n" + FIELDS),
        (b"", FIELDS),
        (b"A: b\r\n\r\n", b"A: b\r\n" + FIELDS + b"\r\n"),
    ],
)
def test_a_header_without_a_body_or_a_body_without_a_header_takes_them_too(
    content: bytes, wanted: bytes
) -> None:
    assert added(content) == wanted


@pytest.mark.parametrize(
    "field",
    [
        b"List-Unsubscribe: <mailto:leave@example.com>",
        b"list-unsubscribe:<https://example.com/leave>",
        b"LIST-UNSUBSCRIBE : ",
    ],
)
def test_a_field_that_is_there_is_kept_and_never_doubled(field: bytes) -> None:
    content = b"From: a@example.com\r\n" + field + b"\r\n\r\nBody\r\n"
    assert added(content) == content
    assert is_unsubscribable(HeaderBlock.parse(split_content(content)[0]).fields)


def test_a_post_field_that_is_there_alone_is_not_doubled_either() -> None:
    content = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nBody\r\n"
    assert added(content).lower().count(b"list-unsubscribe-post:") == 1
    assert added(content).lower().count(b"list-unsubscribe:") == 1


@given(st.binary(max_size=300))
def test_the_body_stays_whatever_the_header_is(content: bytes) -> None:
    after = added(content)
    header, body = split_content(content)
    assert after.endswith(body)
    assert len(after) >= len(content)
    if after != content and header.endswith(b"\r\n\r\n"):
        assert split_content(after)[1] == body


def form(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


PART = b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click'


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (FORM, b"List-Unsubscribe=One-Click"),
        ("", b"List-Unsubscribe=One-Click"),
        (FORM + "; charset=utf-8", b"List-Unsubscribe=One-Click\r\n"),
        ("multipart/form-data; boundary=x", form(PART)),
        ('Multipart/Form-Data; boundary="x"', form(PART, end=b"--x--")),
        ("multipart/form-data; boundary=x", form(PART).replace(b"\r\n", b"\n")),
    ],
)
def test_the_pair_is_found_in_both_forms_of_forms(media_type: str, body: bytes) -> None:
    assert is_one_click(media_type, body)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (FORM, b""),
        (FORM, b"list-unsubscribe=one-click"),
        (FORM, b"List-Unsubscribe=One-Click&more=1"),
        (FORM, b"more=1&List-Unsubscribe=One-Click"),
        (FORM, b"List-Unsubscribe=Two-Clicks"),
        ("application/json", b'{"List-Unsubscribe":"One-Click"}'),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", form(PART, PART)),
        ("multipart/form-data; boundary=x", form(PART.replace(b"One", b"Two"))),
        ("multipart/form-data; boundary=x", form(b"no head")),
        ("multipart/form-data; boundary=x", form(b"A: b\r\n\r\nc")),
        ("multipart/form-data; boundary=y", form(PART)),
        ("multipart/form-data", form(PART)),
    ],
)
def test_whatever_else_is_sent_is_no_one_click(media_type: str, body: bytes) -> None:
    assert not is_one_click(media_type, body)


@given(st.text(max_size=40), st.binary(max_size=200))
def test_no_request_breaks_the_reader(media_type: str, body: bytes) -> None:
    is_one_click(media_type, body)
    is_one_click("multipart/form-data; boundary=" + media_type, body)
