"""what an engine does to answer a statement: which indexes it uses, and how much it reads"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import apsw
import asyncpg

from pillarbox.storage.engine import Value

Argument = Value | list[int]
"""Of a statement; PostgreSQL takes arrays, too."""

_ALIAS: Final = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO) (\w+) (?:AS )?(\w+)")
_SEARCHED: Final = re.compile(r"(?:SEARCH|SCAN) (\w+)(?: USING (?:COVERING )?(.*))?")
_PARTITION: Final = re.compile(r"_(w\d{4}|rest)$")
_KEYS: Final = """
SELECT i.relname AS index, t.relname AS owner,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_attribute a ON a.attrelid = i.oid
WHERE t.relnamespace = 'public'::regnamespace AND x.indisunique GROUP BY i.relname, t.relname
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One statement, planned and run."""

    indexes: frozenset[str]
    """By name, those of a key as TABLE(COLUMN, COLUMN)."""
    rows: int
    """Read from tables: of PostgreSQL all, of SQLite those read without looking anything up."""
    steps: int
    """Of SQLite's machine; 0 on PostgreSQL."""
    sorts: int
    """SQLite's, of rows that come in no useful order; 0 on PostgreSQL, where `rows` says enough."""
    text: str
    """The plan, for people."""


# --- SQLite ---------------------------------------------------------------------------------------


class SqliteEyes:
    """Watches statements over one connection; what they write is undone."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._status: dict[str, int] = {}
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._profiled)

    def see(self, sql: str, asked: tuple[Argument, ...]) -> Seen:
        """Plan it, run it to its end, undo it."""
        parameters = tuple(value for value in asked if not isinstance(value, list))
        connection = self._connection
        plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        connection.execute("SAVEPOINT seen")
        try:
            connection.execute(sql, parameters).fetchall()
            status = dict(self._status)
        finally:
            connection.execute("ROLLBACK TO seen; RELEASE seen")
        aliases = {alias: table for table, alias in _ALIAS.findall(sql)}
        return Seen(
            indexes=frozenset(self._names(plan, aliases)),
            rows=status["SQLITE_STMTSTATUS_FULLSCAN_STEP"],
            steps=status["SQLITE_STMTSTATUS_VM_STEP"],
            sorts=status["SQLITE_STMTSTATUS_SORT"],
            text="; ".join(plan),
        )

    def _profiled(self, event: dict[str, Any]) -> None:
        self._status = event["stmt_status"]

    def _names(self, plan: list[str], aliases: Mapping[str, str]) -> Iterator[str]:
        for line in plan:
            found = _SEARCHED.match(line)
            if found is None or (line.startswith("SCAN") and found[2] is None):
                continue
            table = aliases.get(found[1], found[1])
            index = re.search(r"INDEX (\w+)", found[2] or "")
            if index is None:
                yield self._key_of(table)
            elif index[1].startswith("sqlite_autoindex"):
                columns = [
                    str(row[2])
                    for row in self._connection.execute(f"PRAGMA index_info({index[1]})")
                ]
                yield f"{table}({', '.join(columns)})"
            else:
                yield index[1]

    def _key_of(self, table: str) -> str:
        columns = self._connection.execute(f"PRAGMA table_info({table})").fetchall()
        key = sorted((int(str(row[5])), str(row[1])) for row in columns if row[5])
        return f"{table}({', '.join(name for _, name in key)})"


# --- PostgreSQL -----------------------------------------------------------------------------------

Keys = Mapping[str, str]
"""What the index behind each key is called here."""


async def keys_of(connection: asyncpg.Connection[asyncpg.Record]) -> Keys:
    """Of all tables, partitions included."""
    return {
        row["index"]: f"{_PARTITION.sub('', row['owner'])}({', '.join(row['columns'])})"
        for row in await connection.fetch(_KEYS)
    }


async def prepare(connection: asyncpg.Connection[asyncpg.Record], name: str, sql: str) -> None:
    """Let the server keep a statement under its name."""
    await connection.execute(f'PREPARE "{name}" AS {sql}')


async def execute(
    connection: asyncpg.Connection[asyncpg.Record], name: str, parameters: tuple[Argument, ...]
) -> None:
    """Run what was prepared, and undo it."""
    async with _undone(connection):
        await connection.execute(_call(name, parameters))


async def see(
    connection: asyncpg.Connection[asyncpg.Record],
    name: str,
    parameters: tuple[Argument, ...],
    keys: Keys,
) -> Seen:
    """Plan and run what was prepared, and undo it."""
    async with _undone(connection):
        answer = await connection.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {_call(name, parameters)}"
        )
    nodes = list(_walk(json.loads(answer)[0]["Plan"]))
    named = {str(node["Index Name"]) for node in nodes if "Index Name" in node}
    return Seen(
        indexes=frozenset(keys.get(name, _PARTITION.sub("", name)) for name in named),
        rows=sum(map(_rows, nodes)),
        steps=0,
        sorts=0,
        text="; ".join(map(_words, nodes)),
    )


@asynccontextmanager
async def _undone(connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


def _call(name: str, parameters: tuple[Argument, ...]) -> str:
    told = f"({', '.join(map(_literal, parameters))})" if parameters else ""
    return f'EXECUTE "{name}"{told}'


def _literal(value: Argument) -> str:
    match value:
        case None:
            return "NULL"
        case bytes():
            return f"'\\x{value.hex()}'"
        case list():
            return f"'{{{','.join(map(str, value))}}}'"
        case str():
            return "'" + value.replace("'", "''") + "'"
        case _:
            return str(value)


def _walk(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _rows(node: Mapping[str, Any]) -> int:
    """What this node read from a table itself."""
    if "Relation Name" not in node and "Index Name" not in node:
        return 0
    if not str(node["Node Type"]).endswith("Scan"):
        return 0
    read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
    return int((read + node.get("Rows Removed by Index Recheck", 0)) * node["Actual Loops"])


def _words(node: Mapping[str, Any]) -> str:
    what = (node["Node Type"], node.get("Index Name") or node.get("Relation Name"))
    return f"{' '.join(filter(None, what))} ({node['Actual Rows']} x {node['Actual Loops']})"
