"""a group's rows, written with as few statements as PostgreSQL allows"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import asyncpg

from pillarbox.storage.engine import RANK, Row
from pillarbox.storage.weaving import APART, Woven, unnested, weave

_ASSIGNED = "SELECT pg_current_xact_id_if_assigned()::text"
_IN_ORDER = frozenset({"server.error", "server.fine", "credential.used", "key.used"})
"""Rows that several nodes change: each in the same order, so that none waits for another in a ring."""


class Groups:
    """Statements by name, and woven together as they are needed."""

    def __init__(self, sql: Mapping[str, str]) -> None:
        """Of the engine; `prepare` has to be called before the first `write`."""
        self._sql = sql
        self._arrays: dict[str, str] = {}
        self._widths: dict[str, int] = {}
        self._woven: dict[tuple[str, ...], Woven] = {}

    async def prepare(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """Ask the server for the types of all parameters."""
        for name in RANK:
            prepared = await connection.prepare(self._sql[name])
            types = [kind.name for kind in prepared.get_parameters()]
            self._widths[name] = len(types)
            arrays = None if name in APART else unnested(self._sql[name], types)
            if arrays is not None:
                self._arrays[name] = arrays

    async def write(
        self,
        connection: asyncpg.Connection[asyncpg.Record],
        rows: Mapping[str, Sequence[Row]],
    ) -> str | None:
        """Inside a transaction; gives its number, by which the server remembers what became of it.
        None where nothing was changed.
        """
        names = tuple(name for name in RANK if name in rows and name in self._arrays)
        transaction: str | None = None
        if names:
            woven = self._woven.get(names)
            if woven is None:
                woven = self._woven[names] = weave(names, self._arrays, self._widths)
            transaction = await connection.fetchval(woven.sql, *woven.arguments(rows))
        for name in RANK:
            if name in rows and name not in self._arrays:
                values = sorted(rows[name]) if name in _IN_ORDER else rows[name]
                await connection.executemany(self._sql[name], values)
        if transaction is None:
            transaction = await connection.fetchval(_ASSIGNED)
        return transaction
