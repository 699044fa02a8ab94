"""a store copied into another one: who may, in which order, and what is marked where

The target is marked unfinished before its first row and until everything is verified; how far it is
lies in the target too, in the transactions of the rows. The source is brought to rest first and
marked as moved at the end, and only then does the target become usable: killed at any moment, there
are never two stores that would send the same mail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Final

import apsw

from pillarbox.storage import sqlite_errors
from pillarbox.storage.copy_pass import NO_LIFE, Pass
from pillarbox.storage.copy_sqlite import SqliteSide
from pillarbox.storage.copy_tables import (
    EMPTY_AT_REST,
    HISTORY,
    MARKS,
    SEEDED,
    Bounds,
    Range,
    Side,
    Table,
    Target,
    common_tables,
)
from pillarbox.storage.interface.copying import CopyReport, Told
from pillarbox.storage.interface.errors import (
    BadStoreUrl,
    DataDirLocked,
    NotFound,
    StorageTrouble,
    StoreInUse,
    StoreMoved,
    StoreNotEmpty,
    WrongSecretKey,
)
from pillarbox.storage.interface.queue import Recovered
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.storage.lock import OwnerLock
from pillarbox.storage.marks import KEY, MOVED, UNFINISHED
from pillarbox.storage.resting import bring_to_rest
from pillarbox.storage.vault import Vault, copy_key
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import ORDINAL_BITS, MessageId, message_time_ms

_KEY_FILE: Final = "secret.key"
_TIMED: Final = {"message": 0, "event": 0, "content": ORDINAL_BITS, "delivery": ORDINAL_BITS}
"""Tables whose keys begin with their time, and how many bits more they have than a message's id."""


async def copy_store(
    source: StoreUrl,
    target: StoreUrl,
    *,
    now_ms: int,
    version: str,
    told: Told,
    while_running: bool = False,
    key_dir: Path | None = None,
    bounds: Bounds | None = None,
) -> CopyReport:
    """Copy everything, go on where an earlier run ended, verify it, hand over to the target.

    `while_running` copies ahead what is written once and never changed, and leaves the rest to a
    later run. `key_dir` is a data directory that may have the key of the source's secrets. Raises
    `StoreInUse`, `StoreNotEmpty`, `StoreMoved`, `WrongSecretKey`, `CopyDiffers`, `NotFound`,
    `StorageTrouble`.
    """
    if source.shown == target.shown:
        raise BadStoreUrl("Both URLs name the same store.")
    with plainly(source, target):
        async with AsyncExitStack() as stack:
            ours = await _open_source(stack, source, while_running=while_running)
            theirs = await _open_target(stack, target)
            fresh = await _looked_at(ours, source, theirs, target)
            found = Recovered()
            if not while_running:
                await ours.migrate()
                found = await bring_to_rest(source, await ours.dead_nodes(), now_ms, version)
                await ours.lock_out()
                await _ensure_rest(ours, source)
            elif not await ours.is_current():
                raise StorageTrouble(
                    "The schema of the source is not that of this Pillarbox.",
                    fix="Start the source with this version first, or stop it and copy it at rest.",
                )
            key, key_file = await _key_of(ours, source, target, key_dir)
            await theirs.migrate()
            if key_file is not None and target.directory is not None:
                # Before anything is there: a directory that is opened without a key gets a new one.
                copy_key(key_file, target.directory / _KEY_FILE)
            tables = common_tables(await ours.tables(), await theirs.tables())
            if fresh:
                since_ms = await _oldest_ms(ours, tables, now_ms)
                await theirs.begin(source.shown, since_ms, now_ms)
            run = Pass(ours, theirs, told, bounds or Bounds())
            life = NO_LIFE if while_running else await ours.last_life()
            resumed = await run.begin(life)
            if while_running:
                await run.copy([table for table in tables if table.name in HISTORY])
                return CopyReport(False, (), resumed, found, key)
            await run.copy(tables)
            await theirs.count_on(life)
            await theirs.settle()
            sums = await run.verify(tables)
            if await ours.last_life() != life:
                raise StoreInUse(f"{source.shown} was used while it was copied.")
            await ours.set_mark(MOVED, target.shown)
            await theirs.finish()
            return CopyReport(True, tuple(sums), resumed, found, key)


async def reopen_store(store: StoreUrl) -> str | None:
    """Take back that a store has moved; gives where it was copied to, None where it was not.

    Raises `NotFound`, `StoreInUse`, `StorageTrouble`.
    """
    with plainly(store):
        async with AsyncExitStack() as stack:
            side = await _open_source(stack, store, while_running=False)
            moved = await _mark(side, MOVED)
            if moved is not None:
                await side.drop_mark(MOVED)
            return moved


async def where_moved(store: StoreUrl) -> str | None:
    """Where a store was copied to; None where it is in use here. Raises as `reopen_store`."""
    with plainly(store):
        async with AsyncExitStack() as stack:
            return await _mark(await _open_source(stack, store, while_running=True), MOVED)


@contextmanager
def plainly(*stores: StoreUrl) -> Iterator[None]:
    """What a driver raises becomes what storage raises, and nobody repeats a password."""
    try:
        yield
    except Exception as error:
        found = _mapped(error, any(store.directory is None for store in stores))
        if found is None:
            raise
        for store in stores:
            found.detail = store.without_secrets(found.detail) if found.detail else found.detail
        if found is error:
            raise
        raise found from error


def _mapped(error: Exception, on_postgres: bool) -> PillarboxError | None:
    if isinstance(error, PillarboxError):
        return error
    if isinstance(error, apsw.Error):
        return sqlite_errors.mapped(error)
    if on_postgres:
        import asyncpg

        from pillarbox.storage import postgres_errors

        if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
            return postgres_errors.mapped(error)
    return StorageTrouble(detail=str(error)) if isinstance(error, OSError) else None


# --- opening, and who may ---------------------------------------------------------------------


async def _open_source(stack: AsyncExitStack, store: StoreUrl, *, while_running: bool) -> Side:
    if store.directory is None:
        side = await _database(stack, store)
        name = "" if while_running else await side.alive()
        if name:
            raise _in_use(f"The node {name} runs over {store.shown}, or died just now.")
    else:
        if not store.file.is_file():
            raise _nothing_at(store)
        if not while_running:
            _lock(stack, store)
        side = SqliteSide(store, reading=while_running)
        stack.push_async_callback(side.close)
    if "message" not in await side.tables():
        raise _nothing_at(store)
    return side


async def _open_target(stack: AsyncExitStack, store: StoreUrl) -> Target:
    if store.directory is None:
        side = await _database(stack, store)
        name = await side.alive()
        if name:
            raise StoreInUse(f"The node {name} runs over {store.shown}, or died just now.")
        await side.claim()
        return side
    store.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    _lock(stack, store)
    file = SqliteSide(store, reading=False)
    stack.push_async_callback(file.close)
    return file


async def _database(stack: AsyncExitStack, store: StoreUrl) -> Target:
    # Its driver costs whoever has no PostgreSQL time and memory.
    from pillarbox.storage.copy_postgres import PostgresSide

    side = await PostgresSide.open(store)
    stack.push_async_callback(side.close)
    return side


def _lock(stack: AsyncExitStack, store: StoreUrl) -> None:
    assert store.directory is not None
    try:
        lock = OwnerLock.take(store.directory)
    except DataDirLocked as locked:
        raise _in_use(locked.sentence) from locked
    stack.callback(lock.release)


def _in_use(sentence: str) -> StoreInUse:
    return StoreInUse(
        sentence,
        fix="Stop it first. Most of a large source can be copied ahead while it runs:\n"
        "pillarbox store copy --while-running",
    )


def _nothing_at(store: StoreUrl) -> NotFound:
    return NotFound(f"There is no store at {store.shown}.")


async def _looked_at(ours: Side, source: StoreUrl, theirs: Target, target: StoreUrl) -> bool:
    """Whether the target is empty, rather than an unfinished copy of the source. Raises where it is
    neither, and where the source has moved elsewhere.
    """
    begun, moved = await _mark(theirs, UNFINISHED), await _mark(ours, MOVED)
    if await _mark(ours, UNFINISHED) is not None:
        raise StoreMoved(
            f"{source.shown} is itself a copy that is not complete.",
            fix="Complete it first: run the same pillarbox store copy again.",
        )
    if moved is not None and (moved != target.shown or begun != source.shown):
        raise StoreMoved(
            f"{source.shown} was copied to {moved} already.",
            fix=f"Use that one. To use this one all the same: pillarbox store reopen {source.shown}",
        )
    if begun is not None and begun != source.shown:
        raise StoreNotEmpty(f"{target.shown} holds an unfinished copy of {begun}.")
    if begun is None:
        for name in (await theirs.tables()).keys() - SEEDED:
            if await theirs.any_row(name):
                raise StoreNotEmpty(f"{target.shown} is not empty: there are rows in {name}.")
    return begun is None


async def _ensure_rest(ours: Side, source: StoreUrl) -> None:
    """Nobody lives, nothing is owned, nothing may be leaving."""
    busy = await ours.alive() or await ours.any_row("queue", "owner > 0")
    for name in EMPTY_AT_REST:
        busy = busy or await ours.any_row(name)
    if busy:
        raise _in_use(f"{source.shown} was begun to be used just now.")


async def _mark(side: Side, name: str) -> str | None:
    """None also where the schema is too old for marks."""
    return await side.mark(name) if MARKS in await side.tables() else None


async def _oldest_ms(ours: Side, tables: Sequence[Table], now_ms: int) -> int:
    """When the oldest that is there came."""
    oldest = now_ms
    for table in tables:
        if table.name in _TIMED:
            for row in await ours.rows(table, Range(), Bounds(1, 1)):
                number = table.key_of(row)[0]
                assert isinstance(number, int)
                at = message_time_ms(MessageId(number >> _TIMED[table.name]))
                oldest = min(oldest, at)
    return oldest


async def _key_of(
    ours: Side, source: StoreUrl, target: StoreUrl, key_dir: Path | None
) -> tuple[str, Path | None]:
    """Where the key of the secrets comes from, and the file to copy. Raises `WrongSecretKey`."""
    wanted = await _mark(ours, KEY)
    if wanted is None:
        return "none", None
    if target.directory is None:
        return "needed", None
    there = target.directory / _KEY_FILE
    if there.exists():
        if Vault.at(there).fingerprint != wanted:
            raise WrongSecretKey(
                f"{target.directory} has a secret key that does not fit the source.",
                fix=f"If nothing else needs it, move it away: {there}",
            )
        return "there", None
    for folder in (source.directory, key_dir):
        file = folder / _KEY_FILE if folder is not None else None
        if file is not None and file.is_file() and Vault.at(file).fingerprint == wanted:
            return "copied", file
    return "needed", None
