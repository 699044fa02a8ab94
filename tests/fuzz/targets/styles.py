"""any HTML document with any style sheet: what is put in are style attributes, and nothing else

Taken out again they leave the document that came; put in they are read as what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pillarbox.message.css import MAX_DEPTH, style_edits
from pillarbox.message.errors import CannotInline
from pillarbox.message.links import find_spots
from pillarbox.message.markup import spliced
from tests.fuzz.targets import Target
from tests.samples.mails import newsletter

_CHARSETS = ("utf-8", "cp1252", "shift_jis", "ascii")
_NEW = re.compile(rb' style="[^"]*"')
_VALUE = re.compile(rb"\"[^\"]*\"|'[^']*'")


def run(data: bytes) -> None:
    """The first octet says in which charset it is, and whether there is a sheet in front."""
    choice, document = (data[0], data[1:]) if data else (0, b"")
    charset = _CHARSETS[choice % len(_CHARSETS)]
    if choice & 4:
        document = (
            b"<style>p,a,td{top:1px} .b{left:2px!important} p>a{color:red}</style>" + document
        )
    try:
        edits = style_edits(document, charset)
    except CannotInline as refused:
        assert refused.sentence.endswith(".")
        return
    if b"<style" not in document.lower():
        assert not edits
    at = 0
    for start, end, value in sorted(edits):
        assert at <= start <= end <= len(document)
        at = end
        if start == end and not _VALUE.fullmatch(value):  # else it stands behind an equals sign
            assert _NEW.fullmatch(value), "more than an attribute is put in"
            assert document[start : start + 1] in (b" ", b"\t", b"\r", b"\n", b"\f", b"/", b">")
        else:
            assert _VALUE.fullmatch(value), "a value stands between quotes"
            before = document[start:end]
            assert before[:1] not in (b'"', b"'") or before[:1] == value[:1] == before[-1:]
    after = spliced(document, edits)
    assert edits == style_edits(document, charset)
    # Styles hold no link, so whoever looks for links sees the same.
    links, images, _ = find_spots(document, charset)
    links_after, images_after, _ = find_spots(after, charset)
    assert [each.url for each in links] == [each.url for each in links_after]
    assert [each.label for each in links] == [each.label for each in links_after]
    assert [each.url for each in images] == [each.url for each in images_after]


def seeds() -> Iterator[bytes]:
    """Documents with sheets."""
    documents = [
        b"<p>x<p class=b>y",
        b"<p style=\"left:1px\">x</p><P STYLE='top:2px'>y</P><p style=top:3px>z",
        b"<table><tr><td>x<td class=b><a href=http://a.test/>y</a></table>",
        b"<b><p></b>x</p><a href='http://a.test/'><div>y</a></div>",
        b"<div>" * 30 + b"<p>x" + b"</div>" * 30,
        b"<!--[if mso]><style>p{top:9px}</style><![endif]--><p>x",
        b"<style>p{font-family:'A \"B\"',\"C\"}</style><p style='x:y'>x<p>y",
        b"<style>@media print{p{top:1px}} p:hover{top:2px} p{top:3px!important}</style><p>x",
        b"<style>p{content:'</p>'}</style><p>x</p><p",
        b"<style>.caf\xc3\xa9{top:1px}</style><p class='caf\xc3\xa9'>x",
        b"<style>p{top:1px</style><p>x</p></style>",
        b"<style>:not(p){top:1px}*{left:1px}</style><svg><path/></svg><p>x",
        b"<title><p></title><textarea><p></textarea><p>x<script><p></script>",
        newsletter()[2200:4400],
    ]
    for choice in (0, 1, 4, 5):
        yield from (bytes([choice]) + each for each in documents)
    yield b"\4" + b"<div>" * (MAX_DEPTH + 1) + b"<p>x"


TARGET = Target(
    run,
    seeds,
    (
        b"<style>", b"</style>", b"p{top:1px}", b".b{", b"}", b"{", b"@media x{", b"@import ", b"url(",
        b":not(", b")", b"!important", b"<p>", b"<p class=b>", b"</p>", b"<div>", b"</div>", b"<td>",
        b"<table>", b"<b>", b"</b>", b"<a href=http://a.test/>", b"</a>", b' style="', b" style='",
        b" style=", b'"', b"'", b">", b"/>", b"<!--", b"-->", b"<!--[if mso]>", b"<title>", b"</title>",
        b"\\", b"&quot;", b"&", b"\xc3\xa9", b"\xff", b"\0", b"\r\n", b"<svg>", b"<math>", b" pb-n=\"1\"",
    ),
    2000,
)  # fmt: skip
