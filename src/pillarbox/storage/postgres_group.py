"""a group's rows, written with as few statements as PostgreSQL allows"""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from pillarbox.storage.engine import RANK, Row
from pillarbox.storage.weaving import APART, Woven, unnested, weave

_CHANGED = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL"
_IN_ORDER = frozenset(
    {
        "server.error",
        "server.fine",
        "credential.used",
        "key.used",
        "problem.note",
        "tls.count",
        "image.used",
    }
)
"""Rows that several nodes change: each in the same order, so that none waits for another in a ring."""


def _key(row: Row) -> bytes:
    return bytes(row[0])  # type: ignore[arg-type]  # all of them begin with an id


def _settle_marks(rows: dict[str, list[Row]]) -> None:
    """A start mark set and settled in one group need not be written: no part of a statement sees
    what another part inserts.
    """
    if "started.insert" not in rows or "started.delete" not in rows:
        return
    both = {row[0] for row in rows["started.insert"]} & {row[0] for row in rows["started.delete"]}
    if both:
        for name in ("started.insert", "started.delete"):
            rows[name] = [row for row in rows[name] if row[0] not in both]
            if not rows[name]:
                del rows[name]


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

    def at_once(self, rows: dict[str, list[Row]]) -> Woven | None:
        """The one statement that writes everything, where there is such a statement, and where what
        it wrote can be told later by its events.
        """
        _settle_marks(rows)
        if "event.insert" not in rows or not rows.keys() <= self._arrays.keys():
            return None
        return self._weave(tuple(name for name in RANK if name in rows))

    def _weave(self, names: tuple[str, ...]) -> Woven:
        woven = self._woven.get(names)
        if woven is None:
            woven = self._woven[names] = weave(names, self._arrays, self._widths)
        return woven

    async def write(
        self,
        connection: asyncpg.Connection[asyncpg.Record],
        rows: dict[str, list[Row]],
    ) -> bool:
        """Inside a transaction; gives whether it has changed anything, guards included."""
        _settle_marks(rows)
        names = tuple(name for name in RANK if name in rows and name in self._arrays)
        if names:
            woven = self._weave(names)
            await connection.fetchval(woven.sql, *woven.arguments(rows))
        for name in RANK:
            if name in rows and name not in self._arrays:
                values = sorted(rows[name], key=_key) if name in _IN_ORDER else rows[name]
                await connection.executemany(self._sql[name], values)
        return bool(rows) or bool(await connection.fetchval(_CHANGED))
