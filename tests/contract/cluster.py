"""several nodes on one PostgreSQL, for the contract tests"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.queue import Recovered
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from tests.contract.post import NOW

KEY = "11" * 32
LONG_AGO = "UPDATE incarnation SET until = 1 WHERE node = $1"


class Cluster:
    """Nodes by name, on one database."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.stores: dict[str, Storage] = {}
        self.broken: dict[str, StorageBroken] = {}

    async def open(self, name: str, *, place: str = "", key: str = KEY) -> Storage:
        def broke(error: StorageBroken) -> None:
            self.broken[name] = error

        store = await open_storage(
            self.folder / (place or name), now_ms=NOW, on_broken=broke, database=self.url,
            node=name, secret_key=key, roles=("deliver",),
        )  # fmt: skip
        store.nodes.patience_seconds = 0.0  # type: ignore[attr-defined]
        self.stores[name] = store
        return store

    async def say(self, sql: str, *parameters: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(sql, *parameters)
        finally:
            await connection.close()

    async def look_dead(self, name: str) -> None:
        """Its last sign of life lies further back than a lease lasts."""
        await self.say(LONG_AGO, name)

    async def taken_over(self, name: str, *others: Storage) -> list[tuple[str, Recovered]]:
        """One that looks dead, by whoever of the others is first. Its session ends when PostgreSQL
        comes to it, and may just have given a sign of life: so they look until they have seen it.
        """
        found: list[tuple[str, Recovered]] = []

        async def seen() -> bool:
            await self.look_dead(name)
            for taken in await asyncio.gather(*(o.nodes.take_over(NOW) for o in others)):
                found.extend(taken)
            return bool(found)

        await until(seen)
        return found

    async def close(self) -> None:
        for store in self.stores.values():
            await store.close()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)
