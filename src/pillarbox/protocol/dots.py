"""dot-stuffing out, dot-unstuffing in, both incremental, both in bulk

RFC 5321 §4.5.2. Content ends with CRLF.CRLF and with nothing that merely looks like it
(RFC 5321 §2.3.8): whoever takes a bare line feed for a line end can be made to see a second
message where the neighbour saw one.
"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import Final

from pillarbox.protocol.errors import BareLineEnd, LocalProtocolError

_END: Final = b"\r\n.\r\n"
_STUFFED: Final = b"\r\n."
_LINE_END: Final = b"\r\n"
_TAILS: Final = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")  # how content that is not over may stand
_BARE: Final = "content to be sent has a bare CR or LF in it"


class DotReader:
    """Takes content out of what the peer sends after DATA: dots removed, line ends checked."""

    __slots__ = ("_held", "_started", "dotted", "ended")

    def __init__(self) -> None:
        """Stand in front of the first byte of content, which is the start of a line."""
        self._held = _LINE_END
        self._started = False
        self.ended = False
        """Whether the end was seen; then `take` is not called again."""
        self.dotted = False
        """Whether a line of the content began with a dot that was removed."""

    def take(self, data: bytes, at: int, most: int) -> tuple[bytes, int]:
        """Content from ``data[at:]``, and where reading goes on.

        At most `most` bytes come back, but for up to three that were held back before. Held back
        is what may yet turn out to be the end. Raises `BareLineEnd`.
        """
        stop = at + max(1, most - len(self._held))
        raw = self._held + (data[at:stop] if at or stop < len(data) else data)
        dot = raw.find(_STUFFED)
        end = dot if dot < 0 or raw.startswith(_LINE_END, dot + 3) else raw.find(_END, dot)
        if end >= 0:
            self.ended = True
            after = min(stop, len(data)) - (len(raw) - end - len(_END))
            content = raw[: end + 2]
            self._held = b""
        else:
            after = min(stop, len(data))
            self._held = next((tail for tail in _TAILS if raw.endswith(tail)), b"")
            content = raw[: len(raw) - len(self._held)]
        if has_bare_line_end(content):
            raise BareLineEnd
        if 0 <= dot < len(content) and dot != end:
            self.dotted = True
            content = content.replace(_STUFFED, _LINE_END)
        if content and not self._started:
            self._started = True
            content = content[2:]
        return content, after


class ContentReader:
    """Collects content into blocks, and no more of it than is wanted."""

    __slots__ = ("_block_bytes", "_dots", "_left", "_parts", "_parts_size", "discards")

    def __init__(self, max_bytes: int, block_bytes: int) -> None:
        """`max_bytes` of content are kept in all; with one more, everything is discarded."""
        self._dots = DotReader()
        self._block_bytes = block_bytes
        self._left = max_bytes
        self._parts: list[bytes] = []
        self._parts_size = 0
        self.discards = False
        """Whether content is thrown away from here on; only its end is looked for."""

    @property
    def ended(self) -> bool:
        """Whether the end was seen."""
        return self._dots.ended

    @property
    def dotted(self) -> bool:
        """Whether a line of what was read began with a dot."""
        return self._dots.dotted

    @property
    def too_large(self) -> bool:
        """Whether there was more content than is allowed."""
        return self._left < 0

    @property
    def full(self) -> bool:
        """Whether a block is complete; it has to be given away before reading goes on."""
        return self._parts_size >= self._block_bytes

    def read(self, data: bytes, at: int) -> int:
        """Read up to the end of content, of a block or of `data`; says how far that was.

        Raises `BareLineEnd`.
        """
        dots = self._dots
        while at < len(data):
            piece, at = dots.take(data, at, self._block_bytes - self._parts_size)
            self._left -= len(piece)
            if self._left < 0:
                self.discard()
            if not self.discards:
                self._parts.append(piece)
                self._parts_size += len(piece)
            if dots.ended or self._parts_size >= self._block_bytes:
                break
        return at

    def discard(self) -> None:
        """Keep nothing of what was or will be read."""
        self.discards = True
        self._parts, self._parts_size = [], 0

    def give(self) -> bytes:
        """One block; at the end of content, all there is."""
        parts = self._parts
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts, self._parts_size = [], 0
        if len(whole) > self._block_bytes and not self.ended:
            self._parts.append(whole[self._block_bytes :])
            self._parts_size = len(whole) - self._block_bytes
            return whole[: self._block_bytes]
        return whole


class DotWriter:
    """Prepares content that comes in pieces: dots doubled, line ends checked, end appended."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        """Stand at the start of a line."""
        self._before = _LINE_END

    def write(self, data: bytes) -> bytes:
        """What goes out for this piece. Raises `LocalProtocolError` for a bare CR or LF."""
        gone = len(_LINE_END) if self._before == _LINE_END else 0
        whole = self._before + data
        # A CR at the end of a piece waits for its LF.
        now = whole[:-1] if whole.endswith(b"\r") else whole
        if has_bare_line_end(now):
            raise LocalProtocolError(_BARE)
        self._before = whole[len(now) :] or (_LINE_END if now.endswith(_LINE_END) else b"")
        return now.replace(_STUFFED, b"\r\n..")[gone:]

    def end(self) -> bytes:
        """The end of content, with a line end before it where the last piece had none.

        Raises `LocalProtocolError` where the content stopped between CR and LF.
        """
        if self._before == b"\r":
            raise LocalProtocolError(_BARE)
        return _END[2:] if self._before else _END


def stuff(content: bytes, *, plain: bool = False) -> bytes:
    """A whole message as it goes out, its end included. Raises `LocalProtocolError`.

    A line end is added where the last line has none; nothing else is changed but the dots.
    `plain` content is known to have no bare line end and no line that begins with a dot, because a
    `DotReader` met none: it is not looked through again.
    """
    end = _END[2:] if content.endswith(_LINE_END) or not content else _END
    if plain:
        return content + end
    if has_bare_line_end(content):
        raise LocalProtocolError(_BARE)
    dots = b"." if content.startswith(b".") else b""
    return b"".join((dots, content.replace(_STUFFED, b"\r\n.."), end))


def has_bare_line_end(content: bytes) -> bool:
    """Whether a CR stands without LF behind it or an LF without CR before it."""
    # The decoder of text files keeps a record of the kinds of line end it met; no other way of
    # looking costs less than three times as much.
    decoder = IncrementalNewlineDecoder(None, translate=False)
    decoder.decode(content.decode("latin-1"), final=True)
    return decoder.newlines not in (None, "\r\n")
