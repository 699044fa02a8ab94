"""what grows on PostgreSQL, cut by time: a week each, made ahead and dropped whole

Messages, content, deliveries and events are keyed by numbers that begin with their time, so a week
is a range of keys. A row for which no week was made lies in the default partition, from where it is
deleted row by row.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import asyncpg

from pillarbox.storage.postgres_errors import mapped
from pillarbox.storage.postgres_session import connected, ended
from pillarbox.terms.ids import COUNTER_BITS, EPOCH_MS, ORDINAL_BITS

WEEK_MS: Final = 7 * 86_400_000
_AHEAD: Final = 4
_log = logging.getLogger(__name__)
_SHIFTS: Final = {
    "message": COUNTER_BITS,
    "event": COUNTER_BITS,
    "content": COUNTER_BITS + ORDINAL_BITS,
    "delivery": COUNTER_BITS + ORDINAL_BITS,
}
"""How far the milliseconds are shifted in the key of each table."""

_KEYS: Final = {"message": "id", "event": "seq", "content": "id", "delivery": "id"}
_LOCK: Final = 0x70_69_6C_70  # whoever makes or drops partitions holds this advisory lock
_THERE: Final = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE $1"
_WAIT: Final = "SET LOCAL lock_timeout = '2s'"


def week_of(at_ms: int) -> int:
    """Weeks since the first instant an id can have."""
    return max(0, at_ms - EPOCH_MS) // WEEK_MS


def week_start_ms(at_ms: int) -> int:
    """The first instant of a week, as everybody counts time."""
    return week_of(at_ms) * WEEK_MS + EPOCH_MS


def name_of(table: str, week: int) -> str:
    """``message_w0098``."""
    return f"{table}_w{week:04}"


def first_key(table: str, week: int) -> int:
    """The smallest key of a week."""
    return week * WEEK_MS << _SHIFTS[table]


async def with_tables(
    url: str, work: Callable[[asyncpg.Connection[asyncpg.Record]], Awaitable[int]]
) -> int:
    """Do some `work` on tables with a connection of its own. Raises `StorageTrouble`."""
    try:
        connection = await connected(url)
        try:
            return await work(connection)
        finally:
            await ended(connection)
    except Exception as error:
        raise mapped(error) from error


async def make_partitions(
    connection: asyncpg.Connection[asyncpg.Record], now_ms: int, *, since_ms: int | None = None
) -> int:
    """The weeks from `since_ms`, or this one, until some weeks ahead; gives how many were made.

    A week that already has rows in the default partition stays there.
    """
    first = week_of(now_ms if since_ms is None else since_ms)
    made = 0
    try:
        made = await _make_all(connection, first, week_of(now_ms) + _AHEAD)
    except asyncpg.LockNotAvailableError as busy:
        # Somebody reads a table for long. There are weeks ahead, and it is tried again.
        _log.warning("the weeks ahead could not be made: %s", busy)
    return made


async def _make_all(connection: asyncpg.Connection[asyncpg.Record], first: int, last: int) -> int:
    made = 0
    for table in _SHIFTS:
        rows = await connection.fetch(_THERE, f"{table}\\_w%")
        there = {row["relname"] for row in rows}
        for week in range(first, last + 1):
            if name_of(table, week) not in there:
                made += await _make(connection, table, week)
    return made


async def drop_partitions(
    connection: asyncpg.Connection[asyncpg.Record], tables: Sequence[str], before_ms: int
) -> int:
    """Drop the weeks that are over at `before_ms`; gives how many tables that were."""
    dropped = 0
    for table in tables:
        for row in await connection.fetch(_THERE, f"{table}\\_w%"):
            name = str(row["relname"])
            if (int(name.rpartition("_w")[2]) + 1) * WEEK_MS + EPOCH_MS <= before_ms:
                async with connection.transaction():
                    await connection.execute(_WAIT)
                    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                    await connection.execute(f"DROP TABLE IF EXISTS {name}")
                dropped += 1
    return dropped


async def _make(connection: asyncpg.Connection[asyncpg.Record], table: str, week: int) -> bool:
    low, high = first_key(table, week), first_key(table, week + 1)
    key, name = _KEYS[table], name_of(table, week)
    async with connection.transaction():
        await connection.execute(_WAIT)
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        taken = await connection.fetchval(
            f"SELECT 1 FROM {table}_rest WHERE {key} >= {low} AND {key} < {high} LIMIT 1"
        )
        if taken:
            return False
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
            f"FOR VALUES FROM ({low}) TO ({high})"
        )
    return True
