"""a data directory as one side of a copy: its SQLite file, read and written in threads"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import apsw

from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.connection import connect
from pillarbox.storage.copy_tables import (
    DEAD_NODES,
    PROGRESS,
    Bounds,
    Doubt,
    Progress,
    Range,
    Table,
    keys_in,
    pack_key,
    size_of,
    tables_of,
    unpack_key,
)
from pillarbox.storage.engine import Row
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.storage.marks import MOVED, UNFINISHED
from pillarbox.storage.membership import place_of
from pillarbox.storage.migrate import migrate_sqlite, plan_sqlite

T = TypeVar("T")

_LONG_PAGES: Final = 4000
_TABLES: Final = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
_SEEN: Final = 0
"""What a column is that is neither generated nor hidden."""

_MAKE_PROGRESS: Final = f"""
CREATE TABLE {PROGRESS} (
    name  TEXT    PRIMARY KEY,
    key   BLOB    NOT NULL,
    rows  INTEGER NOT NULL,
    done  INTEGER NOT NULL,
    doubt INTEGER NOT NULL
) STRICT
"""
_NOTE: Final = f"""
INSERT INTO {PROGRESS} (name, key, rows, done, doubt) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (name) DO UPDATE SET key = excluded.key, rows = excluded.rows, done = excluded.done,
    doubt = excluded.doubt
"""
_MARK: Final = """
INSERT INTO mark (name, value) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


class SqliteSide:
    """One connection, used by one thread at a time. Written, it is synced with every commit."""

    def __init__(self, store: StoreUrl, *, reading: bool) -> None:
        """`reading` beside a process that has the file: nothing is written. Raises `apsw.Error`."""
        self._store = store
        self._connection = connect(store.file, reading=reading)
        self._reading = reading
        if not reading:
            self._connection.pragma("wal_autocheckpoint", _LONG_PAGES)

    async def alive(self) -> str:
        """The lock of the directory says that."""
        return ""

    async def lock_out(self) -> None:
        """By the lock of the directory."""

    async def claim(self) -> None:
        """By the lock of the directory."""

    async def is_current(self) -> bool:
        """Nothing is pending."""
        return not (await self._apart(lambda: plan_sqlite(self._connection))).run

    async def migrate(self) -> None:
        """Both halves."""
        await self._apart(lambda: migrate_sqlite(self._connection))

    async def dead_nodes(self) -> list[tuple[str, str]]:
        """The one there is, under the name it had last."""
        if not await self.any_row("incarnation", "recovered = 0"):
            return []
        found = [(as_text(name), as_text(place)) for name, place in await self._say(DEAD_NODES)]
        assert self._store.directory is not None
        return found or [(os.uname().nodename, place_of(self._store.directory))]

    async def tables(self) -> dict[str, Table]:
        """As the schema has them."""
        return await self._apart(self._tables)

    async def rows(self, table: Table, within: Range, bounds: Bounds) -> list[Row]:
        """Read until there are enough."""
        return await self._apart(lambda: self._rows(table, within, bounds))

    async def last_key(self, table: Table) -> Row | None:
        """By the index of the key."""
        order = ", ".join(f"{column} DESC" for column in table.key)
        found = await self._say(
            f"SELECT {', '.join(table.key)} FROM {table.name} ORDER BY {order} LIMIT 1"
        )
        return found[0] if found else None

    async def any_row(self, table: str, where: str = "") -> bool:
        """The first one is enough."""
        return bool(await self._say(f"SELECT 1 FROM {table} WHERE {where or 'TRUE'} LIMIT 1"))

    async def last_life(self) -> int:
        """The highest incarnation."""
        return as_int((await self._say("SELECT max(id) FROM incarnation"))[0][0])

    async def mark(self, name: str) -> str | None:
        """What is marked, or None."""
        found = await self._say("SELECT value FROM mark WHERE name = ?1", name)
        return as_text(found[0][0]) if found else None

    async def set_mark(self, name: str, value: str) -> None:
        """Synced when this returns."""
        await self._say(_MARK, name, value)

    async def drop_mark(self, name: str) -> None:
        """Synced when this returns."""
        await self._say("DELETE FROM mark WHERE name = ?1", name)

    async def close(self) -> None:
        """The log is copied into the file and removed, where we could write."""
        await self._apart(self._close)

    # --- as the target ------------------------------------------------------------------------

    async def begin(self, source: str, since_ms: int, now_ms: int) -> None:
        """One file holds every age."""

        def work() -> None:
            with self._connection:
                self._connection.execute(_MAKE_PROGRESS)
                self._connection.execute("DELETE FROM mark WHERE name = ?1", (MOVED,))
                self._connection.execute(_MARK, (UNFINISHED, source))

        await self._apart(work)

    async def progress(self) -> dict[str, Progress]:
        """As noted."""
        rows = await self._say(f"SELECT name, key, rows, done, doubt FROM {PROGRESS}")
        return {
            as_text(name): Progress(
                as_text(name),
                unpack_key(as_bytes(key)),
                as_int(count),
                bool(done),
                Doubt(as_int(doubt)),
            )
            for name, key, count, done, doubt in rows
        }

    async def note(self, progress: Progress) -> None:
        """Synced when this returns."""
        await self._say(_NOTE, *_noted(progress))

    async def put(
        self, table: Table, rows: Sequence[Row], progress: Progress, cleared: Range | None
    ) -> None:
        """Synced when this returns."""
        places = ", ".join("?" * len(table.columns))
        insert = f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"

        def work() -> None:
            with self._connection:
                if cleared is not None:
                    condition, bounds = keys_in(table, cleared, "?")
                    self._connection.execute(f"DELETE FROM {table.name} WHERE {condition}", bounds)
                self._connection.executemany(insert, rows)
                self._connection.execute(_NOTE, _noted(progress))

        await self._apart(work)

    async def count_on(self, lives: int) -> None:
        """A row gets the number behind the highest there is, without being told."""

    async def settle(self) -> None:
        """Every order that is asked for is that of a key."""

    async def finish(self) -> None:
        """Synced when this returns."""

        def work() -> None:
            with self._connection:
                self._connection.execute(f"DROP TABLE {PROGRESS}")
                self._connection.execute("DELETE FROM mark WHERE name = ?1", (UNFINISHED,))

        await self._apart(work)

    # --- in a thread --------------------------------------------------------------------------

    async def _apart(self, work: Callable[[], T]) -> T:
        return await asyncio.to_thread(work)

    async def _say(self, sql: str, *parameters: int | str | bytes) -> list[Row]:
        return await self._apart(lambda: self._connection.execute(sql, parameters).fetchall())

    def _tables(self) -> dict[str, Table]:
        columns: dict[str, list[str]] = {}
        keys: dict[str, list[str]] = {}
        for (name,) in self._connection.execute(_TABLES).fetchall():
            found = self._connection.execute(f"PRAGMA table_xinfo({name})").fetchall()
            of_key = sorted((as_int(row[5]), as_text(row[1])) for row in found if row[5])
            columns[as_text(name)] = [as_text(row[1]) for row in found if row[6] == _SEEN]
            keys[as_text(name)] = [column for _, column in of_key]
        return tables_of(columns, keys)

    def _rows(self, table: Table, within: Range, bounds: Bounds) -> list[Row]:
        condition, parameters = keys_in(table, within, "?")
        cursor = self._connection.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {condition} "
            f"ORDER BY {', '.join(table.key)} LIMIT {bounds.rows}",
            parameters,
        )
        found: list[Row] = []
        size = 0
        for row in cursor:
            found.append(row)
            size += size_of(row)
            if size >= bounds.bytes:
                break
        cursor.close(True)
        return found

    def _close(self) -> None:
        if not self._reading:
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
            with suppress(apsw.BusyError):  # somebody reads along: the next one to close does it
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._connection.close()


def _noted(progress: Progress) -> tuple[str, bytes, int, int, int]:
    return (
        progress.name,
        pack_key(progress.key),
        progress.rows,
        int(progress.done),
        int(progress.doubt),
    )
