"""a PostgreSQL database as one side of a copy: read through cursors, written by COPY"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg

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
from pillarbox.storage.interface.errors import StorageTrouble, StoreInUse
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.storage.marks import MOVED, UNFINISHED
from pillarbox.storage.membership import JOIN_LOCK
from pillarbox.storage.migrate import living, migrate_postgres, plan_postgres
from pillarbox.storage.partitions import make_partitions
from pillarbox.storage.postgres_session import connected, ended

_COPY_LOCK: Final = 0x70_69_6C_63  # whoever copies into a database holds this advisory lock

_LOCK_SECONDS: Final = 20.0
_LOCK_PAUSE_SECONDS: Final = 0.2
_FEW: Final = 16
_MANY: Final = 256
"""Rows asked for at once: of those that have a body, and of others."""

_BODY: Final = "body"
_COLUMNS: Final = """
SELECT c.relname AS table, a.attname AS column, t.typname AS type,
       array_position(i.indkey::smallint[], a.attnum) AS place,
       a.attgenerated <> '' AS generated, a.attidentity <> '' AS counted
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname, place, a.attnum
"""
_MAKE_PROGRESS: Final = f"""
CREATE TABLE {PROGRESS} (
    name  TEXT    PRIMARY KEY,
    key   BYTEA   NOT NULL,
    rows  BIGINT  NOT NULL,
    done  BOOLEAN NOT NULL,
    doubt BIGINT  NOT NULL
)
"""
_NOTE: Final = f"""
INSERT INTO {PROGRESS} (name, key, rows, done, doubt) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET key = excluded.key, rows = excluded.rows, done = excluded.done,
    doubt = excluded.doubt
"""
_MARK: Final = """
INSERT INTO mark (name, value) VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""


class PostgresSide:
    """One session. Written, it is synced with every commit."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record], shown: str) -> None:
        """Use `open`."""
        self._connection = connection
        self._shown = shown
        self._generated: dict[str, str] = {}
        """What stands before the copied columns in the key of a table."""
        self._texts: set[tuple[str, str]] = set()
        self._counted: dict[str, str] = {}

    @classmethod
    async def open(cls, store: StoreUrl) -> PostgresSide:
        """Connect. Raises `StorageTrouble`."""
        try:
            connection = await connected(store.database.reveal(), command_seconds=None)
        except (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise StorageTrouble(
                f"{store.shown} cannot be reached.",
                detail=f"{type(error).__name__}: {error}",
                fix="Is the server running, does the database exist, may this user connect to it?",
            ) from error
        return cls(connection, store.shown)

    async def alive(self) -> str:
        """By the clock of the database."""
        return next((name for name, _ in await living(self._connection)), "")

    async def lock_out(self) -> None:
        """Nodes that start wait until this is closed, and then see what is marked."""
        await self._lock(JOIN_LOCK)

    async def claim(self) -> None:
        """By a lock of its own, so that a node that starts is told what is going on."""
        await self._lock(_COPY_LOCK)

    async def is_current(self) -> bool:
        """Nothing is pending, and nothing waits for older nodes."""
        plan = await plan_postgres(self._connection)
        return not plan.run and not plan.held_back

    async def migrate(self) -> None:
        """Both halves."""
        await migrate_postgres(self._connection, finish=True)

    async def dead_nodes(self) -> list[tuple[str, str]]:
        """By number."""
        rows = await self._connection.fetch(DEAD_NODES)
        return [(str(row["name"]), str(row["place"])) for row in rows]

    async def tables(self) -> dict[str, Table]:
        """As the catalogue has them."""
        columns: dict[str, list[str]] = {}
        keys: dict[str, list[str]] = {}
        for row in await self._connection.fetch(_COLUMNS):
            table, column = str(row["table"]), str(row["column"])
            of_key = row["place"] is not None
            if row["generated"] and of_key:
                self._generated[table] = column
            if row["generated"]:
                continue
            columns.setdefault(table, []).append(column)
            if of_key:
                keys.setdefault(table, []).append(column)
            if row["counted"]:
                self._counted[table] = column
            if row["type"] == "text":
                self._texts.add((table, column))
        return tables_of(columns, keys)

    async def rows(self, table: Table, within: Range, bounds: Bounds) -> list[Row]:
        """A few at a time, until there are enough."""
        found: list[Row] = []
        size = 0
        portion = _FEW if _BODY in table.columns else _MANY
        columns = ", ".join(table.columns)
        order = ", ".join(self._key(table))
        async with self._connection.transaction(readonly=True):
            sql, parameters = await self._selection(table, columns, within, order, bounds.rows)
            cursor = await self._connection.cursor(sql, *parameters)
            while len(found) < bounds.rows and size < bounds.bytes:
                records = await cursor.fetch(min(portion, bounds.rows - len(found)))
                for record in records:
                    found.append(tuple(record))
                    size += size_of(found[-1])
                if not records:
                    break
        return found

    async def last_key(self, table: Table) -> Row | None:
        """By the index of the key."""
        columns = ", ".join(table.key)
        order = ", ".join(f"{column} DESC" for column in self._key(table))
        sql, parameters = await self._selection(table, columns, Range(), order, 1)
        found = await self._connection.fetchrow(sql, *parameters)
        return tuple(found) if found is not None else None

    async def any_row(self, table: str, where: str = "") -> bool:
        """The first one is enough."""
        sql = f"SELECT 1 FROM {table} WHERE {where or 'TRUE'} LIMIT 1"
        return bool(await self._connection.fetchval(sql))

    async def last_life(self) -> int:
        """The highest incarnation."""
        return int(await self._connection.fetchval("SELECT coalesce(max(id), 0) FROM incarnation"))

    async def mark(self, name: str) -> str | None:
        """What is marked, or None."""
        found = await self._connection.fetchval("SELECT value FROM mark WHERE name = $1", name)
        return None if found is None else str(found)

    async def set_mark(self, name: str, value: str) -> None:
        """Synced when this returns."""
        await self._connection.execute(_MARK, name, value)

    async def drop_mark(self, name: str) -> None:
        """Synced when this returns."""
        await self._connection.execute("DELETE FROM mark WHERE name = $1", name)

    async def close(self) -> None:
        """The locks go with the session."""
        await ended(self._connection)

    # --- as the target ------------------------------------------------------------------------

    async def begin(self, source: str, since_ms: int, now_ms: int) -> None:
        """The weeks first: a row that comes before its week stays in the rest for ever."""
        await make_partitions(self._connection, now_ms, since_ms=since_ms)
        async with self._connection.transaction():
            await self._connection.execute(_MAKE_PROGRESS)
            await self.drop_mark(MOVED)
            await self.set_mark(UNFINISHED, source)

    async def progress(self) -> dict[str, Progress]:
        """As noted."""
        rows = await self._connection.fetch(f"SELECT name, key, rows, done, doubt FROM {PROGRESS}")
        return {
            str(name): Progress(str(name), unpack_key(key), int(count), bool(done), Doubt(doubt))
            for name, key, count, done, doubt in rows
        }

    async def note(self, progress: Progress) -> None:
        """Synced when this returns."""
        await self._connection.execute(
            _NOTE, progress.name, pack_key(progress.key), progress.rows, progress.done,
            int(progress.doubt),
        )  # fmt: skip

    async def put(
        self, table: Table, rows: Sequence[Row], progress: Progress, cleared: Range | None
    ) -> None:
        """Synced when this returns."""
        async with self._connection.transaction():
            if cleared is not None:
                condition, parameters = keys_in(table, cleared, "$", self._key(table))
                before = self._generated.get(table.name)
                if before is not None:
                    values = ", ".join(map(str, await self._values(table.name, before))) or "NULL"
                    condition = f"{before} IN ({values}) AND {condition}"
                await self._connection.execute(
                    f"DELETE FROM {table.name} WHERE {condition}", *parameters
                )
            if rows:
                await self._connection.copy_records_to_table(
                    table.name, records=rows, columns=list(table.columns)
                )
            await self.note(progress)

    async def count_on(self, lives: int) -> None:
        """Every sequence behind a column goes on above it."""
        for table, column in self._counted.items():
            await self._connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), greatest(highest, 1), "
                f"highest > 0) FROM (SELECT greatest(max({column}), $1) AS highest FROM {table}) t",
                lives if table == "incarnation" else 0,
            )

    async def settle(self) -> None:
        """Statistics, for whoever reads it in order now, and for the nodes that start on it."""
        await self._connection.execute("ANALYZE")

    async def finish(self) -> None:
        """Synced when this returns."""
        async with self._connection.transaction():
            await self._connection.execute(f"DROP TABLE {PROGRESS}")
            await self.drop_mark(UNFINISHED)

    async def _lock(self, key: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LOCK_SECONDS
        while not await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
            # The server notices a little later that somebody was killed.
            if loop.time() > deadline:
                raise StoreInUse(f"Another command holds {self._shown}.")
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)

    # --- statements ---------------------------------------------------------------------------

    def _key(self, table: Table) -> list[str]:
        """The columns to order by: text by its bytes, as on every engine."""
        return [
            f'{column} COLLATE "C"' if (table.name, column) in self._texts else column
            for column in table.key
        ]

    async def _selection(
        self, table: Table, columns: str, within: Range, order: str, limit: int
    ) -> tuple[str, Row]:
        condition, parameters = keys_in(table, within, "$", self._key(table))
        tail = f"ORDER BY {order} LIMIT {limit}"
        before = self._generated.get(table.name)
        if before is None:
            return f"SELECT {columns} FROM {table.name} WHERE {condition} {tail}", parameters
        # The index begins with a column that is not copied, the number of a node in the key of an
        # event: it is read once for each value there is, and the few are merged.
        parts = [
            f"(SELECT {columns} FROM {table.name} WHERE {before} = {value} AND {condition} {tail})"
            for value in await self._values(table.name, before)
        ]
        if not parts:
            return f"SELECT {columns} FROM {table.name} WHERE FALSE AND {condition}", parameters
        return f"SELECT {columns} FROM ({' UNION ALL '.join(parts)}) t {tail}", parameters

    async def _values(self, table: str, column: str) -> list[int]:
        """By the index, from one to the next."""
        rows = await self._connection.fetch(
            f"WITH RECURSIVE found AS (SELECT min({column}) AS one FROM {table} UNION ALL "
            f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > found.one) FROM found "
            "WHERE found.one IS NOT NULL) SELECT one FROM found WHERE one IS NOT NULL"
        )
        return [int(row[0]) for row in rows]
