"""MIME structure over raw bytes: where parts begin and end"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pillarbox.message.errors import TooComplex
from pillarbox.message.media_types import parse_media_type

MAX_DEPTH: Final = 40
MAX_PARTS: Final = 2000
MAX_BOUNDARY: Final = 256  # RFC 2046 §5.1.1 allows 70

_FIELD: Final = re.compile(
    rb"^content-(type|transfer-encoding|disposition|id)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
_FIELD_END: Final = re.compile(rb"\r\n(?![ \t])")


@dataclass(frozen=True, slots=True)
class Part:
    """One part, as places in the content it was found in.

    Its header section begins at `start`, its body at `body` (behind the blank line) and ends at
    `end`, before the line end that belongs to the next boundary.
    """

    start: int
    body: int
    end: int
    media_type: str
    """In lower case; ``text/plain`` where nothing else is said (RFC 2045 §5.2)."""
    parameters: dict[str, str]
    encoding: str
    """In lower case; empty where none is named."""
    encoding_at: tuple[int, int] | None
    """The value of the Content-Transfer-Encoding field, from behind the colon to the line end."""
    parts: tuple[Part, ...] = ()
    disposition: str = ""
    """``inline`` or ``attachment`` or what else was said, in lower case; empty for nothing."""
    content_id: str = ""
    """Without its angle brackets."""


def read_parts(content: bytes) -> Part:
    """The message as one part, with those it consists of.

    Goes into multiparts and enclosed messages that are not encoded. Takes any bytes, in linear
    time; raises `TooComplex` beyond `MAX_DEPTH` levels or `MAX_PARTS` parts.
    """
    return _Reader(content).part(0, len(content), "text/plain", 1)


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._parts = 0

    def part(self, start: int, end: int, usual_type: str, depth: int) -> Part:
        self._parts += 1
        if depth > MAX_DEPTH or self._parts > MAX_PARTS:
            raise TooComplex(
                f"the message has more than {MAX_PARTS} parts or {MAX_DEPTH} levels of them"
            )
        fields_end, body = self._header(start, end)
        kind, encoding, encoding_at = usual_type, "", None
        disposition = content_id = ""
        parameters: dict[str, str] = {}
        for field in _FIELD.finditer(self._content, start, fields_end):
            last = _FIELD_END.search(self._content, field.end(), fields_end)
            at = (field.end(), last.start() if last else fields_end)
            value = self._content[at[0] : at[1]].replace(b"\r\n", b"").strip()
            match field[1].lower():
                case b"type":
                    named, parameters = parse_media_type(value)
                    kind = named or kind
                case b"disposition":
                    disposition = value.partition(b";")[0].strip().decode("latin-1").lower()
                case b"id":
                    content_id = value.strip(b"<> \t").decode("latin-1")
                case _ if encoding_at is None:
                    encoding, encoding_at = value.decode("latin-1").lower(), at
        parts: tuple[Part, ...] = ()
        boundary = parameters.get("boundary", "").encode("latin-1")
        if kind.startswith("multipart/") and 0 < len(boundary) <= MAX_BOUNDARY:
            usual = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            parts = tuple(
                self.part(*region, usual, depth + 1)
                for region in self._regions(boundary, body, end)
            )
        elif kind == "message/rfc822" and encoding in ("", "7bit", "8bit", "binary"):
            parts = (self.part(body, end, "text/plain", depth + 1),)
        return Part(
            start, body, end, kind, parameters, encoding, encoding_at, parts, disposition, content_id
        )  # fmt: skip

    def _header(self, start: int, end: int) -> tuple[int, int]:
        """Where the fields of a part end, and where its body begins."""
        if self._content.startswith(b"\r\n", start, end):
            return start, start + 2
        blank = self._content.find(b"\r\n\r\n", start, end)
        return (end, end) if blank < 0 else (blank + 2, blank + 4)

    def _regions(self, boundary: bytes, body: int, end: int) -> list[tuple[int, int]]:
        """The parts between the boundary lines; the last may lack its closing one."""
        line = b"\r\n--" + boundary
        regions: list[tuple[int, int]] = []
        opened = None
        # The line end of the blank line before the body may be that of the first boundary.
        at = body - 2
        while (found := self._content.find(line, at, end)) >= 0:
            behind = found + len(line)
            line_end = self._content.find(b"\r\n", behind, end)
            at = end if line_end < 0 else line_end
            rest = self._content[behind:at]
            if rest.removeprefix(b"--").strip(b" \t"):
                continue  # a longer boundary that begins like this one, or mere text
            if opened is not None:
                regions.append((opened, max(opened, found)))
            opened = None if rest.startswith(b"--") else min(at + 2, end)
            if opened is None or len(regions) > MAX_PARTS:
                break
        if opened is not None:
            regions.append((opened, end))
        return regions
