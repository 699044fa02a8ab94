from __future__ import annotations

import base64
import email.header
import hashlib
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pillarbox.message import words
from pillarbox.message.errors import InvalidHeaderValue
from pillarbox.message.words import (
    MAX_VALUE_CHARACTERS,
    checked,
    decode_words,
    encode_header,
    encode_words,
    fold,
)

LINE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=400)


def shown(text: str) -> str:
    """What is left of a text in a header: line separators and controls are blanks."""
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text
    ).strip()


def as_the_library_reads(value: bytes) -> str:
    unfolded = value.replace(b"\r\n", b"").decode("ascii")
    return str(email.header.make_header(email.header.decode_header(unfolded)))


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?iso-8859-1*de?Q?J=F6rg_B?= <x@example.com>", "Jörg B <x@example.com>"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?q?a?=\r\n =?iso-8859-1?q?b?=", "ab"),
        (b"=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        (b"=?utf-8?b?w6k?=", "é"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=A9?=", "é"),
        (b"=?shift_jis?B?k/qWew==?=", "日本"),
        (b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"Gr\xfc\xdfe", "Grüße"),
        (b"=?utf-8?b?a?= tail", "=?utf-8?b?a?= tail"),
        (b"=?nonsense?q?=C3=A9?=", "é"),
        (b"=?punycode?q?=C3=A9?=", "é"),
        (b"=?utf-16?q?=D8?=", "\ufffd"),
        (b"=?utf-8?q??=x", "x"),
        (b"=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b"", ""),
    ],
)
def test_encoded_words_are_read(value: bytes, text: str):
    assert decode_words(value) == text


@pytest.mark.parametrize(
    "value",
    [b"=?utf-8?q?a=0D=0ABcc:_v@x?=", b"=?utf-8?b?YQ0KQmNjOiB2QHg=?=", b"=?utf-8?q?a=E2=80=A8b?="],
)
def test_hidden_line_breaks_are_shown_as_blanks(value: bytes):
    text = decode_words(value)
    assert len(text.splitlines()) == 1
    assert shown(text) == text


@given(st.binary(max_size=300))
@example(b"=?utf-7?q?+AAA=?=")
@example(b"=?iso-2022-jp?b?GyRC?=")
def test_reading_never_raises_and_gives_one_line(value: bytes):
    assert len(decode_words(value).splitlines()) <= 1


@given(
    st.sampled_from(["utf-8", "utf-7", "utf-16", "gb18030", "iso-2022-jp", "iso-2022-kr", "big5"]),
    st.binary(max_size=60),
)
def test_no_octets_in_a_known_charset_make_reading_fail(charset: str, octets: bytes):
    decode_words(b"=?%b?b?%b?=" % (charset.encode(), base64.b64encode(octets)))


@pytest.mark.parametrize("charset", sorted(words._CHARSETS))
def test_every_charset_named_is_known_and_takes_any_octets(charset: str):
    for seed in range(50):
        octets = hashlib.sha512(bytes((seed,))).digest() + bytes((27, seed)) * 3
        word = b"=?%b?b?%b?=" % (charset.encode(), base64.b64encode(octets))
        known = octets.decode(charset.replace("windows-", "cp"), "replace")
        assert decode_words(word) == shown(known)


def test_a_charset_this_python_lacks_is_read_as_well_as_it_can_be(monkeypatch):
    monkeypatch.setattr(words, "_CHARSETS", frozenset({"x-lacking"}))
    assert decode_words(b"=?x-lacking?q?=C3=A9?=") == "é"


@pytest.mark.parametrize(
    "bait",
    [
        b"=?" * 50_000,
        b"=?a?q?" * 20_000,
        b"=?utf-8?q?x?= " * 10_000,
        b"=?utf-8?b?" + b"A" * 100_000,
    ],
)
def test_hostile_words_cost_little(bait: bytes, cpu_seconds):
    with cpu_seconds(1):
        decode_words(bait)


# --- writing -------------------------------------------------------------------------------------


@given(LINE)
@example("=?utf-8?q?a=0D=0ABcc:_v@x?=")
@example("é" * 100)
@example("x" * 3000)
@example("a" + " " * 200 + "b")
def test_what_is_written_is_ascii_in_short_lines_and_cannot_leave_its_field(text: str):
    value = encode_header(text, used=9)
    assert value.isascii()
    for line in value.split(b"\r\n"):
        assert line.strip() or not value
        assert len(line) + 9 <= 998
        assert all(c >= 0x20 for c in line)
    assert all(line.startswith(b" ") for line in value.split(b"\r\n")[1:])


@given(LINE)
def test_what_is_written_is_read_back(text: str):
    if "=?" not in text:
        assert decode_words(encode_header(text)) == shown(text)


@given(st.text("abcäöü日本 ,.-", max_size=300))
def test_other_readers_agree(text: str):
    assert as_the_library_reads(encode_header(text)) == text.strip()


@given(st.text("aé日 ", min_size=1, max_size=300), st.integers(0, 90))
def test_encoded_words_have_at_most_75_octets(text: str, used: int):
    value = encode_words(text, used)
    assert all(len(word) <= 75 for word in value.split())
    assert decode_words(value) == text.strip()


def test_ordinary_words_are_not_encoded():
    assert encode_header("Your order #12, confirmed") == b"Your order #12, confirmed"


def test_long_text_is_folded_at_blanks():
    value = encode_header("word " * 40, used=9)
    lines = value.split(b"\r\n")
    assert len(lines[0]) + 9 <= 78
    assert all(len(line) <= 78 for line in lines)
    assert value.replace(b"\r\n", b"") == b" ".join([b"word"] * 40)


def test_a_long_word_behind_a_long_name_keeps_within_the_line():
    value = encode_header("x" * 950, used=90)
    assert max(map(len, value.split(b"\r\n"))) + 90 <= 998


def test_folding_makes_no_line_of_blanks_alone():
    assert fold(b"   " + b"x" * 90) == b"   " + b"x" * 90


def test_folding_keeps_every_blank():
    value = b"a" * 30 + b"    " + b"b" * 30 + b"     " + b"c" * 30
    folded = fold(value, 10)
    assert folded.replace(b"\r\n", b"") == value
    assert all(line.strip() for line in folded.split(b"\r\n"))


def test_text_of_one_language_stays_legible_in_its_encoded_form():
    assert b"Willkommen" in encode_header("Willkommen in Köln")


def test_a_word_that_no_line_can_hold_is_encoded():
    value = encode_header("x" * 2000)
    assert max(map(len, value.split(b"\r\n"))) <= 76
    assert decode_words(value) == "x" * 2000


def test_words_encoded_by_the_caller_are_passed_on():
    assert encode_header("=?utf-8?b?R3LDvMOfZQ==?=") == b"=?utf-8?b?R3LDvMOfZQ==?="


@pytest.mark.parametrize(
    "text", ["=?utf-8?q?a=0D=0ABcc:_v@x?=", "hi =?utf-8?b?YQ0KQmNjOiB2QHg=?= there"]
)
def test_words_that_hide_a_line_break_are_shown_literally(text: str):
    value = encode_header(text)
    assert as_the_library_reads(value) == text


@pytest.mark.parametrize("text", ["a\r\nBcc: v@x", "a\nBcc: v@x", "a\rBcc", "a\0b", "a\r\n b"])
def test_a_line_break_or_nul_is_refused_by_name(text: str):
    with pytest.raises(InvalidHeaderValue, match="subject contains a line break or NUL") as caught:
        encode_header(text, field="subject")
    assert caught.value.field == "subject"


@pytest.mark.parametrize(
    "text", ["a\u2028Bcc: v@x", "a\u2029b", "a\x85Bcc: v@x", "a\x0bBcc", "a\x1b[2J", "a\tb"]
)
def test_other_controls_become_blanks(text: str):
    value = encode_header(text)
    assert shown(decode_words(value)) == decode_words(value)
    assert len(decode_words(value).splitlines()) == 1


def test_a_value_beyond_all_measure_is_refused():
    with pytest.raises(InvalidHeaderValue, match="longer than"):
        checked("x" * (MAX_VALUE_CHARACTERS + 1), "subject")


def test_half_a_character_does_no_harm():
    assert decode_words(encode_header("a\ud800b")) == "a?b"
    assert decode_words(b"=?utf-7?q?a+2AA-b?=") == "a\N{REPLACEMENT CHARACTER}b"
