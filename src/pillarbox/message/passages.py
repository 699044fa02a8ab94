"""passages: stretches of a text that are not as they came, with a little of what is around them"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

_SHOWN: Final = 300
_AROUND: Final = 60
_TAG_OR_TEXT: Final = re.compile(r"<[^>]*+>?|[^<]++")
_LINE: Final = re.compile(r"[^\n]*+\n|[^\n]++")
_TAG_NAME: Final = re.compile(r"</?[A-Za-z][^ \t\r\n\f/>]*+")


class Passage(msgspec.Struct, frozen=True):
    """A stretch of text that is not as it came."""

    line: int
    """Where it begins in the decoded text that came, from 1."""
    before: str
    """Cut around what is different where it is long; as is `after`."""
    after: str


def compare_texts(before: str, after: str, most: int, *, tags: bool) -> tuple[list[Passage], int]:
    """The first `most` passages, and how many there are. Linear in the length of the texts.

    `tags` compares tag by tag and what is between them, otherwise line by line. What was put in,
    taken out or replaced piece by piece is told exactly; texts that are altogether different give
    passages that are true, but more than need be.
    """
    pattern = _TAG_OR_TEXT if tags else _LINE
    shown: list[Passage] = []
    count = 0
    for line, was, now in _parted(_tokens(pattern, before), _tokens(pattern, after)):
        count += 1
        if count <= most:
            shown.append(Passage(line, *_around(was, now)))
    return shown, count


def _tokens(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    return (found[0] for found in pattern.finditer(text))


def _parted(before: Iterable[str], after: Iterable[str]) -> Iterator[tuple[int, str, str]]:
    """Where two texts part and meet again, looking ahead no further than one token: line, what stood
    there, what stands there.
    """
    old, new = _Reader(before), _Reader(after)
    while old.here is not None or new.here is not None:
        was, now = old.here, new.here
        if was == now:
            old.go_on()
            new.go_on()
        elif was is None or (now is not None and was == new.ahead):
            yield old.line, "", now or ""
            new.go_on()
        elif now is None or (now == old.ahead and _name(was) != _name(now)):
            yield old.line, was, ""
            old.go_on()
        else:
            yield old.line, was, now
            old.go_on()
            new.go_on()


class _Reader:
    """The tokens of a text, one of them and the one behind it at a time."""

    __slots__ = ("_tokens", "ahead", "here", "line")

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = iter(tokens)
        self.here: str | None = next(self._tokens, None)
        self.ahead: str | None = next(self._tokens, None)
        self.line = 1

    def go_on(self) -> None:
        if self.here is not None:
            self.line += self.here.count("\n")
        self.here, self.ahead = self.ahead, next(self._tokens, None)


def _name(token: str) -> str:
    found = _TAG_NAME.match(token)
    return found[0].lower() if found else ""


def _around(before: str, after: str) -> tuple[str, str]:
    """Both cut to what is different and a little around it, where they are long."""
    if len(before) <= _SHOWN and len(after) <= _SHOWN:
        return before.strip("\r\n"), after.strip("\r\n")
    least = min(len(before), len(after))
    start = next((i for i in range(least) if before[i] != after[i]), least)
    shared = least - start
    same = 0
    while same < shared and before[-1 - same] == after[-1 - same]:
        same += 1
    return _cut(before, start, same), _cut(after, start, same)


def _cut(text: str, start: int, same: int) -> str:
    first = max(0, start - _AROUND)
    last = min(len(text), max(len(text) - same, start) + _AROUND, first + _SHOWN)
    opening = "…" if first else ""
    ending = "…" if last < len(text) else ""
    return f"{opening}{text[first:last]}{ending}".strip("\r\n")
