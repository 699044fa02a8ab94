"""BDAT framing

RFC 3030 §2. Octets are counted, so nothing in them is looked for: neither a lone dot nor a command.
Only line ends are. What comes in chunks goes out behind DATA, where a bare CR or LF could be taken
for a line end (RFC 5321 §2.3.8), so content with one is refused here as it is there.
"""

from __future__ import annotations

from typing import Final

from pillarbox.protocol.blocks import Framing
from pillarbox.protocol.errors import BadChunk, BareLineEnd
from pillarbox.protocol.lines import has_bare_line_end

MAX_DISCARDED_OCTETS: Final = 1 << 30
"""A refused chunk is read to its end all the same, but not one that can never have been meant."""

_LAST: Final = "LAST"
_DOT: Final = 46


def parse_chunk(argument: str) -> tuple[int, bool]:
    """How many octets follow BDAT, and whether they are the last. Raises `BadChunk`."""
    size, _, mark = argument.partition(" ")
    marked = mark.strip(" ").upper()
    if not (size.isascii() and size.isdigit()) or marked not in ("", _LAST):
        raise BadChunk
    return int(size), marked == _LAST


class ChunkReader(Framing):
    """Takes content out of the chunks of one message, as it is; line ends are checked.

    A chunk may end anywhere, also between CR and LF.
    """

    __slots__ = ("_held", "_starts_line", "last", "left", "size", "total")

    def __init__(self) -> None:
        """In front of the first chunk."""
        self.ended = self.dotted = False
        self._held = b""
        self._starts_line = True
        self.size = 0
        """Octets in the chunk that came last."""
        self.left = 0
        """Octets of it that are still to come."""
        self.last = False
        """Whether no other follows it."""
        self.total = 0
        """Octets in all chunks so far."""

    def begin(self, size: int, *, last: bool) -> None:
        """A chunk of `size` octets follows. Raises `BareLineEnd` where the last one leaves a CR."""
        self.size = self.left = size
        self.last = last
        self.total += size
        if last and not size:
            if self._held:
                raise BareLineEnd
            self.ended = True

    def take(self, data: bytes, at: int, most: int) -> tuple[bytes, int]:
        """Content from this chunk's part of ``data[at:]``, and where reading goes on.

        At most `most` bytes come back, but for one: a CR was held back until its LF came. Raises
        `BareLineEnd`.
        """
        stop = min(at + self.left, at + max(1, most - len(self._held)), len(data))
        raw = self._held + (data[at:stop] if at or stop < len(data) else data)
        self.left -= stop - at
        self.ended = self.last and not self.left
        self._held = b"\r" if raw.endswith(b"\r") and not self.ended else b""
        content = raw[:-1] if self._held else raw
        if has_bare_line_end(content):
            raise BareLineEnd
        if content:
            if not self.dotted:
                starts = self._starts_line and content[0] == _DOT
                self.dotted = starts or b"\r\n." in content
            self._starts_line = content.endswith(b"\r\n")
        return content, stop

    def skip(self, data: bytes, at: int) -> int:
        """Pass over this chunk's part of ``data[at:]`` unseen; says where reading goes on."""
        stop = min(at + self.left, len(data))
        self.left -= stop - at
        return stop
