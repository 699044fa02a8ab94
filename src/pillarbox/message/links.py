"""links and images of an HTML document: found by byte span, judged, and put elsewhere

Only the octets of a value change. What a browser would make of a value is what counts: character
references are replaced, blanks around it and line ends in it do not belong to the address.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote

import idna

from pillarbox.message.markup import (
    Tag,
    escaped,
    read_tags,
    text_of,
    unescaped,
    unescaped_value,
    whole_until,
)

_WEB: Final = re.compile(r"https?://[^/?#\\]", re.IGNORECASE)
_AROUND: Final = "".join(map(chr, range(33)))
_WITHIN: Final = str.maketrans("", "", "\t\r\n")
_NEEDS_QUOTES: Final = re.compile(rb"[ \t\r\n\f\"'=<>`]|^$")
_QUERY: Final = re.compile(r"[?#]")
_AUTHORITY: Final = re.compile(r"(https?://(?:[^/?#\\@]*@)?)([^/?#\\:@]*)", re.IGNORECASE)
_UNSAFE: Final = re.compile(r"[^!-~]")
# As browsers leave them: what is reserved or unreserved, and percent signs.
_KEPT: Final = "%/:?#[]@!$&'()*+,;=~-._|^`{}\\\"<>"


MARK: Final = b"data-pillarbox"
"""Attribute of a link or image: ``off`` leaves it as it is, ``on`` tracks what looks like one of
those that are left alone."""


class Spot(NamedTuple):
    """An address in a document."""

    tag: bytes
    """Name of the tag that has it, in lower case."""
    start: int
    end: int
    """Where it stands, without its quotes."""
    quote: bytes
    url: str
    """The address that is meant."""
    label: str = ""
    """Text of a link without its markup."""
    mark: bytes = b""
    """What `MARK` says, in lower case."""

    @property
    def is_web(self) -> bool:
        """Whether it is an http or https address with a host."""
        return is_web(self.url)


class Place(NamedTuple):
    """A tag that has an address, whatever it is."""

    tag: Tag
    attribute: bytes
    label_end: int
    """Where the text of a link ends, which begins behind the tag; 0 where it has none."""


Spots = tuple[list[Spot], list[Spot], int]
"""Links, images, and where one more image can be put: before the last ``</body>``, or the end."""


def is_web(url: str) -> bool:
    """Whether it is an http or https address with a host."""
    return _WEB.match(url) is not None


def find_spots(document: bytes, charset: str) -> Spots:
    """All of them. `charset` is a codec that has ASCII in it. An address in octets that are none of
    it is left out.
    """
    places, end = find_places(document)
    links: list[Spot] = []
    images: list[Spot] = []
    for place in places:
        tag = place.tag
        found = tag.attributes[place.attribute]
        url = address_of(found.raw, charset)
        if url is not None:
            label = label_of(document, tag.end, place.label_end, charset)
            spot = Spot(tag.name, found.start, found.end, found.quote, url, label, mark_of(tag))
            (images if tag.name == b"img" else links).append(spot)
    return links, images, end


def find_places(document: bytes) -> tuple[list[Place], int]:
    """Where links and images stand, in order, and where one more image can be put."""
    places: list[Place] = []
    end, at = -1, 0
    opened: Tag | None = None
    for tag in read_tags(document):
        name, at = tag.name, tag.end
        if name == b"img":
            if b"src" in tag.attributes:
                places.append(Place(tag, b"src", 0))
        elif name == b"/body":
            end = tag.start
        else:
            if opened is not None and name in (b"a", b"/a"):
                places.append(Place(opened, b"href", tag.start))
                opened = None
            if b"href" in tag.attributes:
                if name == b"a":
                    opened = tag
                else:
                    places.append(Place(tag, b"href", 0))
    if end < 0:
        # Nothing is put into what a browser takes for a tag or a title that does not end.
        end = whole_until(document, at)
    if opened is not None:
        places.append(Place(opened, b"href", end))
    places.sort(key=_place_start)
    return places, end


def address_of(raw: bytes, charset: str) -> str | None:
    """What a browser would make of the value of an attribute; None where it is not in the charset."""
    try:
        url = unescaped_value(raw.decode(charset))
    except UnicodeDecodeError:
        return None
    url = url.strip(_AROUND)
    return url if url.isprintable() else url.translate(_WITHIN)


def label_of(document: bytes, start: int, end: int, charset: str) -> str:
    """The text of a link; empty where it has no `end`, or ends before it begins."""
    if end <= start:
        return ""
    return unescaped(text_of(document, start, end).decode(charset, "replace")).strip()


def mark_of(tag: Tag) -> bytes:
    """What its `MARK` says, in lower case."""
    value = tag.attributes.get(MARK)
    return value.raw.strip().lower() if value is not None else b""


def _place_start(place: Place) -> int:
    return place.tag.attributes[place.attribute].start


def written(spot: Spot, url: str) -> tuple[int, int, bytes]:
    """The edit that puts another address, in ASCII, in the place of this one."""
    if spot.quote:
        return spot.start, spot.end, escaped(url, spot.quote).encode("ascii")
    plain = escaped(url, b'"').encode("ascii")
    made = b'"' + plain + b'"' if _NEEDS_QUOTES.search(plain) else plain
    return spot.start, spot.end, made


def in_ascii(url: str, charset: str) -> str:
    """The address as a browser would ask for it: its host in A-labels, what else is beyond ASCII
    percent-encoded, in the query in the charset of the document.
    """
    if not _UNSAFE.search(url):
        return url
    authority = _AUTHORITY.match(url)
    if authority is not None and not authority[2].isascii():
        with suppress(idna.IDNAError):
            host = idna.encode(authority[2], uts46=True).decode("ascii")
            url = authority[1] + host + url[authority.end() :]
    found = _QUERY.search(url)
    cut = len(url) if found is None else found.start()
    before, behind = url[:cut], url[cut:]
    query, mark, fragment = behind.partition("#")
    try:
        written = quote(query, safe=_KEPT, encoding=charset)
    except (UnicodeEncodeError, LookupError):
        written = quote(query, safe=_KEPT)
    return quote(before, safe=_KEPT) + written + mark + quote(fragment, safe=_KEPT)
