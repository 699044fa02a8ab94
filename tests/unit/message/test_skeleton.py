"""documents have a skeleton where everybody reads them alike, and the same one where no rule differs"""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings

from pillarbox.message.skeleton import (
    _carefully,
    _plainly,
    is_behind_name,
    is_shortened,
    skeleton_of,
    style_span,
)
from tests.unit.message.alike import alike


def _key(document: bytes, charset: str = "utf-8") -> bytes:
    found = skeleton_of(document, charset)
    assert found is not None
    return found.key


@pytest.mark.parametrize(
    "other",
    [
        b'<title>News for Bo</title><p>Dear Bo</p><a class="x" href="https://b.example/?x=1">now</a>',
        b"<title>N</title><p>&amp;</p><a class=\"x\" href='y'>caf\xc3\xa9</a>".replace(b"'", b'"'),
    ],
)
def test_words_and_addresses_are_no_part_of_it(other: bytes) -> None:
    one = b'<title>News for Ann</title><p>Dear Ann</p><a class="x" href="a">go</a>'
    assert _key(one) == _key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"<p>word</p>", b"<p></p>"),
        (b"<p>word</p>", b"<p> </p>"),
        (b"<p>word</p>", b"<p>&#32;</p>"),
        (b"<p>word</p>", b"<p>&Tab;</p>"),
        (b"<p>word</p>", b"<p> word</p>"),
        (b"<p>word</p>", b"<p>word</p><!-- x -->"),
        (b"<p class=a>", b"<p class=b>"),
        (b"<p style='top:0'>", b"<p style='top:1px'>"),
        (b"<a href=x>", b"<a>"),
        (b"<style>a{top:0}</style>", b"<style>a{top:1px}</style>"),
        (b"<style>a{top:0}</style>", b"<!--<style>a{top:0}</style>-->"),
        (b"word<p>", b"<p>"),
        (b"<p>word", b"<p>"),
    ],
)
def test_what_a_rule_may_ask_for_is_part_of_it(one: bytes, other: bytes) -> None:
    assert _key(one) != _key(other)


@pytest.mark.parametrize("attribute", [b"href", b"src", b"alt", b"title"])
@pytest.mark.parametrize("sheet", [b"[%b=x]{top:0}", b"[ %b^='x' ]{top:0}", b"[\\%b=x]{top:0}"])
def test_an_address_that_a_rule_asks_for_is_part_of_it(attribute: bytes, sheet: bytes) -> None:
    style = b"<style>" + sheet % attribute + b"</style>"
    one, other = (b"%b<p %b='%b'>" % (style, attribute, value) for value in (b"x", b"y"))
    assert _key(one) != _key(other)


def test_the_charset_is_part_of_it() -> None:
    assert _key(b"<p>x") != _key(b"<p>x", "iso8859-1")


@pytest.mark.parametrize(
    "document",
    [
        b"<p>a < b", b"<p>\0", b'<p> pb-n="1" style="top:0"', b"<p title='x>", b"<a =\"x>y\">",
        b"<svg><title><p></title></svg>", b"<select><p>", b"<script></script>", b"<template><p>",
        b"<! <p x=\"y>", b"<style =\"a>b\">p{}</style>", b"<style></style x></style>", b"<p>\xff",
        b"<noscript><p></noscript>", b"<p", b"</", b"<a/href=x>", b"<title><p></title x></title>",
    ],
)  # fmt: skip
def test_what_may_be_read_otherwise_has_none(document: bytes) -> None:
    assert skeleton_of(document, "utf-8") is None


@settings(max_examples=1500, deadline=None)
@given(alike())
def test_cut_plainly_it_is_what_it_is_cut_carefully(documents: tuple[bytes, bytes]) -> None:
    for document in documents:
        for whole in (document, b"<html><head>" + document + b"</head><p>x</p></html>"):
            plain = _plainly(whole)
            assert plain is None or plain == _carefully(whole)


def test_what_is_not_strange_is_cut_plainly() -> None:
    head = b"<html><head><title>News</title><style>p{}</style></head>"
    for start in (head, b"<style>p{}</style>", b""):
        document = start + b"<body><!-- c --><a href='x'>text</a><br/></body></html>"
        assert _plainly(document) is not None


def test_letters_of_several_octets_have_none_where_one_may_look_like_markup() -> None:
    assert skeleton_of("<p>\u3042".encode("shift_jis"), "shift_jis") is None
    assert skeleton_of("<p>\u00e9".encode("cp1252"), "cp1252") is not None


def test_pieces_are_the_whole_document_and_begin_where_it_says() -> None:
    document = b"x<!-- <p> --><style>p{}</style>\r\n<title>a</title><p class=y>text<br/></p>\n"
    found = skeleton_of(document, "utf-8")
    assert found is not None
    assert b"".join(found.pieces) == document
    starts = found.starts
    for piece, start in zip(found.pieces, starts, strict=False):
        assert document.startswith(piece, start)
    assert b"<p class=y>" in found.pieces


def test_a_style_is_found_behind_values_that_are_left_out() -> None:
    tag = b"<a href=\"x style='y'\" STYLE = 'top:0' style=left:0>"
    start, end = style_span(tag)
    assert tag[start:end] == b"'top:0'"
    assert style_span(b"<a style>") == (0, 0)
    assert is_shortened(tag) and not is_shortened(b"<p style='top:0'>")
    assert is_behind_name(tag, 2, 2) and not is_behind_name(tag, 3, 3)


@pytest.mark.parametrize(
    "piece",
    [
        b"<",
        b"<a ",
        b"<!--",
        b"<style>",
        b"<title>",
        b"</style ",
        b"<a x='",
        b'<a"',
        b"<!",
        b"</title",
        b" <p",
    ],
)
@pytest.mark.parametrize("opened", [b"", b"<style>", b"<title>", b"<a x='", b"<textarea>"])
def test_reading_takes_linear_time(opened: bytes, piece: bytes) -> None:
    began = time.process_time()
    skeleton_of(opened + piece * 50_000, "utf-8")
    assert time.process_time() - began < 1
