"""a claim costs the same with a million deliveries waiting as with ten thousand

Two stores of each engine, filled by SQL: the same thousand lanes, the same few hundred deliveries that
are due in them, and beside these so many that wait for later. Asserted is what can be counted: that
the heads of lanes and the claims in them go through the index, and read as much of the large queue
as of the small one, twice as much at most. In full a real process works over each store, too, and
its memory must not grow with the queue.

The record holds beside that how long claims and heads took, one store after the other again and
again, and what it costs to count what waits, which is done for people and for metrics.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import asyncpg

from pillarbox.storage.connection import connect
from pillarbox.storage.interface.nodes import NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.storage.postgres_session import connected
from pillarbox.storage.queries import load_queries
from tests.bench.filled import APP, Dialect, Filling, fill_postgres, fill_sqlite
from tests.bench.nodes import Node, new_secret_key
from tests.bench.place import Place, disk_place
from tests.bench.plans import Argument, Seen, SqliteEyes, keys_of, prepare, see
from tests.doubles.journal import wall_ms
from tests.doubles.postgres import PostgresServer
from tests.doubles.usage import memory_bytes

NEEDS = ("postgres",)

T = TypeVar("T")

_AT_MOST: Final = 2
"""So many times what it reads, or takes, with the small queue."""
_HEADS_AT_MOST: Final = 4
"""So many times the time: in a large queue the first row of each lane lies on a page of its own."""
_GROWTH_SHARE: Final = 0.2
_GROWTH_BYTES: Final = 20 * 2**20
"""So much more memory may a process use over the large queue."""
_CACHES: Final[dict[Dialect, int]] = {"sqlite": 32 * 2**20, "postgres": 0}
"""And the page cache of SQLite's writer, which a small file does not fill and none makes larger."""
_FILE: Final = "pillarbox.db"
_LIMIT: Final = 200
"""Of a claim, as the lanes make it."""
_SHARDS: Final = ",".join(map(str, range(8)))
_MEGABYTE: Final = 2**20
_POLL_SECONDS: Final = 0.5
_LOOKS: Final = 10
_DEFERRED_SECONDS: Final = 60.0
_LANE: Final = "SELECT min(lane) FROM queue WHERE due <= $1"
_DEFERRED: Final = "SELECT count(*) FROM queue WHERE attempts > 0"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    few: int
    many: int
    lanes: int
    due: int = 300
    rounds: int = 0
    """Of claims in all lanes, for the clock; 0: nothing is timed."""
    processes: bool = False
    """Whether a real process is started over each store."""


SCALES = {
    "small": Scale(1000, 100_000, lanes=50),
    "full": Scale(10_000, 1_000_000, lanes=1000, rounds=60, processes=True),
}


@dataclass(slots=True)
class Filled:
    """One store, and what was found of it."""

    node: Node
    database: str
    rows: int
    now_ms: int
    seen: dict[str, Seen] = field(default_factory=dict)
    claim_ms: list[float] = field(default_factory=list)
    heads_ms: list[float] = field(default_factory=list)
    depths_ms: list[float] = field(default_factory=list)
    memory_bytes: int = 0

    async def opened(self) -> Storage:
        """In this process, as the node that it belongs to."""
        return await open_storage(
            self.node.data,
            now_ms=self.now_ms,
            on_broken=lambda _: None,
            database=self.database,
            secret_key=self.node.secret_key,
            node=self.node.name,
            roles=("deliver",),
        )


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with disk_place() as place:
        return asyncio.run(_prove(SCALES[size], place))


async def _prove(scale: Scale, place: Place) -> dict[str, object]:
    dialects: tuple[Dialect, ...] = ("sqlite", "postgres")
    with PostgresServer(place.path / "pg") as server:
        found = {
            dialect: await _compare(dialect, scale, place.path, server) for dialect in dialects
        }
        version = server.version()
    return {
        "targets": [
            {
                "target": f"time of {what}, many waiting to few, {dialect}",
                "most": most,
                "found": times[what],
                "met": times[what] <= most,
            }
            for dialect, (_, times) in found.items()
            for what, most in (("a claim", _AT_MOST), ("the heads", _HEADS_AT_MOST))
            if what in times
        ],
        **{dialect: facts for dialect, (facts, _) in found.items()},
        "place": place.facts(),
        "parameters": asdict(scale),
        "versions": {"postgresql": version},
    }


async def _compare(
    dialect: Dialect, scale: Scale, place: Path, server: PostgresServer
) -> tuple[dict[str, object], dict[str, float]]:
    """The figures of both stores, and the ratios of their times."""
    few, many = [
        await _filled(dialect, place, server, rows, scale) for rows in (scale.few, scale.many)
    ]
    for store in (few, many):
        store.seen = await (
            _seen_by_sqlite(store) if dialect == "sqlite" else _seen_by_postgres(store)
        )
    assert_looked_up(few.seen, many.seen)
    if scale.rounds:
        await _time(few, many, scale)
    if scale.processes:
        for store in (few, many):
            store.memory_bytes = await _memory_at_work(dialect, store, scale)
        assert_memory(dialect, few.memory_bytes, many.memory_bytes)
    times = {}
    if scale.rounds:
        times = {
            "a claim": round(_median(many.claim_ms) / _median(few.claim_ms), 2),
            "the heads": round(_median(many.heads_ms) / _median(few.heads_ms), 2),
        }
    return {str(store.rows): _facts(store) for store in (few, many)}, times


async def _filled(
    dialect: Dialect, place: Path, server: PostgresServer, rows: int, scale: Scale
) -> Filled:
    """A store in which so many deliveries wait."""
    _say(f"{dialect}: {rows:,} deliveries are put in")
    name = f"{dialect}-{rows}"
    database = server.database(f"of_{dialect}_{rows}") if dialect == "postgres" else ""
    poll = f"delivery.poll_seconds={_POLL_SECONDS}"
    store = Filled(Node(place, name, database, new_secret_key(), poll), database, rows, wall_ms())
    if scale.processes:
        async with store.node:  # what a first start makes
            pass
    storage = await store.opened()
    apps = await storage.directory.apps()
    await storage.close()
    filling = Filling(
        rows=rows, begin_ms=store.now_ms - rows - 60_000, now_ms=store.now_ms, lanes=scale.lanes,
        due=scale.due, node=1 if database else 0, app=apps[0].id if apps else APP,
    )  # fmt: skip
    if database:
        connection = await asyncpg.connect(database)
        await fill_postgres(connection, filling)
        await connection.close()
    else:
        file = connect(store.node.data / _FILE)
        fill_sqlite(file, filling)
        file.pragma("wal_checkpoint(TRUNCATE)")
        file.close()
    return store


# --- what is counted ------------------------------------------------------------------------------


def _asked(
    dialect: Dialect, store: Filled, lane: int
) -> Mapping[str, tuple[str, tuple[Argument, ...]]]:
    """The statements of heads and claims, as the store of this process asks them."""
    sql = load_queries(dialect)
    of_lane = (lane, 0, 0, store.now_ms, _LIMIT)
    if dialect == "sqlite":
        return {"heads": (sql["queue.heads"], ()), "claim": (sql["queue.claim"], of_lane)}
    claim = (sql["queue.claim_of_shards"], (*of_lane, _SHARDS))
    return {"heads": (sql["queue.heads"], ()), "claim": claim}


async def _seen_by_sqlite(store: Filled) -> dict[str, Seen]:
    connection = connect(store.node.data / _FILE, reading=True)
    ((lane,),) = connection.execute(_LANE.replace("$1", "?1"), (store.now_ms,)).fetchall()
    eyes = SqliteEyes(connection)
    asked = _asked("sqlite", store, int(str(lane)))
    seen = {name: eyes.see(sql, parameters) for name, (sql, parameters) in asked.items()}
    connection.close()
    return seen


async def _seen_by_postgres(store: Filled) -> dict[str, Seen]:
    connection = await connected(store.database)
    lane = await connection.fetchval(_LANE, store.now_ms)
    keys = await keys_of(connection)
    seen = {}
    for name, (sql, parameters) in _asked("postgres", store, lane).items():
        await prepare(connection, name, sql)
        seen[name] = await see(connection, name, parameters, keys)
    await connection.close()
    return seen


def assert_looked_up(few: Mapping[str, Seen], many: Mapping[str, Seen]) -> None:
    """Through the index, and at most twice as much of the large queue as of the small one."""
    for name, seen in many.items():
        small = few[name]
        told = f"{name}: {seen}\nwith the small queue: {small}"
        assert "queue_waiting" in seen.indexes, told
        assert not seen.sorts, told
        assert seen.rows <= _AT_MOST * small.rows and seen.steps <= _AT_MOST * small.steps, told


def assert_memory(dialect: Dialect, few_bytes: int, many_bytes: int) -> None:
    """A process over the large queue has at most what is allowed beyond one over the small."""
    allowed = few_bytes * (1 + _GROWTH_SHARE) + _GROWTH_BYTES + _CACHES[dialect]
    assert many_bytes <= allowed, (
        f"{dialect}: {many_bytes / _MEGABYTE:.1f} MB over the large queue, "
        f"{few_bytes / _MEGABYTE:.1f} MB over the small"
    )


# --- what is measured -----------------------------------------------------------------------------


async def _time(few: Filled, many: Filled, scale: Scale) -> None:
    """Claims in all lanes in which something is due, in one store and the other by turns."""
    async with AsyncExitStack() as stack:
        storages = {}
        for store in (few, many):
            storage = storages[store.rows] = await store.opened()
            stack.push_async_callback(storage.close)
            await storage.queue.recover(store.now_ms)  # lives of this node that are over
            await _claim_all(storage, store, scale)  # leases shards, and fills caches
            store.claim_ms.clear()
            store.heads_ms.clear()
        for number in range(scale.rounds):
            for store in (few, many):
                await _claim_all(storages[store.rows], store, scale)
            _say(
                f"round {number + 1}: a claim {_median(few.claim_ms):.3f} and "
                f"{_median(many.claim_ms):.3f} ms, heads {_median(few.heads_ms):.1f} and "
                f"{_median(many.heads_ms):.1f} ms"
            )
        for store in (few, many):
            for _ in range(_LOOKS):
                took, _ = await _timed(storages[store.rows].queue.depths)
                store.depths_ms.append(took)


async def _claim_all(storage: Storage, store: Filled, scale: Scale) -> None:
    await storage.nodes.beat(NodeLoad())
    took, heads = await _timed(storage.queue.heads)
    store.heads_ms.append(took)
    claimed = 0
    for head in heads:
        if head.first_due_at > store.now_ms:
            continue
        claim = storage.queue.claim(head.lane, (0, 0), store.now_ms, _LIMIT)
        began = time.perf_counter()
        rows, _ = await claim
        store.claim_ms.append((time.perf_counter() - began) * 1000)
        claimed += len(rows)
        storage.queue.finished([row.delivery for row in rows])
    assert claimed == scale.due, f"{claimed} of {scale.due} claimed with {store.rows} waiting"


async def _timed(ask: Callable[[], Awaitable[T]]) -> tuple[float, T]:
    """Milliseconds, and what came of it."""
    began = time.perf_counter()
    found = await ask()
    return (time.perf_counter() - began) * 1000, found


async def _memory_at_work(dialect: Dialect, store: Filled, scale: Scale) -> int:
    """Of a real process over the store, once it has tried what was due and looked again and again."""
    _say(f"{dialect}: a process over {store.rows:,} deliveries")
    async with store.node as node:
        deadline = time.monotonic() + _DEFERRED_SECONDS
        while (tried := await _tried(store)) < scale.due:
            assert time.monotonic() < deadline, f"{tried} of {scale.due} tried\n{node.log_tail()}"
            await asyncio.sleep(_POLL_SECONDS)
        most = 0
        for _ in range(_LOOKS):
            await asyncio.sleep(_POLL_SECONDS)  # how a look is made: nothing tells of it
            most = max(most, memory_bytes([node.pid]))
    return most


async def _tried(store: Filled) -> int:
    if not store.database:
        connection = connect(store.node.data / _FILE, reading=True)
        ((count,),) = connection.execute(_DEFERRED).fetchall()
        connection.close()
        return int(str(count))
    other = await asyncpg.connect(store.database)
    count = await other.fetchval(_DEFERRED)
    await other.close()
    return int(count)


def _facts(store: Filled) -> dict[str, object]:
    facts: dict[str, object] = {
        name: {"rows_read": seen.rows, "machine_steps": seen.steps, "plan": seen.text}
        for name, seen in store.seen.items()
    }
    if store.claim_ms:
        facts |= {
            "claims": len(store.claim_ms),
            "claim_ms": round(_median(store.claim_ms), 3),
            "heads_ms": round(_median(store.heads_ms), 2),
            "depths_ms": round(_median(store.depths_ms), 1),
        }
    if store.memory_bytes:
        facts["memory_mb"] = round(store.memory_bytes / _MEGABYTE, 1)
    return facts


def _median(values: Sequence[float]) -> float:
    return statistics.median(values)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
