"""features change what they are meant to change: positions, kinds, and what they leave"""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from pillarbox.message.features import (
    MAX_STYLE_OCTETS,
    MAX_TRACKED,
    Changes,
    Styles,
    Wishes,
    changes_of,
    known_styles,
    no_styles,
    remember_styles,
    styles_of,
)
from pillarbox.message.markup import spliced
from pillarbox.message.style_memory import StyleMemory
from pillarbox.message.tokens import MAX_POSITION, TokenKind
from pillarbox.message.untouched import Rules, Why

RULES = Rules("clicks.test")
CLICKS = Wishes(track_clicks=True, rules=RULES)
OPENS = Wishes(track_opens=True, rules=RULES)
HOSTED = Wishes(host_images=True, rules=RULES)
LINK = b'<a href="https://example.com/a">x</a>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


def address(kind: TokenKind, position: int, target: str, tail: str) -> str:
    assert target.isascii() and 0 <= position <= MAX_POSITION
    return f"https://clicks.test/{kind.name}-{position}{tail}"


def html(document: bytes, fields: bytes = b"") -> bytes:
    return b"Content-Type: text/html\r\n" + fields + b"\r\n" + document


def changed(content: bytes, wishes: Wishes, styles: Styles | None = None) -> tuple[bytes, Changes]:
    changes = changes_of(content, wishes, address, styles)
    return spliced(content, changes.edits), changes


def related(document: bytes, *ids: bytes) -> bytes:
    data = base64.b64encode(PNG)
    parts = [b"Content-Type: text/html\r\n\r\n" + document] + [
        b"Content-Type: image/png\r\nContent-ID: <%b>\r\nContent-Transfer-Encoding: base64\r\n\r\n%b"
        % (each, data)
        for each in ids
    ]
    inner = b"".join(b"\r\n--b\r\n" + part for part in parts)
    return b"Content-Type: multipart/related; boundary=b\r\n\r\n" + inner + b"\r\n--b--\r\n"


def test_links_are_numbered_in_the_order_of_the_whole_message() -> None:
    parts = b"".join(b"\r\n--b\r\n" + html(LINK + LINK) for _ in range(2))
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"\r\n--b--\r\n"
    made, changes = changed(content, CLICKS)
    assert re.findall(rb"CLICK-(\d)", made) == [b"1", b"2", b"3", b"4"]
    assert [finding.position for finding in changes.findings] == [1, 2, 3, 4]


def test_a_link_that_is_left_counts_all_the_same_and_says_why() -> None:
    made, changes = changed(html(b'<a href="mailto:x">x</a>' + LINK), CLICKS)
    assert [(each.position, each.why) for each in changes.findings] == [
        (1, Why.NOT_WEB), (2, Why.TRACKED),
    ]  # fmt: skip
    assert b'"mailto:x"' in made and b"CLICK-2/a" in made


def test_only_so_many_links_are_tracked() -> None:
    made, changes = changed(html((LINK + b"\r\n") * (MAX_TRACKED + 2)), CLICKS)
    assert made.count(b"clicks.test") == MAX_TRACKED
    assert [each.why for each in changes.findings[MAX_TRACKED:]] == [Why.TOO_MANY] * 2


def test_an_address_that_grows_too_long_in_ascii_is_left() -> None:
    url = "https://example.com/" + "\u20ac" * 1900
    content = html(f'<a href="{url}">x</a>'.encode())
    made, changes = changed(content, CLICKS)
    assert made == content
    assert changes.findings[0].why is Why.TOO_LONG


def test_a_pixel_comes_where_no_image_leads_through_us_and_only_then() -> None:
    made, _ = changed(html(b"<body><p>x</body></html>\r\n"), OPENS)
    assert b"PIXEL-0/image.gif" in made and made.endswith(b"></body></html>\r\n")
    made, _ = changed(html(b'<p><img src="https://example.com/i.png">'), OPENS)
    assert b"PIXEL" not in made and b"IMAGE-1/i.png" in made
    made, _ = changed(html(b'<p><img src="cid:logo">'), OPENS)
    assert b"PIXEL" in made and b'"cid:logo"' in made
    both = Wishes(track_opens=True, host_images=True, rules=RULES)
    made, _ = changed(related(b'<img src="cid:a">', b"a"), both)
    assert b"HOSTED-1" in made and b"PIXEL-0" in made


def test_what_ended_the_last_line_of_a_document_still_ends_it() -> None:
    made, _ = changed(html(b"<p>x\r\n\r\n"), OPENS)
    assert made.endswith(b">\r\n\r\n")


def test_an_embedded_image_is_replaced_wherever_it_is_shown() -> None:
    content = related(b'<img src="cid:a"><img src=CID:a><img src="cid:nobody">', b"a", b"b")
    made, changes = changed(content, HOSTED)
    assert made == related(
        b'<img src="https://clicks.test/HOSTED-1/image.png"><img src=https://clicks.test/HOSTED-2/image.png>'
        b'<img src="cid:nobody">',
        b"b",
    )
    assert [image.data for image in changes.hosted] == [PNG]


@pytest.mark.parametrize(
    "also",
    [
        b'<td background="cid:a">', b"<p style=\"background: url('cid:a')\">",
        b"<style>p { background: url(CID:a) }</style>", b"<!-- cid:a -->", b'<a href="cid:%61">x</a>',
    ],
)  # fmt: skip
def test_an_image_that_is_shown_otherwise_as_well_stays_in_the_message(also: bytes) -> None:
    content = related(b'<img src="cid:a">' + also, b"a")
    made, changes = changed(content, HOSTED)
    assert made == content
    assert not changes.hosted


def test_no_multipart_is_left_without_a_part() -> None:
    inner = related(b"", b"a", b"c").split(b"\r\n--b\r\n", 2)
    alone = inner[0] + b"\r\n--b\r\n" + inner[2]  # two images and nothing else
    document = html(b'<img src="cid:a"><img src="cid:c">')
    content = (
        b"Content-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n" + document
        + b"\r\n--o\r\n" + alone + b"\r\n--o--\r\n"
    )  # fmt: skip
    made, changes = changed(content, HOSTED)
    assert made == content
    assert not changes.hosted


def test_no_image_leaves_a_message_with_a_part_that_cannot_be_read() -> None:
    unread = b"\r\n--b\r\nContent-Type: text/html; charset=utf-16\r\n\r\nx"
    content = related(b'<img src="cid:a">', b"a").replace(b"\r\n--b--", unread + b"\r\n--b--")
    made, changes = changed(content, HOSTED)
    assert made == content
    assert "left as it came" in changes.remarks[0]


def test_styles_that_are_known_are_not_worked_out_again() -> None:
    document = b"<style>p{margin:0}</style><p>" + LINK
    content = html(document)
    styles = styles_of(content)
    wishes = Wishes(inline_css=True, track_clicks=True, rules=RULES)
    usual, _ = changed(content, wishes)
    assert changed(content, wishes, styles)[0] == usual
    assert b'<p style="margin: 0">' in usual and b"CLICK-1" in usual
    at = document.index(b"<p>") + 2
    others, _ = changed(content, wishes, (((at, at, b" class=known"),),))
    assert b"<p class=known>" in others and b"margin: 0" not in others


def test_a_style_sheet_that_is_too_much_is_a_remark_and_links_are_tracked_all_the_same() -> None:
    document = b"<style>p{}</style>" + b"<div>\r\n" * 500 + LINK
    made, changes = changed(html(document), Wishes(True, True, rules=RULES))
    assert b"CLICK-1" in made
    assert "styles were left" in changes.remarks[0]


def test_styles_take_so_much_of_a_message_and_no_more_however_many_documents_it_has() -> None:
    sheet = b"<style>p{background:url(" + b"a" * 2000 + b")}</style>"
    large, small = sheet + b"<p>x" * 1500, b"<style>p{top:1px}</style><p>x"
    binary = b"Content-Transfer-Encoding: binary\r\n"
    parts = b"".join(b"\r\n--b\r\n" + html(each, binary) for each in (large, large, small))
    content = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"\r\n--b--\r\n"
    wishes = Wishes(inline_css=True)
    made, changes = changed(content, wishes)
    assert made.count(b"<p style=") == 1500
    assert len(made) < len(content) + MAX_STYLE_OCTETS + 10_000
    assert len(changes.remarks) == 2 and "of the whole message" in changes.remarks[0]
    styles = styles_of(content)
    assert changed(content, wishes, styles)[0] == made


@pytest.mark.parametrize(
    ("document", "some"),
    [(b"<p style='color:red'>", False), (b"<STYLE>p{}</STYLE><p>", True), (b"", False)],
)
def test_a_message_without_style_sheets_needs_no_inlining(document: bytes, some: bool) -> None:
    content = html(document)
    assert no_styles(content) == (None if some else styles_of(content))


def test_styles_that_are_known_are_no_more_than_a_message_may_have() -> None:
    document = b"<style>p{background:url(" + b"a" * 2000 + b")}</style>" + b"<p>x" * 120
    content = html(document)
    memory = StyleMemory()
    assert known_styles(content, memory) is None
    styles = styles_of(content)
    remember_styles(content, styles, memory)
    assert known_styles(content, memory) == styles != ((),)

    def several(times: int) -> bytes:
        parts = (b"\r\n--b\r\n" + content) * times
        return b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"\r\n--b--\r\n"

    assert known_styles(several(2), memory) == styles * 2
    assert known_styles(several(MAX_STYLE_OCTETS // 240_000 + 1), memory) is None


def test_nothing_asked_is_nothing_done() -> None:
    content = html(b"<style>p{margin:0}</style><p>" + LINK)
    assert changed(content, Wishes())[1] == Changes()


# --- what a browser makes of a document ----------------------------------------------------------

OURS = "https://clicks.test/"
TARGETS = (
    "https://example.com/", "http://example.com/a?b=c&amp;d=e#f", "mailto:ann@example.com", "#x", "",
    "https://example.com/?a=1&copy=2", "HTTP://EXAMPLE.com", " https://example.com/x ", "cid:a",
    "https://example.com/&quot;x", "https://\u00e9xample.com/\u20ac", "{{link}}", "//example.com/",
)  # fmt: skip
TAGS = (
    "p",
    "div",
    "b",
    "table",
    "tr",
    "td",
    "ul",
    "li",
    "center",
    "font",
    "span",
    "h1",
    "form",
    "svg",
)
TEXT = st.sampled_from(
    ["text", "&amp;", "&nbsp;", "<", ">", "a < b", "\u20ac", "<!-- c -->", "<!-- <a href=x> -->", "\r\n",
     "<!--[if mso]><i>x</i><![endif]-->", "<br>", "<hr/>", "<![CDATA[x]]>", "<?php x ?>", "&", "</p>",
     "<script>'<a href=\"https://example.com\">'</script>", "<style>a{}</style>", "</b></td>", "<title>x",
     "</title>", "<textarea><img src=x>", "</textarea>", "<a name=n>", "</a>", "<p", "=\"'"]
)  # fmt: skip
QUOTES = st.sampled_from(['"', "'", ""])


@st.composite
def spots(draw: st.DrawFn) -> str:
    """A link or an image."""
    target, quote = draw(st.sampled_from(TARGETS)), draw(QUOTES)
    if not quote and (not target or set(target) & set(" '\"=<>`")):
        quote = '"'
    more = draw(
        st.sampled_from(["", " class=x", " title='>'", ' alt="a b"', " data-x", " href=again"])
    )
    if draw(st.booleans()):
        return f"<img{more.replace('href', 'src')} src={quote}{target}{quote}>".replace(
            "> src", " src"
        )
    before = draw(st.sampled_from(["A", "a"]))
    return f"<{before} href={quote}{target}{quote}{more}>{draw(TEXT)}</a>"


def within(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.lists(inner, max_size=5).map("".join)
    return (
        st.builds(lambda tag, body: f"<{tag}>{body}</{tag}>", st.sampled_from(TAGS), joined)
        | joined
    )


DOCUMENTS = st.recursive(TEXT | spots(), within, max_leaves=25)


def nodes(document: str) -> list[tuple[str, dict[str, str | None], str]]:
    """Every element and text of the tree in order: name, attributes, text."""
    root = LexborHTMLParser(document).root
    assert root is not None
    found: list[tuple[str, dict[str, str | None], str]] = []

    def walk(node: LexborNode) -> None:
        text = node.text_content or "" if not node.is_element_node else ""
        found.append((node.tag or "", dict(node.attributes) if node.is_element_node else {}, text))
        child = node.child
        while child is not None:
            walk(child)
            child = child.next

    walk(root)
    return found


@settings(max_examples=150, deadline=None)
@given(DOCUMENTS)
def test_tracking_changes_the_values_of_links_and_images_alone(document: str) -> None:
    content = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + document.encode()
    wishes = Wishes(track_clicks=True, track_opens=True, rules=Rules("clicks.test"))
    changes = changes_of(content, wishes, address)
    edits = [edit for edit in changes.edits if b"PIXEL" not in edit[2]]
    made = spliced(content, edits)[content.index(b"\r\n\r\n") + 4 :].decode()
    before, after = nodes(document), nodes(made)
    assert len(before) == len(after)
    for (name, attributes, text), (other_name, other, other_text) in zip(
        before, after, strict=True
    ):
        assert (name, text, attributes.keys()) == (other_name, other_text, other.keys())
        for key, value in attributes.items():
            if other[key] != value:
                assert key in ("href", "src")
                assert (other[key] or "").startswith(OURS)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_inlining_adds_style_attributes_alone(document: str) -> None:
    styled = "<style>p,b,td,a{color:red}</style>" + document
    content = b"Content-Type: text/html; charset=utf-8\r\n\r\n" + styled.encode()
    wishes = Wishes(inline_css=True)
    changes = changes_of(content, wishes, address)
    made = spliced(content, changes.edits)[content.index(b"\r\n\r\n") + 4 :].decode()
    before, after = nodes(styled), nodes(made)
    assert len(before) == len(after)
    for (name, attributes, text), (other_name, other, other_text) in zip(
        before, after, strict=True
    ):
        added = {key: value for key, value in other.items() if key != "style"}
        assert (name, text, attributes) == (other_name, other_text, added)
