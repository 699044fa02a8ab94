"""the bombs: a name, and a function that makes the message

Each aims at one reader: of MIME, of header fields, of HTML, of style sheets, of encodings, of
addresses. `MARK` stands at the end of those whose end has to arrive.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MARK: Final = b"the end of it all"


@dataclass(frozen=True, slots=True)
class Bomb:
    """One message."""

    name: str
    make: Callable[[], bytes]

    def __str__(self) -> str:
        """As tests are called."""
        return self.name


# --- what they are made of ------------------------------------------------------------------------

_HEAD = (
    b"From: Shop <shop@example.test>\r\nTo: reader@example.test\r\nSubject: news\r\n"
    b"Date: Mon, 02 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@example.test>\r\nMIME-Version: 1.0\r\n"
)
_SHEET = b"<style>p{color:red} .a{top:1px}</style>"


def html(document: bytes, encoding: bytes = b"8bit", charset: bytes = b"utf-8") -> bytes:
    """A message that is one HTML part."""
    return _HEAD + (
        b"Content-Type: text/html; charset=" + charset + b"\r\nContent-Transfer-Encoding: "
        + encoding + b"\r\n\r\n" + document + b"\r\n"
    )  # fmt: skip


def styled(document: bytes) -> bytes:
    """The same behind a style sheet, in lines that are not too long."""
    return html(b"<html><body>" + _SHEET + document + b"</body></html>", b"binary")


def sheet(rules: bytes, elements: bytes) -> bytes:
    """Rules and what they are about."""
    return html(b"<style>" + rules + b"</style>" + elements + b"<p>" + MARK, b"binary")


def header(*fields: bytes) -> bytes:
    """A message with more header fields."""
    return _HEAD + b"".join(field + b"\r\n" for field in fields) + b"\r\n<p>" + MARK + b"\r\n"


def multipart(parts: bytes, boundary: bytes = b"b") -> bytes:
    """A message in parts."""
    return _HEAD + b'Content-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n' + parts


def nested(levels: int) -> bytes:
    """Multiparts in multiparts, with a part at the bottom."""
    pieces = [
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n)
        for n in range(levels)
    ]
    return _HEAD + b"".join(pieces) + b"Content-Type: text/html\r\n\r\n<p>" + MARK + b"\r\n"


def enclosed(levels: int) -> bytes:
    """Messages in messages."""
    return _HEAD + b"Content-Type: message/rfc822\r\n\r\n" * levels + b"<p>" + MARK + b"\r\n"


def _quoted(document: bytes) -> bytes:
    return html(document, b"quoted-printable")


def _lines(octets: bytes) -> bytes:
    text = base64.b64encode(octets)
    return b"\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))


def _deep(levels: int, tag: bytes = b"div") -> bytes:
    return styled(b"<%b>" % tag * levels + b"inside" + b"</%b>" % tag * levels + b"<p>" + MARK)


MILLION: Final = 1_000_000

BOMBS: Final[tuple[Bomb, ...]] = tuple(
    Bomb(name, make)
    for name, make in {
        # HTML
        "nested-100": lambda: _deep(100),
        "nested-254": lambda: _deep(254),
        "nested-300": lambda: _deep(300),
        "nested-2100": lambda: _deep(2100),
        "nested-12000": lambda: _deep(12_000),
        "nested-50000": lambda: _deep(50_000),
        "nested-tables": lambda: _deep(3000, b"table><tr><td"),
        "nested-spans-never-closed": lambda: styled(b"<span>" * 100_000 + MARK),
        "nested-links": lambda: styled(b'<a href="http://a.test/">' * 100_000 + MARK),
        "nested-formatting": lambda: styled(b"<b><i><u><font>" * 5000 + b"<p>" + MARK),
        "misnested-formatting": lambda: styled(b"<b><p></b>" * 5000 + MARK),
        "million-a": lambda: styled(b"<a " * MILLION),
        "million-a-closed": lambda: styled(b"<a href=x>" * 400_000),
        "million-comments-begun": lambda: styled(b"<!--" * MILLION),
        "million-comments": lambda: styled(b"<!---->" * MILLION),
        "million-less-than": lambda: styled(b"<" * MILLION),
        "million-end-tags": lambda: styled(b"</p>" * MILLION),
        "end-tags-without-end": lambda: styled(b"</a " * MILLION),
        "million-quotes": lambda: styled(b"<a href=" + b"\"'" * MILLION),
        "quotes-without-end": lambda: styled(b'<a href="' * 200_000),
        "equals-without-end": lambda: styled(b"<p " + b"=" * MILLION),
        "million-attributes": lambda: styled(b"<a " + b"a=b " * MILLION + b"href=http://a.test/>x</a>"),
        "style-attributes": lambda: styled(b"<p " + b"style=top:0 " * 200_000 + b">x"),
        "bare-attributes": lambda: styled(b"<p " + b"x " * MILLION + b'style="top:0">x'),
        "slashes": lambda: styled(b"<p" + b"/" * MILLION + b">"),
        "long-attribute": lambda: styled(b'<a href="http://a.test/' + b"x" * 4_000_000 + b'">x</a>'),
        "long-label": lambda: styled(b'<a href="http://a.test/">' + b"<b>x</b>" * 300_000 + b"</a>"),
        "label-of-blanks": lambda: styled(b'<a href="http://a.test/">' + b" \xc2\xad" * MILLION + b"</a>"),
        "links-20000": lambda: styled(b'<a href="http://a.test/?x=1&amp;y=2">x</a>\r\n' * 20_000),
        "links-200000": lambda: styled(b'<a href="http://a.test/">x</a>\r\n' * 200_000),
        "images-100000": lambda: styled(b'<img src="http://a.test/x.png">\r\n' * 100_000),
        "million-entities": lambda: styled(b'<a href="http://a.test/' + b"&amp;" * MILLION + b'">x</a>'),
        "entities-unknown": lambda: styled(b'<a href="http://a.test/' + b"&xxxxxxxxxxxxxxxxxxxxxxxxxxx" * 100_000 + b'">x</a>'),
        "entities-begun": lambda: styled(b'<a href="http://a.test/' + b"&" * MILLION + b'">x</a>'),
        "entity-long": lambda: styled(b'<a href="http://a.test/&' + b"a" * MILLION + b';">x</a>'),
        "entity-number-label": lambda: styled(b"<a href=\"http://a.test/\">&#" + b"0" * MILLION + b"</a>"),
        "entity-number": lambda: styled(b'<a href="http://a.test/&#' + b"9" * MILLION + b';">x</a>'),
        "conditional-comments": lambda: styled(b"<!--[if mso]>" * 200_000),
        "conditional-links": lambda: styled(b'<!--[if mso]><a href="http://a.test/">x</a><![endif]-->' * 50_000),
        "conditions-begun": lambda: styled(b"<!--[if " * 200_000),
        "scripts-begun": lambda: styled(b"<script>" * 300_000),
        "titles": lambda: styled(b"<title></title>" * 200_000),
        "raw-text-ends": lambda: styled(b"<textarea>" + b"</textare" * 300_000),
        "doctypes": lambda: styled(b"<!DOCTYPE " * 300_000),
        "template-bait": lambda: styled(b'<a href="http://a.test/' + b"{%" * 500_000 + b'">x</a>'),
        "secret-bait": lambda: styled(b'<a href="http://a.test/reset' + b"/a1" * 500_000 + b'">x</a>'),
        "token-bait": lambda: styled((b'<a href="http://a.test/reset?' + b"=a1_" * 450 + b'!">x</a>') * 300),
        "addresses-as-labels": lambda: styled(b'<a href="http://a.test/">http://a.test/' + b"/" * MILLION + b"</a>"),
        "nul-octets": lambda: styled(b"\0" * MILLION),
        "long-line": lambda: html(b"<p>" + b"x" * 3_000_000 + MARK),
        "bare-carriage-returns": lambda: html(_SHEET + b"<p>\r" * 200_000),
        # style sheets
        "selectors-x-elements": lambda: sheet(b"".join(b".c%d{top:1px}" % n for n in range(20_000)), b"<p class=c1>x" * 15_000),
        "selectors-100000": lambda: sheet(b"".join(b".c%d{top:1px}" % n for n in range(100_000)), b"<p class=c1>x" * 100_000),
        "selectors-deep": lambda: sheet(b"div " * 5000 + b"{top:1px}", b"<div>" * 300),
        "selectors-descendants": lambda: sheet(b"q div div div div div div div p{top:1px}" * 340, b"<div>" * 350 + b"<p>x" * 3000),
        "selectors-siblings": lambda: sheet(b"q~p~p~p~p~p~p~p{top:1px}" * 390, b"<p>x" * 5000),
        "not-not": lambda: sheet(b":not(" * 20_000 + b"p" + b")" * 20_000 + b"{top:1px}", b"<p>x" * 100),
        "is-is": lambda: sheet(b":is(" * 300 + b"p" + b")" * 300 + b"{top:1px}", b"<p>x" * 100),
        "is-exponential": lambda: sheet(b":is(p,p,p) " * 30 + b"{top:1px}", b"<p>x" * 100),
        "nth-children": lambda: sheet(b"p:nth-child(2n+1){top:1px}p:nth-last-child(3n){left:1px}" * 85, b"<p>x" * 10_000),
        "has": lambda: sheet(b":has(p q){top:1px}" * 200, b"<div><p>x</div>" * 5000),
        "imports": lambda: sheet(b"@import url(http://a.test/x.css);" * 50_000, b"<p>x"),
        "rules-nested": lambda: sheet(b"@media x{" * 100_000, b"<p>x"),
        "braces": lambda: sheet(b"{" * MILLION, b"<p>x"),
        "brackets": lambda: sheet(b"p{top:" + b"(" * 500_000, b"<p>x"),
        "data-address": lambda: sheet(b"p{background:url(data:image/png;base64," + b"A" * 1_800_000 + b")}", b"<p>x"),
        "data-address-many": lambda: sheet(b"p{background:url(data:image/png;base64," + b"A" * 100_000 + b")}", b"<p>x" * 10_000),
        "data-address-below-the-bound": lambda: sheet(b"p{background:url(data:image/png;base64," + b"A" * 2400 + b")}", b"<p>x" * 19_000),
        "declarations": lambda: sheet(b"p{" + b"top:1px;" * 100_000 + b"}", b"<p>x" * 1000),
        "declarations-x-elements": lambda: sheet(b"p{" + b"".join(b"x%d:1px;" % n for n in range(2000)) + b"}", b"<p>x" * 15_000),
        "variables": lambda: sheet(b"".join(b"p{--v%d:var(--v%d) var(--v%d)}" % (n, n + 1, n + 1) for n in range(40)), b"<p style='top:var(--v0)'>x"),
        "style-blocks": lambda: styled(b"<style>p{top:1px}</style>" * 20_000 + b"<p>x"),
        "own-styles": lambda: sheet(b"p{top:1px}", b"<p style='" + b"left:1px;" * 100_000 + b"'>x"),
        # MIME
        "multipart-100": lambda: nested(100),
        "multipart-10000": lambda: nested(10_000),
        "enclosed-1000": lambda: enclosed(1000),
        "enclosed-10000": lambda: enclosed(10_000),
        "parts-100000": lambda: multipart(b"--b\r\n\r\nx\r\n" * 100_000),
        "boundaries-alike": lambda: multipart(b"--bb\r\n" * 500_000),
        "boundary-long": lambda: multipart(b"--" + b"b" * 10_000 + b"\r\n" * 100, b"b" * 10_000),
        "boundary-lines-long": lambda: multipart((b"--b" + b" " * 100_000 + b"x\r\n") * 30),
        "boundaries-nested-alike": lambda: _HEAD + b"".join(b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n--%b\r\n' % (b"b" * n, b"b" * n) for n in range(1, 39)) + b"--b\r\n" * 100_000,
        "html-parts": lambda: multipart(b"--b\r\nContent-Type: text/html\r\n\r\n<style>p{top:1px}</style><p>x\r\n" * 1500),
        "images-embedded": lambda: multipart(b"".join(b"--b\r\nContent-Type: image/png\r\nContent-ID: <%d>\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n" % n for n in range(1800))),
        "base64-50MB": lambda: html(b"QUJD" * 12_500_000, b"base64"),
        "base64-lines": lambda: html(_lines(_SHEET + b"<p>x" * 15_000), b"base64"),
        "base64-broken": lambda: html(b"QUJD=" * 600_000, b"base64"),
        "base64-blanks": lambda: html(b"Q\r\n" * MILLION, b"base64"),
        "quoted-printable-flood": lambda: _quoted(b"=" * 3_000_000),
        "quoted-printable-octets": lambda: _quoted(_SHEET.replace(b"=", b"=3D") + b"=3C=70>" * 30_000),
        "soft-breaks": lambda: _quoted(_SHEET + b"=\r\n" * 500_000 + b"<p>x"),
        "soft-breaks-between-edits": lambda: _quoted(_SHEET + b"<p>x=\r\n" * 15_000),
        "quoted-printable-one-line": lambda: _quoted(_SHEET + b"<p>" + b"x" * 1_900_000),
        "parameters": lambda: _HEAD + b"Content-Type: text/html" + b";a=b" * 300_000 + b"\r\n\r\n<p>x\r\n",
        "parameter-quotes": lambda: _HEAD + b'Content-Type: text/html; a="' + b"\\\\" * 500_000 + b"\r\n\r\n<p>x\r\n",
        "charset-long": lambda: html(b"<p>x", b"8bit", b"x" * 100_000),
        # header fields
        "fields-1000000": lambda: header(*[b"X: y"] * MILLION),
        "field-10MB": lambda: header(b"X-Long: " + b"x" * 10_000_000),
        "field-folded": lambda: header(b"X-Long: " + b"\r\n x" * MILLION),
        "fields-froms": lambda: header(*[b"From: a@example.test"] * 100_000),
        "addresses-100000": lambda: header(b"To: " + b", ".join(b"a%d@example.test" % n for n in range(100_000))),
        "words-100000": lambda: header(b"Subject: " + b" ".join([b"=?utf-8?q?=C3=A9?="] * 100_000)),
        "parentheses": lambda: header(b"From: " + b"(" * 100_000),
        "escapes": lambda: header(b'From: "' + b"\\\\" * 100_000),
        "at-signs": lambda: header(b"From: a@" + b"a" * 100_000 + b"!"),
        "blanks": lambda: header(b"X-Blank: " + b" \t" * 2 * MILLION),
        "received-long": lambda: header(*[b"Received: from " + b"x" * 900 + b" by y"] * 5000),
        "unsubscribe-long": lambda: header(b"List-Unsubscribe: " + b"<http://a.test/" * 200_000),
        "signatures": lambda: header(*[b"DKIM-Signature: v=1; b=" + b"A" * 300] * 20_000),
        "colons": lambda: header(b":" * MILLION),
        "blank-lines": lambda: _HEAD + b"\r\n" + b"\r\n" * 3_000_000,
        "trailing-blanks": lambda: _HEAD + b"\r\n" + b"x" + b" " * 4_000_000 + b"\r\n",
        "blanks-in-lines": lambda: _HEAD + b"\r\n" + b" \t \r\n" * MILLION,
    }.items()
)  # fmt: skip

# --- what only the bounds of a child stop ---------------------------------------------------------


def _parts(documents: list[bytes]) -> bytes:
    part = b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    return multipart(b"".join(part + document + b"\r\n" for document in documents))


_SLOW: Final = (
    b"<style>" + b":has(p q){top:1px}" * 200 + b"q{top:%dpx}</style>" + b"<div><p>x</div>" * 5000
)
"""With another style sheet each time: what was worked out once is remembered."""
_WIDE: Final = (
    b"<style>p{background:url(data:image/png;base64," + b"A" * 2400 + b")}</style>"
    + "<p>\N{GRINNING FACE}".encode() * 20_000
)  # fmt: skip
PLANTS: Final[tuple[Bomb, ...]] = (
    # Each part is dear, and no part is too dear.
    Bomb("time-of-a-child", lambda: _parts([_SLOW % number for number in range(60)])),
    # So little becomes fifty million characters, four octets each, before it is seen to be too much.
    Bomb("memory-of-a-child", lambda: _parts([_WIDE])),
)
