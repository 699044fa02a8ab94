from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.media_types import guess_media_type, parse_media_type


def test_type_and_parameters_are_read_without_regard_to_case():
    assert parse_media_type(b'Text/HTML; Charset="UTF-8" ; x = y') == (
        "text/html",
        {"charset": "UTF-8", "x": "y"},
    )


def test_a_quoted_parameter_may_hold_anything():
    value = rb'multipart/mixed; boundary="a;b \"c\" \\"; x=1'
    assert parse_media_type(value)[1] == {"boundary": 'a;b "c" \\', "x": "1"}


def test_an_empty_parameter_is_empty():
    assert parse_media_type(b'a/b; boundary=""')[1] == {"boundary": ""}


def test_of_a_parameter_given_twice_the_first_counts():
    assert parse_media_type(b"a/b; boundary=x; boundary=y")[1] == {"boundary": "x"}


@pytest.mark.parametrize("value", [b"", b"text", b"text/", b"/plain", b"te xt/plain", b"\xff/\xff"])
def test_what_is_no_type_gives_none(value: bytes):
    assert parse_media_type(value)[0] == ""


@given(st.binary(max_size=300))
def test_reading_a_type_never_raises(value: bytes):
    parse_media_type(value)


@pytest.mark.parametrize(
    "bait", [b'a/b;x="' + b"\\" * 60_000, b"a/b;" + b" " * 60_000, b";" * 60_000]
)
def test_hostile_values_cost_little(bait: bytes, cpu_seconds):
    with cpu_seconds(0.5):
        parse_media_type(bait)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("report.pdf", "application/pdf"),
        ("PHOTO.JPG", "image/jpeg"),
        ("archive.tar.gz", "application/gzip"),
        ("noending", "application/octet-stream"),
        ("strange.zzz", "application/octet-stream"),
        ("", "application/octet-stream"),
    ],
)
def test_a_type_is_guessed_from_the_ending(name: str, kind: str):
    assert guess_media_type(name) == kind
