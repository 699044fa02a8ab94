"""links and images are found with the address that is meant, and only its octets change"""

from __future__ import annotations

import pytest

from pillarbox.message.links import Spot, find_spots, in_ascii, written
from pillarbox.message.markup import spliced


def links(document: str, charset: str = "utf-8") -> list[Spot]:
    return find_spots(document.encode(charset), charset)[0]


def test_links_have_the_text_between_their_tags() -> None:
    one, two, three = links(
        '<a href="one">o<b>n</b>e &amp; all</a><a href=two>two<a href="three">three <!-- no --></a>'
    )
    assert (one.label, two.label, three.label) == ("one & all", "two", "three")


def test_links_come_in_the_order_in_which_they_stand() -> None:
    found = links("<a href=1>x <area href=2> </a><v:oval href=3></v:oval><a href=4></a>")
    assert [spot.url for spot in found] == ["1", "2", "3", "4"]


def test_a_link_that_begins_behind_the_body_has_no_text() -> None:
    (spot,) = links('<p></body><!--[if mso]><a href="x">')
    assert (spot.url, spot.label) == ("x", "")


def test_images_and_the_place_of_one_more() -> None:
    document = b'<body><img src="a.png"><img alt="none"></BODY></html>'
    _, images, end = find_spots(document, "utf-8")
    assert [spot.url for spot in images] == ["a.png"]
    assert document[end:] == b"</BODY></html>"
    assert find_spots(b"<p>text", "utf-8")[2] == 7


@pytest.mark.parametrize(
    ("value", "url", "is_web"),
    [
        (" http://example.com/ ", "http://example.com/", True),
        ("HTTPS://example.com", "HTTPS://example.com", True),
        ("http://exa\r\nmple.com/a\tb", "http://example.com/ab", True),
        ("http://example.com/?a=1&amp;b=2", "http://example.com/?a=1&b=2", True),
        ("mailto:ann@example.com", "mailto:ann@example.com", False),
        ("tel:+31", "tel:+31", False),
        ("#top", "#top", False),
        ("//example.com/", "//example.com/", False),
        ("http:///x", "http:///x", False),
        ("javascript:x", "javascript:x", False),
        ("", "", False),
    ],
)
def test_addresses_are_those_that_browsers_understand(value: str, url: str, is_web: bool) -> None:
    (spot,) = links(f'<a href="{value}">x</a>')
    assert (spot.url, spot.is_web) == (url, is_web)


def test_an_address_in_octets_of_another_charset_is_left_out() -> None:
    assert find_spots(b'<a href="http://e/\xe9">x</a>', "utf-8")[0] == []
    (spot,) = find_spots(b'<a href="http://e/\xe9">x</a>', "cp1252")[0]
    assert spot.url == "http://e/é"


@pytest.mark.parametrize(
    ("document", "made"),
    [
        (b'<a href="one">', b'<a href="https://t/?a&amp;b">'),
        (b"<a href='one' x=1>", b"<a href='https://t/?a&amp;b' x=1>"),
        (b"<a href=one>", b"<a href=https://t/?a&amp;b>"),
        (b"<a href=  >", b"<a href=  >"),
    ],
)
def test_nothing_changes_but_the_value(document: bytes, made: bytes) -> None:
    found = [spot for spot in find_spots(document, "utf-8")[0] if spot.url]
    assert spliced(document, [written(spot, "https://t/?a&b") for spot in found]) == made


def test_a_value_without_quotes_gets_them_where_it_needs_them() -> None:
    (spot,) = links("<a href=one>")
    assert written(spot, "https://t/a=b")[2] == b'"https://t/a=b"'


@pytest.mark.parametrize(
    ("url", "charset", "made"),
    [
        ("http://e.com/a?b=c#d%20", "utf-8", "http://e.com/a?b=c#d%20"),
        ("http://e.com/é?é#é", "utf-8", "http://e.com/%C3%A9?%C3%A9#%C3%A9"),
        ("http://e.com/é?é#é", "cp1252", "http://e.com/%C3%A9?%E9#%C3%A9"),
        ("http://e.com/a b?c d", "utf-8", "http://e.com/a%20b?c%20d"),
        ("http://bücher.example/ü", "utf-8", "http://xn--bcher-kva.example/%C3%BC"),
        ("http://me@bücher.example:8080?x", "utf-8", "http://me@xn--bcher-kva.example:8080?x"),
        ("http://e.com/?q=漢", "cp1252", "http://e.com/?q=%E6%BC%A2"),
        ("http://e.com/{x}|\\^`", "utf-8", "http://e.com/{x}|\\^`"),
    ],
)
def test_what_is_asked_for_is_ascii(url: str, charset: str, made: str) -> None:
    assert in_ascii(url, charset) == made
