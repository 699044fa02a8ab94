"""8-bit and UTF-8 content for a hop that does not take it"""

from __future__ import annotations

import re
from typing import Final

from pillarbox.message.errors import CannotRender, TooComplex
from pillarbox.message.parts import Part, read_parts
from pillarbox.message.transfer import base64_lines, encode_text

# A changed byte would break the signature, or what is encrypted could no longer be read.
_SEALED: Final = frozenset(
    {
        "multipart/signed",
        "multipart/encrypted",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    }
)
_HAS_VERSION: Final = re.compile(rb"^mime-version[ \t]*:", re.IGNORECASE | re.MULTILINE)
_CONVERT_ELSEWHERE: Final = "Send it through a server that offers 8BITMIME."

_Edit = tuple[int, int, bytes]


def downgrade(content: bytes) -> bytes:
    """The same message in seven bits: each 8-bit leaf in quoted-printable or base64 (RFC 6152 §3).

    What a reader decodes is the same to the byte, and whatever had seven bits is untouched. Raises
    `CannotRender` (5.6.3) where this would change a signed or encrypted part, where a header is not
    ASCII, and where the structure does not permit it.
    """
    try:
        whole = read_parts(content)
    except TooComplex as error:
        raise CannotRender(f"it has 8-bit content, and {error.sentence}") from error
    edits: list[_Edit] = []
    _convert(content, whole, edits)
    if edits and not _HAS_VERSION.search(content, 0, whole.body):
        edits.insert(0, (0, 0, b"MIME-Version: 1.0\r\n"))
    result = _apply(content, edits)
    if not result.isascii():
        raise CannotRender(
            "it has 8-bit characters in a header or between its parts, which the next server "
            "does not take",
            fix=_CONVERT_ELSEWHERE,
        )
    return result


def _convert(content: bytes, part: Part, edits: list[_Edit]) -> None:
    if content[part.start : part.end].isascii():
        return
    if part.media_type in _SEALED:
        raise CannotRender(
            "it has a signed or encrypted part in 8 bits, which the next server does not take and "
            "which must not be changed",
            fix=_CONVERT_ELSEWHERE,
        )
    if part.parts:
        if part.encoding_at and part.encoding in ("8bit", "binary"):
            edits.append((*part.encoding_at, b" 7bit"))
        for inner in part.parts:
            _convert(content, inner, edits)
        return
    body = content[part.body : part.end]
    if body.isascii():
        return
    if part.media_type.startswith(("multipart/", "message/")):
        raise CannotRender(
            f"its {part.media_type} part is in 8 bits and may not be encoded (RFC 2046 §5)",
            fix=_CONVERT_ELSEWHERE,
        )
    if part.encoding not in ("", "7bit", "8bit", "binary"):
        raise CannotRender(
            f"a part that claims to be {part.encoding[:40]} has 8-bit characters in it",
            fix="Correct the program that wrote it.",
        )
    encoding, encoded = _encoded(body, part.media_type)
    if part.encoding_at:
        edits.append((*part.encoding_at, b" " + encoding))
    else:
        fields_end = part.body - 2
        field = b"Content-Transfer-Encoding: %b\r\n" % encoding
        edits.append((fields_end, fields_end, field))
    edits.append((part.body, part.end, encoded))


def _encoded(body: bytes, media_type: str) -> tuple[bytes, bytes]:
    if media_type.startswith("text/"):
        encoding, encoded = encode_text(body)
        if encoding != b"base64":
            return encoding, encoded
    return b"base64", base64_lines(body) + b"\r\n"


def _apply(content: bytes, edits: list[_Edit]) -> bytes:
    pieces: list[bytes] = []
    at = 0
    for start, end, replacement in edits:
        pieces += (content[at:start], replacement)
        at = end
    return b"".join((*pieces, content[at:]))
