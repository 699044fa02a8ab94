"""the write-ahead log stays short while mail goes on, and a copy that failed is not trusted"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from pillarbox.storage import checkpoint
from pillarbox.storage.checkpoint import Checkpoints
from pillarbox.storage.connection import connect
from pillarbox.storage.interface.errors import StorageBroken

PAGE = 8192
LONG, LITTLE = 60, 10


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoint, "_LONG_PAGES", LONG)
    monkeypatch.setattr(checkpoint, "_LITTLE_PAGES", LITTLE)
    return tmp_path / "test.db"


@pytest.fixture
def writer(path: Path) -> Iterator[apsw.Connection]:
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE letter (id INTEGER PRIMARY KEY, body BLOB)")
        yield connection


def write(writer: apsw.Connection, checkpoints: Checkpoints, count: int) -> None:
    for _ in range(count):
        writer.execute("INSERT INTO letter (body) VALUES (zeroblob(?))", (3 * PAGE,))
        checkpoints.committed()


def in_the_file(path: Path, copy: Path) -> int:
    """Rows that are in the database file itself, as if the log were lost."""
    copy.write_bytes(path.read_bytes())
    with closing(apsw.Connection(str(copy))) as alone:
        return int(alone.execute("SELECT count(*) FROM letter").get)


def test_the_log_begins_anew_while_the_writer_goes_on(path: Path, writer: apsw.Connection) -> None:
    broken: list[StorageBroken] = []
    checkpoints = Checkpoints(path, writer, broken.append)
    log = path.with_name("test.db-wal")
    written = 0
    deadline = time.monotonic() + 20
    sizes = set()
    # It has begun anew when much more was written than it holds.
    while written * 3 < 40 * LONG or log.stat().st_size > written * PAGE:
        assert time.monotonic() < deadline, f"{log.stat().st_size} bytes after {written} letters"
        write(writer, checkpoints, 1)
        written += 1
        sizes.add(log.stat().st_size)
    checkpoints.close()
    assert max(sizes) > LONG * PAGE, "void: it was never long"
    assert not broken
    assert writer.execute("SELECT count(*) FROM letter").get == written
    assert writer.pragma("integrity_check") == "ok"


def test_what_was_copied_is_in_the_file(path: Path, writer: apsw.Connection) -> None:
    checkpoints = Checkpoints(path, writer, lambda _: None)
    write(writer, checkpoints, LONG)
    deadline = time.monotonic() + 20
    while not checkpoints._finished_at:
        assert time.monotonic() < deadline, "it was never finished"
        checkpoints.committed()
    checkpoints.close()
    # It was copied for the first time when the log had so many pages, with at most five a letter.
    assert in_the_file(path, path.with_name("copy.db")) >= LONG // 5


def test_somebody_who_reads_for_long_keeps_nobody_waiting(
    path: Path, writer: apsw.Connection
) -> None:
    checkpoints = Checkpoints(path, writer, lambda _: None)
    write(writer, checkpoints, 2)
    with closing(connect(path, reading=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM letter").get == 2
        write(writer, checkpoints, 5 * LONG)
        assert reader.execute("SELECT count(*) FROM letter").get == 2
    checkpoints.close()
    assert writer.execute("SELECT count(*) FROM letter").get == 2 + 5 * LONG


class Failing:
    """Stands for a connection whose disk fails, or is full."""

    def __init__(self, error: apsw.Error) -> None:
        self._error = error

    def status(self, _: int) -> tuple[int, int]:
        return 0, 0

    def wal_checkpoint(self, mode: int) -> tuple[int, int]:
        raise self._error


@pytest.mark.parametrize(
    ("error", "ends_it"),
    [(apsw.IOError("disk I/O error"), True), (apsw.FullError("disk full"), False)],
)
def test_a_copy_that_could_not_be_synced_ends_the_process_and_a_full_disk_does_not(
    path: Path, error: apsw.Error, ends_it: bool
) -> None:
    broken: list[StorageBroken] = []
    failing = Failing(error)
    checkpoints = Checkpoints(path, failing, broken.append)  # type: ignore[arg-type]
    assert not checkpoints._copy(failing)  # type: ignore[arg-type]
    checkpoints.close()
    assert bool(broken) is ends_it
