"""the database of several nodes as somebody else reads it, and what they may not leave there

The same questions as `tests.crash.ledger` asks of a file. Its words are plain ones, so call it from a
thread that runs no event loop: ``await asyncio.to_thread(ask, url)``.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import asyncpg

from tests.crash.ledger import Ledger

_SECONDS: Final = 60.0
_HOMELESS: Final = {
    "mail in the memory of a process that is over": """
        SELECT id FROM queue WHERE owner > 0
        AND owner NOT IN (SELECT id FROM incarnation WHERE recovered = 0)""",
    "a start mark of a process that is over": """
        SELECT seq FROM started
        WHERE owner NOT IN (SELECT id FROM incarnation WHERE recovered = 0)""",
    "a shard leased by a process that is over": """
        SELECT lane * 8 + shard FROM lease WHERE owner > 0
        AND owner NOT IN (SELECT id FROM incarnation WHERE recovered = 0)""",
    "a life that is recovered and not ended": """
        SELECT id FROM incarnation WHERE recovered = 1 AND ended_at IS NULL""",
}


class ClusterLedger(Ledger):
    """One look at a PostgreSQL; see `look_at`."""

    def __init__(self, runner: asyncio.Runner, connection: Any) -> None:
        self._runner = runner
        self._connection = connection

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        count = itertools.count(1)
        numbered = "".join(f"${next(count)}" if c == "?" else c for c in sql)
        found = self._runner.run(self._connection.fetch(numbered, *parameters, timeout=_SECONDS))
        return [tuple(row) for row in found]

    def damage(self) -> list[str]:
        """What no node may leave to the others. PostgreSQL's own files are its own affair."""
        found = []
        for what, sql in _HOMELESS.items():
            if rows := self.rows(sql):
                found.append(f"{what}: {len(rows)}, first {rows[0][0]}")
        return found

    def owned(self, life: int) -> tuple[int, int]:
        """How many deliveries and how many shards a process has."""
        ((deliveries, shards),) = self.rows(
            "SELECT (SELECT count(*) FROM queue WHERE owner = ?), "
            "(SELECT count(*) FROM lease WHERE owner = ?)", life, life,
        )  # fmt: skip
        return int(deliveries), int(shards)

    def standing(self) -> str:
        """Who has what, for people."""
        queue = self.rows(
            "SELECT id, owner, lane, (id >> 22) & 7, state, due, attempts, uncertain FROM queue "
            "ORDER BY id LIMIT 5"
        )
        lives = self.rows(
            "SELECT id, node, until, ended_at, recovered FROM incarnation ORDER BY id DESC LIMIT 8"
        )
        leases = self.rows("SELECT lane, shard, owner, epoch FROM lease ORDER BY lane, shard")
        told = {"queue": queue, "lives": lives, "leases": leases}
        lines = [f"{what}: {row}" for what, rows in told.items() for row in rows]
        return "\n".join([f"counts: {self.counts()}", *lines])

    def life(self, node: str) -> int:
        """The newest life of a node; 0 where it never began one."""
        ((found,),) = self.rows("SELECT coalesce(max(id), 0) FROM incarnation WHERE node = ?", node)
        return int(found)

    def ended(self, life: int) -> tuple[int | None, int]:
        """When a life was ended, if it was, and until when it might have acted."""
        ((ended_at, until),) = self.rows(
            "SELECT ended_at, until FROM incarnation WHERE id = ?", life
        )
        return ended_at, int(until)


@contextmanager
def look_at(url: str) -> Iterator[ClusterLedger]:
    """The database behind a URL; all answers are of one moment."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(url, timeout=_SECONDS))
        try:
            # What is sought in is small enough to be held in memory, where it is sought once.
            runner.run(connection.execute("SET work_mem = '256MB'"))
            runner.run(connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            yield ClusterLedger(runner, connection)
        finally:
            runner.run(connection.close(timeout=_SECONDS))


def say(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Each in a transaction of its own; what the last one gives."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url, timeout=_SECONDS)
        try:
            rows: list[tuple[Any, ...]] = []
            for statement in statements:
                rows = [tuple(row) for row in await connection.fetch(statement, timeout=_SECONDS)]
            return rows
        finally:
            await connection.close(timeout=_SECONDS)

    return asyncio.run(ask())
