"""what a server said and when, one line per reply; our own words, and so our secrets, never"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pillarbox.protocol.events import EnvelopeAnswered
from pillarbox.protocol.reply import Reply

MOST_LINES: Final = 50
LINE_CHARACTERS: Final = 200
_KEPT_FREE: Final = 2
"""Lines for DATA and the verdict, however many recipients there are."""


class Dialogue:
    """Replies with the milliseconds since the beginning, made readable only when asked for."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Begins now; `monotonic` gives seconds."""
        self._monotonic = monotonic
        self._began_at = monotonic()
        self._lines: list[tuple[float, str, Reply, int]] = []

    def begin(self) -> None:
        """Forget everything and count from now."""
        self._began_at = self._monotonic()
        self._lines.clear()

    def note(self, verb: str, reply: Reply) -> None:
        """The reply to `verb` came in now."""
        if len(self._lines) < MOST_LINES:
            self._lines.append((self._monotonic(), verb, reply, 1))

    def note_envelope(self, answered: EnvelopeAnswered) -> None:
        """The replies to MAIL, RCPT and DATA came in now; equal ones in a row are one line."""
        now = self._monotonic()
        lines = self._lines
        lines.append((now, "MAIL", answered.mail, 1))
        last: Reply | None = None
        for reply in answered.recipients:
            if last is not None and reply == last:
                lines[-1] = (now, "RCPT", last, lines[-1][3] + 1)
            elif len(lines) < MOST_LINES - _KEPT_FREE:
                lines.append((now, "RCPT", reply, 1))
                last = reply
            else:
                break
        if answered.data is not None:
            lines.append((now, "DATA", answered.data, 1))

    def lines(self) -> list[tuple[int, str]]:
        """Milliseconds, and verb and reply in at most 200 characters; at most 50 lines."""
        began_at = self._began_at
        return [
            (
                round((at - began_at) * 1000),
                f"{verb} {reply}"[:LINE_CHARACTERS] + (f" (x{count})" if count > 1 else ""),
            )
            for at, verb, reply, count in self._lines
        ]
