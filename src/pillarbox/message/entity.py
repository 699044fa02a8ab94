"""MIME entities of our own making: fields, body, and several joined into one (RFC 2045, RFC 2046)"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from pillarbox.message.transfer import encode_text

# In base64 no "=" is followed by anything but "=", in quoted-printable by hex digits or a line end;
# so only unencoded text could contain this, and then it is encoded.
_BOUNDARY_START: Final = b"=_"


class Entity(NamedTuple):
    """The MIME fields, each with its line end, and the body as it travels."""

    fields: bytes
    body: bytes

    def to_bytes(self) -> bytes:
        """Fields, blank line, body."""
        return self.fields + b"\r\n" + self.body


def text_entity(subtype: str, text: str) -> Entity:
    """Text in UTF-8 with CRLF line ends, whatever line ends it came with, in 7 bits."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    encoding, body = encode_text(
        lines.encode("utf-8", "replace"), also_unlike=b"--" + _BOUNDARY_START
    )
    return Entity(
        b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n"
        % (subtype.encode("ascii"), encoding),
        body,
    )


def multipart(subtype: str, seed: str, parts: Sequence[Entity], parameters: str = "") -> Entity:
    """Entities in one; the same `seed` and subtype give the same boundary, hence the same bytes.

    `parameters` are further ones of the Content-Type, as in ``report-type=delivery-status;``.
    """
    boundary = _boundary(subtype, seed, parts)
    kind = f"multipart/{subtype}; {parameters}".rstrip().removesuffix(";")
    opening = b"--" + boundary + b"\r\n"
    pieces = [opening + part.to_bytes() + b"\r\n" for part in parts]
    return Entity(
        b'Content-Type: %b;\r\n boundary="%b"\r\n' % (kind.encode("ascii"), boundary),
        b"".join(pieces) + b"--" + boundary + b"--\r\n",
    )


def _boundary(subtype: str, seed: str, parts: Sequence[Entity]) -> bytes:
    """A line that none of the parts contains: what others wrote may be among them."""
    number = 0
    while True:
        digest = sha256(f"{subtype} {number} {seed}".encode()).hexdigest()[:24]
        boundary = _BOUNDARY_START + digest.encode("ascii")
        if not any(boundary in part.body for part in parts):
            return boundary
        number += 1
