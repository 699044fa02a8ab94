"""style blocks become style attributes, and nothing else of a document changes

The library that knows selectors writes a document anew. So every element is numbered first, and what
the library made of each style attribute is put into the octets that came: doctype, comments, style
blocks and the spelling of everything else stay. Style blocks stay because what no attribute can say
is said there: media queries, states, animations.
"""

from __future__ import annotations

import re
from typing import Final

from css_inline import CSSInliner, InlineError

from pillarbox.message.errors import CannotInline
from pillarbox.message.markup import RAW_TEXT, REST_OF_TAG

MAX_OCTETS: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 400
"""The library keeps a call open for each level, and takes the process with it at some thousands."""
MAX_ELEMENTS: Final = 20_000

_STYLE_BLOCK: Final = re.compile(rb"<style[ \t\r\n\f/>]", re.IGNORECASE)
_BLANK: Final = rb"[ \t\r\n\f]"
_VALUE: Final = rb"(?:\"[^\"]*+\"|'[^']*+'|(?![\"'])[^ \t\r\n\f>]*+)"
_TOKEN: Final = re.compile(
    rb"<(?:!--(?:-?>|.*?(?:--!?>|\Z))"
    rb"|(" + RAW_TEXT + rb")" + REST_OF_TAG + rb".*?(?:</\1(?=[ \t\r\n\f/>])|\Z)"
    rb"|(/?)([a-z][^ \t\r\n\f/>]*+)(" + REST_OF_TAG + rb")?+)",
    re.IGNORECASE | re.DOTALL,
)
_STYLE: Final = re.compile(
    rb"(?:[ \t\r\n\f/]*+(?!style" + _BLANK + rb"*+=)[^ \t\r\n\f/>=][^ \t\r\n\f/>=]*+"
    rb"(?:" + _BLANK + rb"*+=" + _BLANK + rb"*+" + _VALUE + rb")?+)*+"
    rb"[ \t\r\n\f/]++style" + _BLANK + rb"*+=" + _BLANK + rb"*+(" + _VALUE + rb")",
    re.IGNORECASE,
)
"""From behind the name of a tag to the value of its style, quotes included."""
_MADE: Final = re.compile(rb' data-pillarbox-n="(\d{1,6})" style="([^"]*+)"')
_FLAT: Final = frozenset(
    b"area base br col embed hr img input link meta param source track wbr "
    b"p li dt dd td th tr thead tbody tfoot colgroup option optgroup rp rt".split()
)
"""They are empty, or cannot stand in one of their own kind without something else between, which is
counted.
"""
_NOT_SHOWN: Final = frozenset(b"html head meta link base title style script".split())

_INLINER: Final = CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


def has_styles(document: bytes) -> bool:
    """Whether there is anything to inline."""
    return _STYLE_BLOCK.search(document) is not None


def style_edits(document: bytes, charset: str) -> list[tuple[int, int, bytes]]:
    """What puts the style rules of a document into the elements they mean; nothing where it has none.

    What an element says itself stays and wins, but for rules marked as important. `charset` is a
    codec that has ASCII in it. Raises `CannotInline` with the reason; then it is to be left alone.
    """
    if not has_styles(document):
        return []
    if len(document) > MAX_OCTETS:
        raise CannotInline(f"it has more than {MAX_OCTETS} octets")
    numbered, elements = _numbered(document)
    try:
        made = _INLINER.inline(numbered.decode(charset))
    except UnicodeDecodeError as error:
        raise CannotInline(f"it is not written in {charset}, as it says") from error
    except (InlineError, ValueError) as error:
        raise CannotInline(f"its style sheet cannot be read: {error}") from error
    edits: list[tuple[int, int, bytes]] = []
    done: set[int] = set()
    for number, style in _MADE.findall(made.encode("utf-8")):
        place = int(number)
        if style and place not in done and place < len(elements):
            # Where the library's reading of broken nesting doubles an element, the first counts.
            done.add(place)
            edits += _edit(document, elements[place], style, charset)
    return edits


class _Element:
    """Where the name of a tag ends, and the value of its style if it has one, with its quotes."""

    __slots__ = ("name_end", "style")

    def __init__(self, name_end: int, style: tuple[int, int] | None) -> None:
        self.name_end = name_end
        self.style = style


def _numbered(document: bytes) -> tuple[bytes, list[_Element]]:
    """Each element with its number and its style as the first attributes: whatever it had before, the
    library leaves these two side by side.
    """
    pieces: list[bytes] = []
    elements: list[_Element] = []
    done = depth = deepest = 0
    for token in _TOKEN.finditer(document):
        _, slash, name, rest = token.groups()
        if name is None:
            continue
        if rest is None:
            break  # a tag without an end: browsers see nothing of it or behind it
        if name not in _FLAT and name.lower() not in _FLAT:
            if slash:
                depth -= 1
                continue
            depth += 1
            if depth > deepest:
                deepest = depth
        if slash or name.lower() in _NOT_SHOWN:
            continue
        at = token.end(3)
        own = _STYLE.match(document, at, token.end())
        if own is None:
            pieces += (document[done:at], b' data-pillarbox-n="%d" style=""' % len(elements))
            elements.append(_Element(at, None))
        else:
            value = own[1]
            style = value.strip(value[:1]) if value[:1] in b"\"'" else value
            style = style.replace(b'"', b"&quot;")
            pieces += (
                document[done:at],
                b' data-pillarbox-n="%d" style="%b"' % (len(elements), style),
            )
            elements.append(_Element(at, own.span(1)))
        done = at
    if deepest > MAX_DEPTH:
        raise CannotInline(f"its elements are nested more than {MAX_DEPTH} deep")
    if len(elements) > MAX_ELEMENTS:
        raise CannotInline(f"it has more than {MAX_ELEMENTS} elements")
    return b"".join((*pieces, document[done:])), elements


def _edit(
    document: bytes, element: _Element, style: bytes, charset: str
) -> list[tuple[int, int, bytes]]:
    """`style` is written for between double quotes, in UTF-8."""
    if not style.isascii():
        style = style.decode("utf-8").encode(charset, "xmlcharrefreplace")
    if element.style is None:
        return [(element.name_end, element.name_end, b' style="%b"' % style)]
    start, end = element.style
    before = document[start:end]
    if before[:1] == b"'":
        style = style.replace(b"'", b"&#39;")
        made = b"'%b'" % style
    else:
        made = b'"%b"' % style
    same = before[:1] in b"\"'" and before.strip(before[:1]).strip() == made[1:-1].strip()
    return [] if same else [(start, end, made)]
