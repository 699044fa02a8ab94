"""links and images of a document, found again where those of one like it stood

Documents with the same skeleton differ in words and in the addresses themselves, not in where these
stand. What is found so is what `links.find_spots` finds.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import OrderedDict
from functools import lru_cache
from typing import Final, NamedTuple

from pillarbox.message.links import (
    Spot,
    Spots,
    address_of,
    find_places,
    find_spots,
    label_of,
    mark_of,
)
from pillarbox.message.markup import CONDITION, RAW_NAMES, Tag, attributes
from pillarbox.message.skeleton import TAG, Skeleton, skeleton_of

_MOST_DOCUMENTS: Final = 64
_MOST_PLACES: Final = 2000
_LONGEST_REMEMBERED: Final = 500
_BLANKS: Final = b" \t\r\n\f"

_COMMENT_END: Final = re.compile(rb"<!(?:\[endif\]--|--)>[ \t\r\n\f]*\Z", re.IGNORECASE)

Point = tuple[int, int]
"""Number of a piece, and how far into it."""


class _Planned(NamedTuple):
    """An address to be looked for."""

    tag: bytes
    attribute: bytes
    at: Point
    """Where the tag begins."""
    length: int
    """Of the tag; 0 where it is the whole piece but for the blanks behind it."""
    label_end: Point | None


class _Plan(NamedTuple):
    """Of all documents of one skeleton."""

    places: tuple[_Planned, ...]
    end: Point


class _Read(NamedTuple):
    """An address as it stands in a tag, counted from its beginning."""

    start: int
    end: int
    quote: bytes
    url: str
    mark: bytes
    length: int
    """Of the tag."""


class SpotMemory:
    """The last documents, by their skeletons."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._known: OrderedDict[bytes, _Plan | None] = OrderedDict()

    def spots(self, document: bytes, charset: str) -> Spots:
        """As `find_spots`."""
        skeleton = skeleton_of(document, charset)
        if skeleton is None:
            return find_spots(document, charset)
        key = skeleton.key
        if key not in self._known:
            # Most that come once never come again: no plan is made before the second time.
            self._keep(key, None)
            return find_spots(document, charset)
        plan = self._known[key]
        self._known.move_to_end(key)
        if plan is None:
            plan = _plan(document, skeleton)
            if plan is None:
                return find_spots(document, charset)
            self._keep(key, plan)
        return _followed(plan, document, skeleton, charset)

    def _keep(self, key: bytes, plan: _Plan | None) -> None:
        self._known[key] = plan
        while len(self._known) > _MOST_DOCUMENTS:
            self._known.popitem(last=False)


def _plan(document: bytes, skeleton: Skeleton) -> _Plan | None:
    """None where a document like this one might have them elsewhere."""
    places, end = find_places(document)
    if len(places) > _MOST_PLACES or not all(map(_is_closed, skeleton.pieces[1::2])):
        return None
    planned: list[_Planned] = []
    for place in places:
        at = _point(skeleton, place.tag.start)
        piece = skeleton.pieces[at[0]]
        if at[0] % 2 == 0:
            return None
        is_piece = at[1] == 0 and _whole(piece) == place.tag.end - place.tag.start
        if not is_piece and not piece.startswith(b"<!--"):
            return None
        length = 0 if is_piece else place.tag.end - place.tag.start
        behind = _point(skeleton, place.label_end) if place.label_end else None
        if behind is not None and not _is_same_in_all(skeleton, behind):
            return None
        planned.append(_Planned(place.tag.name, place.attribute, at, length, behind))
    last = _point(skeleton, end)
    return _Plan(tuple(planned), last) if _is_same_in_all(skeleton, last) else None


def _is_closed(piece: bytes) -> bool:
    """Whether what a comment holds for Outlook, which is read, ends in it: every tag, and every
    element in which text is no markup. Else words behind it would decide what is a tag.
    """
    condition = CONDITION.match(piece, len(b"<!--")) if piece.startswith(b"<!--[") else None
    if condition is None:
        return True
    at = piece.find(b"<", condition.end())
    while at >= 0:
        if _COMMENT_END.match(piece, at):
            return True
        tag = TAG.match(piece, at)
        if tag is None:
            return False
        name = tag[1].lower()
        if name in RAW_NAMES and piece.lower().find(b"</" + name, tag.end()) < 0:
            return False
        at = piece.find(b"<", tag.end())
    return True


def _point(skeleton: Skeleton, at: int) -> Point:
    """Where in which piece; of those that meet there the last, and behind all of them the end."""
    number = bisect_right(skeleton.starts, at) - 1
    return number, at - skeleton.starts[number]


def _is_same_in_all(skeleton: Skeleton, point: Point) -> bool:
    """Whether other words and addresses would not move it: it is in no text, and no such tag."""
    number, inside = point
    if number == len(skeleton.pieces):
        return True
    piece = skeleton.pieces[number]
    return number % 2 == 1 and (inside == 0 or piece.startswith(b"<!--"))


def _followed(plan: _Plan, document: bytes, skeleton: Skeleton, charset: str) -> Spots:
    links: list[Spot] = []
    images: list[Spot] = []
    starts, pieces = skeleton.starts, skeleton.pieces
    for tag, attribute, (number, inside), length, behind in plan.places:
        piece = pieces[number]
        if length:
            piece = piece[inside : inside + length]
        read = (_known_read if len(piece) <= _LONGEST_REMEMBERED else _read)(
            piece, tag, attribute, charset
        )
        if read is None:
            continue
        at = starts[number] + inside
        label = ""
        if behind is not None:
            label_end = starts[behind[0]] + behind[1]
            label = label_of(document, at + read.length, label_end, charset)
        spot = Spot(tag, at + read.start, at + read.end, read.quote, read.url, label, read.mark)
        (images if tag == b"img" else links).append(spot)
    return links, images, starts[plan.end[0]] + plan.end[1]


def _read(piece: bytes, name: bytes, attribute: bytes, charset: str) -> _Read | None:
    """The address of a tag; None where it is not in the charset."""
    length = _whole(piece)
    tag = Tag(name, 0, length, attributes(piece, 1 + len(name), length - 1))
    found = tag.attributes[attribute]
    url = address_of(found.raw, charset)
    if url is None:
        return None
    return _Read(found.start, found.end, found.quote, url, mark_of(tag), length)


_known_read: Final = lru_cache(maxsize=4096)(_read)
"""Most documents share most of their tags with others."""


def _whole(piece: bytes) -> int:
    return len(piece.rstrip(_BLANKS))
