"""commands said, commands held back, and what the next replies will be the answers to

To a server that takes groups of commands (RFC 2920 §3.1) everything is said at once; to any other
a command is held back until the one before it is answered. Either way replies come in the order of
their commands, so a queue is all it takes to tell whose a reply is.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import Final


class Expected(StrEnum):
    """To what a reply will be the answer."""

    BANNER = "banner"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    VERDICT = "verdict"
    CLEAN_UP = "clean-up"
    QUIT = "quit"

    __hash__ = str.__hash__


_TIMED_AS: Final = {
    Expected.HELO: "ehlo",
    Expected.MAIL: "envelope",
    Expected.RCPT: "envelope",
    Expected.CLEAN_UP: "envelope",
}


class Pipeline:
    """What one side of a conversation has said and means to say."""

    __slots__ = ("_out", "expected", "held_back")

    def __init__(self, *expected: Expected) -> None:
        """Nothing said yet; `expected` comes unasked."""
        self.expected = deque(expected)
        """To what the next replies are the answers, in their order."""
        self.held_back: deque[tuple[bytes, Expected]] = deque()
        """Commands that wait, with what will be expected for each."""
        self._out: list[bytes] = []

    @property
    def expecting(self) -> str | None:
        """Which reply is awaited, as time-outs are named; None where none is."""
        if not self.expected:
            return None
        head = self.expected[0]
        return _TIMED_AS.get(head, head.value)

    def say(self, words: bytes, *expected: Expected) -> None:
        """Say something now; `expected` are the replies it asks for."""
        self._out.append(words)
        self.expected.extend(expected)

    def hold(self, words: bytes, expected: Expected) -> None:
        """Say something when its turn comes, which `release` knows."""
        self.held_back.append((words, expected))

    def release(self, *, at_once: bool) -> None:
        """Say what was held back: all of it, or else one command where no reply is awaited."""
        while self.held_back and (at_once or not self.expected):
            self.say(*self.held_back.popleft())

    def clear(self) -> None:
        """Expect nothing and hold nothing back. What was said still goes out."""
        self.expected.clear()
        self.held_back.clear()

    def bytes_to_send(self) -> bytes:
        """Everything to be written, once."""
        out = self._out
        if not out:
            return b""
        joined = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return joined
