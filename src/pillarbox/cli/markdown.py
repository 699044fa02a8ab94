"""pieces of a page in Markdown"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

WIDTH: Final = 100
_MADE: Final = "<!-- Made from the code by ./do docs; changes belong there. -->"


def opening(title: str) -> list[str]:
    """The title, and where changes belong."""
    return [f"# {title}", "", _MADE, ""]


def page(lines: Iterable[str]) -> str:
    """The whole, with one line end at its end."""
    return "\n".join(lines).rstrip("\n") + "\n"


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Rows under their titles."""
    heads = list(titles)
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def wrapped(words: Iterable[str], width: int = 96) -> Iterator[str]:
    """Words with commas between them, in lines."""
    line = ""
    for word in words:
        if line and len(line) + len(word) + 2 > width:
            yield line + ","
            line = word
        else:
            line = f"{line}, {word}" if line else word
    yield line


def paragraph(text: str, *, first: str = "", rest: str = "") -> list[str]:
    """Prose in lines that fit a terminal, broken at blanks only."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def block(text: str, language: str) -> list[str]:
    """Text to copy."""
    return [f"```{language}", *text.split("\n"), "```"]
