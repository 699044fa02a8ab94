"""DKIM canonicalization, simple and relaxed (RFC 6376 §3.4)

Bodies are long and nearly always clean already, so each rule is first asked whether there is
anything to do, in one search over all of it.
"""

from __future__ import annotations

import re
from typing import Final

_BLANKS: Final = re.compile(rb"[ \t]+")


def relaxed_body(body: bytes) -> bytes:
    """Blanks at the ends of lines gone, runs of them one space, no empty lines at the end (§3.4.4).

    The same object where there is nothing to do.
    """
    # Not with `in`, which takes the octets for a number first, and an exception to see that.
    if body.find(b"\t") >= 0:
        body = body.replace(b"\t", b" ")
    at = body.find(b"  ")
    while at >= 0:
        body = body[:at] + body[at:].replace(b"  ", b" ")
        at = body.find(b"  ", at)
    body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b" "):
        body = body[:-1]
    body = _without_empty_lines(body)
    return b"" if body == b"\r\n" else body


def simple_body(body: bytes) -> bytes:
    """No empty lines at the end, and one line end where there is nothing else (§3.4.3)."""
    return _without_empty_lines(body) or b"\r\n"


def relaxed_field(raw: bytes) -> bytes:
    """A header field with its line end, on one line, its name in lower case (§3.4.2)."""
    name, _, value = raw.partition(b":")
    value = value.replace(b"\r\n", b"")
    if value.find(b"\t") >= 0 or value.find(b"  ") >= 0:
        value = _BLANKS.sub(b" ", value)
    return name.strip(b" \t").lower() + b":" + value.strip(b" \t") + b"\r\n"


def simple_field(raw: bytes) -> bytes:
    """A header field as it is, with a line end (§3.4.1)."""
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def _without_empty_lines(body: bytes) -> bytes:
    """Line ends at the end reduced to one, which is added where there is none; none for nothing."""
    if not body.endswith(b"\r\n"):
        return body + b"\r\n" if body else body
    end = len(body)
    while body.startswith(b"\r\n", end - 2, end) and end >= 2:
        end -= 2
    return body[: end + 2] if end + 2 < len(body) else body
