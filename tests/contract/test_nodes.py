"""several nodes on one PostgreSQL: who reads what, who lives, and what becomes of a dead one's mail"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import asyncpg
import pytest

from pillarbox.policy.delivery import State
from pillarbox.storage import postgres_session
from pillarbox.storage.claims import SHARDS, shard_of
from pillarbox.storage.interface.companions import RecordCall
from pillarbox.storage.interface.errors import (
    Conflict,
    LeaseLost,
    NodeRunning,
    NotFound,
    StorageTrouble,
    WrongSecretKey,
)
from pillarbox.storage.interface.events import LogPosition, advanced
from pillarbox.storage.interface.nodes import NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import delivery_id, node_of
from tests.contract.cluster import Cluster, until
from tests.contract.post import NOW, Post, claimed_of
from tests.waited import accept, settle

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(60)]

END_SESSIONS_OF = """
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN node n ON n.number::int = l.objid::int
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND n.name = $1
"""


async def shards_of(store: Storage, lane: int) -> set[int]:
    rows, _ = await store.queue.claim(lane, (0, 0), NOW + 1000, 1000)
    store.queue.finished([row.delivery for row in rows])
    return {shard_of(row.delivery) for row in rows}


async def test_nodes_have_numbers_and_no_two_ids_are_the_same(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    here = [await post.accept() for _ in range(20)]
    there = [await post.onto(two).accept() for _ in range(20)]
    assert {node_of(m) for m in here} == {1}
    assert {node_of(m) for m in there} == {2}
    again = await post.onto(two).accept(at=NOW - 1000)
    assert again > max(there)
    assert [node.name for node in await one.nodes.nodes()] == ["one", "two"]


async def test_a_name_that_lives_is_refused_and_one_that_died_is_followed(
    cluster: Cluster,
) -> None:
    await cluster.open("one")
    with pytest.raises(NodeRunning, match="called one"):
        await cluster.open("one", place="elsewhere")
    await cluster.look_dead("one")
    with pytest.raises(NodeRunning):
        await cluster.open("one", place="elsewhere")
    await cluster.say(END_SESSIONS_OF, "one")
    after = await cluster.open("one", place="elsewhere")
    assert [node.number for node in await after.nodes.nodes()] == [1]


async def test_a_lane_is_divided_among_the_nodes_and_nothing_is_read_twice(
    cluster: Cluster,
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    for at in range(64):
        await post.accept(at=NOW - 64 + at, due_at=NOW)
    await one.queue.heads()
    assert await shards_of(one, post.lane) == set(range(SHARDS))
    two = await cluster.open("two")
    claimed, _ = await one.queue.claim(post.lane, (0, 0), NOW, 3)
    await two.queue.heads()
    assert await shards_of(two, post.lane) == set(), "all of it is still the first one's"
    await one.queue.heads()
    gained = [head.gained for head in await two.queue.heads()]
    mine, theirs = await shards_of(one, post.lane), await shards_of(two, post.lane)
    assert not mine & theirs
    busy = {shard_of(row.delivery) for row in claimed}
    assert busy <= mine, "what is on its way there is not given up"
    one.queue.finished([row.delivery for row in claimed])
    await one.queue.heads()
    gained += [head.gained for head in await two.queue.heads()]
    mine, theirs = await shards_of(one, post.lane), await shards_of(two, post.lane)
    assert mine | theirs == set(range(SHARDS))
    assert (len(mine), len(theirs)) == (4, 4)
    assert any(gained)


async def test_what_is_claimed_is_not_given_out_again_before_it_is_finished(
    cluster: Cluster,
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    await post.accept()
    await one.queue.heads()
    first, _ = await one.queue.claim(post.lane, (0, 0), NOW, 10)
    assert len(first) == 1
    assert (await one.queue.claim(post.lane, (0, 0), NOW, 10))[0] == []
    one.queue.finished([first[0].delivery])
    assert len((await one.queue.claim(post.lane, (0, 0), NOW, 10))[0]) == 1


async def test_a_dead_nodes_mail_is_taken_over_and_what_it_may_have_sent_is_named(
    cluster: Cluster,
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    marked = await post.accept(mirrored=True, marked=True)
    quiet = await post.accept(mirrored=True)
    await post.accept()
    await one.queue.heads()
    await two.nodes.beat(NodeLoad())
    assert await two.nodes.take_over(NOW) == []
    ((name, found),) = await cluster.taken_over("one", two)
    assert (name, found.released, found.uncertain) == ("one", 2, 1)
    rows = {row.delivery >> 10: row for row in await claimed_rows(two, post)}
    assert len(rows) == 3
    assert rows[marked].uncertain and not rows[quiet].uncertain


async def claimed_rows(store: Storage, post: Post) -> list:
    return await claimed_of(store, post.lane, now_ms=NOW + 1000)


async def test_a_node_that_was_taken_over_commits_nothing_more(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    message = await post.accept(mirrored=True, marked=True)
    await two.nodes.beat(NodeLoad())
    await cluster.taken_over("one", two)
    settlement = post.settlement(await post.verdict(delivery_id(message, 1), State.HANDED_OVER))
    with pytest.raises(StorageTrouble):
        await settle(one.queue, settlement)
    with pytest.raises(LeaseLost):
        await settle(one.queue, settlement)
    with pytest.raises(LeaseLost):
        await accept(one.queue, post.acceptance())
    assert not one.nodes.holds
    assert isinstance(cluster.broken["one"], LeaseLost)
    (row,) = await two.messages.deliveries(message)
    assert row.state is State.QUEUED


async def test_two_who_take_over_at_once_do_it_once(cluster: Cluster) -> None:
    one, two, three = [await cluster.open(name) for name in ("one", "two", "three")]
    post = await Post.into(one)
    await post.accept(mirrored=True, marked=True)
    for store in (two, three):
        await store.nodes.beat(NodeLoad())
    found = await cluster.taken_over("one", two, three)
    for store in (two, three):
        found += await store.nodes.take_over(NOW)
    assert [r.uncertain for _, r in found if r.released] == [1]
    (row,) = await two.queue.waiting()
    assert [e.kind for e in await two.events.history(row.last_event)] == [
        "message.accepted", "delivery.uncertain",
    ]  # fmt: skip


async def test_a_node_that_lost_its_connection_goes_on_and_keeps_its_mail(
    cluster: Cluster,
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    message = await post.accept(mirrored=True, marked=True)
    await cluster.say(END_SESSIONS_OF, "one")
    await two.nodes.beat(NodeLoad())
    assert await two.nodes.take_over(NOW) == []

    async def settled() -> bool:
        settlement = post.settlement(await post.verdict(delivery_id(message, 1), State.HANDED_OVER))
        try:
            await settle(one.queue, settlement)
        except StorageTrouble:
            return False
        return True

    await until(settled)
    (row,) = await two.messages.deliveries(message)
    assert row.state is State.HANDED_OVER
    assert not await cluster.say("SELECT 1 FROM started")


async def test_without_a_sign_of_life_nothing_may_leave(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await cluster.open("one")
    assert one.nodes.holds
    later = one._engine.tenure.now() + 28.0  # type: ignore[attr-defined]
    monkeypatch.setattr("pillarbox.storage.tenure.Tenure.now", staticmethod(lambda: later))
    assert not one.nodes.holds
    await one.nodes.beat(NodeLoad())
    assert one.nodes.holds


async def test_who_was_not_heard_for_long_takes_nobody_over(cluster: Cluster) -> None:
    await cluster.open("one")
    two = await cluster.open("two")
    two.nodes.patience_seconds = 1000.0  # type: ignore[attr-defined]
    await cluster.look_dead("one")
    await two.nodes.beat(NodeLoad())
    assert await two.nodes.take_over(NOW) == []


async def test_a_node_that_stops_leaves_its_mail_to_the_others_at_once(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    await post.accept(mirrored=True)
    await one.queue.heads()
    await one.nodes.leave(NOW)
    await one.close()
    assert len(await claimed_rows(two, post)) == 1
    facts = {node.name: node for node in await two.nodes.nodes()}
    assert (facts["one"].alive, facts["two"].alive) == (False, True)


async def test_a_node_is_asked_to_drain_and_hears_it_with_its_next_beat(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    await post.accept()
    await one.queue.heads()
    await two.nodes.drain("one", draining=True)
    assert (await one.nodes.beat(NodeLoad(messages=3))).draining
    assert await one.queue.heads(leaving=True) == []
    assert len(await claimed_rows(two, post)) == 1
    assert {n.name: (n.draining, n.load.messages) for n in await two.nodes.nodes()} == {
        "one": (True, 3), "two": (False, 0),
    }  # fmt: skip
    with pytest.raises(NotFound):
        await two.nodes.drain("nobody", draining=True)
    with pytest.raises(Conflict):
        await two.nodes.forget("one")
    await one.nodes.leave(NOW)
    await one.close()
    await two.nodes.forget("one")
    assert [n.name for n in await two.nodes.nodes()] == ["two"]


async def test_a_duty_is_one_nodes_and_the_next_ones_when_it_is_gone(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    await until(lambda: one.nodes.has_duty("upkeep"))
    await until(lambda: two.nodes.has_duty("notices"))
    assert not await two.nodes.has_duty("upkeep")
    assert not await one.nodes.has_duty("notices")
    await one.close()
    await until(lambda: two.nodes.has_duty("upkeep"))


async def test_what_one_node_changes_the_others_see_soon(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    await until(lambda: has_app(two))
    before = two.directory.version
    await one.directory.remove_app(post.app.id)

    async def seen() -> bool:
        # The row may be seen gone a moment before the version that tells of it is looked at.
        return not await has_app(two) and two.directory.version > before

    await until(seen)


async def has_app(store: Storage) -> bool:
    return bool(await store.directory.apps())


async def test_without_the_bell_a_beat_says_that_the_directory_was_changed(
    cluster: Cluster,
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    two._engine._bell._listeners.clear()  # type: ignore[attr-defined]
    await two.nodes.beat(NodeLoad())
    assert await two.directory.apps() == []
    await Post.into(one)
    assert await two.directory.apps() == []
    await two.nodes.beat(NodeLoad())
    assert len(await two.directory.apps()) == 1


async def test_mail_that_waits_rings_on_the_other_nodes(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    rung = asyncio.Event()
    two.nodes.listen("queue", rung.set)
    post = await Post.into(one)

    async def heard() -> bool:
        await post.accept()
        return rung.is_set()

    await until(heard)


async def test_a_node_with_another_secret_key_is_refused(cluster: Cluster) -> None:
    await cluster.open("one")
    with pytest.raises(WrongSecretKey):
        await cluster.open("two", key="22" * 32)


async def test_transactions_that_commit_in_reverse_order_are_all_read(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    position: LogPosition = {}
    seen: list[int] = []

    async def poll() -> None:
        nonlocal position
        events = await two.events.read(position, 7)
        position = advanced(position, events)
        seen.extend(event.seq for event in events)

    # The one with the lower numbers commits last: its row waits for a lock that we hold.
    blocker = await asyncpg.connect(cluster.url)
    for _ in range(5):
        transaction = blocker.transaction()
        await transaction.start()
        await blocker.execute("LOCK TABLE started IN EXCLUSIVE MODE")
        slow = asyncio.ensure_future(post.accept(mirrored=True, marked=True))
        await until(lambda: is_waiting(cluster))
        for _ in range(3):
            await post.onto(two).accept()
            await poll()
        await transaction.rollback()
        await slow
        await poll()
    await blocker.close()
    await poll()
    while len(seen) < 20:
        await poll()
    assert len(seen) == len(set(seen)) == 20
    assert {node_of(seq) for seq in seen} == {1, 2}


async def is_waiting(cluster: Cluster) -> bool:
    return bool(await cluster.say("SELECT 1 FROM pg_locks WHERE NOT granted"))


async def test_what_another_node_may_be_sending_is_not_cancelled_here(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    sent, waiting = await post.accept(), await post.accept()
    ids = [delivery_id(message, 1) for message in (sent, waiting)]
    assert await one.queue.mark_started([ids[0]], verify=True) == frozenset()
    change = await two.queue.cancel(ids, NOW, "ann")
    assert change.changed == (ids[1],)
    assert ids[0] in change.refused
    assert len(await two.queue.waiting()) == 1


async def test_a_shard_that_is_ours_in_the_database_alone_is_taken_up(cluster: Cluster) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    for at in range(16):
        await post.accept(at=NOW - 16 + at, due_at=NOW)
    await one.queue.heads()
    assert await shards_of(one, post.lane) == set(range(SHARDS))
    one.queue._claims._held.clear()  # type: ignore[attr-defined]
    assert await shards_of(one, post.lane) == set()
    assert [head.gained for head in await one.queue.heads()] == [True]
    assert await shards_of(one, post.lane) == set(range(SHARDS))


async def test_a_node_alone_reads_no_heads_again_while_nothing_happens(cluster: Cluster) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    await post.accept(due_at=NOW + 60_000)
    read = count_heads(one)
    first = await one.queue.heads()
    assert [await one.queue.heads() for _ in range(4)] == [
        [replace(head, gained=False) for head in first]
    ] * 4
    assert read() == 1
    await one.queue.heads()
    assert read() == 2, "a node that died leaves no event, so some look must see it"
    await post.accept(due_at=NOW)
    (head,) = await one.queue.heads()
    assert (head.first_due_at, read()) == (NOW, 3)


async def test_a_node_beside_others_reads_the_heads_every_time(cluster: Cluster) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    for at in range(16):
        await post.accept(at=NOW - 16 + at, due_at=NOW)
    await one.queue.heads()
    await two.nodes.beat(NodeLoad())
    read = count_heads(one)
    for _ in range(3):
        await one.queue.heads()
    assert read() == 3


def count_heads(storage: Storage) -> Callable[[], int]:
    """How often the heads of all shards are read from here on."""
    engine = storage._engine  # type: ignore[attr-defined]
    reading, asked = engine.read, Counter()

    async def counted(name: str, *parameters: object) -> object:
        asked[name] += 1
        return await reading(name, *parameters)

    engine.read = counted
    return lambda: asked["queue.heads"]


async def test_a_session_that_lingers_at_the_server_is_ended_by_its_own_node(
    cluster: Cluster,
) -> None:
    one = await cluster.open("one")
    post = await Post.into(one)
    writer = one._engine._writer  # type: ignore[attr-defined]
    lingering = writer._connection
    writer._connection = None
    async with asyncio.timeout(4):
        await post.accept()
    await until(lambda: closed(lingering))


async def closed(connection: asyncpg.Connection) -> bool:
    return connection.is_closed()


async def test_a_node_that_stands_still_in_a_transaction_does_not_stop_the_others(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_session._SESSION, "idle_in_transaction_session_timeout", "300")
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    call = RecordCall(b"scope", b"key", b"digest")
    writer = await one._engine._writer.connection()  # type: ignore[attr-defined]
    await writer.execute("BEGIN")
    await writer.execute(
        "INSERT INTO idempotency (scope, key, digest, message, at) VALUES ($1, $2, $3, 1, 1)",
        call.scope, call.key, call.digest,
    )  # fmt: skip
    async with asyncio.timeout(4):
        await post.onto(two).accept(companions=(call,))


async def test_a_clock_of_the_database_that_jumps_makes_nobody_dead(cluster: Cluster) -> None:
    one = await cluster.open("one")
    two = await cluster.open("two")
    await two.nodes.beat(NodeLoad())
    two.nodes._clocks = None  # type: ignore[attr-defined]
    two.nodes._note_clock(10_000_000, 100.0)  # type: ignore[attr-defined]
    assert two.nodes._heard_since is not None  # type: ignore[attr-defined]
    await cluster.look_dead("one")
    two.nodes._note_clock(10_000_000 + 60_000, 104.0)  # type: ignore[attr-defined]
    assert await two.nodes.take_over(NOW) == []
    assert one.nodes.holds
