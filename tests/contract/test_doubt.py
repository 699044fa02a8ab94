"""a COMMIT whose answer was lost: nobody hears a word before it is known what became of it"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.errors import LeaseLost, StorageTrouble
from pillarbox.storage.interface.nodes import NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.postgres_writer import _Doubt
from pillarbox.terms.ids import delivery_id
from tests.contract.cluster import Cluster, until
from tests.contract.post import Post
from tests.waited import accept, settle

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(60)]


class Lost:
    """The answer to the next commit is lost, and the database is out of reach until `mend`."""

    def __init__(self, store: Storage, monkeypatch: pytest.MonkeyPatch, *, happens: bool) -> None:
        self.writer: Any = store._engine._writer  # type: ignore[attr-defined]
        self.mended = False
        self.lost = asyncio.Event()
        connected = self.writer.connection

        async def connection() -> object:
            if self.lost.is_set() and not self.mended:
                raise OSError("no route")
            return await connected()

        monkeypatch.setattr(self.writer, "connection", connection)
        for name in ("commit", "write_at_once"):
            self.lose(name, happens)

    def lose(self, name: str, happens: bool) -> None:
        real = getattr(self.writer, name)

        async def commit(*arguments: object, **more: object) -> None:
            if self.lost.is_set():
                await real(*arguments, **more)
                return
            if happens:
                committed, self.writer._committed = self.writer._committed, lambda event: None
                await real(*arguments, **more)
                self.writer._committed = committed
            else:
                last_event = int(str(arguments[-1]))
                group = 0 if last_event else self.writer._group + 1
                self.writer._in_doubt = _Doubt(group, last_event)
            self.writer.terminate()
            self.lost.set()
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")

        setattr(self.writer, name, commit)


@pytest.mark.parametrize("happens", [True, False])
async def test_an_acceptance_in_doubt_waits_and_others_are_refused_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    lost = Lost(one, monkeypatch, happens=happens)
    doubtful = asyncio.ensure_future(accept(one.queue, post.acceptance(mirrored=True)))
    await lost.lost.wait()
    with pytest.raises(StorageTrouble):
        async with asyncio.timeout(5):
            await accept(one.queue, post.acceptance())
    assert not doubtful.done(), "nobody knows yet"
    lost.mended = True
    if happens:
        await doubtful
    else:
        with pytest.raises(StorageTrouble):
            await doubtful
    assert len(await one.queue.waiting()) == int(happens)


@pytest.mark.parametrize("happens", [True, False])
async def test_a_settlement_in_doubt_is_written_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    message = await post.accept(mirrored=True, marked=True)
    settlement = post.settlement(await post.verdict(delivery_id(message, 1), State.HANDED_OVER))
    lost = Lost(one, monkeypatch, happens=happens)
    doubtful = asyncio.ensure_future(settle(one.queue, settlement))
    await lost.lost.wait()
    lost.mended = True
    try:
        await doubtful
    except StorageTrouble:
        assert not happens
        await settle(one.queue, settlement)
    (row,) = await one.messages.deliveries(message)
    assert row.state is State.HANDED_OVER
    history = await one.events.history(row.last_event)
    assert [event.kind for event in history] == ["message.accepted", "delivery.handed_over"]
    counted = await cluster.say("SELECT count(*) FROM event WHERE kind = 'delivery.handed_over'")
    assert counted[0][0] == 1
    assert not await cluster.say("SELECT 1 FROM started")


@pytest.mark.parametrize("happens", [True, False])
async def test_a_mark_in_doubt_is_neither_lost_nor_left(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    message = await post.accept(mirrored=True)
    lost = Lost(one, monkeypatch, happens=happens)
    marked = asyncio.ensure_future(one.queue.mark_started([delivery_id(message, 1)]))
    await lost.lost.wait()
    # A server that crashed gives the numbers of its transactions again.
    await cluster.say("SELECT pg_current_xact_id()")
    lost.mended = True
    if happens:
        assert await marked == frozenset()
    else:
        with pytest.raises(StorageTrouble):
            await marked
    assert len(await cluster.say("SELECT 1 FROM started")) == int(happens)
    if not happens:
        return
    await post.settle(delivery_id(message, 1), State.HANDED_OVER)
    assert not await cluster.say("SELECT 1 FROM started")


async def test_who_was_taken_over_meanwhile_hears_the_truth_first(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    lost = Lost(one, monkeypatch, happens=True)
    doubtful = asyncio.ensure_future(accept(one.queue, post.acceptance(mirrored=True)))
    await lost.lost.wait()
    await two.nodes.beat(NodeLoad())
    await cluster.taken_over("one", two)
    lost.mended = True
    await doubtful

    async def broken() -> bool:
        return "one" in cluster.broken

    await until(broken)
    assert isinstance(cluster.broken["one"], LeaseLost)
    assert len(await two.queue.waiting()) == 1, "it is ours, and the other one's now"


async def test_what_is_not_known_at_the_end_is_not_said_to_be_done(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    lost = Lost(one, monkeypatch, happens=True)
    doubtful = asyncio.ensure_future(accept(one.queue, post.acceptance()))
    await lost.lost.wait()
    await one.close()
    with pytest.raises(StorageTrouble):
        await doubtful
