"""whole stores: copied, taken back into use, brought up to date; nothing runs over them here"""

from __future__ import annotations

from pathlib import Path

from pillarbox import __version__
from pillarbox.settings import Settings
from pillarbox.storage import copying, migrating
from pillarbox.storage.interface.copying import CopyReport, Told
from pillarbox.storage.interface.migrating import Migrated
from pillarbox.storage.interface.store_url import StoreUrl, directory_url, parse_store_url
from pillarbox.terms.clock import SystemClock


def store_of(settings: Settings) -> StoreUrl:
    """The store that a start with these settings would open. Raises `BadStoreUrl`."""
    database = settings.database_url.reveal()
    return parse_store_url(database) if database else directory_url(settings.data_dir)


async def copy_store(
    source: StoreUrl, target: StoreUrl, *, told: Told, while_running: bool, key_dir: Path
) -> CopyReport:
    """See `storage.copying.copy_store`."""
    return await copying.copy_store(
        source, target, now_ms=SystemClock().now_ms(), version=__version__, told=told,
        while_running=while_running, key_dir=key_dir,
    )  # fmt: skip


async def where_moved(store: StoreUrl) -> str | None:
    """See `storage.copying.where_moved`."""
    return await copying.where_moved(store)


async def reopen_store(store: StoreUrl) -> str | None:
    """See `storage.copying.reopen_store`."""
    return await copying.reopen_store(store)


async def migrate_store(store: StoreUrl, *, plan: bool) -> Migrated:
    """See `storage.migrating.migrate_store`."""
    return await migrating.migrate_store(store, plan=plan)
