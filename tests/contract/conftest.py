"""a store of each engine, empty, and hands that fill it"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
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


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    # A short path: it holds a socket. And one that the server's user may enter.
    with tempfile.TemporaryDirectory(prefix="pillarbox-") as folder:
        Path(folder).chmod(0o755)
        with PostgresServer(Path(folder) / "pg") as started:
            yield started


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
