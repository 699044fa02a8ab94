"""the tags of an HTML document that hold links and images, by byte span, as browsers would read them

Linear in time for any bytes: every pattern is possessive, and what does not end, ends the reading.
Nothing is interpreted but tags, attributes and where text is no markup; the DOM is nobody's business
here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from html.entities import html5
from typing import Final, NamedTuple

# A tag from behind its name to its end. A quote counts only behind an equals sign (HTML 13.2.5).
REST_OF_TAG: Final = (
    rb"(?:[^>\"'=]++|=[ \t\r\n\f]*+(?:\"[^\"]*+\"|'[^']*+'|(?![\"'])[^ \t\r\n\f>]*+)|[\"'])*+>"
)
NAME: Final = rb"[a-z][^ \t\r\n\f/>]*+"
RAW_TEXT: Final = rb"script|style|title|textarea|xmp|iframe|noembed|noframes|plaintext"
_WANTED: Final = rb"/?a|area|img|/body|v:[a-z]+|" + RAW_TEXT
_NEXT: Final = re.compile(
    rb"(?:[^<]++|<(?!(?:" + _WANTED + rb")[ \t\r\n\f/>]|!--)"
    rb"(?:/?" + NAME + rb"(?:" + REST_OF_TAG + rb"|(?s:.*+)))?+)*+"
    rb"<(" + _WANTED + rb"|!--)",
    re.IGNORECASE,
)
"""From anywhere to the name of the next tag that matters; all others are passed over in one go, and
one that has no end is the end.
"""
_NAME_END: Final = rb"(?=[ \t\r\n\f/>])"
# A group that captures inside a possessive repetition is more than Python 3.11.2 can bear.
_WHOLE: Final = re.compile(
    rb"(?:[^<]++|<(?:(?!/?[a-z]|!--)|!--(?:\[if[^\]>]*+\]>|-?>|.*?--!?>)|(?!(?:"
    + RAW_TEXT
    + rb")[ \t\r\n\f/>])/?"
    + NAME
    + REST_OF_TAG
    + b"".join(
        b"|" + name + _NAME_END + REST_OF_TAG + rb".*?</" + name + _NAME_END + REST_OF_TAG
        for name in RAW_TEXT.split(b"|")
    )
    + rb"))*+",
    re.IGNORECASE | re.DOTALL,
)
"""Text, tags and comments that have an end."""
_TAG_END: Final = re.compile(REST_OF_TAG)
_ATTRIBUTE: Final = re.compile(
    rb"[ \t\r\n\f/]*+([^ \t\r\n\f/>=][^ \t\r\n\f/>=]*+|=[^ \t\r\n\f/>=]*+)"
    rb"(?:[ \t\r\n\f]*+=[ \t\r\n\f]*+(?:\"([^\"]*+)\"|'([^']*+)'|(?![\"'])([^ \t\r\n\f>]*+)))?+"
)
_ANY_TAG: Final = re.compile(
    rb"<(?:!--(?:.*?-->|.*+)"
    rb"|(" + RAW_TEXT + rb")" + _NAME_END + REST_OF_TAG
    + rb".*?(?:</\1" + _NAME_END + rb"(?:" + REST_OF_TAG + rb"|.*+)|\Z)"
    rb"|/?" + NAME + rb"(?:" + REST_OF_TAG + rb"|.*+)|[!?][^>]*+>?+)",
    re.I | re.S,
)  # fmt: skip
"""With what stands between the tags where that is no text."""
CONDITION: Final = re.compile(rb"\[if[^\]>]*+\]>", re.IGNORECASE)
RAW_NAMES: Final = frozenset(RAW_TEXT.split(b"|"))
_REFERENCE: Final = re.compile("&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[a-zA-Z][a-zA-Z0-9]*;?)")
_MANY_DIGITS: Final = 10
_LONG_NUMBER: Final = re.compile(
    r"&#(?:([xX])(?=[0-9a-fA-F])|(?=[0-9]))((?(1)[0-9a-fA-F]|[0-9]){10,}+);?"
)
_LONGEST_NAME: Final = max(map(len, html5))
_MOST_TAGS: Final = 20_000


class Attribute(NamedTuple):
    """A value and where it stands, its quotes left out."""

    start: int
    end: int
    quote: bytes
    """``"``, ``'`` or nothing."""
    raw: bytes


class Tag(NamedTuple):
    """A tag that matters, its name in lower case."""

    name: bytes
    start: int
    """Where its ``<`` stands."""
    end: int
    """Behind its ``>``."""
    attributes: dict[bytes, Attribute]
    """By name in lower case; of two of one name the first, as browsers take it."""


def read_tags(document: bytes, most: int = _MOST_TAGS) -> Iterator[Tag]:
    """Tags of links and images, ``</a>`` and ``</body>``, in order.

    Comments are passed over, but what they hold for Outlook alone is read: it is clicked on, too.
    Ends where a tag, a quoted value or a comment has no end, and after `most` tags.
    """
    at = 0
    while most and (found := _NEXT.match(document, at)) is not None:
        name = found[1].lower()
        at = found.end()
        if name == b"!--":
            at = _behind_comment(document, at)
            if at < 0:
                return
            continue
        end = _TAG_END.match(document, at)
        if end is None:
            return
        start, inside, at = found.start(1) - 1, at, end.end()
        if name in RAW_NAMES:
            close = re.compile(rb"</" + name + rb"[ \t\r\n\f/>]", re.IGNORECASE).search(
                document, at
            )
            if close is None:
                return
            at = close.start()
            # Its end tag is passed over as any other: a slash precedes its name.
            continue
        most -= 1
        yield Tag(name, start, at, attributes(document, inside, at - 1))


def whole_until(document: bytes, at: int) -> int:
    """From here, which is no place within a tag, where something begins that has no end; or the end."""
    found = _WHOLE.match(document, at)
    return found.end() if found is not None else at


def text_of(document: bytes, start: int, end: int) -> bytes:
    """What is left of a stretch when its tags and comments are taken out, and what is no text although
    it stands between tags, as a style sheet is; entities stay.
    """
    text = document[start : max(start, end)]
    return _ANY_TAG.sub(b"", text) if text.find(b"<") >= 0 else text


def unescaped(text: str) -> str:
    """Character references replaced as browsers do it in text."""
    return html.unescape(_LONG_NUMBER.sub(_shortened, text)) if "&" in text else text


def unescaped_value(text: str) -> str:
    """The same for the value of an attribute: there a name without its semicolon means nothing where
    a letter, digit or equals sign follows (HTML 13.2.5.73), as in ``?a=1&copy=2``.
    """
    return _REFERENCE.sub(_referred, _LONG_NUMBER.sub(_shortened, text)) if "&" in text else text


def _shortened(found: re.Match[str]) -> str:
    """The same character in few digits: the library refuses to read thousands of them."""
    digits = found[2].lstrip("0") or "0"
    return f"&#{found[1] or ''}{digits};" if len(digits) < _MANY_DIGITS else "\ufffd"


def _referred(found: re.Match[str]) -> str:
    whole = found[0]
    if whole[1] == "#" or (whole[-1] == ";" and whole[1:] in html5):
        return html.unescape(whole)
    name = whole[1:].removesuffix(";")
    for length in range(min(len(name), _LONGEST_NAME), 1, -1):
        if name[:length] in html5:
            behind = name[length:] or found.string[found.end() : found.end() + 1]
            if behind[:1] == "=" or behind[:1].isalnum():
                return whole
            return html5[name[:length]] + whole[1 + length :]
    return whole


def escaped(value: str, quote: bytes) -> str:
    """A value for between such quotes."""
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("'", "&#39;") if quote == b"'" else text.replace('"', "&quot;")


def spliced(document: bytes, edits: Iterable[tuple[int, int, bytes]]) -> bytes:
    """The document with other octets between some places, which do not overlap."""
    pieces: list[bytes] = []
    done = 0
    for start, end, value in sorted(edits):
        pieces += (document[done:start], value)
        done = end
    return b"".join((*pieces, document[done:])) if done or pieces else document


def attributes(document: bytes, at: int, end: int) -> dict[bytes, Attribute]:
    """What stands between the name of a tag and its end."""
    found: dict[bytes, Attribute] = {}
    while (match := _ATTRIBUTE.match(document, at, end)) is not None:
        at = match.end()
        group = match.lastindex or 1
        if group > 1 and (name := match[1].lower()) not in found:
            quote = (b'"', b"'", b"")[group - 2]
            found[name] = Attribute(
                match.start(group), at if group == 4 else at - 1, quote, match[group]
            )
    return found


def _behind_comment(document: bytes, at: int) -> int:
    """Where reading goes on; below 0 where the comment does not end."""
    condition = CONDITION.match(document, at)
    if condition is not None:
        return condition.end()
    if document.startswith((b">", b"->"), at):
        return at + 1
    end = document.find(b"-->", at)
    other = document.find(b"--!>", at, end if end >= 0 else len(document))
    if other >= 0:
        return other + 4
    return end + 3 if end >= 0 else -1
