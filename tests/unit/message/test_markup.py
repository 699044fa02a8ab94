"""tags are found as browsers find them, in linear time for any bytes"""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.markup import (
    attributes,
    escaped,
    read_tags,
    spliced,
    text_of,
    unescaped,
    unescaped_value,
)


def found(document: bytes) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return [
        (tag.name, {name: value.raw for name, value in tag.attributes.items()})
        for tag in read_tags(document)
    ]


def test_values_with_all_kinds_of_quotes() -> None:
    document = b'<A HREF="one" x=1><a\n href = \'two\'/><a href=three><a href=fo"ur>'
    assert found(document) == [
        (b"a", {b"href": b"one", b"x": b"1"}), (b"a", {b"href": b"two"}),
        (b"a", {b"href": b"three"}), (b"a", {b"href": b'fo"ur'}),
    ]  # fmt: skip


def test_of_two_values_of_one_name_the_first_counts() -> None:
    assert found(b'<a href="one" href="two">') == [(b"a", {b"href": b"one"})]


def test_spans_are_those_of_the_value() -> None:
    document = b"<p><a href='one'>x</a>"
    tag = next(read_tags(document))
    value = tag.attributes[b"href"]
    assert document[value.start : value.end] == value.raw == b"one"
    assert document[tag.start : tag.end] == b"<a href='one'>"
    assert value.quote == b"'"


@pytest.mark.parametrize(
    "document",
    [
        b'<p title="<a href=x>">',
        b"<!-- <a href=x> -->",
        b"<!--<a href=x>--!>",
        b"<style><a href=x></style>",
        b"<script>'<a href=x>'</script>",
        b"<title><a href=x></title>",
        b"<textarea><a href=x></textarea>",
        b"<abbr href=x>",
        b"< a href=x>",
        b"<ahref=x>",
        b"<a href=x",
        b'<a href="x>',
        b"<p '=\"<a href=x>",
    ],
)
def test_what_browsers_do_not_see_is_not_seen(document: bytes) -> None:
    assert [tag for tag in read_tags(document) if b"href" in tag.attributes] == []


@pytest.mark.parametrize(
    "document",
    [
        b'<p class="a>b"><a href=x>',
        b"<!----><a href=x>",
        b"<!--><a href=x>",
        b"<!-- - -- > --><a href=x>",
        b"<style></style  ><a href=x>",
        b"<p x='\"'><a href=x>",
        b'<p x="\'"><a href=x>',
        b"<p\"'><a href=x>",
        b"<><a href=x>",
        b"<3 <a href=x>",
        b"<!doctype html><a href=x>",
        b"<?xml version=1.0?><a href=x>",
    ],
)
def test_what_browsers_see_is_seen(document: bytes) -> None:
    assert (b"a", {b"href": b"x"}) in found(document)


def test_what_is_hidden_for_outlook_alone_is_read() -> None:
    document = (
        b'<!--[if mso]><v:roundrect href="one"><a href="two"></a></v:roundrect><![endif]-->'
        b'<!--[if !mso]><!--><a href="three"></a><!--<![endif]-->'
    )
    values = [tag.attributes[b"href"].raw for tag in read_tags(document) if tag.attributes]
    assert values == [b"one", b"two", b"three"]


HARD = [
    b"<a ", b'<a "', b"<a ='", b"<a ='\"", b"<", b"<!--", b"<script>", b"<a href=", b"<x =\"'",
    b"<!--[if", b"</", b"<a/", b"<p =", b"<a>", b"<!--[if x]>", b"<script></script>", b"<v:",
    b"<style></styl", b"<style></style ", b"</style ", b"<title>a", b"<a x=' ", b"<!-", b"<!--->", b"<x y z=", b"&", b"<p x=\"a\" '",
]  # fmt: skip


@pytest.mark.parametrize("piece", HARD, ids=repr)
def test_time_grows_with_length_alone(piece: bytes) -> None:
    def spent(times: int) -> float:
        document = piece * times
        began = time.process_time()
        for _ in read_tags(document, most=10**9):
            pass
        text_of(document, 0, len(document))
        return time.process_time() - began

    spent(1000)
    short = max(min(spent(5000) for _ in range(3)), 0.0005)
    assert min(spent(40_000) for _ in range(3)) < 8 * 6 * short


@given(st.lists(st.sampled_from([*HARD, b"a", b">", b'"', b"'", b"=", b" ", b"</a>", b"\r\n"])))
def test_any_bytes_can_be_read(pieces: list[bytes]) -> None:
    document = b"".join(pieces)
    for tag in read_tags(document):
        assert document[tag.start : tag.start + 1] == b"<"
        assert document[tag.end - 1 : tag.end] == b">"
        for value in tag.attributes.values():
            assert tag.start < value.start <= value.end < tag.end
            assert document[value.start : value.end] == value.raw


def test_tags_are_bounded() -> None:
    assert len(list(read_tags(b"<a href=x>" * 100, most=7))) == 7


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a?x=1&copy=2", "a?x=1&copy=2"), ("a&copy;=1", "a©=1"), ("a&copy", "a©"),
        ("&amp;x&amp", "&x&"), ("&notit;", "&notit;"), ("&not;it", "¬it"), ("&not!", "¬!"),
        ("&#65;&#x41", "AA"), ("&unknown;", "&unknown;"), ("&", "&"), ("&ampx", "&ampx"),
        ("&notin;", "∉"), ("&lang=en", "&lang=en"), ("&reg_id=1", "®_id=1"), ("&;", "&;"),
    ],
)  # fmt: skip
def test_references_in_values_are_those_of_the_standard(written: str, meant: str) -> None:
    assert unescaped_value(written) == meant


def test_references_in_text() -> None:
    assert unescaped("&copy2 &amp;") == "©2 &"


@given(st.text(), st.sampled_from([b'"', b"'"]))
def test_what_is_escaped_is_meant(text: str, quote: bytes) -> None:
    written = escaped(text, quote)
    assert quote.decode() not in written
    assert unescaped_value(written) == unescaped_value(escaped(unescaped_value(written), quote))


def test_text_without_its_markup() -> None:
    document = b"<b>one</b> <!-- two --> three<br title='>'>"
    assert text_of(document, 0, len(document)) == b"one  three"


@pytest.mark.parametrize(
    ("label", "text"),
    [
        (b'shop<style>p{content:"<b>"} <p/="</style>now', b"shopnow"),
        (b"shop<STYLE a='>'>x</style >now", b"shopnow"),
        (b"shop<style>never closed", b"shop"),
        (b"shop<title>a<b>c</title>now", b"shopnow"),
        (b"shop<styled>now</styled>", b"shopnow"),
        (b"shop</style>now", b"shopnow"),
        (b"shop<script", b"shop"),
    ],
)
def test_what_is_no_text_is_no_part_of_a_label(label: bytes, text: bytes) -> None:
    assert text_of(label, 0, len(label)) == text


def test_edits_are_put_in_by_place() -> None:
    assert spliced(b"0123456789", [(8, 9, b""), (2, 4, b"xyz"), (0, 0, b"-")]) == b"-01xyz45679"
    document = b"unchanged"
    assert spliced(document, []) is document


def test_attributes_of_a_stretch() -> None:
    document = b" one two=2 "
    assert list(attributes(document, 0, len(document))) == [b"two"]
