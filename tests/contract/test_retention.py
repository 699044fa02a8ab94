"""what is dropped after its time, and what never is"""

from __future__ import annotations

import pytest

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.companions import RecordCall
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.events import SessionFacts
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.partitions import WEEK_MS, week_start_ms
from pillarbox.terms.ids import delivery_id
from tests.contract.post import HOUR, NOW, Post

WEEK = week_start_ms(NOW)
"""The first instant of the week in which the tests' mail is."""

LONG = 100 * 24 * HOUR


async def dropped(storage: Storage, before_ms: int) -> None:
    """Everything that may go, as upkeep asks for it."""
    while await storage.retention.drop_content(before_ms, 100):
        pass
    while await storage.retention.drop_history(before_ms, 100):
        pass


async def test_content_goes_first_and_history_only_after_it(storage: Storage, post: Post) -> None:
    settled = await post.accept(at=WEEK + HOUR)
    young = await post.accept(at=WEEK + WEEK_MS + HOUR)
    for message in (settled, young):
        await post.settle(delivery_id(message, 1))
    await storage.retention.drop_history(WEEK + WEEK_MS, 100)
    assert await storage.messages.content(settled)
    assert (await storage.messages.get(settled)).id == settled
    while await storage.retention.drop_content(WEEK + WEEK_MS, 100):
        pass
    with pytest.raises(NotFound) as gone:
        await storage.messages.content(settled)
    assert gone.value.error_code == "content_expired"
    assert (await storage.messages.get(settled)).id == settled
    await dropped(storage, WEEK + WEEK_MS)
    with pytest.raises(NotFound):
        await storage.messages.get(settled)
    assert await storage.messages.deliveries(settled) == []
    assert await storage.messages.content(young)
    assert len(await storage.messages.deliveries(young)) == 1


async def test_what_waits_loses_nothing_however_old_it_is(storage: Storage, post: Post) -> None:
    before = await post.accept(at=WEEK + 1)
    waiting = await post.accept(at=WEEK + 2)
    after = await post.accept(at=WEEK + 3)
    await post.settle(delivery_id(before, 1))
    await post.settle(delivery_id(after, 1))
    await dropped(storage, WEEK + 3 * WEEK_MS)
    assert await storage.messages.content(waiting)
    (row,) = await storage.messages.deliveries(waiting)
    assert row.state is State.QUEUED
    assert [e.kind for e in await storage.events.history(row.last_event)] == ["message.accepted"]
    for message in (before, after):
        with pytest.raises(NotFound):
            await storage.messages.get(message)
    await post.settle(delivery_id(waiting, 1))
    await dropped(storage, WEEK + 3 * WEEK_MS)
    with pytest.raises(NotFound):
        await storage.messages.get(waiting)


async def test_what_is_arriving_is_not_swept(storage: Storage, post: Post) -> None:
    arriving = post.acceptance(at=WEEK).message.id
    await storage.queue.store_block(arriving, 1, b"a block")
    await dropped(storage, WEEK + 3 * WEEK_MS)
    assert await storage.queue._engine.read("content.block", arriving << 10 | 1)  # type: ignore[attr-defined]


async def test_events_sessions_and_remembered_calls_go_with_history(
    storage: Storage, post: Post
) -> None:
    facts = SessionFacts(b"s", "h", "127.0.0.1", 25)
    call = RecordCall(b"scope", b"key", b"digest")
    message = await post.accept(at=WEEK, companions=(call,))
    storage.events.open_session(WEEK, facts)
    await post.settle(delivery_id(message, 1))
    engine = storage.queue._engine  # type: ignore[attr-defined]
    assert await engine.read("session.highest") != [(0,)]
    assert len(await storage.events.recent(10)) == 2
    # Events are numbered by the clock of the machine, which stands elsewhere than the tests'.
    await dropped(storage, NOW + LONG)
    assert await storage.events.recent(10) == []
    assert await engine.read("session.highest") == [(0,)]
    assert await engine.read("idempotency.find", b"scope", b"key") == []
