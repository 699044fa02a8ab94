"""migrations: numbered files, checksums, a number that refuses a program too old

Each step has a *before* half, which the previous program survives, and may have an *after* half,
run once no older program is left. SQLite has one process, so both run at once. On PostgreSQL a node
that starts runs before halves; an after half is run by whoever asks for it, and only when no node
lives that is older than its step.
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
from pillarbox.storage.interface.migrating import Half, HeldBack

if TYPE_CHECKING:
    import asyncpg

_FILE: Final = re.compile(r"(\d{4})_([a-z_]+)\.(before|after)\.(sqlite|postgres)\.sql")
SCHEMA: Final = 8
"""The schema this program was written for."""

BEFORE: Final = "before"
Done = dict[tuple[int, str], str]
"""The checksums of what ran, by number and half."""

Living = Sequence[tuple[str, int]]
"""The nodes that are alive, each with the schema its program was written for."""

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
_SQLITE_BEGUN: Final = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'"
_POSTGRES_BEGUN: Final = "SELECT to_regclass('migration') IS NOT NULL"
_NOTES_LIVES: Final = """
SELECT 1 FROM pg_attribute
WHERE attrelid = to_regclass('incarnation') AND attname = 'schema' AND NOT attisdropped
"""
_LIVING: Final = """
SELECT node, schema FROM incarnation
WHERE ended_at IS NULL AND until > (extract(epoch FROM clock_timestamp()) * 1000)::bigint
ORDER BY node
"""


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

    @property
    def title(self) -> Half:
        """Which it is, for people."""
        return Half(self.number, self.name, self.half)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What of the migrations that are due can run now."""

    run: tuple[Migration, ...]
    held_back: tuple[HeldBack, ...] = ()


def migrations(dialect: str) -> list[Migration]:
    """All of a dialect's, in order: before halves and after halves by number."""
    found = []
    for file in (resources.files("pillarbox.storage") / "migrations").iterdir():
        match = _FILE.fullmatch(file.name)
        if match and match[4] == dialect:
            found.append(Migration(int(match[1]), match[2], match[3], file.read_text()))
    return sorted(found, key=lambda m: (m.number, m.half != BEFORE))


def pending(known: Sequence[Migration], done: Done) -> list[Migration]:
    """What is still to run. Raises `SchemaTooNew`, and `StorageTrouble` where history differs."""
    newest, knows = max((number for number, _ in done), default=0), max(m.number for m in known)
    if newest > knows:
        raise SchemaTooNew(
            f"The data has schema {newest}; this Pillarbox knows {knows}.",
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


def outlook(
    known: Sequence[Migration], done: Done, alive: Living, *, finish: bool = True
) -> Outlook:
    """What can run now and what has to wait, in order. Without `finish` no after half runs, but for
    a database without a history, which nobody can be using.
    """
    run, held_back = [], []
    for migration in pending(known, done):
        older = tuple(name for name, schema in alive if schema < migration.number)
        if migration.half == BEFORE or not done or (finish and not older):
            run.append(migration)
        else:
            held_back.append(HeldBack(migration.title, older))
    return Outlook(tuple(run), tuple(held_back))


def plan_sqlite(
    connection: apsw.Connection | None, known: Sequence[Migration] | None = None
) -> Outlook:
    """What `migrate_sqlite` would do; with None, in a file that does not exist yet."""
    begun = connection is not None and connection.execute(_SQLITE_BEGUN).fetchall()
    done = _done_of(connection) if connection is not None and begun else {}
    return outlook(known or migrations("sqlite"), done, ())


def migrate_sqlite(
    connection: apsw.Connection, known: Sequence[Migration] | None = None
) -> list[Migration]:
    """Bring a file up to date, each half in a transaction of its own; gives what ran."""
    connection.execute(f"{_JOURNAL} STRICT")
    ran = pending(known or migrations("sqlite"), _done_of(connection))
    for migration in ran:
        with connection:
            connection.execute(migration.sql)
            connection.execute(
                "INSERT INTO migration (number, half, name, checksum) VALUES (?, ?, ?, ?)",
                (migration.number, migration.half, migration.name, migration.checksum),
            )
    return ran


async def plan_postgres(
    connection: asyncpg.Connection[asyncpg.Record] | None,
    known: Sequence[Migration] | None = None,
) -> Outlook:
    """What `migrate_postgres` would do to the end; with None, in one that does not exist yet."""
    done: Done = {}
    alive: Living = ()
    if connection is not None and await connection.fetchval(_POSTGRES_BEGUN):
        done, alive = await _history(connection), await living(connection)
    return outlook(known or migrations("postgres"), done, alive)


async def migrate_postgres(
    connection: asyncpg.Connection[asyncpg.Record],
    known: Sequence[Migration] | None = None,
    *,
    finish: bool = False,
) -> Outlook:
    """Bring a database up to date; nodes that start at once wait for the first. Gives what ran.

    With `finish` also those after halves that no living node is too old for.
    """
    known = known or migrations("postgres")
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_JOURNAL)
        done = await _history(connection)
        first = outlook(known, done, (), finish=False).run
        for migration in first:
            await _run(connection, migration)
        # Asked behind the before halves, which make the table of lives. An older program that starts
        # from here on is refused.
        alive = await living(connection)
        rest = outlook(known, await _history(connection), alive, finish=finish)
        for migration in rest.run:
            await _run(connection, migration)
        return Outlook((*first, *rest.run), rest.held_back)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


def _done_of(connection: apsw.Connection) -> Done:
    rows = connection.execute(_DONE).fetchall()
    return {(int(str(number)), str(half)): str(checksum) for number, half, checksum in rows}


async def _history(connection: asyncpg.Connection[asyncpg.Record]) -> Done:
    rows = await connection.fetch(_DONE)
    return {(int(number), str(half)): str(checksum) for number, half, checksum in rows}


async def living(connection: asyncpg.Connection[asyncpg.Record]) -> Living:
    """Who is alive in a database; nobody where it is too old to know."""
    if not await connection.fetchval(_NOTES_LIVES):
        return ()
    return [(str(node), int(schema)) for node, schema in await connection.fetch(_LIVING)]


async def _run(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO migration (number, half, name, checksum) VALUES ($1, $2, $3, $4)",
            migration.number, migration.half, migration.name, migration.checksum,
        )  # fmt: skip
