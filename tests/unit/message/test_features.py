"""features change what they are meant to change: positions, kinds, and what they leave"""

from __future__ import annotations

import base64
import re

import pytest

from pillarbox.message import features
from pillarbox.message.features import Changes, Styles, Wishes, changes_of, styles_of
from pillarbox.message.markup import spliced
from pillarbox.message.parts import read_parts
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
    changes = changes_of(content, read_parts(content), wishes, address, styles)
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


def test_only_so_many_links_are_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "MAX_TRACKED", 3)
    made, changes = changed(html(LINK * 5), CLICKS)
    assert made.count(b"clicks.test") == 3
    assert [each.why for each in changes.findings[3:]] == [Why.TOO_MANY] * 2


def test_an_address_that_grows_too_long_in_ascii_is_left() -> None:
    url = "https://example.com/" + "\u20ac" * 1900
    content = html(f'<a href="{url}">x</a>'.encode())
    made, changes = changed(content, CLICKS)
    assert made == content
    assert changes.findings[0].why is Why.TOO_LONG


def test_a_pixel_comes_where_no_image_leads_through_us_and_only_then() -> None:
    made, _ = changed(html(b"<body><p>x</body></html>\r\n"), OPENS)
    assert b"PIXEL-0.gif" in made and made.endswith(b"></body></html>\r\n")
    made, _ = changed(html(b'<p><img src="https://example.com/i.png">'), OPENS)
    assert b"PIXEL" not in made and b"IMAGE-1/i.png" in made
    made, _ = changed(html(b'<p><img src="cid:logo">'), OPENS)
    assert b"PIXEL" in made and b'"cid:logo"' in made


def test_what_ended_the_last_line_of_a_document_still_ends_it() -> None:
    made, _ = changed(html(b"<p>x\r\n\r\n"), OPENS)
    assert made.endswith(b">\r\n\r\n")


def test_an_embedded_image_is_replaced_wherever_it_is_shown() -> None:
    content = related(b'<img src="cid:a"><img src=CID:a><img src="cid:nobody">', b"a", b"b")
    made, changes = changed(content, HOSTED)
    assert made == related(
        b'<img src="https://clicks.test/HOSTED-1.png"><img src=https://clicks.test/HOSTED-2.png>'
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


def test_no_image_leaves_a_message_with_a_part_that_cannot_be_read() -> None:
    unread = b"\r\n--b\r\nContent-Type: text/html; charset=utf-16\r\n\r\nx"
    content = related(b'<img src="cid:a">', b"a").replace(b"\r\n--b--", unread + b"\r\n--b--")
    made, changes = changed(content, HOSTED)
    assert made == content
    assert "left as it came" in changes.remarks[0]


def test_styles_that_are_known_are_not_worked_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    content = html(b"<style>p{margin:0}</style><p>" + LINK)
    styles = styles_of(content, read_parts(content))
    wishes = Wishes(inline_css=True, track_clicks=True, rules=RULES)
    usual, _ = changed(content, wishes)
    monkeypatch.delattr(features, "style_edits")
    again, _ = changed(content, wishes, styles)
    assert again == usual
    assert b'<p style="margin: 0">' in usual and b"CLICK-1" in usual


def test_a_style_sheet_that_is_too_much_is_a_remark_and_links_are_tracked_all_the_same() -> None:
    document = b"<style>p{}</style>" + b"<div>\r\n" * 500 + LINK
    made, changes = changed(html(document), Wishes(True, True, rules=RULES))
    assert b"CLICK-1" in made
    assert "styles were left" in changes.remarks[0]


def test_nothing_asked_is_nothing_done() -> None:
    content = html(b"<style>p{margin:0}</style><p>" + LINK)
    assert changed(content, Wishes())[1] == Changes()
