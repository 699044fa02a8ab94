"""dot-stuffing out, dot-unstuffing in, both incremental, both in bulk

RFC 5321 §4.5.2. Content ends with CRLF.CRLF and with nothing that merely looks like it
(RFC 5321 §2.3.8): whoever takes a bare line feed for a line end can be made to see a second
message where the neighbour saw one.
"""

from __future__ import annotations

from typing import Final

from pillarbox.protocol.blocks import Framing
from pillarbox.protocol.errors import BareLineEnd, LocalProtocolError
from pillarbox.protocol.lines import has_bare_line_end

_END: Final = b"\r\n.\r\n"
_STUFFED: Final = b"\r\n."
_LINE_END: Final = b"\r\n"
_TAILS: Final = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")  # how content that is not over may stand
_BARE: Final = "content to be sent has a bare CR or LF in it"


class DotReader(Framing):
    """Takes content out of what the peer sends after DATA: dots removed, line ends checked."""

    __slots__ = ("_held", "_started")

    def __init__(self) -> None:
        """In front of the first byte of content, which is the start of a line."""
        self.ended = self.dotted = False
        self._held = _LINE_END
        self._started = False

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
