"""embedded images become hosted ones: the parts leave, and what shows them points to their copies"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from pillarbox.message.bodies import SEALED, Edit
from pillarbox.message.links import Spot
from pillarbox.message.parts import Part

HOSTED_TYPES: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif"}
)
"""What a browser shows and never runs: SVG is not among them."""
_BEGINNINGS: Final = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
    "image/bmp": (b"BM",),
    "image/avif": (b"\0\0\0",),
}
MAX_OCTETS: Final = 10 * 1024 * 1024
_CID: Final = "cid:"


@dataclass(frozen=True, slots=True)
class Embedded:
    """An image that travels with the message."""

    part: Part
    edge: tuple[int, int]
    """What leaves with it: from its boundary line to before the next one."""
    data: bytes
    media_type: str
    digest: str
    """SHA-256 of `data` in hex, the name of its copy."""


def embedded_images(content: bytes, whole: Part) -> dict[str, Embedded]:
    """Images that can be hosted, by Content-ID; of two with one id neither, and none where a
    multipart would be left without a part (RFC 2046 §5.1.1).
    """
    found: dict[str, Embedded] = {}
    twice: set[str] = set()
    for part in _parts(whole):
        if not part.content_id or part.media_type not in HOSTED_TYPES:
            continue
        image = _image(content, part)
        if image is not None:
            if part.content_id in found:
                twice.add(part.content_id)
            found[part.content_id] = image
    for cid in twice:
        del found[cid]
    for multipart in _multiparts(whole):
        inside = [found.get(part.content_id) for part in multipart.parts]
        goes = zip(inside, multipart.parts, strict=True)
        if all(image is not None and image.part is part for image, part in goes):
            for part in multipart.parts:
                del found[part.content_id]
    return found


def content_id_of(spot: Spot) -> str:
    """The Content-ID that an address names (RFC 2392); empty for any other address."""
    if spot.url[: len(_CID)].lower() != _CID:
        return ""
    return unquote(spot.url[len(_CID) :])


def removals(images: Iterable[Embedded]) -> list[Edit]:
    """What takes these parts out of the message; their multipart stays, with one part less."""
    return [(*image.edge, b"") for image in images]


def _parts(whole: Part) -> Iterator[Part]:
    if whole.media_type in SEALED or whole.media_type.startswith("message/"):
        return
    for part in whole.parts:
        if not part.parts:
            yield part
        yield from _parts(part)


def _multiparts(whole: Part) -> Iterator[Part]:
    if whole.parts and whole.media_type not in SEALED:
        yield whole
        for part in whole.parts:
            yield from _multiparts(part)


def _image(content: bytes, part: Part) -> Embedded | None:
    """None where it is not what it says, or where its boundary line is not found."""
    raw = content[part.body : part.end]
    if part.encoding == "base64":
        try:
            data = binascii.a2b_base64(raw)
        except binascii.Error:
            return None
    elif part.encoding == "binary":
        data = raw
    else:
        return None
    if not data.startswith(_BEGINNINGS[part.media_type]) or len(data) > MAX_OCTETS:
        return None
    line = content.rfind(b"\r\n", 0, part.start - 2) + 2
    behind = content.find(b"\r\n", part.end)
    if not content.startswith(b"--", line) or behind != part.end:
        return None
    digest = hashlib.sha256(data).hexdigest()
    return Embedded(part, (line, part.end + 2), data, part.media_type, digest)
