"""the schema of a store brought up to date by itself, or only looked at"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import apsw

from pillarbox.storage.connection import connect
from pillarbox.storage.copying import plainly
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.migrating import Migrated
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.storage.lock import OwnerLock
from pillarbox.storage.migrate import (
    SCHEMA,
    Outlook,
    migrate_postgres,
    migrate_sqlite,
    plan_postgres,
    plan_sqlite,
)

if TYPE_CHECKING:
    import asyncpg


async def migrate_store(store: StoreUrl, *, plan: bool) -> Migrated:
    """Run what can run; with `plan` nothing is changed, and nothing made that is not there.

    Raises `DataDirLocked` where a process has the data directory, `SchemaTooNew`, `StorageTrouble`.
    """
    with plainly(store):
        if store.directory is not None:
            exists = store.file.is_file()
            found = _look(store) if plan else _migrate(store)
        else:
            exists, found = await _database(store, plan=plan)
        ran = tuple(migration.title for migration in found.run)
        return Migrated(store.shown, exists, ran, found.held_back, SCHEMA)


def _look(store: StoreUrl) -> Outlook:
    if not store.file.is_file():
        return plan_sqlite(None)
    if store.file.with_name(f"{store.file.name}-wal").exists():
        connection = connect(store.file, reading=True)
    else:
        # Nobody has it open. Whoever reads it in the usual way leaves a log and an index behind.
        name = f"{store.file.as_uri()}?immutable=1"
        connection = apsw.Connection(name, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        return plan_sqlite(connection)
    finally:
        connection.close()


def _migrate(store: StoreUrl) -> Outlook:
    assert store.directory is not None
    store.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = OwnerLock.take(store.directory)
    try:
        connection = connect(store.file)
        try:
            return Outlook(tuple(migrate_sqlite(connection)))
        finally:
            connection.close()
    finally:
        lock.release()


async def _database(store: StoreUrl, *, plan: bool) -> tuple[bool, Outlook]:
    """Whether there is one, and what was done."""
    async with AsyncExitStack() as stack:
        connection = await _connected(stack, store)
        if plan:
            return connection is not None, await plan_postgres(connection)
        if connection is None:
            raise StorageTrouble(
                f"There is no database at {store.shown}.",
                fix="Make an empty one first, as with: createdb NAME",
            )
        return True, await migrate_postgres(connection, finish=True)


async def _connected(
    stack: AsyncExitStack, store: StoreUrl
) -> asyncpg.Connection[asyncpg.Record] | None:
    """None where the server is there and the database is not."""
    import asyncpg

    from pillarbox.storage.postgres_session import connected, ended

    try:
        # A migration may take longer than any statement of everyday.
        connection = await connected(store.database.reveal(), command_seconds=None)
    except asyncpg.InvalidCatalogNameError:
        return None
    stack.push_async_callback(ended, connection)
    return connection
