"""an input that fails, made smaller as long as it fails alike: python -m tests.fuzz.smaller TARGET FROM TO"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.targets import load

_TRIES = 4000


def why(run: Callable[[bytes], None], data: bytes) -> str:
    """The error and where it was raised; empty where there is none."""
    try:
        run(data)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {frame.filename}:{frame.lineno}"
    return ""


def smaller(run: Callable[[bytes], None], data: bytes) -> bytes:
    """Pieces are left out, large ones first, as long as the same goes wrong."""
    wanted = why(run, data)
    if not wanted:
        return data
    tries, size = 0, len(data)
    while size and tries < _TRIES:
        at = 0
        while at < len(data) and tries < _TRIES:
            tries += 1
            less = data[:at] + data[at + size :]
            if why(run, less) == wanted:
                data = less
            else:
                at += size
        size //= 2
    return data


if __name__ == "__main__":
    name, source, place = sys.argv[1:]
    Path(place).write_bytes(smaller(load(name).run, Path(source).read_bytes()))
