"""migrations: numbered files, checksums, a number that refuses a program too old

Each step has a *before* half, which the previous program survives, and may have an *after* half,
run once no older program is left. SQLite has one process, so both run at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

import apsw

from pillarbox.storage.interface.errors import SchemaTooNew, StorageTrouble

if TYPE_CHECKING:
    import asyncpg

_FILE: Final = re.compile(r"(\d{4})_([a-z_]+)\.(before|after)\.(sqlite|postgres)\.sql")
SCHEMA: Final = 2
"""The schema this program was written for."""

_JOURNAL: Final = """
CREATE TABLE IF NOT EXISTS migration (
    number   INTEGER NOT NULL,
    half     TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    checksum TEXT    NOT NULL,
    PRIMARY KEY (number, half)
)
"""
_DONE: Final = "SELECT number, half, checksum FROM migration"
_LOCK: Final = 0x70_69_6C_6C_61_72  # "pillar": whoever migrates holds this advisory lock


@dataclass(frozen=True, slots=True)
class Migration:
    """One half of one step."""

    number: int
    name: str
    half: str
    sql: str

    @property
    def checksum(self) -> str:
        """Of the statements, comments and blank lines aside, so that prose may be improved."""
        lines = (line for line in self.sql.splitlines() if line and not line.startswith("--"))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def migrations(dialect: str) -> list[Migration]:
    """All of a dialect's, in order: before halves and after halves by number."""
    found = []
    for file in (resources.files("pillarbox.storage") / "migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and match[4] == dialect:
            found.append(Migration(int(match[1]), match[2], match[3], file.read_text()))
    return sorted(found, key=lambda m: (m.number, m.half != "before"))


def pending(known: Sequence[Migration], done: dict[tuple[int, str], str]) -> list[Migration]:
    """What is still to run. Raises `SchemaTooNew`, and `StorageTrouble` where history differs."""
    newest = max((number for number, _ in done), default=0)
    if newest > SCHEMA:
        raise SchemaTooNew(
            f"The data has schema {newest}; this Pillarbox knows {SCHEMA}.",
            fix="Run the newer Pillarbox that wrote it, or restore a backup made before.",
        )
    waiting = []
    for migration in known:
        before = done.get((migration.number, migration.half))
        if before is None:
            waiting.append(migration)
        elif before != migration.checksum:
            raise StorageTrouble(
                f"Migration {migration.number} ({migration.name}) differs from the one that ran.",
                fix="Install an unmodified Pillarbox.",
            )
    return waiting


def migrate_sqlite(connection: apsw.Connection) -> list[Migration]:
    """Bring a file up to date, each half in a transaction of its own; gives what ran."""
    connection.execute(f"{_JOURNAL} STRICT")
    rows = connection.execute(_DONE).fetchall()
    done = {(int(str(number)), str(half)): str(checksum) for number, half, checksum in rows}
    ran = pending(migrations("sqlite"), done)
    for migration in ran:
        with connection:
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO migration (number, half, name, checksum) VALUES (?, ?, ?, ?)",
                (migration.number, migration.half, migration.name, migration.checksum),
            )
    return ran


async def migrate_postgres(connection: asyncpg.Connection[asyncpg.Record]) -> list[Migration]:
    """Bring a database up to date; nodes that start at once wait for the first. Gives what ran."""
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_JOURNAL)
        rows = await connection.fetch(_DONE)
        done = {(int(number), str(half)): str(checksum) for number, half, checksum in rows}
        ran = pending(migrations("postgres"), done)
        for migration in ran:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO migration (number, half, name, checksum) VALUES ($1, $2, $3, $4)",
                    migration.number, migration.half, migration.name, migration.checksum,
                )  # fmt: skip
        return ran
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
