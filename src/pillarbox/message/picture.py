"""which kind of image some bytes are, by how they begin and by nothing else

What calls itself an image may be a page with scripts in it. What is named here a browser shows and
never runs; SVG is a program as well as a picture, and is not among them.
"""

from __future__ import annotations

from typing import Final

_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\0\0\1\0", "image/x-icon"),
)
_AVIF: Final = frozenset({b"avif", b"avis"})
_BMP_HEADERS: Final = frozenset({12, 40, 52, 56, 64, 108, 124})

PIXEL: Final = (
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02"
    b"D\x01\0;"
)
"""A transparent image of one pixel."""


def image_type(data: bytes) -> str:
    """Such as ``image/png``; empty for anything that is not known to be an image."""
    for beginning, media_type in _BEGINNINGS:
        if data.startswith(beginning):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:8] == b"ftyp" and data[8:12] in _AVIF:
        return "image/avif"
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "image/bmp"
    return ""
