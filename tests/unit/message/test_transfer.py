from __future__ import annotations

import binascii

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillarbox.message.transfer import (
    base64_lines,
    encode_text,
    fits_lines,
    quoted_printable,
    with_mail_line_ends,
)

LINES = st.lists(st.text(st.characters(exclude_characters="\r\n"), max_size=200)).map(
    lambda lines: "\r\n".join(lines).encode("utf-8", "replace")
)


def decoded(encoding: bytes, data: bytes) -> bytes:
    if encoding == b"7bit":
        return data
    if encoding == b"base64":
        return binascii.a2b_base64(data)
    return binascii.a2b_qp(data)


@given(LINES)
@example(b"trailing blank \r\n.\r\n..\r\n.")
@example(b"=\t\r\n\xc3\xa9" + b"x" * 300)
@example(b"\xc3\xa9" + b"x" * 300)
def test_a_text_is_read_back_to_the_byte(text: bytes):
    encoding, encoded = encode_text(text)
    assert decoded(encoding, encoded) == text
    assert encoded.isascii()
    assert b"\0" not in encoded
    assert fits_lines(encoded)


@given(LINES)
@example(b"x" * 300)
def test_quoted_printable_has_short_lines_and_only_crlf(text: bytes):
    encoded = quoted_printable(text)
    assert binascii.a2b_qp(encoded) == text
    assert encoded.count(b"\n") == encoded.count(b"\r") == encoded.count(b"\r\n")
    assert max(map(len, encoded.split(b"\r\n"))) <= 76


def test_ordinary_text_stays_as_it_is():
    assert encode_text(b"Hello,\r\n\r\n\tworld\r\n") == (b"7bit", b"Hello,\r\n\r\n\tworld\r\n")


def test_text_with_some_foreign_letters_becomes_quoted_printable():
    encoding, encoded = encode_text("Grüße aus Köln, und bis bald\r\n".encode())
    assert encoding == b"quoted-printable"
    assert b"aus" in encoded


def test_text_of_mostly_foreign_letters_becomes_base64():
    assert encode_text("日本語のメール\r\n".encode())[0] == b"base64"


@pytest.mark.parametrize("text", [b"x" * 999, b"ab\r\n" + b"x" * 2000 + b"\r\n"])
def test_a_line_too_long_for_mail_is_encoded(text: bytes):
    assert encode_text(text)[0] == b"quoted-printable"


def test_a_line_of_998_octets_may_travel():
    assert encode_text(b"x" * 998 + b"\r\n" + b"y" * 998)[0] == b"7bit"


@pytest.mark.parametrize("text", [b"a\rb", b"a\nb", b"a\r\r\nb"])
def test_text_with_a_bare_line_end_becomes_base64(text: bytes):
    assert encode_text(text)[0] == b"base64"


def test_control_characters_are_encoded():
    assert encode_text(b"a\0b and more\r\n") == (b"quoted-printable", b"a=00b and more\r\n")


def test_text_that_contains_what_it_must_not_is_encoded():
    encoding, encoded = encode_text(b"--=_x\r\n", also_unlike=b"--=_")
    assert encoding == b"quoted-printable"
    assert b"--=_" not in encoded


@given(st.binary(max_size=1000))
def test_base64_is_read_back_and_has_lines_of_76(data: bytes):
    encoded = base64_lines(data)
    assert binascii.a2b_base64(encoded) == data
    lines = encoded.split(b"\r\n")
    assert all(len(line) == 76 for line in lines[:-1])
    assert len(lines[-1]) <= 76


@pytest.mark.parametrize(
    ("given", "made"),
    [(b"a\nb\n", b"a\r\nb\r\n"), (b"a\rb", b"a\r\nb"), (b"a\r\nb\n", b"a\r\nb\r\n")],
)
def test_every_line_end_becomes_that_of_mail(given: bytes, made: bytes):
    assert with_mail_line_ends(given) == made
    assert with_mail_line_ends(made) is made
