"""features: styles, links and images of the HTML bodies, changed as the options of a message ask

Positions are counted over the whole message, in the order of its octets: the same address twice is
two links. All edits are of the message as it came, so none disturbs another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple
from urllib.parse import unquote

from pillarbox.message.bodies import Body, Edit, Unreadable, put_back, read_bodies
from pillarbox.message.css import has_styles, style_edits
from pillarbox.message.errors import CannotInline
from pillarbox.message.images import Embedded, content_id_of, embedded_images, removals
from pillarbox.message.links import Spot, in_ascii, written
from pillarbox.message.markup import unescaped_value
from pillarbox.message.readable import readable_tail
from pillarbox.message.spot_memory import SpotMemory
from pillarbox.message.style_memory import StyleMemory
from pillarbox.message.tokens import MAX_POSITION, MAX_TARGET_OCTETS, TokenKind
from pillarbox.message.untouched import Rules, Why, judge_image, judge_link

MAX_TRACKED: Final = 2000
"""Links, and images, of one message that lead through us."""
MAX_STYLE_OCTETS: Final = 4 * 1024 * 1024
"""Style attributes of one message, all together."""
_TOO_MUCH: Final = CannotInline(
    f"those of the whole message would take more than {MAX_STYLE_OCTETS} octets in its elements"
).sentence
_PIXEL: Final = (
    '<img src="{}" width="1" height="1" alt="" border="0" '
    'style="display:block;width:1px;height:1px;border:0">'
)

_IMAGE: Final = "/image."
"""What is readable of an image that has no address of its own."""
_CID: Final = re.compile(rb"cid:([^\s\"'<>()]+)", re.IGNORECASE)

_SPOTS: Final = SpotMemory()
"""Of this process."""

Styles = tuple[tuple[Edit, ...] | str, ...]
"""For each HTML body that can be read, in order: the edits of its document that inline its styles, or
why they cannot be.
"""

Address = Callable[[TokenKind, int, str, str], str]
"""Kind, position, target and readable tail give an address of the tracking host, in ASCII."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be done."""

    inline_css: bool = False
    track_clicks: bool = False
    track_opens: bool = False
    host_images: bool = False
    unsubscribe: bool = False
    """A List-Unsubscribe field, which is none of the body's business."""
    rules: Rules = field(default_factory=lambda: Rules(""))

    @property
    def any(self) -> bool:
        """Whether anything is."""
        return self.changes_bodies or self.unsubscribe

    @property
    def changes_bodies(self) -> bool:
        """Whether the parts of the message are looked through."""
        return self.inline_css or self.tracks

    @property
    def tracks(self) -> bool:
        """Whether links and images are looked for."""
        return self.track_clicks or self.track_opens or self.host_images

    @property
    def needs_tokens(self) -> bool:
        """Whether addresses of the tracking host come into it."""
        return self.tracks or self.unsubscribe

    def without_tokens(self) -> Wishes:
        """The others."""
        return Wishes(inline_css=self.inline_css)


class Finding(NamedTuple):
    """A link or image, and what became of it."""

    kind: TokenKind
    position: int
    url: str
    label: str
    why: Why
    instead: str = ""
    """The address that stands there now; empty where it was left alone."""


@dataclass(slots=True)
class Changes:
    """What has to be changed in a message, and what there is to say about it."""

    edits: list[Edit] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """Sentences about what could not be done."""
    hosted: list[Embedded] = field(default_factory=list)
    """Images that no longer travel with it; their copies must be there before it leaves."""


def styles_of(content: bytes) -> Styles:
    """What inlining comes to for this message. The same for all its recipients, and the dear part."""
    inlining = _Inlining()
    return tuple(
        inlining.of(body)
        for body in read_bodies(content).bodies
        if not isinstance(body, Unreadable)
    )


def no_styles(content: bytes) -> Styles | None:
    """What `styles_of` gives where no document has a style sheet; None where one has."""
    found: list[tuple[Edit, ...]] = []
    for body in read_bodies(content).bodies:
        if isinstance(body, Body):
            if has_styles(body.document):
                return None
            found.append(())
    return tuple(found)


def known_styles(content: bytes, memory: StyleMemory) -> Styles | None:
    """What `styles_of` gives where each document has no style sheet or is like one that was seen."""
    found: list[tuple[Edit, ...]] = []
    room = MAX_STYLE_OCTETS
    for body in read_bodies(content).bodies:
        if isinstance(body, Body):
            edits: list[Edit] | None = []
            if has_styles(body.document):
                edits = memory.known(body.document, body.charset)
            if edits is None:
                return None
            found.append(tuple(edits))
            room -= sum(len(edit[2]) for edit in edits)
    return tuple(found) if room >= 0 else None


def remember_styles(content: bytes, styles: Styles, memory: StyleMemory) -> None:
    """Of this content, for `known_styles`."""
    bodies = [body for body in read_bodies(content).bodies if isinstance(body, Body)]
    for body, found in zip(bodies, styles, strict=False):
        if not isinstance(found, str) and has_styles(body.document):
            memory.keep(body.document, body.charset, found)


def changes_of(
    content: bytes, wishes: Wishes, address: Address, styles: Styles | None = None
) -> Changes:
    """What the wishes come to for this message. Raises `TooComplex`, and nothing else.

    `styles` spares finding out what `styles_of` gives.
    """
    return _Work(content, wishes, address, styles).done()


class _Inlining:
    """The styles of one message, document by document, within what all of them may take.

    What a small sheet says of many elements is written once for each of them.
    """

    __slots__ = ("_room",)

    def __init__(self) -> None:
        self._room = MAX_STYLE_OCTETS

    def of(self, body: Body) -> tuple[Edit, ...] | str:
        """Those of the next one, or why they stay where they are."""
        if not has_styles(body.document):
            return ()
        if self._room < 0:
            return _TOO_MUCH  # nor is another begun
        try:
            edits = tuple(style_edits(body.document, body.charset))
        except CannotInline as error:
            return error.sentence
        self._room -= sum(len(edit[2]) for edit in edits)
        return edits if self._room >= 0 else _TOO_MUCH


class _Document:
    """One HTML body, with its links and images."""

    __slots__ = ("body", "end", "images", "links")

    def __init__(self, body: Body, wishes: Wishes) -> None:
        self.body = body
        self.links: list[Spot] = []
        self.images: list[Spot] = []
        self.end = len(body.document)
        if wishes.tracks:
            self.links, self.images, self.end = _SPOTS.spots(body.document, body.charset)
        if self.end == len(body.document):
            self.end = len(body.document.rstrip(b"\r\n"))  # what ended a line still does


class _Work:
    """One message."""

    def __init__(
        self, content: bytes, wishes: Wishes, address: Address, styles: Styles | None
    ) -> None:
        self._content = content
        self._reading = read_bodies(content)
        self._wishes = wishes
        self._address = address
        self._styles = styles
        self._inlining = _Inlining()
        self._changes = Changes()
        self._links = 0
        self._images = 0
        self._embedded: dict[str, Embedded] = {}
        self._used: set[str] = set()

    def done(self) -> Changes:
        changes = self._changes
        documents: list[_Document] = []
        for body in self._reading.bodies:
            if isinstance(body, Unreadable):
                changes.remarks.append(f"An HTML part was left as it came: {body.why}.")
            else:
                documents.append(_Document(body, self._wishes))
        # A part that nobody could read may show any of them.
        if self._wishes.host_images and not changes.remarks:
            self._embedded = self._replaceable(documents)
        for number, document in enumerate(documents):
            edits = self._document(number, document)
            changes.edits += put_back(self._content, document.body, edits)
        changes.hosted = [self._embedded[cid] for cid in self._used]
        changes.hosted.sort(key=lambda image: image.part.start)
        changes.edits += removals(changes.hosted)
        changes.edits.sort()
        return changes if _are_apart(changes.edits) else _left(changes)

    def _replaceable(self, documents: Iterable[_Document]) -> dict[str, Embedded]:
        """Images that are shown by nothing but what can lead elsewhere: no style, no background."""
        found = embedded_images(self._content, self._reading.whole)
        if not found:
            return found
        named: Counter[str] = Counter()
        shown: Counter[str] = Counter()
        for document in documents:
            shown.update(content_id_of(spot) for spot in document.images)
            for match in _CID.finditer(document.body.document):
                named[unquote(unescaped_value(match[1].decode("latin-1")))] += 1
        return {cid: image for cid, image in found.items() if named[cid] <= shown[cid]}

    def _document(self, number: int, document: _Document) -> list[Edit]:
        wishes, charset = self._wishes, document.body.charset
        edits = self._inlined(number, document.body) if wishes.inline_css else []
        if wishes.track_clicks:
            for spot in document.links:
                self._links += 1
                why = judge_link(spot, wishes.rules)
                if self._links > MAX_TRACKED and why is Why.TRACKED:
                    why = Why.TOO_MANY
                edits += self._tracked(TokenKind.CLICK, self._links, spot, why, charset)
        for spot in document.images:
            self._images += 1
            embedded = self._embedded.get(content_id_of(spot))
            if embedded is not None:
                edits.append(self._hosted(spot, embedded))
            elif wishes.track_opens:
                why = judge_image(spot, wishes.rules)
                if self._images > MAX_TRACKED and why is Why.TRACKED:
                    why = Why.TOO_MANY
                edits += self._tracked(TokenKind.IMAGE, self._images, spot, why, charset)
        # A hosted image tells of nobody: programs keep it, and it may be hosted without tracking.
        tracked = any(
            each.instead and each.kind is TokenKind.IMAGE for each in self._changes.findings
        )
        if wishes.track_opens and not tracked:
            instead = self._address(TokenKind.PIXEL, 0, "", _IMAGE + "gif")
            pixel = _PIXEL.format(instead).encode("ascii")
            edits.append((document.end, document.end, pixel))
            self._changes.findings.append(Finding(TokenKind.PIXEL, 0, "", "", Why.TRACKED, instead))
        return edits

    def _inlined(self, number: int, body: Body) -> list[Edit]:
        known = self._styles is not None and number < len(self._styles)
        found = (
            self._styles[number] if self._styles is not None and known else self._inlining.of(body)
        )
        if isinstance(found, str):
            self._changes.remarks.append(found)
            return []
        return list(found)

    def _tracked(
        self, kind: TokenKind, position: int, spot: Spot, why: Why, charset: str
    ) -> list[Edit]:
        instead = ""
        if why is Why.TRACKED:
            target = in_ascii(spot.url, charset)
            if len(target) > MAX_TARGET_OCTETS:
                why = Why.TOO_LONG
            else:
                instead = self._address(kind, position, target, readable_tail(target))
        self._changes.findings.append(Finding(kind, position, spot.url, spot.label, why, instead))
        return [written(spot, instead)] if instead else []

    def _hosted(self, spot: Spot, image: Embedded) -> Edit:
        self._used.add(image.part.content_id)
        ending = _IMAGE + image.media_type.removeprefix("image/")
        position = min(self._images, MAX_POSITION)
        instead = self._address(TokenKind.HOSTED, position, image.digest, ending)
        self._changes.findings.append(
            Finding(TokenKind.HOSTED, position, spot.url, "", Why.TRACKED, instead)
        )
        return written(spot, instead)


def _are_apart(edits: Sequence[Edit]) -> bool:
    return all(one[1] <= other[0] for one, other in pairwise(edits))


def _left(changes: Changes) -> Changes:
    """Where parts lie across each other nothing may be changed."""
    remark = "It was left as it came: its parts overlap, so none of them can be changed alone."
    return Changes(remarks=[*changes.remarks, remark])
