"""a hundred thousand deliveries that wait for later cost less than a hundredth of a processor

On either engine a store is filled by SQL: so many deliveries in a thousand lanes, none of them due for
an hour. A real process starts over it, as shipped, and when it has come to rest its CPU is counted for
a while, with that of PostgreSQL's processes beside it. Counted, too, is a process over an empty store,
in the same way and at the same time: what it costs to have nothing to do.

It looks into its queue every two seconds and into a few other things less often, so a share of
more than `MOST_SHARE` means that looking costs by the delivery, or that it looks all the time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import asyncpg

from pillarbox.storage.connection import connect
from pillarbox.storage.open import open_storage
from tests.bench.filled import Dialect, Filling, fill_postgres, fill_sqlite
from tests.bench.meter import rest, tree_cpu_seconds
from tests.bench.nodes import Node, new_secret_key, postmaster
from tests.bench.place import Place, disk_place
from tests.doubles.journal import wall_ms
from tests.doubles.postgres import PostgresServer

NEEDS = ("postgres",)

MOST_SHARE: Final = 0.01
"""Of one processor."""
_FILE: Final = "pillarbox.db"
_DIALECTS: Final[tuple[Dialect, ...]] = ("sqlite", "postgres")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    rows: int
    lanes: int
    seconds: float
    """For which CPU is counted."""
    asserted: bool
    """Whether the share is; a few seconds have too few looks in them."""


SCALES = {
    "small": Scale(rows=2000, lanes=50, seconds=3, asserted=False),
    "full": Scale(rows=100_000, lanes=1000, seconds=60, asserted=True),
}


@dataclass(slots=True)
class Idle:
    """One process over one store, and what it used."""

    node: Node
    database: str
    waiting: int
    cpu_seconds: float = 0.0
    began: float = 0.0

    async def fill(self, scale: Scale) -> None:
        """Its app is there from a first start; then as many deliveries as it is to have."""
        async with self.node:
            pass
        if not self.waiting:
            return
        now_ms = wall_ms()
        storage = await open_storage(
            self.node.data, now_ms=now_ms, on_broken=lambda _: None, database=self.database,
            secret_key=self.node.secret_key, node=self.node.name, roles=("deliver",),
        )  # fmt: skip
        app = (await storage.directory.apps())[0].id
        await storage.close()
        filling = Filling(
            rows=self.waiting, begin_ms=now_ms - self.waiting - 60_000, now_ms=now_ms,
            lanes=scale.lanes, due=0, node=1 if self.database else 0, app=app,
        )  # fmt: skip
        if self.database:
            connection = await asyncpg.connect(self.database)
            await fill_postgres(connection, filling)
            await connection.close()
        else:
            file = connect(self.node.data / _FILE)
            fill_sqlite(file, filling)
            file.pragma("wal_checkpoint(TRUNCATE)")
            file.close()


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with disk_place() as place:
        return asyncio.run(_prove(SCALES[size], place))


async def _prove(scale: Scale, place: Place) -> dict[str, object]:
    found = {}
    with PostgresServer(place.path / "pg") as server:
        for dialect in _DIALECTS:
            found[dialect] = await _measure(dialect, scale, place.path, server)
        version = server.version()
    if scale.asserted:
        for dialect, shares in found.items():
            assert shares["waiting"] < MOST_SHARE, f"{dialect}: {shares}"
    return {
        "waiting": scale.rows,
        "most_share": MOST_SHARE,
        "shares_of_a_processor": found,
        "place": place.facts(),
        "parameters": asdict(scale),
        "versions": {"postgresql": version},
    }


async def _measure(
    dialect: Dialect, scale: Scale, place: Path, server: PostgresServer
) -> dict[str, float]:
    """Shares of a processor: with what waits, with nothing, and of PostgreSQL for both."""
    idles = []
    for name, waiting in (("waiting", scale.rows), ("empty", 0)):
        over = f"{dialect}_{name}"
        database = server.database(over) if dialect == "postgres" else ""
        idle = Idle(
            Node(place, over.replace("_", "-"), database, new_secret_key()), database, waiting
        )
        await idle.fill(scale)
        idles.append(idle)
    first, second = idles
    async with first.node, second.node:
        for idle in idles:
            told = json.loads(idle.node.tell("status", "--json"))["queue"]
            assert told["waiting"] == idle.waiting, f"{told} of {idle.waiting}"
        for idle in idles:
            await asyncio.to_thread(rest, idle.node.pid)
        return await _shares(dialect, idles, scale.seconds, server)


async def _shares(
    dialect: Dialect, idles: list[Idle], seconds: float, server: PostgresServer
) -> dict[str, float]:
    root = postmaster(server)
    for idle in idles:
        idle.cpu_seconds, idle.began = tree_cpu_seconds(idle.node.pid), time.monotonic()
    engine, began = tree_cpu_seconds(root), time.monotonic()
    await asyncio.sleep(seconds)  # what is measured is that nothing happens
    shares = {
        name: (tree_cpu_seconds(idle.node.pid) - idle.cpu_seconds) / (time.monotonic() - idle.began)
        for name, idle in zip(("waiting", "empty"), idles, strict=True)
    }
    if dialect == "postgres":
        shares["postgresql"] = (tree_cpu_seconds(root) - engine) / (time.monotonic() - began)
    told = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    sys.stderr.write(f"{dialect}: {told}\n")
    return {name: round(share, 5) for name, share in shares.items()}
