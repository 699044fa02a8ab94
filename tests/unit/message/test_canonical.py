"""canonical forms are those of RFC 6376, also where the fast way and the slow way differ"""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.canonical import relaxed_body, relaxed_field, simple_body, simple_field

BODY = b" C \r\nD \t E\r\n\r\n\r\n"


def test_the_example_of_the_rfc() -> None:
    assert relaxed_field(b"A: X\r\n") == b"a:X\r\n"
    assert relaxed_field(b"B : Y\t\r\n\tZ  \r\n") == b"b:Y Z\r\n"
    assert relaxed_body(BODY) == b" C\r\nD E\r\n"
    assert simple_body(BODY) == b" C \r\nD \t E\r\n"
    assert simple_field(b"B : Y\t\r\n\tZ  \r\n") == b"B : Y\t\r\n\tZ  \r\n"


def test_an_empty_body_is_one_line_end_or_nothing() -> None:
    for body in (b"", b"\r\n", b"\r\n\r\n", b" \r\n\t\r\n"):
        assert relaxed_body(body) == b""
    assert simple_body(b"") == simple_body(b"\r\n\r\n") == b"\r\n"


def test_a_last_line_without_its_end_gets_one() -> None:
    assert relaxed_body(b"one \t") == b"one\r\n"
    assert simple_body(b"one \t") == b"one \t\r\n"
    assert simple_field(b"A: x") == b"A: x\r\n"


def test_a_clean_body_is_not_copied() -> None:
    body = b"one two\r\n" * 100
    assert relaxed_body(body) is body
    assert simple_body(body) is body


def by_the_letter(body: bytes) -> bytes:
    """§3.4.4, line by line."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@given(st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b".", b"\r", b"\n", b"\xe4"])))
def test_relaxed_bodies_are_as_the_rfc_says_word_for_word(pieces: list[bytes]) -> None:
    body = b"".join(pieces)
    assert relaxed_body(body) == by_the_letter(body)
