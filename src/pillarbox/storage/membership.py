"""a node takes its place in a database: its number, and the life that begins

The number stands in the low bits of every id the node gives, so no two nodes may have the same. A
data directory carries a name drawn once, its *place*: whoever has its lock knows that the process
which had it before is gone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pillarbox.storage.interface.errors import NodeRunning, StorageTrouble
from pillarbox.storage.interface.nodes import NodeIdentity
from pillarbox.storage.tenure import LEASE_SECONDS
from pillarbox.terms.ids import MAX_NODE

if TYPE_CHECKING:
    import asyncpg

LEASE_MS: Final = int(LEASE_SECONDS * 1000)
ALONE: Final = 0
"""The number of a node that has a database to itself. Those that share one begin at 1."""

NODE_LOCK: Final = 0x70_69_6C
"""Class of the advisory locks of nodes: whoever writes for a node holds the one of its number."""

_PLACE_BYTES: Final = 12
JOIN_LOCK: Final = 0x70_69_6C_6A
"""Whoever takes a number holds this advisory lock; while somebody else has it, no node begins."""

_MINE: Final = "SELECT number, name FROM node WHERE place = $1"
_NAMED: Final = """
SELECT n.number, coalesce(max(i.until) FILTER (WHERE i.ended_at IS NULL), 0)
       - (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS left_ms
FROM node n LEFT JOIN incarnation i ON i.number = n.number
WHERE n.name = $1 GROUP BY n.number
"""
_TAKEN: Final = "SELECT number FROM node"


def place_of(data_dir: Path) -> str:
    """The place of a data directory, drawn at its first use."""
    path = data_dir / "node.id"
    try:
        known = path.read_text("ascii").strip()
    except FileNotFoundError:
        known = ""
    if not known:
        known = os.urandom(_PLACE_BYTES).hex()
        draft = path.with_suffix(".new")
        draft.write_text(known + "\n", "ascii")
        draft.replace(path)
    return known


async def join(
    connection: asyncpg.Connection[asyncpg.Record], who: NodeIdentity
) -> tuple[int, bool]:
    """The number of a node, given at its first start, and whether no other process can be it.

    Raises `NodeRunning`, `StorageTrouble`.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", JOIN_LOCK)
        mine = await connection.fetchrow(_MINE, who.place)
        named = await connection.fetchrow(_NAMED, who.name)
        if named is not None and (mine is None or named["number"] != mine["number"]):
            if named["left_ms"] > 0:
                raise NodeRunning(
                    f"Another node of this database is called {who.name}, and it is alive.",
                    fix="Give each node a name of its own: --node NAME",
                )
            # Nobody is there under that name: this one follows it, with its number.
            if mine is None:
                await connection.execute(
                    "UPDATE node SET place = $2 WHERE number = $1", named["number"], who.place
                )
                return int(named["number"]), False
            raise NodeRunning(
                f"Another node of this database was called {who.name}.",
                fix=f"Another name, --node NAME, or forget that one: pillarbox node remove {who.name}",
            )
        if mine is not None:
            await connection.execute(
                "UPDATE node SET name = $2 WHERE number = $1", mine["number"], who.name
            )
            return int(mine["number"]), True
        taken = {row["number"] for row in await connection.fetch(_TAKEN)}
        free = [number for number in range(1, MAX_NODE + 1) if number not in taken]
        if not free:
            raise StorageTrouble(
                f"This database knows {MAX_NODE} nodes, and there is no number left for one more.",
                fix="Forget those that are gone for good: pillarbox node remove NAME",
            )
        await connection.execute(
            "INSERT INTO node (number, name, place) VALUES ($1, $2, $3)",
            free[0], who.name, who.place,
        )  # fmt: skip
        return free[0], True
