"""the database of a Pillarbox as somebody else reads it, alive or dead

Nothing of the product is used to read it: what it believes of itself is what is examined. A dead
one is copied first, so that looking does not begin the recovery that the next start is to make.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from tests.doubles.journal import Fact

TABLES: Final = ("message", "content", "upload", "queue", "started", "delivery", "obligation")
ON_ITS_WAY: Final = ("upload", "queue", "started", "obligation")
"""Tables that are empty when everything is settled and all is paid."""

_DATABASE: Final = "pillarbox.db"
_ORDINAL_BITS: Final = 10
_RAW: Final = 0
_HEADER_BYTES: Final = 4096
"""In so much of a message its id is found."""

_ILLEGAL: Final = {
    "content that belongs to nobody": """
        SELECT id FROM content WHERE (id >> 10) NOT IN (SELECT id FROM message)
        AND (id >> 10) NOT IN (SELECT message FROM upload)""",
    "a message that is still called an upload": """
        SELECT id FROM message WHERE id IN (SELECT message FROM upload)""",
    "a message without content": """
        SELECT id FROM message WHERE (id << 10) NOT IN (SELECT id FROM content)""",
    "a message without a single recipient": """
        SELECT id FROM message WHERE id NOT IN (SELECT id >> 10 FROM queue)
        AND id NOT IN (SELECT id >> 10 FROM delivery)""",
    "a delivery that waits and is settled": """
        SELECT id FROM queue WHERE id IN (SELECT id FROM delivery)""",
    "a delivery of no message": """
        SELECT id FROM (SELECT id FROM queue UNION ALL SELECT id FROM delivery) AS every
        WHERE (id >> 10) NOT IN (SELECT id FROM message)""",
    "a history whose end does not exist": """
        SELECT id FROM (SELECT id, last_event FROM queue UNION ALL
                        SELECT id, last_event FROM delivery) AS every
        WHERE last_event NOT IN (SELECT seq FROM event)""",
    "an event that follows nothing": """
        SELECT seq FROM event WHERE previous <> 0 AND previous NOT IN (SELECT seq FROM event)""",
    "two events that follow the same one for one delivery": """
        SELECT max(seq) FROM event WHERE previous <> 0
        GROUP BY previous, delivery HAVING count(*) > 1""",
}


class Ledger(ABC):
    """One look at a database; see `look`, and `tests.crash.cluster_ledger` for PostgreSQL."""

    @abstractmethod
    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement gives; parameters are question marks in it."""

    @abstractmethod
    def damage(self) -> list[str]:
        """What the engine itself finds wrong with what it keeps."""

    def counts(self) -> dict[str, int]:
        """How many rows each table of the queue has; those without are left out."""
        counted = {t: int(self.rows(f"SELECT count(*) FROM {t}")[0][0]) for t in TABLES}
        return {table: count for table, count in counted.items() if count}

    def waiting(self) -> dict[str, int]:
        """What is still on its way or owed."""
        return {t: n for t, n in self.counts().items() if t in ON_ITS_WAY}

    def faults(self) -> list[str]:
        """Damage, and rows that no step of docs/queue.md can leave together."""
        found = self.damage()
        for what, sql in _ILLEGAL.items():
            ids = self.rows(sql)
            if ids:
                found.append(f"{what}: {len(ids)}, first {ids[0][0]}")
        return found

    def identities(self) -> dict[int, str]:
        """The experiment's id of each message that has content, read from its content."""
        found = {}
        for key, codec, body in self.rows(
            f"SELECT c.id, c.codec, substr(c.body, 1, {_HEADER_BYTES}) "
            "FROM message m JOIN content c ON c.id = (m.id << 10)"
        ):
            assert codec == _RAW, f"content in an unknown form: {codec}"
            found[key >> _ORDINAL_BITS] = _identity(body)
        return found

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each stored body, by the experiment's id."""
        found: dict[int, Any] = {}
        for key, body in self.rows(
            "SELECT c.id, c.body FROM content c JOIN message m ON m.id = (c.id >> 10) ORDER BY c.id"
        ):
            message, first = key >> _ORDINAL_BITS, key & ((1 << _ORDINAL_BITS) - 1) == 0
            if first:
                found[message] = hashlib.sha256(body[body.find(b"\r\n\r\n") + 4 :])
            else:
                found[message].update(body)
        names = self.identities()
        return {names[message]: digest.hexdigest() for message, digest in found.items()}

    def deliveries(self) -> list[Fact]:
        """Every recipient's standing, as `tests.doubles.judge` reads a ledger."""
        names = self.identities()
        doubts = Counter(
            delivery
            for (delivery,) in self.rows(
                "SELECT delivery FROM event WHERE kind = 'delivery.uncertain'"
            )
        )
        return [
            {
                "message": names.get(key >> _ORDINAL_BITS, ""),
                "recipient": bytes(recipient).decode(),
                "state": state,
                "uncertain": doubts[key],
            }
            for key, state, recipient in self.rows(
                "SELECT id, state, recipient FROM queue UNION ALL "
                "SELECT id, state, recipient FROM delivery"
            )
        ]

    def under_mark(self) -> list[str]:
        """The experiment's ids of deliveries that a start mark covers, one for each."""
        names = self.identities()
        return [names[delivery >> _ORDINAL_BITS] for delivery in self.marked()]

    def marked(self) -> list[int]:
        """Deliveries that start marks cover, one for each mark."""
        packed = [row[0] for row in self.rows("SELECT ids FROM started ORDER BY seq")]
        return [number for ids in packed for (number,) in struct.iter_unpack("<q", ids)]

    def kinds(self, identity: str) -> list[str]:
        """The kinds of event that a message and its deliveries have met, oldest first."""
        numbers = [number for number, name in self.identities().items() if name == identity]
        return [
            kind
            for number in numbers
            for (kind,) in self.rows(
                "SELECT kind FROM event WHERE (delivery >> 10) = ? ORDER BY seq", number
            )
        ]


class FileLedger(Ledger):
    """Of SQLite."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        return self._connection.execute(sql, parameters).fetchall()

    def damage(self) -> list[str]:
        """By a check of every page."""
        return [f"{word}" for (word,) in self.rows("PRAGMA integrity_check") if word != "ok"]

    @property
    def blank(self) -> bool:
        """Whether not even the tables are there."""
        return not self.rows("SELECT 1 FROM sqlite_master LIMIT 1")


@contextmanager
def look(data_dir: Path, *, alive: bool = False) -> Iterator[FileLedger]:
    """The database of a Pillarbox that is dead, or is `alive`."""
    if alive:
        flags = apsw.SQLITE_OPEN_READONLY
        connection = apsw.Connection(str(data_dir / _DATABASE), flags=flags)
        connection.set_busy_timeout(5000)
        try:
            with connection:  # one moment for all statements
                yield FileLedger(connection)
        finally:
            connection.close()
        return
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        for suffix in ("", "-wal"):
            source = data_dir / f"{_DATABASE}{suffix}"
            if source.exists():
                shutil.copy2(source, folder)
        connection = apsw.Connection(str(Path(folder) / _DATABASE))
        try:
            yield FileLedger(connection)
        finally:
            connection.close()


@contextmanager
def somebody_writing(data_dir: Path) -> Iterator[None]:
    """Another process that is in the middle of a transaction on the database."""
    connection = apsw.Connection(str(data_dir / _DATABASE))
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def _identity(content: bytes) -> str:
    """X-Exp-Id, or the subject where there is none: how the sink knows a message, too."""
    header = b"\r\n" + content.partition(b"\r\n\r\n")[0] + b"\r\n"
    folded = header.lower()
    for name in (b"\r\nx-exp-id:", b"\r\nsubject:"):
        start = folded.find(name)
        if start >= 0:
            start += len(name)
            return header[start : header.find(b"\r\n", start)].strip().decode("utf-8", "replace")
    return ""
