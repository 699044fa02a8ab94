from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.header import Field, HeaderBlock, field_line, split_content

ROUGH = st.text("\r\n\t :abX\0\xff", max_size=60).map(lambda text: text.encode("latin-1"))
HEADER = (
    b"Received: from a\r\n\tby b\r\n"
    b"subject: Hello\r\n\tworld \r\n"
    b"To : ann@example.com\r\n"
    b"X-Option: 1\r\n"
    b"SUBJECT: second\r\n"
    b"\r\n"
)


@given(ROUGH)
@example(b"")
@example(b"\r\n")
@example(b"\r\nbody")
@example(b"a: b")
@example(b"a: b\r\n")
@example(b"a: b\r\n\r\n")
@example(b"a: b\r\n\r\nbody: x\r\n\r\n")
@example(b" leading: x\r\n\r\n")
def test_any_bytes_are_given_back_as_they_were(header: bytes):
    assert HeaderBlock.parse(header).to_bytes() == header


@given(st.binary(max_size=300))
def test_truly_any_bytes_are_given_back_as_they_were(header: bytes):
    assert HeaderBlock.parse(header).to_bytes() == header


@given(ROUGH)
def test_splitting_content_loses_nothing(content: bytes):
    header, body = split_content(content)
    assert header + body == content


@pytest.mark.parametrize(
    ("content", "header", "body"),
    [
        (b"a: b\r\n\r\nbody\r\n\r\nmore", b"a: b\r\n\r\n", b"body\r\n\r\nmore"),
        (b"\r\nbody", b"\r\n", b"body"),
        (b"a: b\r\n", b"a: b\r\n", b""),
        (b"", b"", b""),
    ],
)
def test_content_is_split_behind_the_first_blank_line(content: bytes, header: bytes, body: bytes):
    assert split_content(content) == (header, body)


def test_fields_are_found_in_order_with_their_spelling():
    names = [field.name for field in HeaderBlock.parse(HEADER).fields]
    assert names == [b"Received", b"subject", b"To", b"X-Option", b"SUBJECT"]


def test_a_value_is_unfolded_and_trimmed():
    block = HeaderBlock.parse(HEADER)
    assert block.get("Subject") == b"Hello\tworld"
    assert block.get(b"TO") == b"ann@example.com"


def test_all_values_of_a_name_are_found_whatever_their_case():
    assert HeaderBlock.parse(HEADER).get_all("subject") == [b"Hello\tworld", b"second"]


def test_a_field_that_is_not_there_is_none():
    assert HeaderBlock.parse(HEADER).get("Date") is None
    assert HeaderBlock.parse(HEADER).get_all("Date") == []


def test_a_line_that_is_no_field_has_no_name_and_is_kept():
    block = HeaderBlock.parse(b"no field at all\r\nfoo bar: x\r\nA: b\r\n\r\n")
    assert [field.name for field in block.fields] == [b"", b"", b"A"]
    assert block.get("no field at all") is None


def test_removing_a_name_leaves_every_other_byte():
    assert HeaderBlock.parse(HEADER).without("SUBJECT", b"received").to_bytes() == (
        b"To : ann@example.com\r\nX-Option: 1\r\n\r\n"
    )


def test_removing_a_prefix_leaves_every_other_byte():
    assert HeaderBlock.parse(HEADER).without_prefix("x-", b"RECEIVED").to_bytes() == (
        b"subject: Hello\r\n\tworld \r\nTo : ann@example.com\r\nSUBJECT: second\r\n\r\n"
    )


def test_a_field_is_added_on_top_or_at_the_end_of_the_section():
    block = HeaderBlock.parse(b"A: b\r\n\r\n").prepended("First", b"1").appended(b"Last", b"2")
    assert block.to_bytes() == b"First: 1\r\nA: b\r\nLast: 2\r\n\r\n"
    assert block.get("last") == b"2"


def test_a_field_may_be_added_to_an_empty_section():
    assert HeaderBlock.parse(b"\r\n").appended("A", b"b").to_bytes() == b"A: b\r\n\r\n"


def test_a_section_that_breaks_off_gets_its_line_end_before_another_field():
    assert HeaderBlock.parse(b"A: b").appended("C", b"d").to_bytes() == b"A: b\r\nC: d\r\n"


def test_a_block_made_by_hand_ends_in_a_blank_line():
    assert HeaderBlock([Field(b"A", b"A: b\r\n")]).to_bytes() == b"A: b\r\n\r\n"


def test_a_changed_block_leaves_the_first_one_alone():
    block = HeaderBlock.parse(HEADER)
    block.without("To").prepended("A", b"b")
    assert block.to_bytes() == HEADER


def test_a_folded_value_may_be_written():
    assert field_line("A", b"b\r\n c\r\n\td") == b"A: b\r\n c\r\n\td\r\n"


@pytest.mark.parametrize(
    "value",
    [
        b"a\r\nBcc: v@x",
        b"a\nBcc: v@x",
        b"a\n Bcc: v@x",
        b"a\rBcc: v@x",
        b"a\r\n\r\nbody",
        b"a\r\n",
        b"a\n",
        b"a\r",
        b"a\0b",
        b"a\r\n b\r\nX: y",
    ],
)
def test_a_value_that_would_become_another_field_is_refused(value: bytes):
    with pytest.raises(InvalidHeaderValue, match="X-A contains a line break or NUL"):
        field_line("X-A", value)


@pytest.mark.parametrize("name", ["", "a b", "a:", "X: y\r\nBcc", "Bcc ", "\xfc", b"a\0", "a\n"])
def test_what_is_no_name_is_refused(name: str | bytes):
    with pytest.raises(InvalidHeaderValue, match="is not the name of a header field"):
        HeaderBlock.parse(b"\r\n").prepended(name, b"x")


@given(ROUGH)
def test_nothing_that_is_written_makes_a_second_field(value: bytes):
    try:
        line = field_line("A", value)
    except InvalidHeaderValue:
        return
    assert [field.name for field in HeaderBlock.parse(line).fields] == [b"A"]


def test_a_huge_section_costs_linear_time(cpu_seconds):
    with cpu_seconds(2):
        block = HeaderBlock.parse(b"a: b\r\n c\r\n" * 100_000)
        assert block.without("a").to_bytes() == b""
