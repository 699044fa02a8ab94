"""what of an HTML document decides how its styles are inlined, and where its pieces are

Mail sent in bulk differs in its words and addresses. No rule of a style sheet asks for these, so what
was found out for one such message holds for the next. A document in which anything might not be the
same to a browser (HTML 13.2) and to us has no skeleton.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, cast

from pillarbox.message.markup import REST_OF_TAG

_BLANK: Final = rb"[ \t\r\n\f]"
_BLANKS: Final = _BLANK + rb"*+"
_BLANK_OCTETS: Final = b" \t\r\n\f"
_NAME: Final = rb"[^ \t\r\n\f/>=\"'<]++"
_EQUALS: Final = _BLANKS + rb"=" + _BLANKS
_VALUE: Final = rb"(?:\"[^\"]*+\"|'[^']*+'|[^ \t\r\n\f\"'=<>`]++)"
_RAW: Final = rb"|%b(?=[ \t\r\n\f/>])" + REST_OF_TAG + rb"%b.*?(?:</%b" + _BLANKS + rb">|\Z)"
_WORDS: Final = rb"(?![^<]*+</title" + _BLANKS + rb">)"
_PIECES: Final = re.compile(
    rb"(<(?:!--(?:-?>|.*?(?:--!?>|\Z))|[!?][^>]*+(?:>|\Z)"
    + _RAW % (b"style", b"", b"style")
    + _RAW % (b"textarea", b"", b"textarea")
    + _RAW % (b"title", _WORDS, b"title")
    + rb"|/?[a-z](?:" + REST_OF_TAG + rb"|.*+))" + _BLANKS + rb")",
    re.IGNORECASE | re.DOTALL,
)  # fmt: skip
"""A tag, a comment, or what is no markup as a whole, each with the blanks behind it. What does not
end, ends the document, so that reading takes linear time.
"""
_PLAIN_PIECES: Final = re.compile(
    rb"(<(?:!--.*?(?:-->|\Z)|[^>]*+(?:>|\Z))" + _BLANKS + rb")", re.DOTALL
)
"""The same where nothing is strange, which is asked of each piece: several times as fast."""
TAG: Final = re.compile(
    rb"<(/?[a-z][-:.\w]*+)(?:" + _BLANK + rb"++" + _NAME + rb"(?:" + _EQUALS + _VALUE + rb")?+)*+"
    + _BLANKS + rb"/?+>" + _BLANKS,
    re.IGNORECASE,
)  # fmt: skip
"""A tag that everybody reads alike."""
_ATTRIBUTE: Final = re.compile(
    rb"(" + _BLANK + rb"++)(" + _NAME + rb")(?:(" + _EQUALS + rb")" + _VALUE + rb")?+"
)
_RAW_NAMES: Final = (b"style", b"textarea", b"title")
_HEAD_END: Final = re.compile(rb"(?=</head)", re.IGNORECASE)
_RAW_END: Final = re.compile(
    rb"</(?:" + b"|".join(_RAW_NAMES) + rb")" + _BLANKS + rb">" + _BLANKS + rb"\Z"
)
_SHEET_END: Final = re.compile(rb"</style" + _BLANKS + rb">" + _BLANKS, re.IGNORECASE)
_FREE: Final = (b"href", b"src", b"alt", b"title")
"""Attributes whose values are left out, but where a style sheet may ask for them."""
_RAW_STARTS: Final = tuple(b"<" + name for name in _RAW_NAMES)
_BOUND: Final = frozenset({b"link", b"base", b"meta", *_RAW_NAMES})
"""Tags that are kept as they are."""
_STRANGE: Final = frozenset(
    b"svg math frameset plaintext noscript template select script xmp iframe noembed noframes".split()
)
"""Elements in which other rules hold for what is read."""
_ONE_OCTET_A_LETTER: Final = ("ascii", "iso8859-", "cp125")
_NUMBERED: Final = b"pb-n"
"""What a document must not have of its own: it would be taken for ours."""
_WHITE: Final = (b"&#", b"&Tab", b"&NewLine")
"""What text may begin with that stands for blanks, or for nothing."""
_REMEMBERED: Final = 2048
_MOST_KEPT: Final = 4
"""Sets of attributes that style sheets ask for; nearly all ask for none."""
_LONGEST_REMEMBERED: Final = 300
_SHORT_DOCUMENT: Final = 128 * 1024
_LONGEST_DOCUMENT: Final = 512 * 1024

_canonical: Final[dict[frozenset[bytes], dict[bytes, bytes]]] = {}
"""What is left of a piece, by the attributes that are kept; nothing where there is no skeleton."""
_whole: Final[dict[frozenset[bytes], dict[bytes, bytes]]] = {}
"""The same, and nothing where one may have no end."""
_plain: Final[dict[frozenset[bytes], dict[bytes, bytes]]] = {}
"""The same, and nothing where one would have to be cut otherwise."""


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Documents of the same key get the same styles in the same pieces."""

    key: bytes
    pieces: list[bytes]
    """Text and markup in turn, beginning and ending with text."""
    starts: list[int]
    """Where each piece begins, and the end."""


def skeleton_of(document: bytes, charset: str) -> Skeleton | None:
    """None where the document may have something in it that is read in more than one way, or is so
    long that looking for its like would not pay.
    """
    if len(document) > _LONGEST_DOCUMENT:
        return None
    last = _last.get(charset)
    if last is not None and last[0] is document:
        return last[1]
    found = _skeleton_of(document, charset)
    _last.clear()
    if len(document) <= _SHORT_DOCUMENT:
        _last[charset] = document, found
    return found


_last: Final[dict[str, tuple[bytes, Skeleton | None]]] = {}
"""The document before, for it is asked for by whoever looks for styles, and for links."""


def _skeleton_of(document: bytes, charset: str) -> Skeleton | None:
    if document.find(b"\0") >= 0 or not _is_readable(document, charset):
        return None
    found = _plainly(document) or _carefully(document)
    if found is None:
        return None
    pieces, markup = found
    texts = pieces[2::2]
    words = b"".join(pieces[::2])
    if words.find(b"<") >= 0 or words.find(_NUMBERED) >= 0:
        return None
    # Of text only matters whether there is any but blanks, and the blanks that it begins with.
    markup += [
        text and (b"x" if text[0] != 38 or not text.startswith(_WHITE) else text) for text in texts
    ]
    digest = hashlib.sha256(b"\0".join((charset.encode(), pieces[0], *markup)))
    return Skeleton(digest.digest(), pieces, list(accumulate(map(len, pieces), initial=0)))


def _plainly(document: bytes) -> tuple[list[bytes], list[bytes]] | None:
    """The pieces, and what is left of the markup, as if nothing were strange; None where that may
    not be so. A head is cut carefully: style sheets stand in it.
    """
    head_end = _HEAD_END.search(document) or _SHEET_END.search(document)
    cut = head_end.end() if head_end is not None else 0
    head = _PIECES.split(document[:cut]) if cut else [b""]
    kept = _kept(head[1::2])
    before = _left(head[1::2], kept, _whole, _left_of_whole)
    pieces = _PLAIN_PIECES.split(document[cut:] if cut else document)
    behind = _left(pieces[1::2], kept, _plain, _left_of_plain)
    if before is None or behind is None:
        return None
    last = head[-2].lower() if len(head) > 1 else b""
    if last.startswith(_RAW_STARTS) and _RAW_END.search(last) is None:
        return None  # it goes on behind the head
    pieces[0] = head.pop() + pieces[0]
    return head + pieces, before + behind


def _carefully(document: bytes) -> tuple[list[bytes], list[bytes]] | None:
    pieces = _PIECES.split(document)
    markup = pieces[1::2]
    left = _left(markup, _kept(markup), _canonical, _left_of)
    return None if left is None else (pieces, left)


def _left(
    pieces: list[bytes],
    kept: frozenset[bytes],
    memory: dict[frozenset[bytes], dict[bytes, bytes]],
    work_out: Callable[[bytes, frozenset[bytes]], bytes],
) -> list[bytes] | None:
    """What is left of each; None where that cannot be said of one."""
    known = memory.get(kept)
    if known is None or len(known) > _REMEMBERED:
        if len(memory) >= _MOST_KEPT:
            memory.clear()
        known = memory[kept] = {}
    found = list(map(known.get, pieces))
    if not all(found):
        for number, piece in enumerate(pieces):
            left = found[number]
            if left is None:
                found[number] = left = work_out(piece, kept)
                if len(piece) <= _LONGEST_REMEMBERED:
                    known[piece] = left
            if not left:
                return None
    return cast(list[bytes], found)


def is_shortened(piece: bytes) -> bool:
    """Whether values may have been left out of a tag, so that others stand elsewhere in it."""
    lowered = piece.lower()
    return any(name in lowered for name in _FREE)


def is_behind_name(piece: bytes, start: int, end: int) -> bool:
    """Whether this is the place right behind the name of a tag."""
    tag = TAG.match(piece)
    return tag is not None and start == end == tag.end(1)


def style_span(piece: bytes) -> tuple[int, int]:
    """Where the value of the first style attribute of a tag stands, its quotes included."""
    for found in _ATTRIBUTE.finditer(piece):
        if found[3] and found[2].lower() == b"style":
            return found.end(3), found.end()
    return 0, 0


def _is_readable(document: bytes, charset: str) -> bool:
    if document.isascii():
        return True
    if charset != "utf-8" and not charset.startswith(_ONE_OCTET_A_LETTER):
        return False
    try:
        document.decode(charset)
    except UnicodeDecodeError:
        return False
    return True


def _kept(markup: list[bytes]) -> frozenset[bytes]:
    """The attributes whose values a style sheet may ask for."""
    sheets = b"".join([piece for piece in markup if piece[:6].lower() == b"<style"]).lower()
    if b"[" not in sheets:
        return frozenset()
    return frozenset(_FREE if b"\\" in sheets else [name for name in _FREE if name in sheets])


def _left_of_plain(piece: bytes, kept: frozenset[bytes]) -> bytes:
    """As `_left_of_whole`, but for what would have to be cut otherwise."""
    left = _left_of_whole(piece, kept)
    tag = TAG.match(piece) if left and piece[1:2] not in (b"!", b"?") else None
    return b"" if tag is not None and tag[1].lower() in _RAW_NAMES else left


def _left_of_whole(piece: bytes, kept: frozenset[bytes]) -> bytes:
    """As `_left_of`, but for what has no end, or perhaps another one."""
    if piece[1:2] in (b"!", b"?") and _NUMBERED not in piece:
        end = piece.rstrip(_BLANK_OCTETS)
        if not piece.startswith(b"<!--"):
            return _left_of(piece, kept) if end.endswith(b">") else b""
        ends = piece.find(b"-->", 2) == len(end) - 3
        return b"" if not ends or piece.startswith(b"<!--->") or b"--!>" in piece else piece
    return _left_of(piece, kept)


def _left_of(piece: bytes, kept: frozenset[bytes]) -> bytes:
    """What of a piece is the same in all documents with this skeleton; empty where there is none."""
    if _NUMBERED in piece:
        return b""
    if piece[1:2] in (b"!", b"?"):
        # Others may read a tag in it, and go on reading behind it.
        return piece if piece.startswith(b"<!--") or piece.count(b"<") == 1 else b""
    tag = TAG.match(piece)
    if tag is None:
        return b""
    name = tag[1].lower()
    if name in _STRANGE:
        return b""
    if tag.end() < len(piece):
        return piece if name in _RAW_NAMES and piece.lower().count(b"</" + name) == 1 else b""
    if name in _BOUND or not is_shortened(piece):
        return piece
    return _ATTRIBUTE.sub(
        lambda found: (
            b"%b%b%b" % found.group(1, 2, 3)
            if found[3] and found[2].lower() in _FREE and found[2].lower() not in kept
            else found[0]
        ),
        piece,
    )
