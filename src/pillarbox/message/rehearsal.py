"""rehearsals: a message as it would leave, what would be done to it, and why, without sending it

The same `rendering` that delivery calls, told in full. Here nothing is decided and nothing changed.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from pillarbox.message.diff import Difference, differ
from pillarbox.message.facts import MessageFacts, Origin
from pillarbox.message.features import Finding
from pillarbox.message.header import HeaderBlock, split_content
from pillarbox.message.hygiene import tidy
from pillarbox.message.images import Embedded
from pillarbox.message.keys import NO_KEYS, RenderKeys
from pillarbox.message.options import Remark, resolve, tags_of
from pillarbox.message.render import RENDERER_VERSION, Hop, rendering
from pillarbox.message.tokens import KEY_OCTETS, TokenKind
from pillarbox.message.untouched import WHY_WORDS
from pillarbox.message.words import decode_words
from pillarbox.terms.ids import DeliveryId, delivery_id, first_message_at, format_message_id

MOST_SPOTS: Final = 1000
"""Links, and images, that are listed."""
MOST_REMARKS: Final = 100
REHEARSED_KEY: Final = 0
"""Number of the token key of a message that is only rehearsed; no store has one of this number."""
REHEARSED_TOKENS: Final = {REHEARSED_KEY: bytes(KEY_OCTETS)}
"""What such links are minted with. Everybody knows it, so no tracking host honours it."""
_SHOWN: Final = 500
_KINDS: Final = {
    TokenKind.CLICK: "link",
    TokenKind.IMAGE: "image",
    TokenKind.HOSTED: "embedded",
    TokenKind.PIXEL: "pixel",
}
_HOSTED: Final = "is served by the tracking host, and no longer travels with the message"
_PIXEL: Final = "was put in, because no image leads through the tracking host"


class Given(msgspec.Struct, frozen=True):
    """An option that holds, and who said so."""

    name: str
    value: str
    origin: str
    """``app``, ``credential``, ``request`` or ``header``."""


class Ignored(msgspec.Struct, frozen=True):
    """A header field that asked for something and is not obeyed."""

    name: str
    value: str
    reason: str


class Spot(msgspec.Struct, frozen=True):
    """A link or image of the HTML, and what becomes of it."""

    kind: str
    """``link``, ``image``, ``embedded`` (it travelled with the message) or ``pixel``."""
    position: int
    """Among the links, or the images, of the message, from 1; 0 for a pixel."""
    url: str
    label: str
    verdict: str
    """``tracked``, or why not, in a word for programs."""
    reason: str
    """The end of a sentence that begins with the link."""
    instead: str
    """The address that stands there now; empty where it is left alone."""


class HostedImage(msgspec.Struct, frozen=True):
    """An image that no longer travels with the message."""

    content_id: str
    media_type: str
    size_bytes: int
    digest: str
    """SHA-256 in hex, the name of its copy."""


class Sent(msgspec.Struct, frozen=True):
    """What left earlier, beside what would leave now."""

    digest: str
    """SHA-256 of the octets that left, in hex."""
    renderer: int
    """Version of the renderer then; 0 where nothing had to be rendered."""
    same: bool
    words: str


class Rehearsal(msgspec.Struct, frozen=True):
    """A message as it would leave."""

    name: str
    """What it was called by whoever asked: a file, or an id."""
    subject: str
    renderer: int
    """Version of the renderer; another one may write other bytes."""
    difference: Difference
    options: tuple[Given, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    links: tuple[Spot, ...] = ()
    more_links: int = 0
    """Links that are not listed."""
    images: tuple[Spot, ...] = ()
    more_images: int = 0
    hosted: tuple[HostedImage, ...] = ()
    signed_by: tuple[str, ...] = ()
    """DKIM keys, as ``domain/selector``, the uppermost signature first."""
    remarks: tuple[str, ...] = ()
    """Sentences about what could not be done, or had to be done besides."""
    recipient: str = ""
    """To whom, where it was taken already."""
    sent: Sent | None = None
    """Where it has left already."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What would hold for a message if it were handed over now."""

    at_ms: int
    """When that would be."""
    hostname: str = "localhost"
    """Whose it would be; its Message-ID, if it needs one, says so."""
    app: Mapping[str, str] = field(default_factory=dict)
    """Options of the app; as are the others."""
    credential: Mapping[str, str] = field(default_factory=dict)
    request: Mapping[str, str] = field(default_factory=dict)
    fixed: Container[str] = ()
    """Options that no header changes."""
    relays: bool = False
    """Whether the message was written by strangers, so that nothing is added and no header obeyed."""
    lenient: bool = False
    """Whether an option header that cannot be read is passed over."""
    return_path: str = ""
    tracking_host: str = ""
    tracking_https: bool = True
    exceptions: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it would be stored."""

    content: bytes
    facts: MessageFacts
    delivery: DeliveryId
    ignored: tuple[Remark, ...] = ()
    authors: tuple[str, ...] = ()


def arrive(content: bytes, asked: Asked) -> Arrived:
    """What the door would make of a message, but for its trace field. `content` has CRLF line ends.

    Raises what `tidy` and `resolve` raise: then it would be refused.
    """
    message = first_message_at(asked.at_ms)
    tidied = tidy(
        content,
        message_id=format_message_id(message),
        now_ms=asked.at_ms,
        hostname=asked.hostname,
        received=b"",
        relays=asked.relays,
        return_path=asked.return_path,
    )
    resolved = resolve(
        asked.app, asked.credential, asked.request, tidied.options,
        relays=asked.relays, fixed=asked.fixed, lenient=asked.lenient,
    )  # fmt: skip
    facts = MessageFacts(
        return_path=asked.return_path,
        recipients=(),
        origin=Origin("http"),
        submitter_kind="",
        submitter_name="",
        body="7BIT" if tidied.head.isascii() else "8BITMIME",
        smtputf8=tidied.eight_bit_header,
        options=resolved.options,
        tags=tags_of(resolved.options),
        key_ids=asked.key_ids,
        header_bytes=tidied.header_bytes,
        tracking_host=asked.tracking_host,
        tracking_https=asked.tracking_https,
        token_key=REHEARSED_KEY,
        exceptions=asked.exceptions,
    )
    return Arrived(tidied.head, facts, delivery_id(message, 1), resolved.remarks, tidied.authors)


def rehearse(
    name: str,
    arrived: Arrived,
    hop: Hop,
    keys: RenderKeys = NO_KEYS,
    *,
    came: bytes | None = None,
    remarks: Sequence[str] = (),
    left: str = "",
) -> tuple[Rehearsal, bytes]:
    """What would be done to a message, and the bytes that would leave.

    `came` is what was handed in, where that is not what is stored; `remarks` go before all others.
    With a reason for which it is `left` as it came, no feature is applied.
    Raises what `rendering` raises: then it could not be sent over this hop.
    """
    facts = arrived.facts
    done = rendering(arrived.content, facts, hop, keys, arrived.delivery, left=left)
    findings = done.changes.findings
    links = [each for each in findings if each.kind is TokenKind.CLICK]
    images = [each for each in findings if each.kind is not TokenKind.CLICK]
    said = (*remarks, *done.changes.remarks, *done.notes)
    header = HeaderBlock.parse(split_content(done.content)[0])
    told = Rehearsal(
        name=name,
        subject=decode_words((header.get("Subject") or b"")[:_SHOWN]),
        renderer=RENDERER_VERSION,
        difference=differ(arrived.content if came is None else came, done.content),
        options=tuple(
            Given(option, value.value, value.origin) for option, value in facts.options.items()
        ),
        ignored=tuple(Ignored(*each) for each in arrived.ignored),
        links=tuple(map(_spot, links[:MOST_SPOTS])),
        more_links=max(0, len(links) - MOST_SPOTS),
        images=tuple(map(_spot, images[:MOST_SPOTS])),
        more_images=max(0, len(images) - MOST_SPOTS),
        hosted=tuple(map(_hosted, done.changes.hosted)),
        signed_by=done.signed_by,
        remarks=said[:MOST_REMARKS],
    )
    return told, done.content


def _spot(finding: Finding) -> Spot:
    return Spot(
        _KINDS[finding.kind],
        finding.position,
        _cut(finding.url),
        _cut(" ".join(finding.label.split())),
        finding.why,
        _reason(finding),
        finding.instead,
    )


def _reason(finding: Finding) -> str:
    if finding.kind is TokenKind.HOSTED:
        return _HOSTED
    return _PIXEL if finding.kind is TokenKind.PIXEL else WHY_WORDS[finding.why]


def _hosted(image: Embedded) -> HostedImage:
    return HostedImage(_cut(image.part.content_id), image.media_type, len(image.data), image.digest)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
