"""features: styles, links and images of the HTML bodies, changed as the options of a message ask

Positions are counted over the whole message, in the order of its octets: the same address twice is
two links. All edits are of the message as it came, so none disturbs another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pillarbox.message.bodies import Body, Edit, Unreadable, find_bodies, put_back
from pillarbox.message.css import style_edits
from pillarbox.message.errors import CannotInline
from pillarbox.message.images import Embedded, content_id_of, embedded_images, removals
from pillarbox.message.links import Spot, find_spots, in_ascii, written
from pillarbox.message.parts import Part
from pillarbox.message.readable import readable_tail
from pillarbox.message.tokens import TokenKind
from pillarbox.message.untouched import Rules, Why, judge_image, judge_link

MAX_TRACKED: Final = 2000
"""Links, and images, of one message that lead through us."""
_PIXEL: Final = (
    '<img src="{}" width="1" height="1" alt="" border="0" '
    'style="display:block;width:1px;height:1px;border:0">'
)

Address = Callable[[TokenKind, int, str, str], str]
"""Kind, position, target and readable tail give an address of the tracking host, in ASCII."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be done."""

    inline_css: bool = False
    track_clicks: bool = False
    track_opens: bool = False
    host_images: bool = False
    rules: Rules = field(default_factory=lambda: Rules(""))

    @property
    def any(self) -> bool:
        """Whether anything is."""
        return self.inline_css or self.track_clicks or self.track_opens or self.host_images


@dataclass(frozen=True, slots=True)
class Finding:
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


def changes_of(content: bytes, whole: Part, wishes: Wishes, address: Address) -> Changes:
    """What the wishes come to for this message. Never raises for what a message may contain."""
    return _Work(content, whole, wishes, address).done()


class _Work:
    """One message."""

    def __init__(self, content: bytes, whole: Part, wishes: Wishes, address: Address) -> None:
        self._content = content
        self._whole = whole
        self._wishes = wishes
        self._address = address
        self._changes = Changes()
        self._links = 0
        self._images = 0
        self._embedded = embedded_images(content, whole) if wishes.host_images else {}
        self._used: set[str] = set()

    def done(self) -> Changes:
        changes = self._changes
        for body in find_bodies(self._content, self._whole):
            if isinstance(body, Unreadable):
                changes.remarks.append(f"An HTML part was left as it came: {body.why}.")
                self._embedded = {}  # it may show any of them
            else:
                changes.edits += put_back(self._content, body, self._document(body))
        changes.hosted = [self._embedded[cid] for cid in self._used if cid in self._embedded]
        changes.hosted.sort(key=lambda image: image.part.start)
        changes.edits += removals(changes.hosted)
        changes.edits.sort()
        return changes

    def _document(self, body: Body) -> list[Edit]:
        wishes, document = self._wishes, body.document
        edits: list[Edit] = []
        if wishes.inline_css:
            try:
                edits += style_edits(document, body.charset)
            except CannotInline as error:
                self._changes.remarks.append(error.sentence)
        if not (wishes.track_clicks or wishes.track_opens or wishes.host_images):
            return edits
        links, images, end = find_spots(document, body.charset)
        if wishes.track_clicks:
            for spot in links:
                self._links += 1
                why = judge_link(spot, wishes.rules)
                if self._links > MAX_TRACKED and why is Why.TRACKED:
                    why = Why.TOO_MANY
                edits += self._tracked(TokenKind.CLICK, self._links, spot, why, body.charset)
        for spot in images:
            self._images += 1
            embedded = self._embedded.get(content_id_of(spot))
            if embedded is not None:
                edits.append(self._hosted(spot, embedded))
            elif wishes.track_opens:
                why = judge_image(spot, wishes.rules)
                if self._images > MAX_TRACKED and why is Why.TRACKED:
                    why = Why.TOO_MANY
                edits += self._tracked(TokenKind.IMAGE, self._images, spot, why, body.charset)
        tracked = any(
            each.instead and each.kind is not TokenKind.CLICK for each in self._changes.findings
        )
        if wishes.track_opens and not tracked:
            pixel = _PIXEL.format(self._address(TokenKind.PIXEL, 0, "", ".gif"))
            edits.append((end, end, pixel.encode("ascii")))
        return edits

    def _tracked(
        self, kind: TokenKind, position: int, spot: Spot, why: Why, charset: str
    ) -> list[Edit]:
        instead = ""
        if why is Why.TRACKED:
            target = in_ascii(spot.url, charset)
            instead = self._address(kind, position, target, readable_tail(target))
        self._changes.findings.append(Finding(kind, position, spot.url, spot.label, why, instead))
        return [written(spot, instead)] if instead else []

    def _hosted(self, spot: Spot, image: Embedded) -> Edit:
        self._used.add(image.part.content_id)
        ending = "." + image.media_type.removeprefix("image/")
        instead = self._address(TokenKind.HOSTED, self._images, image.digest, ending)
        self._changes.findings.append(
            Finding(TokenKind.HOSTED, self._images, spot.url, "", Why.TRACKED, instead)
        )
        return written(spot, instead)
