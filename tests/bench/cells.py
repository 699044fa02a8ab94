"""the cells of the measurement: size of the mail, sessions, connections kept or not"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.doubles.letters import Letters, Sizes

AUTHOR = "orders@example.test"
RECIPIENT = "desk@example.test"

SIZES_KB = (1, 10, 100)
SESSIONS = (10, 50)
ALL_SESSIONS = (1, *SESSIONS)


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination that is measured."""

    kilobytes: int
    sessions: int
    kept: bool
    """Whether a session hands over all its mail on one connection, or connects for each message."""
    tls: Literal["", "starttls", "implicit"] = ""
    """Empty: in clear and without a login; otherwise both, on the way in and on the way out."""

    @property
    def name(self) -> str:
        """As on the command line: ``10KB-50-kept``, ``1KB-10-new``; ``10KB-50-new-starttls``."""
        plain = f"{self.kilobytes}KB-{self.sessions}-{'kept' if self.kept else 'new'}"
        return f"{plain}-{self.tls}" if self.tls else plain


def all_cells(sessions: Iterable[int] = ALL_SESSIONS) -> list[Cell]:
    """Every cell, in the order of the table."""
    counts = tuple(sessions)
    return [
        Cell(kilobytes, count, kept)
        for kept in (True, False)
        for kilobytes in SIZES_KB
        for count in counts
    ]


USUAL = all_cells(SESSIONS)
QUICK = [Cell(1, 50, True), Cell(10, 50, True)]


def chosen(patterns: Sequence[str]) -> list[Cell]:
    """The cells whose names fit one of these shell patterns. Raises ValueError where none does."""
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(cell.name, pattern) for cell in all_cells()):
            names = ", ".join(cell.name for cell in all_cells())
            raise ValueError(f"no cell is called {pattern}; there are {names}")
    return [
        cell
        for cell in all_cells()
        if any(fnmatch.fnmatchcase(cell.name, pattern) for pattern in patterns)
    ]


@dataclass(frozen=True, slots=True)
class Mail:
    """The message that smtp-source hands over, again and again."""

    path: Path
    content_bytes: int
    """With CRLF line ends, not dot-stuffed: what one message has on the wire, nearly."""


def write_mail(directory: Path, kilobytes: int, *, seed: int = 1) -> Mail:
    """A letter of about this size: prose, at 100 KB mostly an attachment in base64."""
    size = kilobytes * 1024
    letters = Letters(Sizes(size, size), seed=seed, attachment_share=0.0, variants=1, author=AUTHOR)
    content = letters.letter(0, f"bench-{kilobytes}kb", [RECIPIENT]).content
    path = directory / f"mail-{kilobytes}KB"
    # smtp-source reads lines as Unix writes them, puts CRLF behind each and stuffs dots itself.
    path.write_bytes(content.replace(b"\r\n", b"\n"))
    return Mail(path, len(content))
