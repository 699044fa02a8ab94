"""bounded CRLF line reader; bare CR or LF is an error, not a newline"""

from __future__ import annotations

from io import IncrementalNewlineDecoder
from typing import Final

from pillarbox.protocol.errors import BareLineEnd, LineTooLong, UnreadableCommand

MAX_LONG_LINE_OCTETS: Final = 12_288
"""A line of an AUTH exchange (RFC 4954 §4)."""

MAX_ENVELOPE_LINE_OCTETS: Final = 2048
"""MAIL and RCPT: 512 octets and the room their parameters were promised, generously."""

_LONGER: Final = {
    b"AUTH": MAX_LONG_LINE_OCTETS,
    b"MAIL": MAX_ENVELOPE_LINE_OCTETS,
    b"RCPT": MAX_ENVELOPE_LINE_OCTETS,
}


class LineBuffer:
    """Bytes from the peer, taken out a line at a time or as they are.

    A line ends in CRLF and nothing else. What the reader makes of the bytes depends on the bytes
    alone, never on the portions in which they came.
    """

    __slots__ = ("_at", "_data", "_later", "_later_size")

    def __init__(self) -> None:
        """Empty."""
        self._data = b""
        self._at = 0
        self._later: list[bytes] = []
        self._later_size = 0

    def __len__(self) -> int:
        return len(self._data) - self._at + self._later_size

    def put(self, data: bytes) -> None:
        """Add what was received. Joined when it is looked at, so that waiting costs nothing."""
        if self._at == len(self._data) and not self._later:
            self._data, self._at = data, 0
        else:
            self._later.append(data)
            self._later_size += len(data)

    def line(self, limit: int) -> str | None:
        """The next line without its end, or None while that has not come.

        `limit` is in octets with the line end; MAIL, RCPT and AUTH may be longer. Raises
        `BareLineEnd`, `LineTooLong` and, where only this line is in error, `UnreadableCommand`.
        """
        data = self._gathered()
        at = self._at
        end = data.find(b"\n", at)
        size = (end + 1 if end >= 0 else len(data)) - at
        if size > limit and size > _LONGER.get(data[at : at + 4].upper(), limit):
            raise LineTooLong
        if end < 0:
            return None
        self._at = end + 1
        if end == at or data[end - 1] != 13:  # 13 is CR
            raise BareLineEnd
        line = data[at : end - 1]
        if b"\r" in line:
            raise BareLineEnd
        if b"\0" in line:
            raise UnreadableCommand
        try:
            return line.decode()
        except UnicodeDecodeError:
            raise UnreadableCommand from None

    def rest(self) -> tuple[bytes, int]:
        """All bytes at hand and where the unread ones begin; `skip_to` says what was used."""
        return self._gathered(), self._at

    def skip_to(self, at: int) -> None:
        """Everything before `at`, as counted in `rest`, has been used."""
        if at == len(self._data):  # an idle connection holds on to nothing
            self._data, at = b"", 0
        self._at = at

    def clear(self) -> None:
        """Forget what has not been read."""
        self._data, self._at, self._later, self._later_size = b"", 0, [], 0

    def _gathered(self) -> bytes:
        if self._later:
            self._data = b"".join((self._data[self._at :], *self._later))
            self._at = 0
            self._later = []
            self._later_size = 0
        return self._data


def has_bare_line_end(content: bytes) -> bool:
    """Whether a CR stands without LF behind it or an LF without CR before it."""
    # The decoder of text files keeps a record of the kinds of line end it met; no other way of
    # looking costs less than three times as much.
    decoder = IncrementalNewlineDecoder(None, translate=False)
    decoder.decode(content.decode("latin-1"), final=True)
    return decoder.newlines not in (None, "\r\n")
