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
    Attribute,
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


class Spot(NamedTuple):
    """An address in a document."""

    tag: Tag
    value: Attribute
    url: str
    """The address that is meant."""
    label: str = ""
    """Text of a link without its markup."""

    @property
    def is_web(self) -> bool:
        """Whether it is an http or https address with a host."""
        return is_web(self.url)


def is_web(url: str) -> bool:
    """Whether it is an http or https address with a host."""
    return _WEB.match(url) is not None


def find_spots(document: bytes, charset: str) -> tuple[list[Spot], list[Spot], int]:
    """Links, images, and where one more image can be put: before the last ``</body>``, or the end.

    `charset` is a codec that has ASCII in it. An address in octets that are none of it is left out.
    """
    links: list[Spot] = []
    images: list[Spot] = []
    end, at = -1, 0
    opened: tuple[Tag, Attribute] | None = None
    for tag in read_tags(document):
        name, at = tag.name, tag.end
        if name == b"img":
            _add(images, document, tag, tag.attributes.get(b"src"), charset)
        elif name == b"/body":
            end = tag.start
        else:
            if opened is not None and name in (b"a", b"/a"):
                _add(links, document, *opened, charset, tag.start)
                opened = None
            value = tag.attributes.get(b"href")
            if value is not None and name == b"a":
                opened = (tag, value)
            elif value is not None:
                _add(links, document, tag, value, charset)
    if end < 0:
        # Nothing is put into what a browser takes for a tag or a title that does not end.
        end = whole_until(document, at)
    if opened is not None:
        _add(links, document, *opened, charset, end)
    links.sort(key=lambda spot: spot.value.start)
    return links, images, end


def written(spot: Spot, url: str) -> tuple[int, int, bytes]:
    """The edit that puts another address, in ASCII, in the place of this one."""
    value = spot.value
    if value.quote:
        return value.start, value.end, escaped(url, value.quote).encode("ascii")
    plain = escaped(url, b'"').encode("ascii")
    made = b'"' + plain + b'"' if _NEEDS_QUOTES.search(plain) else plain
    return value.start, value.end, made


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


def _add(
    spots: list[Spot], document: bytes, tag: Tag, value: Attribute | None, charset: str,
    label_end: int = 0,
) -> None:  # fmt: skip
    if value is None:
        return
    try:
        url = unescaped_value(value.raw.decode(charset))
    except UnicodeDecodeError:
        return
    url = url.strip(_AROUND)
    if not url.isprintable():
        url = url.translate(_WITHIN)
    label = ""
    if label_end:
        label = unescaped(text_of(document, tag.end, label_end).decode(charset, "replace"))
    spots.append(Spot(tag, value, url, label.strip()))
