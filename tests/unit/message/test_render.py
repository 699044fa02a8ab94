from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.errors import CannotRender
from pillarbox.message.facts import MessageFacts, Origin
from pillarbox.message.header import split_content
from pillarbox.message.render import RENDERER_VERSION, Hop, render

HOPS = [Hop(eight_bit, smtputf8) for eight_bit in (True, False) for smtputf8 in (True, False)]
ASCII = b"Subject: x\r\n\r\nHello\r\n"
FOREIGN_BODY = "Subject: x\r\n\r\nGrüße und viele andere Wörter\r\n".encode()
FOREIGN_HEADER = "Subject: Grüße\r\n\r\nGrüße und viele andere Wörter\r\n".encode()


def facts(content: bytes, *, smtputf8: bool = False, known_header: bool = True) -> MessageFacts:
    return MessageFacts(
        return_path="ann@example.com",
        recipients=(),
        origin=Origin("smtp"),
        submitter_kind="credential",
        submitter_name="shop",
        smtputf8=smtputf8,
        header_bytes=len(split_content(content)[0]) if known_header else 0,
    )


@pytest.mark.parametrize("hop", HOPS)
@pytest.mark.parametrize("smtputf8", [True, False])
def test_ascii_goes_anywhere_as_it_is_whatever_was_declared(hop: Hop, smtputf8: bool):
    assert render(ASCII, facts(ASCII, smtputf8=smtputf8), hop) is ASCII


@pytest.mark.parametrize("hop", [Hop(), Hop(True, True), Hop(False, True)])
def test_a_foreign_body_stays_as_it_is_where_eight_bits_are_taken(hop: Hop):
    assert render(FOREIGN_BODY, facts(FOREIGN_BODY), hop) is FOREIGN_BODY


def test_a_foreign_body_is_converted_for_seven_bits():
    result = render(FOREIGN_BODY, facts(FOREIGN_BODY), Hop(eight_bit=False))
    assert result.isascii()
    assert b"Gr=C3=BC=C3=9Fe" in result


@pytest.mark.parametrize("known_header", [True, False])
def test_a_declared_foreign_header_needs_smtputf8(known_header: bool):
    stored = facts(FOREIGN_HEADER, smtputf8=True, known_header=known_header)
    assert render(FOREIGN_HEADER, stored, Hop(True, True)) is FOREIGN_HEADER
    assert render(FOREIGN_HEADER, stored, Hop(False, True)) is FOREIGN_HEADER
    for hop in (Hop(True, False), Hop(False, False)):
        with pytest.raises(CannotRender, match="SMTPUTF8") as caught:
            render(FOREIGN_HEADER, stored, hop)
        assert caught.value.status == "5.6.7"


def test_a_foreign_header_that_was_not_declared_goes_wherever_eight_bits_go():
    stored = facts(FOREIGN_HEADER)
    assert render(FOREIGN_HEADER, stored, Hop(True, False)) is FOREIGN_HEADER
    with pytest.raises(CannotRender) as caught:
        render(FOREIGN_HEADER, stored, Hop(False, False))
    assert caught.value.status == "5.6.7"


FOREIGN_PART = (
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Grüße\r\n\r\nhello\r\n--b--\r\n"
).encode()


def test_the_header_of_a_part_counts_as_one_where_it_was_declared():
    declared, silent = facts(FOREIGN_PART, smtputf8=True), facts(FOREIGN_PART)
    assert render(FOREIGN_PART, declared, Hop(True, True)) is FOREIGN_PART
    assert render(FOREIGN_PART, silent, Hop(True, False)) is FOREIGN_PART
    with pytest.raises(CannotRender, match="one of its parts") as caught:
        render(FOREIGN_PART, declared, Hop(True, False))
    assert caught.value.status == "5.6.7"


def test_a_foreign_body_that_was_declared_needs_no_smtputf8():
    assert (
        render(FOREIGN_BODY, facts(FOREIGN_BODY, smtputf8=True), Hop(True, False)) is FOREIGN_BODY
    )


def test_what_has_too_many_parts_to_look_at_goes_nowhere_without_smtputf8():
    parts = b"--b\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n" * 3000
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n"
    assert render(content, facts(content), Hop(True, False)) is content
    with pytest.raises(CannotRender, match="SMTPUTF8"):
        render(content, facts(content, smtputf8=True), Hop(True, False))


@given(st.sampled_from([ASCII, FOREIGN_BODY, FOREIGN_HEADER]), st.sampled_from(HOPS), st.booleans())
def test_the_same_input_gives_the_same_bytes(content: bytes, hop: Hop, smtputf8: bool):
    results = []
    for _ in range(2):
        try:
            results.append(render(content, facts(content, smtputf8=smtputf8), hop))
        except CannotRender as error:
            results.append(error.status.encode())
    assert results[0] == results[1]


def test_the_renderer_has_a_version():
    assert RENDERER_VERSION >= 1
