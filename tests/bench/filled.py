"""a store filled in bulk by SQL: more rows than anybody could hand over for a measurement

The same statements for both engines, but for three words. A message is a row in each of the tables
that grow; its delivery waits in one of many lanes, nearly always for later. They lie evenly in the
shards of each lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import apsw
import asyncpg

from pillarbox.message.facts import MessageFacts, Origin, RecipientFacts
from pillarbox.storage.codec import encode
from pillarbox.terms.ids import COUNTER_BITS, EPOCH_MS, ORDINAL_BITS

Dialect = Literal["sqlite", "postgres"]

APP = b"filled-app"
"""The app of the lanes, where nobody says another."""
ROUTE = "filled"
"""The route in the names of the lanes, by which they are known."""
RECIPIENT = b"desk@example.test"
_HOUR_MS = 3_600_000
_LIVES_MS = 48 * _HOUR_MS
_FACTS = encode(
    MessageFacts(
        "orders@example.test", (RecipientFacts(RECIPIENT.decode()),), Origin("smtp"), "credential",
        "first-app",
    )
)  # fmt: skip
_CONTENT = b"From: orders@example.test\r\nSubject: filled\r\n\r\n" + b"A line of prose.\r\n" * 5


@dataclass(frozen=True, slots=True)
class Filling:
    """What is put in."""

    rows: int
    """Messages, each with one delivery that waits."""
    begin_ms: int
    """When the first of them came."""
    now_ms: int
    lanes: int = 1000
    due: int = 300
    """So many deliveries are due; the others will be in an hour and later."""
    apart_ms: int = 1
    """Between two messages; an odd number, so that all shards are used."""
    app: bytes = APP
    node: int = 0
    """The number in the ids; PostgreSQL has no node 0."""
    held: int = 0
    """So many of the last ones are held."""
    beside: bool = True
    """Whether message, content and event belong to each, or the queue is all there is."""


@dataclass(frozen=True, slots=True)
class Tongue:
    """How an engine writes what the two write differently."""

    dialect: Dialect

    def literal(self, value: bytes) -> str:
        """Bytes that are the same in every row."""
        return f"'\\x{value.hex()}'::bytea" if self.dialect == "postgres" else f"x'{value.hex()}'"

    def octets(self, text: str) -> str:
        """An expression of text as bytes."""
        return f"CAST({text} AS {'bytea' if self.dialect == 'postgres' else 'BLOB'})"

    def numbers(self, count: int) -> str:
        """A table whose column `n` counts from 0."""
        if self.dialect == "postgres":
            return f"generate_series(0, {count - 1}) AS series(n)"
        return (
            "(WITH RECURSIVE counted(n) AS "
            f"(SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n < {count - 1}) "
            "SELECT n FROM counted)"
        )

    def into(self, table: str, columns: str, values: str, count: int) -> str:
        """A statement that inserts `count` rows; `values` may speak of `n`."""
        return f"INSERT INTO {table} ({columns}) SELECT {values} FROM {self.numbers(count)}"


def fill_sqlite(connection: apsw.Connection, filling: Filling) -> None:
    """In one transaction."""
    with connection:
        for sql in statements("sqlite", filling):
            connection.execute(sql)


async def fill_postgres(connection: asyncpg.Connection[asyncpg.Record], filling: Filling) -> None:
    """And swept, as the server does it itself after a while."""
    for sql in statements("postgres", filling):
        await connection.execute(sql, timeout=None)
    await connection.execute("VACUUM (ANALYZE)", timeout=None)


def statements(dialect: Dialect, filling: Filling) -> list[str]:
    """In the order in which they must run."""
    say, f = Tongue(dialect), filling
    at = f"{f.begin_ms} + CAST(n AS BIGINT) * {f.apart_ms}"
    message = f"(({at} - {EPOCH_MS}) << {COUNTER_BITS} | {f.node})"
    lane = f"(SELECT min(id) FROM lane WHERE route = '{ROUTE}') + (n / 8) % {f.lanes}"
    is_held = f"n >= {f.rows - f.held}"
    due = (
        f"CASE WHEN n < {f.due} THEN {f.now_ms - 1000} WHEN {is_held} THEN {f.now_ms + _LIVES_MS}"
        f" ELSE {f.now_ms + _HOUR_MS} + n END"
    )
    app, author = say.literal(f.app), say.literal(b"orders@example.test")
    lanes = say.into("lane", "app, route, destination", f"{app}, '{ROUTE}', 'd' || n", f.lanes)
    waiting = say.into(
        "queue",
        "id, owner, lane, state, due, attempts, uncertain, last_event, recipient",
        f"{message} << {ORDINAL_BITS} | 1, CASE WHEN {is_held} THEN -1 ELSE 0 END, {lane},"
        f" CASE WHEN {is_held} THEN 'held' ELSE 'queued' END, {due}, 0, 0, {message},"
        f" {say.literal(RECIPIENT)}",
        f.rows,
    )
    if not f.beside:
        return [lanes, waiting]
    messages = say.into(
        "message",
        "id, app, submitter, mode, size, return_path, author, subject, message_id, expires_at,"
        " uncertain, facts",
        f"{message}, {app}, {app}, 'live', {len(_CONTENT)}, {author}, {author},"
        f" {say.literal(b'filled')}, {say.literal(b'<1@example.test>')}, {f.now_ms + _LIVES_MS},"
        f" 'retry', {say.literal(_FACTS)}",
        f.rows,
    )
    content = say.into(
        "content",
        "id, codec, body",
        f"{message} << {ORDINAL_BITS}, 0, {say.literal(_CONTENT)}",
        f.rows,
    )
    events = say.into(
        "event",
        "seq, at, app, kind, delivery, previous, data",
        f"{message}, {at}, {app}, 'message.accepted', {message} << {ORDINAL_BITS}, 0,"
        f" {say.literal(b'')}",
        f.rows,
    )
    return [lanes, waiting, messages, content, events]
