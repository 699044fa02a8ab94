"""content transfer encodings (RFC 2045 §6): which one fits some bytes, and applying it"""

from __future__ import annotations

import binascii
import re
from typing import Final

MAX_LINE_OCTETS: Final = 998
"""Without the line end (RFC 5322 §2.1.1)."""

_BASE64_COLUMNS: Final = 76
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_SAFE_IN_LINES: Final = bytes(range(32, 127)) + b"\t\r\n"
# Where more than a quarter of a text must be written as =XX, nobody could read it raw anyway, and
# base64 is shorter.
_MOSTLY_FOREIGN: Final = 4


def encode_text(text: bytes, *, also_unlike: bytes = b"") -> tuple[bytes, bytes]:
    """The name of the encoding chosen for a text with CRLF line ends, and the text in it.

    Text that may travel as it is stays as it is, unless it contains `also_unlike` (a boundary).
    What is encoded decodes to exactly the bytes given.
    """
    foreign = len(text.translate(None, _SAFE_IN_LINES))
    lines_end_well = text.count(b"\r") == text.count(b"\n") == text.count(b"\r\n")
    unlike = not also_unlike or also_unlike not in text
    if not foreign and lines_end_well and unlike and fits_lines(text):
        return b"7bit", text
    if lines_end_well and foreign * _MOSTLY_FOREIGN <= len(text):
        return b"quoted-printable", quoted_printable(text)
    return b"base64", base64_lines(text)


def fits_lines(text: bytes) -> bool:
    """Whether no line is longer than a header or body line may be."""
    return len(text) <= MAX_LINE_OCTETS or max(map(len, text.split(b"\r\n"))) <= MAX_LINE_OCTETS


def with_mail_line_ends(data: bytes) -> bytes:
    """CRLF behind every line, whatever it ended in; all else as it was."""
    if data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r"):
        return data
    return _LINE_END.sub(b"\r\n", data)


def quoted_printable(text: bytes) -> bytes:
    """`text`, all of whose line ends are CRLF, in lines of at most 76 octets."""
    encoded = binascii.b2a_qp(text, istext=True)
    # The C code takes the style of its soft breaks from the first line end that it sees; where
    # there is none it writes a bare LF, and every LF in its result is such a break.
    return encoded if text.find(b"\n") >= 0 else encoded.replace(b"\n", b"\r\n")


def base64_lines(data: bytes) -> bytes:
    """`data` in base64, in lines of 76 octets, the last one without its line end."""
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join(
        [encoded[at : at + _BASE64_COLUMNS] for at in range(0, len(encoded), _BASE64_COLUMNS)]
    )
