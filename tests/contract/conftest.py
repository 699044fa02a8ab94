"""a store of each engine, empty, and hands that fill it"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path

import apsw
import asyncpg
import pytest

from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.interface.store_url import DATABASE_NAME
from pillarbox.storage.open import open_storage
from tests.contract.cluster import Cluster
from tests.contract.post import NOW, Post
from tests.doubles.postgres import PostgresServer

Reopen = Callable[[], Awaitable[Storage]]


class Place:
    """A data directory that can be closed and opened again."""

    def __init__(self, path: Path, database: str = "") -> None:
        self.path = path
        self.database = database
        self.storage: Storage | None = None
        self.broken: list[StorageBroken] = []

    async def open(self) -> Storage:
        if self.storage is not None:
            await self.storage.close()
        self.storage = await open_storage(
            self.path,
            now_ms=NOW,
            on_broken=self.broken.append,
            database=self.database,
            roles=("deliver",),
        )
        return self.storage

    async def say(self, sql: str) -> None:
        """What time or another hand would have done to the tables."""
        if self.database:
            connection = await asyncpg.connect(self.database)
            await connection.execute(sql)
            await connection.close()
        else:
            with closing(apsw.Connection(str(self.path / DATABASE_NAME))) as connection:
                connection.set_busy_timeout(5000)
                connection.execute(sql)


@pytest.fixture(scope="session")
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


@pytest.fixture
async def cluster(server: PostgresServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    found = Cluster(server.database(), tmp_path)
    yield found
    await found.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    on_postgres = request.param == "postgres"
    database = request.getfixturevalue("server").database() if on_postgres else ""
    found = Place(tmp_path / "data", database)
    await found.open()
    yield found
    if found.storage is not None:
        await found.storage.close()


@pytest.fixture
def storage(place: Place) -> Storage:
    assert place.storage is not None
    return place.storage


@pytest.fixture
async def post(storage: Storage) -> Post:
    return await Post.into(storage)
