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
from pillarbox.message.markup import NAME, RAW_TEXT, REST_OF_TAG
from pillarbox.message.style_memory import StyleMemory

MAX_OCTETS: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 400
"""The library keeps a call open for each level, and takes the process with it at some thousands."""
MAX_ELEMENTS: Final = 20_000
MAX_MADE: Final = 50_000_000
"""Octets of style sheets times elements: so much could come out, where every rule means everything."""
MAX_COMPARED: Final = 200_000_000
"""Elements times properties squared: the library compares each that it adds with those before it."""

_STYLE_BLOCK: Final = re.compile(rb"<style[ \t\r\n\f/>]", re.IGNORECASE)
_BLANK: Final = rb"[ \t\r\n\f]"
_VALUE: Final = rb"(?:\"[^\"]*+\"|'[^']*+'|(?![\"'])[^ \t\r\n\f>]*+)"
_END_TAGS: Final = rb"(?:[^<]*+</" + NAME + REST_OF_TAG + rb")*+"
_ASIDE: Final = (
    rb"!--(?:-?>|.*?(?:--!?>|\Z))"
    rb"|(" + RAW_TEXT + rb")" + REST_OF_TAG + rb".*?(?:</\1(?=[ \t\r\n\f/>])|\Z)"
)
_START: Final = re.compile(
    rb"<(?:" + _ASIDE + rb"|/" + NAME + rb"(?:" + REST_OF_TAG + rb"|(?s:.*))"
    rb"|(" + NAME + rb")(?:(" + REST_OF_TAG + rb")" + _END_TAGS + rb")?)",
    re.IGNORECASE | re.DOTALL,
)
"""A start tag with the end tags that follow it, or something that holds none."""
_START_OR_END: Final = re.compile(
    rb"<(?:" + _ASIDE + rb"|(/?)(" + NAME + rb")(" + REST_OF_TAG + rb")?)",
    re.IGNORECASE | re.DOTALL,
)
_PROPERTY: Final = re.compile(rb"(?<![-\w])([-\w]++)\s*+:")
_SHORTEST: Final = 4
"""Octets of a declaration: ``a:b;``."""
_STYLE: Final = re.compile(
    rb"(?:[ \t\r\n\f/]*+(?!style" + _BLANK + rb"*+=)[^ \t\r\n\f/>=][^ \t\r\n\f/>=]*+"
    rb"(?:" + _BLANK + rb"*+=" + _BLANK + rb"*+" + _VALUE + rb")?+)*+"
    rb"[ \t\r\n\f/]++style" + _BLANK + rb"*+=" + _BLANK + rb"*+(" + _VALUE + rb")",
    re.IGNORECASE,
)
"""From behind the name of a tag to the value of its style, quotes included."""
_MADE: Final = re.compile(rb' pb-n="(\d{1,6})" style="([^"]*+)"')
_FLAT: Final = frozenset(
    b"area base br col embed hr img input link meta param source track wbr "
    b"p li dt dd td th tr thead tbody tfoot colgroup option optgroup rp rt".split()
)
"""They are empty, or cannot stand in one of their own kind without something else between, which is
counted.
"""
_NOT_SHOWN: Final = frozenset(b"html head meta link base title style script".split())

MEMORY: Final = StyleMemory()
"""Of this process."""
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
    return MEMORY.edits(document, charset, _worked_out)


def _worked_out(document: bytes, charset: str) -> list[tuple[int, int, bytes]]:
    numbered, names, styles, sheets = _numbered(document)
    if _is_flood(sheets, len(names)):
        raise CannotInline("its style sheets are too large for so many elements")
    try:
        made = _INLINER.inline(numbered.decode(charset))
    except UnicodeDecodeError as error:
        raise CannotInline(f"it is not written in {charset}, as it says") from error
    except (InlineError, ValueError) as error:
        raise CannotInline(f"its style sheet cannot be read: {error}") from error
    edits: list[tuple[int, int, bytes]] = []
    done: set[int] = set()
    for number, value in _MADE.findall(made.encode("utf-8")):
        place, style = int(number), value
        if style and place not in done and place < len(names):
            # Where the library's reading of broken nesting doubles an element, the first counts.
            done.add(place)
            if not style.isascii():
                style = style.decode("utf-8").encode(charset, "xmlcharrefreplace")
            if place in styles:
                edits += _rewritten(document, *styles[place], style)
            else:
                edits.append((names[place], names[place], b' style="%b"' % style))
    return edits


def _numbered(
    document: bytes,
) -> tuple[bytes, list[int], dict[int, tuple[int, int]], list[bytes]]:
    """Each element with its number and its style as the first attributes: whatever it had before, the
    library leaves these two side by side. And where the name of each ends, and of those that had a
    style, where its value stands, with its quotes. And the style sheets.
    """
    pieces: list[bytes] = []
    names: list[int] = []
    styles: dict[int, tuple[int, int]] = {}
    sheets: list[bytes] = []
    done = nesting = 0
    for token in _START.finditer(document):
        name = token[2]
        if name is None:
            if token[1] is not None and token[1].lower() == b"style":
                sheets.append(token[0])
            continue
        rest = token[3]
        if rest is None:
            break  # a tag without an end: browsers see nothing of it or behind it
        name = name.lower()
        nesting += name not in _FLAT
        if name in _NOT_SHOWN:
            continue
        at = token.end(2)
        style = b""
        # Few have one; and looking for it means reading all that stand before it.
        if b"style" in rest.lower() and (own := _STYLE.match(document, at, token.end(3))):
            styles[len(names)] = own.span(1)
            style = own[1]
            style = style.strip(style[:1]) if style[:1] in b"\"'" else style
            style = style.replace(b'"', b"&quot;")
        pieces.append(document[done:at])
        pieces.append(b' pb-n="%d" style="%b"' % (len(names), style))
        names.append(at)
        done = at
        if len(names) > MAX_ELEMENTS:
            raise CannotInline(f"it has more than {MAX_ELEMENTS} elements")
    if nesting > MAX_DEPTH and _depth(document) > MAX_DEPTH:
        raise CannotInline(f"its elements are nested more than {MAX_DEPTH} deep")
    return b"".join((*pieces, document[done:])), names, styles, sheets


def _is_flood(sheets: list[bytes], elements: int) -> bool:
    """Whether so little may become so much that it is better not begun."""
    octets = sum(map(len, sheets))
    if octets * elements > MAX_MADE:
        return True
    if elements * (octets // _SHORTEST) ** 2 <= MAX_COMPARED:
        return False
    properties = {each for sheet in sheets for each in _PROPERTY.findall(sheet)}
    return elements * len(properties) ** 2 > MAX_COMPARED


def _depth(document: bytes) -> int:
    """How many elements are open at once, at most, however badly they are closed."""
    depth = deepest = 0
    for token in _START_OR_END.finditer(document):
        _, slash, name, rest = token.groups()
        if name is None or name.lower() in _FLAT:
            continue
        if rest is None:
            break
        if slash:
            depth -= 1
            continue
        depth += 1
        if depth > deepest:
            deepest = depth
    return deepest


def _rewritten(document: bytes, start: int, end: int, style: bytes) -> list[tuple[int, int, bytes]]:
    """What puts a style, written for between double quotes, where there is one; nothing if it is it."""
    before = document[start:end]
    if before[:1] == b"'":
        style = style.replace(b"'", b"&#39;")
        made = b"'%b'" % style
    else:
        made = b'"%b"' % style
    same = before[:1] in b"\"'" and before.strip(before[:1]).strip() == style.strip()
    return [] if same else [(start, end, made)]
