"""where previews write what would leave: a file, a folder of them, or standard output"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pillarbox.cli.errors import WrongUsage

STREAM: Final = "-"
_ENDING: Final = ".eml"


@dataclass(slots=True)
class Place:
    """Takes the content of each message."""

    path: Path | None
    """None for standard output."""
    names: dict[str, str] = field(default_factory=dict)
    """In a folder, the file for each message; empty where `path` is the file."""

    def put(self, what: str, content: bytes) -> None:
        """Raises `WrongUsage` where it cannot be written."""
        if self.path is None:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        file = self.path / self.names[what] if self.names else self.path
        try:
            file.write_bytes(content)
        except OSError as wrong:
            raise WrongUsage(f"cannot write {file}", detail=wrong.strerror) from wrong

    def __str__(self) -> str:
        return str(self.path or "standard output")


def place_of(output: str | None, what: Sequence[str], *, as_json: bool) -> Place | None:
    """Where to write, None for nowhere; a folder is made. Never one of the files that are read.

    Raises `WrongUsage` before anything is read.
    """
    if output is None:
        return None
    several = len(set(what)) > 1
    if output == STREAM:
        if several or as_json:
            raise WrongUsage(
                "standard output takes one message and nothing else",
                fix="name a folder with --output, or leave out --json",
            )
        return Place(None)
    path = Path(output)
    if not several and not path.is_dir():
        _keep_apart([path], what)
        return Place(path)
    names = {each: _name(each) for each in what}
    if len(set(names.values())) < len(names):
        raise WrongUsage(
            "two of the messages have the same name, and one would be written over the other",
            fix="give files from one folder at a time",
        )
    _keep_apart([path / name for name in names.values()], what)
    try:
        path.mkdir(exist_ok=True)
    except OSError as wrong:
        raise WrongUsage(f"cannot make the folder {path}", detail=wrong.strerror) from wrong
    return Place(path, names)


def _name(what: str) -> str:
    if what == STREAM:
        return f"stdin{_ENDING}"
    name = Path(what).name
    return name if name.endswith(_ENDING) else f"{name}{_ENDING}"


def _keep_apart(outputs: Sequence[Path], what: Sequence[str]) -> None:
    """By what they are, not by what they are called: a link may lead to what is read."""
    read = {key for each in what if (key := _inode(Path(each))) is not None}
    for output in outputs:
        if _inode(output) in read:
            raise WrongUsage(
                f"{output} is one of the messages themselves",
                fix="name another place with --output",
            )


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
