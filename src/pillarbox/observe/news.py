"""what is worth a line on the operator's screen, while somebody looks"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventLine:
    """One line: when, one word, whom it is about, and the rest."""

    at_ms: int
    word: str
    subject: str
    text: str


class News:
    """Hands lines to one listener, or drops them; never waits, never fails its caller."""

    def __init__(self) -> None:
        self._listener: Callable[[EventLine], None] | None = None

    def listen(self, listener: Callable[[EventLine], None] | None) -> None:
        """From now on `listener` hears of everything."""
        self._listener = listener

    @property
    def wanted(self) -> bool:
        """Whether anybody looks: spares the making of lines."""
        return self._listener is not None

    def tell(self, at_ms: int, word: str, subject: str, text: str) -> None:
        """One line."""
        if self._listener is not None:
            self._listener(EventLine(at_ms, word, subject, text))
