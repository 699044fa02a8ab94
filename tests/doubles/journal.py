"""one line of JSON per fact, appended so that no kill can tear two facts

The load driver and the sink write journals; the judge reads them. A fact is one `write(2)` to a
file opened with O_APPEND: whatever was recorded before a SIGKILL is there, and several writers may
share a file. Only a power cut could lose it, and no journal lives on the disk that is cut.

Facts of a client (`load`):

* ``acknowledged``: a complete positive reply to the final dot, or an HTTP 2xx, was read.
* ``unanswered``: the message was handed over completely and the connection was lost before an
  answer was read. The server may or may not have it.
* ``refused``: a negative answer was read, for the recipients named.

Facts of the sink: ``started``, ``taken``, ``deferred`` (4xx to a final dot), ``refused``
(a recipient), ``lost`` (a connection that ended without QUIT), ``stopped``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

Fact = dict[str, Any]

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(dict[str, Any])


def encode_fact(fact: Fact) -> bytes:
    """The fact as one line, newline included."""
    return _ENCODER.encode(fact) + b"\n"


def wall_ms() -> int:
    """Milliseconds since the Unix epoch, for joining the journals of several processes."""
    return time.time_ns() // 1_000_000


class Journal:
    """An append-only file of facts. Not thread-safe beyond what O_APPEND gives."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._descriptor = os.open(
            self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )

    def write(self, event: str, **fact: Any) -> None:
        """Record one fact now; it is with the kernel when this returns."""
        self.write_lines(encode_fact({"event": event, "at": wall_ms(), **fact}))

    def write_lines(self, lines: bytes) -> None:
        """Record facts that `encode_fact` made, several in one call."""
        view = memoryview(lines)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        """Close the file; harmless when done twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class JournalTail:
    """Reads a growing journal piece by piece, whole lines only."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._offset = 0
        self._rest = b""

    def new_facts(self) -> list[Fact]:
        """The facts that came since the last call; a file that does not exist yet has none."""
        return [_DECODER.decode(line) for line in self._new_lines()]

    def count_new(self, event: str) -> int:
        """How many new facts are of this event, without decoding them: for benchmarks."""
        mark = b'"event":"' + event.encode() + b'"'
        return sum(mark in line[:64] for line in self._new_lines())

    def _new_lines(self) -> Iterator[bytes]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        yield from lines


def read_journal(*paths: Path | str) -> list[Fact]:
    """All facts of these files. A last line without newline was being written and is left out."""
    return [fact for path in paths for fact in JournalTail(path).new_facts()]
