"""the queue store's promises, whichever engine keeps them"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.storage.interface.companions import PayObligation, RecordCall
from pillarbox.storage.interface.errors import AlreadyPaid, NotFound, Repeated
from pillarbox.storage.interface.queue import LaneName
from pillarbox.storage.interface.selection import Selection
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import delivery_id
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW, Post, claimed_of
from tests.waited import settle


async def test_what_was_accepted_is_there_after_a_restart(place: Place, post: Post) -> None:
    message = await post.accept("bob@example.org", "Cy@example.net", body=b"a\r\n\r\n\x00\xff")
    again = await place.open()
    stored = await again.messages.get(message)
    assert stored.return_path == "ann@example.com"
    assert [r.address for r in stored.facts.recipients] == ["bob@example.org", "Cy@example.net"]
    assert await again.messages.content(message) == b"a\r\n\r\n\x00\xff"
    rows = await again.messages.deliveries(message)
    assert [(r.recipient, r.state) for r in rows] == [
        ("bob@example.org", State.QUEUED),
        ("Cy@example.net", State.QUEUED),
    ]


async def test_a_kept_message_never_enters_the_queue(storage: Storage, post: Post) -> None:
    message = await post.accept(state=State.SANDBOXED)
    assert await storage.queue.waiting() == []
    (row,) = await storage.messages.deliveries(message)
    assert row.state is State.SANDBOXED
    kinds = [event.kind for event in await storage.events.history(row.last_event)]
    assert kinds == ["message.accepted", "delivery.kept"]


async def test_a_settled_delivery_leaves_the_queue_with_its_history(
    storage: Storage, post: Post
) -> None:
    message = await post.accept()
    delivery = delivery_id(message, 1)
    await post.settle(delivery, State.DEFERRED, due_at=NOW + HOUR, words="busy")
    await post.settle(delivery, State.HANDED_OVER, words="taken")
    assert await storage.queue.waiting() == []
    row = await storage.messages.delivery(delivery)
    assert (row.state, row.attempts) == (State.HANDED_OVER, 2)
    history = await storage.events.history(row.last_event)
    assert [event.kind for event in history] == [
        "message.accepted",
        "delivery.deferred",
        "delivery.handed_over",
    ]
    assert history[1].data == AttemptFacts(number=1, words="busy")


async def test_claims_come_by_due_time_then_id_and_only_when_due(
    storage: Storage, post: Post
) -> None:
    late = await post.accept(due_at=NOW + 2000)
    second = await post.accept(due_at=NOW + 5)
    third = await post.accept(due_at=NOW + 5)
    first = await post.accept(due_at=NOW + 1)
    claimed = await claimed_of(storage, post.lane, now_ms=NOW + 1000)
    assert [row.delivery >> 10 for row in claimed] == [first, second, third]
    behind = (claimed[0].due_at, claimed[0].delivery)
    again = await claimed_of(storage, post.lane, behind, now_ms=NOW + 1000, limit=1)
    assert [row.delivery >> 10 for row in again] == [second]
    assert late not in [row.delivery >> 10 for row in claimed]


async def test_a_claim_changes_nothing(storage: Storage, post: Post) -> None:
    await post.accept()
    once = await claimed_of(storage, post.lane)
    assert once and once == await claimed_of(storage, post.lane)


async def test_lanes_do_not_see_each_other(storage: Storage, post: Post) -> None:
    other = await storage.queue.lane(LaneName(post.app.id, "direct", "example.org"))
    await post.accept()
    assert await claimed_of(storage, other) == []
    names = await storage.queue.lane_names([other, post.lane])
    assert names[other].destination == "example.org"
    assert await storage.queue.lane(LaneName(post.app.id, "direct", "example.org")) == other


async def test_mirrored_mail_is_claimed_by_nobody_until_its_process_is_gone(
    place: Place, storage: Storage, post: Post
) -> None:
    message = await post.accept(mirrored=True)
    assert await claimed_of(storage, post.lane) == []
    assert await storage.queue.heads() == []
    again = await place.open()
    recovered = await again.queue.recover(NOW)
    assert (recovered.released, recovered.uncertain) == (1, 0)
    (row,) = await claimed_of(again, post.lane)
    assert row.delivery == delivery_id(message, 1) and not row.uncertain


async def test_what_may_have_been_leaving_is_uncertain_after_a_crash(
    place: Place, post: Post
) -> None:
    marked = await post.accept(mirrored=True, marked=True)
    held = await post.accept(mirrored=True, marked=True, uncertain="hold")
    quiet = await post.accept(mirrored=True)
    again = await place.open()
    recovered = await again.queue.recover(NOW)
    assert (recovered.released, recovered.uncertain, recovered.held) == (3, 2, 1)
    rows = {row.delivery >> 10: row for row in await again.queue.waiting()}
    assert (rows[marked].uncertain, rows[marked].state) == (True, State.QUEUED)
    assert (rows[held].uncertain, rows[held].state) == (True, State.HELD)
    assert not rows[quiet].uncertain
    events = await again.events.history(rows[marked].last_event)
    assert [event.kind for event in events] == ["message.accepted", "delivery.uncertain"]
    assert (await again.queue.recover(NOW)).uncertain == 0


async def test_a_mark_is_gone_once_all_it_covers_is_settled(place: Place, post: Post) -> None:
    first = await post.accept()
    second = await post.accept()
    ids = [delivery_id(first, 1), delivery_id(second, 1)]
    assert await post.storage.queue.mark_started(ids) == frozenset()
    await post.settle(ids[0])
    await post.settle(ids[1], State.DEFERRED, due_at=NOW + HOUR)
    again = await place.open()
    assert (await again.queue.recover(NOW)).uncertain == 0


async def test_a_mark_says_what_must_not_leave_any_more(storage: Storage, post: Post) -> None:
    ids = [delivery_id(await post.accept(), 1) for _ in range(3)]
    await storage.queue.cancel([ids[0]], NOW, "ann")
    await storage.queue.hold([ids[1]], NOW, "ann")
    assert await storage.queue.mark_started(ids, verify=True) == {ids[0], ids[1]}


async def test_an_operator_retries_holds_releases_and_cancels(storage: Storage, post: Post) -> None:
    delivery = delivery_id(await post.accept(due_at=NOW + HOUR), 1)
    assert (await storage.queue.retry([delivery], NOW, "ann")).changed == (delivery,)
    assert len(await claimed_of(storage, post.lane)) == 1
    assert (await storage.queue.hold([delivery], NOW, "ann")).changed == (delivery,)
    assert await claimed_of(storage, post.lane, now_ms=NOW + HOUR) == []
    refused = (await storage.queue.retry([delivery], NOW, "ann")).refused
    assert refused == {delivery: State.HELD}
    assert (await storage.queue.release([delivery], NOW, "ann")).changed == (delivery,)
    assert (await storage.queue.cancel([delivery], NOW, "ann")).changed == (delivery,)
    assert (await storage.queue.cancel([delivery], NOW, "ann")).refused == {
        delivery: State.CANCELLED
    }
    row = await storage.messages.delivery(delivery)
    kinds = [event.kind for event in await storage.events.history(row.last_event)]
    assert kinds == [
        "message.accepted",
        "delivery.retry_asked",
        "delivery.held",
        "delivery.released",
        "delivery.cancelled",
    ]


async def test_what_is_being_sent_cannot_be_cancelled(storage: Storage, post: Post) -> None:
    delivery = delivery_id(await post.accept(), 1)
    await storage.queue.mark_started([delivery])
    assert (await storage.queue.cancel([delivery], NOW, "ann")).refused == {delivery: State.ACTIVE}
    mirrored = delivery_id(await post.accept(mirrored=True), 1)
    assert mirrored in (await storage.queue.cancel([mirrored], NOW, "ann")).refused


async def test_an_unknown_delivery_is_not_found(storage: Storage, post: Post) -> None:
    with pytest.raises(NotFound):
        await storage.queue.cancel([delivery_id(await post.accept(), 7)], NOW, "ann")


async def test_a_repeated_call_stores_nothing_and_names_the_first(
    storage: Storage, post: Post
) -> None:
    call = RecordCall(b"key 1", b"order-1042", b"digest")
    first = await post.accept(companions=(call,))
    with pytest.raises(Repeated) as caught:
        await post.accept(companions=(call,))
    assert (caught.value.message, caught.value.digest) == (first, b"digest")
    assert len(await storage.queue.waiting()) == 1
    await post.accept(companions=(RecordCall(b"key 2", b"order-1042", b"digest"),))
    assert len(await storage.queue.waiting()) == 2


async def test_an_obligation_is_paid_once_in_the_commit_of_its_message(
    storage: Storage, post: Post
) -> None:
    delivery = delivery_id(await post.accept(), 1)
    verdict = await post.verdict(delivery, State.FAILED)
    await settle(storage.queue, post.settlement(verdict, owed="failed"))
    (owed,) = await storage.queue.obligations(0, NOW, 10)
    assert (owed.kind, owed.delivery, owed.app) == ("failed", delivery, post.app.id)
    pays = (PayObligation(owed.id),)
    results = await asyncio.gather(
        *(post.accept(companions=pays) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, AlreadyPaid) for result in results) == 4
    assert await storage.queue.obligations(0, NOW, 10) == []
    assert len(await storage.queue.waiting()) == 1


async def test_an_obligation_that_cannot_be_paid_is_let_go(storage: Storage, post: Post) -> None:
    delivery = delivery_id(await post.accept(), 1)
    verdict = await post.verdict(delivery, State.FAILED)
    await settle(storage.queue, post.settlement(verdict, owed="failed"))
    (owed,) = await storage.queue.obligations(0, NOW, 10)
    assert await storage.queue.obligations(0, NOW - 1, 10) == []
    await storage.queue.drop_obligation(owed.id)
    assert await storage.queue.obligations(0, NOW, 10) == []


async def test_whoever_waits_hears_of_the_last_settlement(storage: Storage, post: Post) -> None:
    message = await post.accept("a@example.org", "b@example.org", mirrored=True)
    waiting = asyncio.create_task(storage.queue.wait_settled(message, NOW + HOUR, NOW))
    await post.settle(delivery_id(message, 1))
    assert not waiting.done()
    await post.settle(delivery_id(message, 2), State.FAILED)
    assert await asyncio.wait_for(waiting, 5)
    assert await storage.queue.wait_settled(message, NOW, NOW)


async def test_waiting_ends_with_its_time(storage: Storage, post: Post) -> None:
    message = await post.accept()
    assert not await storage.queue.wait_settled(message, NOW + 20, NOW)


async def test_what_a_caller_was_told_is_the_verdict_that_stays(
    storage: Storage, post: Post
) -> None:
    message = await post.accept("a@example.org", "b@example.org", mirrored=True, marked=True)
    first, second = delivery_id(message, 1), delivery_id(message, 2)
    await post.settle(first)
    late = await post.verdict(second)
    rows = await storage.queue.end_unanswered(message, NOW, AttemptFacts(category="caller_told"))
    assert [(row.state, row.uncertain) for row in rows] == [
        (State.HANDED_OVER, False),
        (State.FAILED, True),
    ]
    await settle(storage.queue, post.settlement(late))
    assert (await storage.messages.delivery(second)).state is State.FAILED
    assert await storage.queue.waiting() == []
    assert "delivery.handed_over" in [e.kind for e in await storage.events.recent(1)]


async def test_what_a_caller_has_ended_is_not_ended_again(storage: Storage, post: Post) -> None:
    message = await post.accept("a@example.org", "b@example.org", mirrored=True)
    first, second = delivery_id(message, 1), delivery_id(message, 2)
    late = post.settlement(await post.verdict(first, state=State.FAILED))
    late.unless_ended = True
    other = post.settlement(await post.verdict(second, state=State.FAILED))
    other.unless_ended = True
    await settle(storage.queue, other)
    assert (await storage.messages.delivery(second)).state is State.FAILED
    await storage.queue.end_unanswered(message, NOW, AttemptFacts(category="caller_told"))
    await settle(storage.queue, late)
    row = await storage.messages.delivery(first)
    kinds = [event.kind for event in await storage.events.recent(10)]
    assert (row.state, kinds.count("delivery.failed")) == (State.FAILED, 2)


async def test_blocks_are_nobodys_until_their_message_is_accepted(
    place: Place, storage: Storage, post: Post
) -> None:
    kept = storage.queue.next_message_id(NOW)
    lost = storage.queue.next_message_id(NOW)
    dropped = storage.queue.next_message_id(NOW)
    for message in (kept, lost, dropped):
        await storage.queue.store_block(message, 1, b"second ")
        await storage.queue.store_block(message, 2, b"third")
    await storage.queue.drop_blocks(dropped)
    await post.accept(message=kept, body=b"first ", stored_blocks=2)
    again = await place.open()
    assert (await again.queue.recover(NOW)).swept_uploads == 1
    assert await again.messages.content(kept) == b"first second third"
    assert [block async for block in again.messages.blocks(kept)] == [
        b"first ", b"second ", b"third",
    ]  # fmt: skip
    for message in (lost, dropped):
        with pytest.raises(NotFound):
            await again.messages.content(message)


async def test_held_mail_that_is_too_old_is_found(storage: Storage, post: Post) -> None:
    message = await post.accept(state=State.HELD, expires_at=NOW + 10)
    assert await storage.queue.expired(NOW, 10) == []
    (row,) = await storage.queue.expired(NOW + 10, 10)
    assert row.delivery == delivery_id(message, 1)


async def test_depths_tell_how_much_waits_is_held_and_is_on_its_way(
    storage: Storage, post: Post
) -> None:
    oldest = await post.accept(due_at=NOW + 7)
    await post.accept(state=State.HELD)
    await post.accept(mirrored=True)
    (depth,) = await storage.queue.depths()
    assert (depth.waiting, depth.held, depth.active) == (3, 1, 1)
    assert depth.oldest == delivery_id(oldest, 1)
    assert depth.first_due_at == NOW + 7
    (head,) = await storage.queue.heads()
    assert (head.lane, head.first_due_at) == (post.lane, NOW + 7)


async def test_what_waits_in_a_lane_is_counted_as_far_as_one_wants_to_know(
    storage: Storage, post: Post
) -> None:
    for due_at in range(3):
        await post.accept(due_at=NOW + due_at)
    await post.accept(state=State.HELD)
    await post.accept(mirrored=True)
    assert await storage.queue.count_waiting(post.lane, 10) == 3
    assert await storage.queue.count_waiting(post.lane, 2) == 2
    assert await storage.queue.count_waiting(post.lane + 1, 10) == 0


async def test_lanes_are_made_together_and_keep_their_numbers(
    place: Place, storage: Storage, post: Post
) -> None:
    names = [LaneName(post.app.id, "direct", f"d{n}.example") for n in (3, 1, 2)]
    first = await storage.queue.lane(names[1])
    found, same = await asyncio.gather(storage.queue.lanes(names), storage.queue.lanes(names[:2]))
    assert list(found) == names and len(set(found.values())) == 3
    assert found[names[1]] == first and same == {name: found[name] for name in names[:2]}
    assert storage.queue.known_lane(found[names[2]]) == names[2]
    assert await storage.queue.lanes([]) == {}


async def test_the_lanes_of_an_app_are_found_by_route(storage: Storage, post: Post) -> None:
    other = await storage.queue.lane(LaneName(post.app.id, "server", "ab"))
    await storage.queue.lane(LaneName(post.account.id, "server", "ab"))
    assert await storage.queue.lanes_of(post.app.id, "server") == {
        other: LaneName(post.app.id, "server", "ab")
    }


async def test_waiting_deliveries_are_listed_by_app_lane_and_state(
    storage: Storage, post: Post
) -> None:
    first = await post.accept("a@example.org", "b@example.org")
    await post.accept(state=State.HELD)
    assert len(await storage.queue.waiting(Selection(apps=frozenset({post.app.id})))) == 3
    assert len(await storage.queue.waiting(Selection(lane=post.lane, state=State.HELD))) == 1
    (page,) = await storage.queue.waiting(limit=1)
    rest = await storage.queue.waiting(after=page.delivery)
    assert rest[0].recipient == "b@example.org"
    assert await storage.queue.waiting(Selection(apps=frozenset({post.account.id}))) == []
    assert page.delivery == delivery_id(first, 1)


async def test_message_ids_only_grow_across_restarts_and_clock_steps(
    place: Place, storage: Storage, post: Post
) -> None:
    first = await post.accept(at=NOW)
    earlier = storage.queue.next_message_id(NOW - 10 * HOUR)
    assert earlier > first
    last = await post.accept(message=earlier)
    again = await place.open()
    assert again.queue.next_message_id(NOW - 100 * HOUR) > last


async def test_a_mark_set_and_settled_in_one_group_is_gone(storage: Storage, post: Post) -> None:
    message = await post.accept("a@example.org", mirrored=True)
    delivery = delivery_id(message, 1)
    later = post.settlement(await post.verdict(delivery, State.DEFERRED, due_at=NOW + HOUR))
    marked = storage.queue.mark_started([delivery])
    await settle(storage.queue, later)
    await marked
    assert (await storage.queue.recover(NOW + 1)).uncertain == 0


async def test_what_is_marked_while_an_operator_asks_is_not_cancelled(
    storage: Storage, post: Post
) -> None:
    delivery = delivery_id(await post.accept(), 1)
    cancelled = asyncio.ensure_future(storage.queue.cancel([delivery], NOW, "ann"))
    await asyncio.sleep(0)  # it has looked whether the delivery is being sent, and is reading
    assert await storage.queue.mark_started([delivery], verify=True) == frozenset()
    change = await cancelled
    assert change.changed == ()
    assert change.refused == {delivery: State.ACTIVE}
