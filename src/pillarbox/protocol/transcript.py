"""the dialogue so far: verb, reply, milliseconds; secrets masked"""

from __future__ import annotations

from typing import Final

from pillarbox.protocol.reply import Reply

MASK: Final = "****"
MAX_LINES: Final = 200
MAX_CHARACTERS: Final = 512

_INITIAL_RESPONSE_AT: Final = 2  # AUTH, mechanism, response


class Transcript:
    """What was said on a connection, for people to read.

    Nothing of an AUTH exchange but its mechanism is kept, content only by its size. A line is cut
    at 512 characters; of more than 200 lines the first are kept, since what explains a failure
    that went on for long is how it began.
    """

    __slots__ = ("_in_exchange", "_lines", "missed")

    def __init__(self) -> None:
        """Nothing was said yet."""
        self._lines: list[tuple[int, str]] = []
        self._in_exchange = False
        self.missed = 0
        """How many lines found no room."""

    @property
    def lines(self) -> tuple[tuple[int, str], ...]:
        """Milliseconds and line, ``C:`` for the client's and ``S:`` for the server's."""
        return tuple(self._lines)

    def commands(self, at_ms: int, data: bytes) -> None:
        """What the client sent, one command or a pipelined group; no content."""
        for line in data.decode("utf-8", "replace").splitlines():
            self._add(at_ms, f"C: {self._masked(line)}")

    def content(self, at_ms: int, size_bytes: int) -> None:
        """The client sent content of that size."""
        self._add(at_ms, f"C: ({size_bytes} bytes of content)")

    def reply(self, at_ms: int, reply: Reply) -> None:
        """What the server answered."""
        if reply.severity != 3:
            self._in_exchange = False
        status = f"{reply.status} " if reply.status else ""
        last = len(reply.lines) - 1
        for n, line in enumerate(reply.lines):
            self._add(at_ms, f"S: {reply.code}{' ' if n == last else '-'}{status}{line}")

    def _masked(self, line: str) -> str:
        if self._in_exchange:
            return MASK
        words = line.split()
        if not words or words[0].upper() != "AUTH":
            return line
        self._in_exchange = True
        hidden = [MASK] if len(words) > _INITIAL_RESPONSE_AT else []
        return " ".join(words[:_INITIAL_RESPONSE_AT] + hidden)

    def _add(self, at_ms: int, line: str) -> None:
        if len(self._lines) >= MAX_LINES:
            self.missed += 1
            return
        self._lines.append((at_ms, line[:MAX_CHARACTERS]))
