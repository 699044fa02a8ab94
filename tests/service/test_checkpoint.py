"""the write-ahead log stays short while mail goes on, and a copy that failed is not trusted"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from pillarbox.storage.checkpoint import Checkpoints
from pillarbox.storage.connection import connect
from pillarbox.storage.interface.errors import StorageBroken

PAGE = 8192
LONG, LITTLE = 60, 10


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
def writer(path: Path) -> Iterator[apsw.Connection]:
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE letter (id INTEGER PRIMARY KEY, body BLOB)")
        # What waits for a reader fails at once, and is seen.
        connection.set_busy_timeout(0)
        yield connection


@pytest.fixture
def broken() -> list[StorageBroken]:
    return []


@pytest.fixture
def checkpoints(
    path: Path, writer: apsw.Connection, broken: list[StorageBroken]
) -> Iterator[Checkpoints]:
    made = Checkpoints(writer, connect(path), broken.append, long_pages=LONG, little_pages=LITTLE)
    yield made
    made.close()


def write(writer: apsw.Connection, checkpoints: Checkpoints, count: int = 1) -> None:
    for _ in range(count):
        writer.execute("INSERT INTO letter (body) VALUES (zeroblob(?))", (3 * PAGE,))
        checkpoints.committed()


def length(connection: apsw.Connection) -> tuple[int, int]:
    """Pages in the log, and how many of them are copied."""
    return connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)


def until(holds: Callable[[], bool], work: Callable[[], None], what: str) -> None:
    """Work on until it holds."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        work()


def begins_anew(writer: apsw.Connection, checkpoints: Checkpoints) -> None:
    """Write until the log is shorter than it was."""
    before = 0

    def shorter() -> bool:
        nonlocal before
        last, before = before, length(writer)[0]
        return before < last

    until(shorter, lambda: write(writer, checkpoints), "the log never began anew")


def test_the_log_begins_anew_again_and_again_while_the_writer_goes_on(
    writer: apsw.Connection, checkpoints: Checkpoints, broken: list[StorageBroken]
) -> None:
    for _ in range(5):
        begins_anew(writer, checkpoints)
    assert not broken
    assert writer.pragma("integrity_check") == "ok"


def test_a_log_left_by_a_process_that_was_killed_is_copied_too(
    path: Path, writer: apsw.Connection, broken: list[StorageBroken]
) -> None:
    for _ in range(LONG // 2):
        writer.execute("INSERT INTO letter (body) VALUES (zeroblob(?))", (3 * PAGE,))
    # Nothing of it was ever told to these.
    checkpoints = Checkpoints(
        writer, connect(path), broken.append, long_pages=LONG, little_pages=LITTLE
    )
    begun = length(writer)[0]
    assert begun > LONG
    begins_anew(writer, checkpoints)
    checkpoints.close()


def test_somebody_who_reads_for_long_keeps_nobody_waiting_and_then_the_log_begins_anew(
    path: Path, writer: apsw.Connection, checkpoints: Checkpoints, broken: list[StorageBroken]
) -> None:
    write(writer, checkpoints, 2)
    with closing(connect(path, reading=True)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM letter").get == 2
        until(
            lambda: length(writer)[0] > 4 * LONG,
            lambda: write(writer, checkpoints),
            "the log did not grow, so nothing was kept from being copied",
        )
        _, copied = length(writer)
        assert copied < LONG, "void: the reader kept nothing from being copied"
        assert reader.execute("SELECT count(*) FROM letter").get == 2
    begins_anew(writer, checkpoints)
    assert not broken


class Failing:
    """Stands for a connection whose disk fails, or is full, once something is to be copied."""

    def __init__(self, error: apsw.Error) -> None:
        self._error = error
        self.tried = 0
        self.pages = 10_000

    def wal_checkpoint(self, mode: int) -> tuple[int, int]:
        if mode == apsw.SQLITE_CHECKPOINT_NOOP:
            return self.pages, 0
        self.tried += 1
        raise self._error

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("error", "ends_it"),
    [(apsw.IOError("disk I/O error"), True), (apsw.FullError("disk full"), False)],
)
def test_after_a_failed_sync_nothing_is_copied_any_more_but_a_full_disk_may_have_room_later(
    error: apsw.Error, ends_it: bool
) -> None:
    broken: list[StorageBroken] = []
    writer, copier = Failing(error), Failing(error)
    checkpoints = Checkpoints(writer, copier, broken.append)  # type: ignore[arg-type]
    until(lambda: copier.tried > 0, checkpoints.committed, "nothing was copied")
    if ends_it:
        until(lambda: bool(broken), checkpoints.committed, "nobody was told")
        for _ in range(100):
            checkpoints.committed()
        assert (copier.tried, writer.tried, len(broken)) == (1, 0, 1)
    else:
        for log in (copier, writer):
            log.pages += 10_000  # it is tried again when much more has come
        until(lambda: copier.tried > 1, checkpoints.committed, "it was given up")
        for _ in range(100):
            checkpoints.committed()
        assert (copier.tried, writer.tried, len(broken)) == (2, 0, 0)
    checkpoints.close()


def test_a_copier_that_stumbles_is_not_the_last_one() -> None:
    stumbling = Failing(apsw.FullError("disk full"))
    stumbles = iter([RuntimeError("out of memory")])

    def stumble(mode: int) -> tuple[int, int]:
        for error in stumbles:
            raise error
        return Failing.wal_checkpoint(stumbling, mode)

    stumbling.wal_checkpoint = stumble  # type: ignore[method-assign]
    checkpoints = Checkpoints(
        Failing(apsw.FullError("disk full")),  # type: ignore[arg-type]
        stumbling,  # type: ignore[arg-type]
        lambda _: None,
    )
    until(lambda: stumbling.tried > 0, checkpoints.committed, "it never copied again")
    checkpoints.close()
