"""what a server said and when, one line per reply; our own words, and so our secrets, never"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pillarbox.protocol.events import EnvelopeAnswered
from pillarbox.protocol.reply import Reply

MOST_LINES: Final = 50
LINE_CHARACTERS: Final = 200
_KEPT_FREE: Final = 2
"""Lines for DATA and the verdict, however many recipients there are."""


@dataclass(slots=True)
class _Line:
    at_ms: int
    verb: str
    reply: Reply
    count: int = 1


class Dialogue:
    """Replies with the milliseconds since the beginning, made readable only when asked for."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begins now; `monotonic` gives seconds."""
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._lines: list[_Line] = []

    def begin(self) -> None:
        """Forget everything and count from now."""
        self._began_at = self._monotonic()
        self._lines.clear()

    def note(self, verb: str, reply: Reply) -> None:
        """The reply to `verb` came in now."""
        if len(self._lines) < MOST_LINES:
            at = round((self._monotonic() - self._began_at) * 1000)
            self._lines.append(_Line(at, verb, reply))

    def note_envelope(self, answered: EnvelopeAnswered) -> None:
        """The replies to MAIL, RCPT and DATA came in now; equal ones in a row are one line."""
        self.note("MAIL", answered.mail)
        line: _Line | None = None
        for reply in answered.recipients:
            if line is not None and reply == line.reply:
                line.count += 1
            elif len(self._lines) < MOST_LINES - _KEPT_FREE:
                self.note("RCPT", reply)
                line = self._lines[-1]
            else:
                break
        if answered.data is not None:
            self.note("DATA", answered.data)

    def lines(self) -> list[tuple[int, str]]:
        """Milliseconds, and verb and reply in at most 200 characters; at most 50 lines."""
        return [
            (
                line.at_ms,
                f"{line.verb} {line.reply}"[:LINE_CHARACTERS]
                + (f" (x{line.count})" if line.count > 1 else ""),
            )
            for line in self._lines
        ]
