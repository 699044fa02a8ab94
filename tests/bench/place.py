"""the place on disk where both relays keep their mail, and what a sync costs there"""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEFAULT = Path("/var/tmp")
"""Kept over a restart wherever the file system standard is followed: so it is a disk."""

_NO_DISKS = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_SYNCS = 100


class NoDiskError(Exception):
    """What is asked for lies in memory; a sync there costs nothing and proves nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """One directory, gone when the measurement ends."""

    path: Path
    file_system: str
    device: str

    def facts(self) -> dict[str, object]:
        """For the record. Measures what a sync costs now."""
        return {
            "directory": str(self.path.parent),
            "file_system": self.file_system,
            "device": self.device,
            "sync_ms": round(sync_seconds(self.path) * 1000, 3),
        }


@contextmanager
def disk_place(parent: Path = DEFAULT, *, keep: bool = False) -> Iterator[Place]:
    """A new directory below `parent`, for both relays. Raises `NoDiskError`."""
    file_system, device = mounted_at(parent.resolve())
    if file_system in _NO_DISKS:
        raise NoDiskError(f"{parent} is a {file_system}: name a directory on a disk")
    path = Path(tempfile.mkdtemp(prefix="pillarbox-bench-", dir=parent.resolve()))
    # Postfix runs its daemons as users of their own, who must be able to walk in.
    path.chmod(0o755)
    try:
        yield Place(path, file_system, device)
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)


def mounted_at(path: Path) -> tuple[str, str]:
    """Type and device of the file system that holds a path."""
    best, found = -1, ("unknown", "unknown")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        point = Path(left.split()[4])
        file_system, device = right.split()[:2]
        if path.is_relative_to(point) and len(point.parts) >= best:
            best, found = len(point.parts), (file_system, device)
    return found


def sync_seconds(directory: Path) -> float:
    """Median time of one fdatasync behind 4 KB appended to a file."""
    path = directory / "sync-probe"
    taken = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(os.urandom(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(taken)


def size_of(directory: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total
