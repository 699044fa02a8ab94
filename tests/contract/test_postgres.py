"""what only PostgreSQL can do to us: go away, come back, end our connections, be read-only"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from pillarbox.storage.engine import Change, Step
from pillarbox.storage.interface.errors import SchemaTooNew, StorageTrouble
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.storage.partitions import WEEK_MS, name_of, week_of, week_start_ms
from pillarbox.terms.ids import delivery_id
from tests.contract.post import HOUR, NOW, Post
from tests.doubles.postgres import PostgresServer
from tests.waited import accept

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(60)]


END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="pillarbox-") as folder:
        Path(folder).chmod(0o755)
        with PostgresServer(Path(folder) / "pg", fsync=True) as started:
            yield started


@pytest.fixture
def url(own_server: PostgresServer) -> str:
    return own_server.database()


@pytest.fixture
async def ledger(url: str, tmp_path: Path) -> AsyncIterator[Storage]:
    storage = await open_storage(
        tmp_path, now_ms=NOW, on_broken=lambda _: None, database=url, roles=("deliver",)
    )
    yield storage
    await storage.close()


async def again(storage: Storage, post: Post, *, seconds: float = 20.0) -> None:
    """Hand in until it is taken. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await accept(storage.queue, post.acceptance())
            except StorageTrouble:
                await asyncio.sleep(0.05)
            else:
                return


async def waiting(storage: Storage, *, seconds: float = 20.0) -> int:
    """How much waits, asked until there is an answer: a connection that rested may have been ended,
    and nobody knows before it is used. Raises TimeoutError.
    """
    async with asyncio.timeout(seconds):
        while True:
            try:
                return len(await storage.queue.waiting())
            except StorageTrouble:
                await asyncio.sleep(0.05)


async def test_while_the_server_is_away_nothing_is_taken_and_afterwards_everything(
    own_server: PostgresServer, ledger: Storage
) -> None:
    post = await Post.into(ledger)
    await accept(ledger.queue, post.acceptance())
    await asyncio.to_thread(own_server.stop, "immediate")
    try:
        for _ in range(3):
            with pytest.raises(StorageTrouble):
                await accept(ledger.queue, post.acceptance())
        assert not (await ledger.health()).writable
        with pytest.raises(StorageTrouble):
            await ledger.queue.heads()
    finally:
        await asyncio.to_thread(own_server.start)
    await again(ledger, post)
    assert len(await ledger.queue.waiting()) == 2
    assert (await ledger.health()).writable


async def test_connections_that_were_ended_are_made_again(url: str, ledger: Storage) -> None:
    post = await Post.into(ledger)
    await accept(ledger.queue, post.acceptance())
    other = await asyncpg.connect(url)
    await other.execute(END_OTHERS)
    await other.close()
    await again(ledger, post)
    assert await waiting(ledger) == 2


async def test_a_read_only_database_is_trouble_that_passes(url: str, ledger: Storage) -> None:
    post = await Post.into(ledger)
    other = await asyncpg.connect(url)
    name = await other.fetchval("SELECT current_database()")
    await other.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await other.execute(END_OTHERS)
    for _ in range(3):
        with pytest.raises(StorageTrouble):
            await accept(ledger.queue, post.acceptance())
    await other.execute("SET default_transaction_read_only = off")
    await other.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await other.execute(END_OTHERS)
    await other.close()
    await again(ledger, post)
    assert await waiting(ledger) == 1


async def test_events_stay_numbered_upwards_over_a_lost_connection(
    url: str, ledger: Storage
) -> None:
    post = await Post.into(ledger)
    for _ in range(5):
        await again(ledger, post)
        other = await asyncpg.connect(url)
        await other.execute(END_OTHERS)
        await other.close()
    await again(ledger, post)
    numbers = [event.seq for event in await ledger.events.read({}, 100)]
    assert len(set(numbers)) == 6
    assert numbers == sorted(numbers)


@pytest.mark.parametrize(
    "how", [asyncpg.ConnectionDoesNotExistError("lost"), TimeoutError("too slow")]
)
async def test_a_commit_whose_answer_never_came_is_asked_for(
    ledger: Storage, monkeypatch: pytest.MonkeyPatch, how: Exception
) -> None:
    post = await Post.into(ledger)
    execute = asyncpg.Connection.execute
    lose = [how]

    async def losing(self: object, query: str, *more: object, **options: object) -> object:
        answer = await execute(self, query, *more, **options)  # type: ignore[arg-type]
        if query == "COMMIT" and lose:
            raise lose.pop()
        return answer

    monkeypatch.setattr(asyncpg.Connection, "execute", losing)
    await accept(ledger.queue, post.acceptance())
    await again(ledger, post)
    await again(ledger, post)
    assert len(await ledger.queue.waiting()) == 3
    numbers = [event.seq for event in await ledger.events.read({}, 100)]
    assert len(numbers) == len(set(numbers)) == 3


async def test_every_commit_waits_for_the_disk_whatever_the_server_is_told(
    url: str, tmp_path: Path
) -> None:
    other = await asyncpg.connect(url)
    name = await other.fetchval("SELECT current_database()")
    await other.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    await other.close()
    storage = await open_storage(
        tmp_path, now_ms=NOW, on_broken=lambda _: None, database=url, roles=("deliver",)
    )
    try:
        engine = storage._engine  # type: ignore[attr-defined]
        assert await (await engine._writer.connection()).fetchval("SHOW synchronous_commit") == "on"
        assert isinstance(await engine.submit(Change([Step("lane.all")])), list)
    finally:
        await storage.close()


async def test_a_newer_schema_is_refused(url: str, ledger: Storage, tmp_path: Path) -> None:
    await ledger.close()
    other = await asyncpg.connect(url)
    await other.execute("INSERT INTO migration VALUES (9999, 'before', 'later', 'x')")
    await other.close()
    with pytest.raises(SchemaTooNew):
        await open_storage(
            tmp_path, now_ms=NOW, on_broken=lambda _: None, database=url, roles=("deliver",)
        )


async def test_whole_weeks_are_dropped_and_the_one_begun_is_kept(url: str, ledger: Storage) -> None:
    post = await Post.into(ledger)
    week = week_of(NOW)
    start = week_start_ms(NOW)
    old = await post.accept(at=start + HOUR)
    begun = await post.accept(at=start + WEEK_MS)
    for message in (old, begun):
        await post.settle(delivery_id(message, 1))
    before = await weeks(url)
    while await ledger.retention.drop_content(start + WEEK_MS + 2 * HOUR, 100):
        pass
    assert before - await weeks(url) == {name_of("content", week)}
    assert await ledger.messages.content(begun), "its week is not over"
    await ledger.retention.prepare(NOW + 10 * WEEK_MS)
    assert name_of("event", week + 14) in await weeks(url)


async def weeks(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT relname FROM pg_class WHERE relname ~ '_w[0-9]{4}$'")
    await connection.close()
    return {row["relname"] for row in rows}
