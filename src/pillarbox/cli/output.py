"""what reaches the terminal: cleaned of foreign control characters, cut to fit, coloured if wished"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

_COLOURS: Final = {
    "red": "\x1b[31m",
    "green": "\x1b[32m",
    "amber": "\x1b[33m",
    "blue": "\x1b[34m",
    "violet": "\x1b[35m",
    "grey": "\x1b[90m",
    "bold": "\x1b[1m",
}
_PLAIN: Final = "\x1b[0m"
_PAINT: Final = re.compile(r"\x1b\[[0-9]+m")
_GAP: Final = "  "
_NARROWEST: Final = 6
_RUN_AS: Final = re.compile(r"[A-Za-z0-9._/-]{1,60}")
_JOINERS: Final = "\u00ad\u200c\u200d"
"""Soft hyphen and the two that join or part letters: invisible in honest text too."""
_UNITS: Final = ("bytes", "KB", "MB", "GB", "TB")
_BYTES_PER_UNIT: Final = 1024


def clean(text: object) -> str:
    """`text` as one line that cannot steer a terminal, nor turn its reading direction round.

    What came by mail was written by strangers: escape sequences, carriage returns, direction
    overrides and their kin become a visible mark or a blank.
    """
    return "".join(map(_harmless, str(text)))


def run_as() -> str:
    """How this program is called here: ``./do`` from a clone, otherwise ``pillarbox``."""
    name = os.environ.get("PILLARBOX_RUN_AS", "")
    return name if _RUN_AS.fullmatch(name) else "pillarbox"


def width_of(text: str) -> int:
    """Columns a terminal needs for `text`."""
    if text.isascii():
        return len(text)
    return sum(_columns(c) for c in text)


def cut(text: str, width: int, *, middle: bool = False) -> str:
    """`text` in at most `width` columns, an ellipsis where something is missing."""
    if width_of(text) <= width:
        return text
    if middle:
        tail = _head(text[::-1], (width - 1) // 2)[::-1]
        return _head(text, width - 1 - width_of(tail)) + "…" + tail
    return _head(text, width - 1) + "…"


def format_bytes(count: int) -> str:
    """``1.2 KB``: a size for people."""
    size = float(count)
    for unit in _UNITS:
        if size < _BYTES_PER_UNIT or unit == _UNITS[-1]:
            break
        size /= _BYTES_PER_UNIT
    return f"{size:.0f} {unit}" if unit == _UNITS[0] else f"{size:.1f} {unit}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `fixed` columns are never cut; ids are cut in their middle."""

    title: str
    right: bool = False
    middle: bool = False
    fixed: bool = False


class Screen:
    """Standard output for results, standard error for talk."""

    def __init__(self, *, colour: bool | None = None, wide: bool = False) -> None:
        """`colour` None: only on a terminal that wants it. `wide` never cuts a table."""
        self._colour = colour
        self._wide = wide

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads the results."""
        return sys.stdout.isatty()

    @property
    def may_ask(self) -> bool:
        """Whether somebody is there to answer a question."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def say(self, text: str = "") -> None:
        """A line of the result."""
        _write(sys.stdout, text)

    def note(self, text: str = "") -> None:
        """A line of talk beside the result."""
        _write(sys.stderr, text)

    def document(self, value: object) -> None:
        """A result for a program, as one JSON document."""
        self.say(json.dumps(value, indent=2, ensure_ascii=not _speaks_unicode(sys.stdout)))

    def paint(self, text: str, colour: str, *, stream: TextIO | None = None) -> str:
        """`text` in a colour, where colour is wanted."""
        wanted = self.wants_colour(stream or sys.stdout)
        return f"{_COLOURS[colour]}{text}{_PLAIN}" if wanted and colour and text else text

    def table(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[object]],
        colours: Mapping[str, str] | None = None,
    ) -> None:
        """Rows under their titles, each on one line; a cell that is a key of `colours` is painted."""
        cells = [[clean("" if cell is None else cell) for cell in row] for row in rows]
        widths = _fit(columns, cells, None if self._wide else self._room())
        self.say(_line(columns, [column.title.upper() for column in columns], widths))
        for row in cells:
            line = _line(columns, row, widths)
            for cell in row if colours else ():
                if colours and cell in colours:
                    line = line.replace(cell, self.paint(cell, colours[cell]), 1)
            self.say(line)

    def fields(self, pairs: Iterable[tuple[str, object]], indent: int = 2) -> None:
        """Names and values below each other; what is empty or None is left out."""
        shown = [(name, clean(value)) for name, value in pairs if value not in (None, "", [], {})]
        room = max((width_of(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.say(f"{' ' * indent}{name:<{room}}   {value}")

    def fit(self, text: str) -> str:
        """One line, cut to the terminal where one reads along and it may be; painted stretches count
        as what is seen of them.
        """
        room = None if self._wide else self._room()
        if room is None:
            return text
        bare = _PAINT.sub("", text)
        if width_of(bare) <= room:
            return text
        return cut(text, room + len(text) - len(bare)) + (_PLAIN if bare != text else "")

    def _room(self) -> int | None:
        """Columns to fit into; None where no terminal reads along, a pipe must lose nothing."""
        return shutil.get_terminal_size((80, 24)).columns if self.is_terminal else None

    def wants_colour(self, stream: TextIO) -> bool:
        """Whether `stream` is a terminal whose owner has not refused colours."""
        if self._colour is not None:
            return self._colour
        refused = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not refused and stream.isatty()


def _harmless(c: str) -> str:
    if " " <= c <= "~":
        return c
    if c in "\t\n":
        return " "
    if c in _JOINERS:
        return ""
    category = unicodedata.category(c)
    if category == "Zs":
        return " "
    # Cc, Cf, Cs, Co, Cn and the separators Zl, Zp: nothing a person could see or should obey.
    return "\N{REPLACEMENT CHARACTER}" if category[0] == "C" or category in ("Zl", "Zp") else c


def _columns(c: str) -> int:
    if unicodedata.category(c) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def _head(text: str, width: int) -> str:
    taken = 0
    for index, c in enumerate(text):
        taken += _columns(c)
        if taken > width:
            return text[:index]
    return text


def _fit(columns: Sequence[Column], cells: Sequence[Sequence[str]], room: int | None) -> list[int]:
    """Widths of the columns; the widest that may be cut gives way first."""
    widths = [
        max([width_of(column.title), *(width_of(row[i]) for row in cells)])
        for i, column in enumerate(columns)
    ]
    if room is None:
        return widths
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - room
    while excess > 0:
        able = [i for i, c in enumerate(columns) if not c.fixed and widths[i] > _NARROWEST]
        if not able:
            break
        widest = max(able, key=lambda i: widths[i])
        widths[widest] -= 1
        excess -= 1
    return widths


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = []
    for column, cell, width in zip(columns, cells, widths, strict=True):
        text = cut(cell, width, middle=column.middle)
        blanks = " " * (width - width_of(text))
        shown.append(blanks + text if column.right else text + blanks)
    return _GAP.join(shown).rstrip()


def _write(stream: TextIO, text: str) -> None:
    try:
        print(text, file=stream, flush=True)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def _speaks_unicode(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"
