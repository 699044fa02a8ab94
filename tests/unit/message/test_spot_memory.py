"""links and images that are found again are those that are there"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from pillarbox.message.links import find_spots
from pillarbox.message.skeleton import skeleton_of
from pillarbox.message.spot_memory import SpotMemory

_WORDS = (
    b"", b" ", b"\r\n", b"word", b"a word ", b"&amp;", b"&#32;", b"http://h.test/", b"x > y", b"caf\xc3\xa9",
    b"a < b", b"-->", b"\xef\xbb\xbf", b"=", b"&",
)  # fmt: skip
_VALUES = (
    b"", b"h", b"http://h.test/?a=1&amp;b=2", b" https://h.test/ ", b"x\r\ny", b"a>b", b"<b>", b"caf\xc3\xa9",
    b"cid:one", b"mailto:x", b"#", b"href=h",
)  # fmt: skip
_MARKUP = tuple(
    b"<p>|</p>|<a href=~>|<A HREF = '~' class=x>|<a title=\"~\" href=\"~\">|</a>|<a>|<a href>|<a name=x>|"
    b"<img src=\"~\" alt='~'>|<img alt=\"~\" src='~'/>|<img>|<area href=\"~\">|<v:oval href='~'>|"
    b"<a data-pillarbox=off href=\"~\">|<img data-pillarbox = \" OFF \" src=\"~\">|<a href=~ href=\"~\">|"
    b"<!-- <a href=x> -->|<!--[if mso]><a href=\"x\">|</a><![endif]-->|<!--[if mso]><img src=x><![endif]-->|"
    b"<!--[if !mso]><!-->|<!--<![endif]-->|<![if !mso]>|<![endif]>|<!-->|<!--->|<!-- --!>|<style>p{}</style>|"
    b"<style>|</style x>|<title>|</title>|<textarea>|</textarea>|</body>|</BODY >|<body>|<br/>|<table>|<td>|"
    b"<a href=\"~\"|<a x=\"|<p|<|</|<!--|<a/href=~>|<script>|</script>|<link href=~>|<base href=\"~\">|"
    b"<p title=\"~\"\n>|<li>|<b>|</b>|<!--[if mso]><a href=\"x]-->|<!--[if x]><p x=\"<![endif]-->|\">|"
    b"<!--[if mso]><style>p{}</style><![endif]-->|<!--[if mso]><style><![endif]-->|</style>|"
    b"<!--[if mso]><title><![endif]-->|<!--[IF a]><b>x<a href='y'>y</a></b><![EndIf]-->".split(b"|")
)  # fmt: skip


@st.composite
def _alike(draw: st.DrawFn) -> tuple[bytes, ...]:
    """Documents of the same markup, with other words and addresses."""
    pieces = draw(st.lists(st.sampled_from(_MARKUP), max_size=14))
    made: tuple[list[bytes], ...] = ([], [], [])
    for piece in pieces:
        for each in made:
            each.append(re.sub(b"~", lambda _: draw(st.sampled_from(_VALUES)), piece))
            each.append(draw(st.sampled_from(_WORDS)))
    return tuple(map(b"".join, made))


@settings(max_examples=1500, deadline=None)
@given(_alike())
def test_what_is_found_again_is_what_would_be_found(documents: tuple[bytes, ...]) -> None:
    memory = SpotMemory()
    for document in (*documents, *documents):
        assert memory.spots(document, "utf-8") == find_spots(document, "utf-8"), document


def _letter(name: bytes, address: bytes) -> bytes:
    return (
        b"<html><head><title>For " + name + b"</title></head><body><p>Dear " + name + b"</p>"
        b'<!--[if mso]><a href="https://h.test/mso">Mail</a><![endif]-->\r\n'
        b'<img src="' + address + b'.png"> <a class=x\r\n href="' + address + b'">now <b>' + name
        + b"</b></a></body></html>"
    )  # fmt: skip


def test_letters_that_differ_in_words_and_addresses_have_them_in_the_same_places() -> None:
    memory = SpotMemory()
    for name, address in ((b"Ann", b"https://a.test/1"), (b"Zo\xc3\xab", b"https://b.test/2?x")):
        memory.spots(_letter(name, address), "utf-8")
    other = _letter(b"Bo", b"https://c.test/longer/still")
    links, images, end = memory.spots(other, "utf-8")
    assert [spot.url for spot in links] == ["https://h.test/mso", "https://c.test/longer/still"]
    assert [spot.label for spot in links] == ["Mail", "now Bo"]
    assert [other[spot.start : spot.end] for spot in images] == [b"https://c.test/longer/still.png"]
    assert other[end:] == b"</body></html>"


def test_a_plan_is_made_for_what_comes_again_and_memory_is_bounded() -> None:
    memory = SpotMemory()
    for number in range(200):
        document = b"<a href=x>" * (number + 1)
        for _ in range(2):
            assert memory.spots(document, "utf-8") == find_spots(document, "utf-8")
    assert len(memory._known) == 64
    many = b"<img src=x>" * 2100
    assert skeleton_of(many, "utf-8") is not None
    for _ in range(3):
        assert memory.spots(many, "utf-8") == find_spots(many, "utf-8")
