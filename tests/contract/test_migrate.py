"""migrations in two halves: what runs at a start, what waits for older nodes, what is only looked at"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from pillarbox.storage.connection import connect
from pillarbox.storage.interface.errors import DataDirLocked, SchemaTooNew, StorageTrouble
from pillarbox.storage.interface.store_url import directory_url, parse_store_url
from pillarbox.storage.migrate import (
    SCHEMA,
    Migration,
    Outlook,
    migrate_postgres,
    migrate_sqlite,
    migrations,
    plan_postgres,
    plan_sqlite,
)
from pillarbox.storage.migrating import migrate_store
from pillarbox.storage.open import open_storage
from tests.contract.post import NOW
from tests.doubles.postgres import PostgresServer

NEXT = SCHEMA + 1
MADE_UP = [
    Migration(NEXT, "colours", "before", "CREATE TABLE colour (name TEXT)"),
    Migration(NEXT, "colours", "after", "ALTER TABLE message DROP COLUMN subject"),
    Migration(NEXT + 1, "shapes", "before", "CREATE TABLE shape (name TEXT)"),
    Migration(NEXT + 1, "shapes", "after", "DROP TABLE colour"),
]
OURS = """
INSERT INTO incarnation (node, number, started_at, until, schema)
VALUES ($1, 9, 0, (extract(epoch FROM clock_timestamp()) * 1000)::bigint + $2, $3)
"""


def halves(outlook: Outlook) -> list[str]:
    return [f"{m.number - SCHEMA} {m.half}" for m in outlook.run]


def held(outlook: Outlook) -> list[tuple[str, tuple[str, ...]]]:
    return [(f"{e.half.number - SCHEMA} {e.half.half}", e.nodes) for e in outlook.held_back]


@pytest.fixture
async def database(server: PostgresServer) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(server.database())
    yield connection
    await connection.close()


def on_postgres() -> list[Migration]:
    return [*migrations("postgres"), *MADE_UP]


@pytest.mark.needs("postgres")
async def test_a_start_runs_the_halves_that_older_nodes_survive(
    database: asyncpg.Connection[asyncpg.Record],
) -> None:
    await migrate_postgres(database)
    ran = await migrate_postgres(database, on_postgres())
    assert halves(ran) == ["1 before", "2 before"]
    assert [half for half, _ in held(ran)] == ["1 after", "2 after"]
    assert halves(await migrate_postgres(database, on_postgres())) == []


@pytest.mark.needs("postgres")
async def test_an_after_half_waits_for_the_last_node_that_is_too_old(
    database: asyncpg.Connection[asyncpg.Record],
) -> None:
    await migrate_postgres(database)
    await database.execute(OURS, "old", 60_000, SCHEMA)
    await database.execute(OURS, "newer", 60_000, NEXT)
    await database.execute(OURS, "dead", -1, 1)
    plan = await plan_postgres(database, on_postgres())
    assert halves(plan) == ["1 before", "2 before"]
    assert held(plan) == [("1 after", ("old",)), ("2 after", ("newer", "old"))]
    assert await database.fetchval("SELECT to_regclass('colour')") is None

    ran = await migrate_postgres(database, on_postgres(), finish=True)
    assert (halves(ran), held(ran)) == (halves(plan), held(plan))
    await database.execute("UPDATE incarnation SET ended_at = 1 WHERE node = 'old'")
    ran = await migrate_postgres(database, on_postgres(), finish=True)
    assert halves(ran) == ["1 after"]
    assert held(ran) == [("2 after", ("newer",))]
    await database.execute("UPDATE incarnation SET ended_at = 1 WHERE node = 'newer'")
    assert halves(await migrate_postgres(database, on_postgres(), finish=True)) == ["2 after"]
    assert await plan_postgres(database, on_postgres()) == Outlook(())


@pytest.mark.needs("postgres")
async def test_a_database_nobody_has_used_gets_everything_at_once(
    database: asyncpg.Connection[asyncpg.Record],
) -> None:
    everything = on_postgres()
    assert (await plan_postgres(database, everything)).run == tuple(everything)
    assert (await migrate_postgres(database, everything)).run == tuple(everything)


@pytest.mark.needs("postgres")
async def test_a_newer_schema_is_refused_and_nothing_is_changed(
    database: asyncpg.Connection[asyncpg.Record],
) -> None:
    await migrate_postgres(database, on_postgres())
    for finish in (False, True):
        with pytest.raises(SchemaTooNew):
            await migrate_postgres(database, finish=finish)
    with pytest.raises(SchemaTooNew):
        await plan_postgres(database)


def test_a_file_gets_both_halves_at_once(tmp_path: Path) -> None:
    file = connect(tmp_path / "pillarbox.db")
    migrate_sqlite(file)
    known = [*migrations("sqlite"), *MADE_UP]
    assert halves(plan_sqlite(file, known)) == ["1 before", "1 after", "2 before", "2 after"]
    assert migrate_sqlite(file, known) == MADE_UP
    assert migrate_sqlite(file, known) == []
    with pytest.raises(SchemaTooNew):
        plan_sqlite(file)
    with pytest.raises(StorageTrouble, match="differs from the one that ran"):
        migrate_sqlite(file, [*known[:-1], Migration(NEXT + 1, "shapes", "after", "SELECT 1")])
    file.close()


async def test_a_plan_makes_nothing_and_changes_nothing(tmp_path: Path) -> None:
    place = directory_url(tmp_path / "data")
    plan = await migrate_store(place, plan=True)
    assert not plan.exists and not place.file.parent.exists()
    assert [half.number for half in plan.ran] == list(range(1, SCHEMA + 1))
    done = await migrate_store(place, plan=False)
    assert done.ran == plan.ran and place.file.exists()
    before = place.file.read_bytes(), sorted(place.file.parent.iterdir())
    assert (await migrate_store(place, plan=True)).ran == ()
    assert (place.file.read_bytes(), sorted(place.file.parent.iterdir())) == before
    store = await open_storage(tmp_path / "data", now_ms=NOW, on_broken=lambda _: None)
    assert (await migrate_store(place, plan=True)).ran == ()
    with pytest.raises(DataDirLocked):
        await migrate_store(place, plan=False)
    await store.close()
    before = place.file.read_bytes(), sorted(place.file.parent.iterdir())
    assert (await migrate_store(place, plan=True)).ran == ()
    assert (place.file.read_bytes(), sorted(place.file.parent.iterdir())) == before


@pytest.mark.needs("postgres")
async def test_a_database_is_planned_before_it_exists_and_made_by_somebody_else(
    server: PostgresServer,
) -> None:
    missing = parse_store_url(f"postgresql://postgres:hidden@/missing?host={server.folder}")
    plan = await migrate_store(missing, plan=True)
    assert not plan.exists and len(plan.ran) == SCHEMA
    with pytest.raises(StorageTrouble, match="no database at postgresql://postgres@/missing"):
        await migrate_store(missing, plan=False)
    there = parse_store_url(server.database())
    assert len((await migrate_store(there, plan=True)).ran) == SCHEMA
    assert len((await migrate_store(there, plan=False)).ran) == SCHEMA
    assert (await migrate_store(there, plan=False)).ran == ()


async def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "pillarbox.db").write_bytes(b"not at all" * 1000)
    with pytest.raises(StorageTrouble):
        await migrate_store(directory_url(tmp_path), plan=True)
