"""a store of each engine, empty, and hands that fill it"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from tests.contract.post import NOW, Post

Reopen = Callable[[], Awaitable[Storage]]


class Place:
    """A data directory that can be closed and opened again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.storage: Storage | None = None
        self.broken: list[StorageBroken] = []

    async def open(self) -> Storage:
        if self.storage is not None:
            await self.storage.close()
        self.storage = await open_storage(self.path, now_ms=NOW, on_broken=self.broken.append)
        return self.storage


@pytest.fixture(params=["sqlite"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    found = Place(tmp_path / "data")
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
