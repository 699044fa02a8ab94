"""one SMTP reply: code, enhanced status, lines; parse and format"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.status import severity, split_status

MAX_LINE_OCTETS: Final = 512
"""A reply line of ours, code and CRLF included (RFC 5321 §4.5.3.1.5)."""

MAX_HEARD_LINE_OCTETS: Final = 8192
MAX_HEARD_LINES: Final = 100
MAX_KEPT_CHARACTERS: Final = 2048

_USUAL_LINE_OCTETS: Final = 128
_LINE_ENDS: Final = "\r\n"


class Reply:
    """A reply as RFC 5321 §4.2 has it; `status` is the enhanced code of RFC 2034, if any.

    A value, never changed once it is made.
    """

    __slots__ = ("_wire", "code", "lines", "status")

    def __init__(self, code: int, status: str | None, lines: tuple[str, ...]) -> None:
        """`lines` are the text without code and status: at least one, perhaps empty."""
        self.code = code
        self.status = status
        self.lines = lines
        self._wire: bytes | None = None

    @staticmethod
    def of(code: int, status: str | None, *lines: str) -> Reply:
        """A reply of ours; without `lines` its text is empty."""
        return Reply(code, status, lines or ("",))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Reply)
            and self.code == other.code
            and self.status == other.status
            and self.lines == other.lines
        )

    def __hash__(self) -> int:
        return hash((self.code, self.status, self.lines))

    def __repr__(self) -> str:
        return f"Reply({self.code}, {self.status!r}, {self.lines!r})"

    @property
    def severity(self) -> int:
        """2 done, 3 go on, 4 later, 5 never."""
        return self.code // 100

    @property
    def text(self) -> str:
        """The text in one line, without code and status."""
        lines = self.lines
        return lines[0] if len(lines) == 1 else " ".join(lines)

    def __str__(self) -> str:
        """Code, status and text in one line, for people."""
        text = (
            f"{self.code} {self.status} {self.text}" if self.status else f"{self.code} {self.text}"
        )
        return text.rstrip()

    def encode(self) -> bytes:
        """The reply as it goes out, each line within 512 octets and ended by CRLF.

        Longer text is continued on another line; control characters and everything beyond ASCII
        become question marks, so that no text can end a line early. Made once, then kept.
        """
        if self._wire is None:
            self._wire = self._encoded()
        return self._wire

    def _encoded(self) -> bytes:
        status = f"{self.status} " if self.status else ""
        room = MAX_LINE_OCTETS - len(_LINE_ENDS) - len("250 ") - len(status)
        if len(self.lines) == 1 and len(self.lines[0]) <= room:
            return f"{self.code} {status}{_harmless(self.lines[0])}{_LINE_ENDS}".encode("ascii")
        texts = [part for line in self.lines for part in _wrapped(_harmless(line), room)] or [""]
        last = len(texts) - 1
        return "".join(
            f"{self.code}{' ' if n == last else '-'}{status}{text}{_LINE_ENDS}"
            for n, text in enumerate(texts)
        ).encode("ascii")


class MalformedReply(PillarboxError):
    """What came is not an SMTP reply."""

    code = "upstream_unreachable"

    def __init__(self, sentence: str, *, before: list[Reply], detail: str | None = None) -> None:
        """`before` holds the whole replies that came ahead of the garbage."""
        super().__init__(sentence, detail=detail)
        self.before = before


class ReplyParser:
    """Collects the replies of a peer, who may be wordy, careless or hostile.

    Lines may end in LF alone, lines of one reply may disagree about the code (the last one
    counts), and text may be in any encoding. Kept are 2,048 characters of text per reply.
    """

    __slots__ = ("_kept", "_lines", "_rest", "_texts")

    def __init__(self) -> None:
        """Start in front of a reply's first line."""
        self._rest = b""
        self._texts: list[str] = []
        self._lines = 0
        self._kept = 0

    @property
    def pending(self) -> bool:
        """Whether part of a reply was read and its end is still missing."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that `data` completes. Raises `MalformedReply`; nothing can follow that."""
        replies: list[Reply] = []
        buffered = self._rest + data if self._rest else data
        at = 0
        while (end := buffered.find(b"\n", at)) >= 0:
            line = buffered[at:end]
            at = end + 1
            usual = not self._lines and len(line) < _USUAL_LINE_OCTETS
            reply = (_usual(line) if usual else None) or self._take(line, replies)
            if reply is not None:
                replies.append(reply)
        self._rest = buffered[at:]
        if len(self._rest) > MAX_HEARD_LINE_OCTETS:
            raise MalformedReply("the server sent a line without end", before=replies)
        return replies

    def _take(self, line: bytes, before: list[Reply]) -> Reply | None:
        if len(line) > MAX_HEARD_LINE_OCTETS:
            raise MalformedReply("the server sent a line without end", before=before)
        if line[-1:] == b"\r":
            line = line[:-1]
        code, mark = line[:3], line[3:4]
        if not _is_code(code) or mark not in (b" ", b"-", b""):
            raise MalformedReply(
                "the server sent something that is not an SMTP reply",
                before=before,
                detail=repr(line[:80]),
            )
        self._lines += 1
        if self._lines > MAX_HEARD_LINES:
            raise MalformedReply("the server sent a reply without end", before=before)
        room = MAX_KEPT_CHARACTERS - self._kept
        if room > 0 or not self._texts:
            text = _readable(line[4:])[: max(room, 0)]
            self._texts.append(text)
            self._kept += len(text)
        if mark == b"-":
            return None
        reply = _reply(int(code), self._texts)
        self._texts, self._lines, self._kept = [], 0, 0
        return reply


def _is_code(code: bytes) -> bool:
    return len(code) == 3 and code.isdigit() and b"2" <= code[:1] <= b"5"


@lru_cache(maxsize=1024)
def _usual(line: bytes) -> Reply | None:
    # Servers say the same few short lines over and over; each is read once.
    if line[3:4] != b" " or not _is_code(line[:3]):
        return None
    return _reply(int(line[:3]), [_readable(line[4:])])


def _reply(code: int, texts: list[str]) -> Reply:
    status, first = split_status(texts[0])
    if status is None or int(status[0]) != severity(code):
        return Reply(code, None, tuple(texts))
    rest = [text[len(status) :].lstrip() if text.startswith(status) else text for text in texts[1:]]
    return Reply(code, status, (first, *rest))


def _readable(text: bytes) -> str:
    words = text.decode("utf-8", "replace").strip()
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else "?" for c in words)


def _harmless(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in line)


def _wrapped(text: str, room: int) -> list[str]:
    parts = []
    while len(text) > room:
        at = text.rfind(" ", 0, room + 1)
        at = at if at > 0 else room
        parts.append(text[:at])
        text = text[at:].lstrip(" ")
    return [*parts, text]
