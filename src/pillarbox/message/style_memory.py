"""inlined styles, remembered by the skeleton of their document

What is remembered gives the same octets as what is worked out: it is only kept where it stands in
pieces that every document with this skeleton has, and said by their number.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

from pillarbox.message.skeleton import (
    Skeleton,
    is_behind_name,
    is_shortened,
    skeleton_of,
    style_span,
)

_MOST_DOCUMENTS: Final = 64
_MOST_EDITS: Final = 5000
_MOST_OCTETS: Final = 256 * 1024
"""Of one document; the same styles again count again."""
Edit = tuple[int, int, bytes]
"""From, to, and what stands there instead."""

Place = tuple[int, int, int, bytes]
"""Number of a piece; from and to within it, from below 0 for its own style; and what stands there."""


class StyleMemory:
    """The last documents, by their skeletons. Holds a few megabytes at most."""

    def __init__(self) -> None:
        """Nothing is known."""
        self._known: OrderedDict[bytes, tuple[Place, ...]] = OrderedDict()

    def __len__(self) -> int:
        """How many skeletons are known."""
        return len(self._known)

    def known(self, document: bytes, charset: str) -> list[Edit] | None:
        """The edits of a document whose like was seen; None where it has to be worked out."""
        if not self._known:
            return None
        skeleton = skeleton_of(document, charset)
        return None if skeleton is None else self._recalled(skeleton)

    def edits(
        self,
        document: bytes,
        charset: str,
        work_out: Callable[[bytes, str], list[Edit]],
    ) -> list[Edit]:
        """As `known`, or else what working it out gives, which is known from now on."""
        skeleton = skeleton_of(document, charset)
        found = None if skeleton is None else self._recalled(skeleton)
        if found is None:
            found = work_out(document, charset)
            if skeleton is not None:
                self._keep(skeleton, found)
        return found

    def keep(self, document: bytes, charset: str, edits: Sequence[Edit]) -> None:
        """Remember what was worked out elsewhere, where it is worth it."""
        skeleton = skeleton_of(document, charset)
        if skeleton is not None:
            self._keep(skeleton, edits)

    def _keep(self, skeleton: Skeleton, edits: Sequence[Edit]) -> None:
        places = _places(skeleton, edits)
        if places is not None:
            self._known[skeleton.key] = places
            while len(self._known) > _MOST_DOCUMENTS:
                self._known.popitem(last=False)

    def _recalled(self, skeleton: Skeleton) -> list[Edit] | None:
        places = self._known.get(skeleton.key)
        if places is None:
            return None
        self._known.move_to_end(skeleton.key)
        starts, pieces = skeleton.starts, skeleton.pieces
        edits: list[Edit] = []
        for piece, start, end, value in places:
            begin = starts[piece]
            span = (start, end) if start >= 0 else style_span(pieces[piece])
            edits.append((begin + span[0], begin + span[1], value))
        return edits


def _places(skeleton: Skeleton, edits: Sequence[Edit]) -> tuple[Place, ...] | None:
    """None where a place is not the same in all documents of this skeleton, or there are too many."""
    if len(edits) > _MOST_EDITS or sum(len(value) for _, _, value in edits) > _MOST_OCTETS:
        return None
    starts, pieces = skeleton.starts, skeleton.pieces
    places: list[Place] = []
    for begin, stop, value in edits:
        number = bisect_right(starts, begin) - 1
        piece = pieces[number]
        start, end = begin - starts[number], stop - starts[number]
        if number % 2 == 0 or end > len(piece):
            return None
        if is_shortened(piece) and not is_behind_name(piece, start, end):
            if style_span(piece) != (start, end):
                return None
            start = end = -1
        places.append((number, start, end, value))
    return tuple(places)
