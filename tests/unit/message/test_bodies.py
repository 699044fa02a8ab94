"""HTML bodies are found where they may be changed, and put back with few octets changed"""

from __future__ import annotations

import base64
import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.bodies import Body, Unreadable, find_bodies, put_back
from pillarbox.message.markup import spliced
from pillarbox.message.parts import read_parts
from pillarbox.message.transfer import quoted_printable

HTML = b"Content-Type: text/html; charset=utf-8\r\n"


def part(document: bytes, encoding: bytes = b"", more: bytes = b"") -> bytes:
    field = b"Content-Transfer-Encoding: %b\r\n" % encoding if encoding else b""
    return HTML + field + more + b"\r\n" + document


def bodies(content: bytes) -> list[Body | Unreadable]:
    return list(find_bodies(content, read_parts(content)))


def only(content: bytes) -> Body:
    (body,) = bodies(content)
    assert isinstance(body, Body)
    return body


def edited(content: bytes, old: bytes, new: bytes) -> bytes:
    body = only(content)
    at = body.document.index(old)
    return spliced(content, put_back(content, body, [(at, at + len(old), new)]))


def wrapped(kind: bytes, inner: bytes, edge: bytes = b"xx") -> bytes:
    header = b"Content-Type: %b; boundary=%b\r\n" % (kind, edge)
    return b"%b\r\n--%b\r\n%b\r\n--%b--\r\n" % (header, edge, inner, edge)


@pytest.mark.parametrize("kind", [b"multipart/mixed", b"multipart/alternative", b"multipart/x"])
def test_html_in_an_ordinary_multipart_is_a_body(kind: bytes) -> None:
    assert only(wrapped(kind, part(b"<p>"))).document == b"<p>"


@pytest.mark.parametrize(
    "content",
    [
        wrapped(b"multipart/signed", part(b"<p>")),
        wrapped(b"multipart/encrypted", part(b"<p>")),
        wrapped(b"multipart/report", part(b"<p>")),
        wrapped(b"multipart/mixed", wrapped(b"multipart/signed", part(b"<p>"), b"yy")),
        wrapped(b"multipart/mixed", b"Content-Type: message/rfc822\r\n\r\n" + part(b"<p>")),
        part(b"<p>", more=b"Content-Disposition: attachment; filename=a.html\r\n"),
        b"Content-Type: text/calendar\r\n\r\n<p>",
        b"Content-Type: text/plain\r\n\r\n<p>",
        b"<p>",
    ],
)
def test_other_peoples_words_are_no_bodies(content: bytes) -> None:
    assert bodies(content) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (part(b"PHA+*", b"base64"), "is not"),
        (part(b"PHA", b"base64"), "breaks off"),
        (part(b"<p>", b"x-uuencode"), "x-uuencode"),
        (part(b"<p>\xe9"), "utf-8"),
        (b"Content-Type: text/html; charset=utf-16\r\n\r\n<\0p\0>\0", "utf-16"),
        (b"Content-Type: text/html; charset=iso-2022-jp\r\n\r\n<p>", "iso-2022-jp"),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes, why: str) -> None:
    (body,) = bodies(content)
    assert isinstance(body, Unreadable)
    assert why in body.why


def test_plain_octets_stay_where_they_are() -> None:
    content = part(b"<p>one</p>\r\n \r\n", b"8bit")
    assert edited(content, b"one", b"two") == content.replace(b"one", b"two")


def test_a_line_that_becomes_too_long_is_encoded() -> None:
    content = wrapped(b"multipart/mixed", part(b"<p>one</p>\r\nend"))
    made = edited(content, b"one", b"x" * 1200)
    body = only(made)
    assert body.part.encoding == "quoted-printable"
    assert body.document == b"<p>" + b"x" * 1200 + b"</p>\r\nend"
    assert max(map(len, made.split(b"\r\n"))) < 200


def test_base64_stays_base64() -> None:
    content = wrapped(
        b"multipart/mixed", part(base64.b64encode(b"<p>one</p>") + b"\r\n", b"base64")
    )
    made = edited(content, b"one", b"something longer")
    assert only(made).document == b"<p>something longer</p>"
    assert made.startswith(content[: content.index(b"PHA")])
    assert made.endswith(b"\r\n\r\n--xx--\r\n")


def test_only_the_lines_that_change_are_written_anew() -> None:
    odd = b"first =\r\nline =C3=A9 =3d\r\nsecond o=6Ee\r\nthird =\r\nline"
    made = edited(part(odd, b"quoted-printable"), b"second one", b"second two")
    assert made == part(odd.replace(b"second o=6Ee", b"second two"), b"quoted-printable")


def test_line_ends_that_are_written_as_octets_are_kept() -> None:
    odd = b"one=0D=0Atwo\r\nthree=0Afour"
    made = edited(part(odd, b"quoted-printable"), b"two", b"2")
    assert only(made).document == b"one\r\n2\r\nthree\nfour"


pieces = st.lists(
    st.sampled_from([b"a", b"\r\n", b" ", b"=", b"\xc3\xa9", b"<p>", b"\t", b".", b"x" * 80]),
    min_size=1,
)


@given(pieces.map(b"".join), st.data())
def test_edits_come_out_as_they_were_meant(document: bytes, data: st.DataObject) -> None:
    encoding = data.draw(st.sampled_from([b"quoted-printable", b"base64", b"8bit"]))
    raw = {
        b"quoted-printable": quoted_printable, b"base64": binascii.b2a_base64, b"8bit": bytes
    }[encoding](document).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")  # fmt: skip
    content = wrapped(b"multipart/mixed", part(raw, encoding)).replace(b"utf-8", b"cp1252")
    (body,) = bodies(content)
    assert isinstance(body, Body)
    places = sorted(data.draw(st.lists(st.integers(0, len(body.document)), max_size=8)))
    edits = [
        (start, end, data.draw(st.sampled_from([b"", b"new", b"=", b"y" * 90])))
        for start, end in zip(places[::2], places[1::2], strict=False)
    ]
    wanted = spliced(body.document, edits)
    made = spliced(content, put_back(content, body, edits))
    again = bodies(made)
    assert all(isinstance(each, Body) for each in again)
    # A part of which nothing is left is none that a reader is shown.
    assert b"".join(each.document for each in again if isinstance(each, Body)) == wanted


def test_a_long_line_beside_a_bare_line_end_is_broken_softly() -> None:
    content = part(b"one=0Dtwo\r\n" + b"<p>" * 20, b"quoted-printable")
    body = only(content)
    made = spliced(
        content, put_back(content, body, [(0, 9, b"o\r" + b"n" * 90 + b"\r\n" + b"e" * 200)])
    )
    assert only(made).document == b"o\r" + b"n" * 90 + b"\r\n" + b"e" * 200 + b"<p>" * 20
    assert max(map(len, made.split(b"\r\n"))) <= 76


def test_a_part_of_which_nothing_is_shown_is_no_body() -> None:
    assert bodies(b"Content-Type: text/html\r\n\r\n") == []
    assert bodies(b"Content-Type: text/html") == []
