"""what people do to the queue, whichever engine keeps it: selecting, moving, pausing"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import App, RouteRule
from pillarbox.policy.events import ActionFacts, AttemptFacts, LaneFacts
from pillarbox.policy.server import Server
from pillarbox.storage.interface.errors import NotFound, StorageTrouble
from pillarbox.storage.interface.queue import LaneName
from pillarbox.storage.interface.selection import Selection
from pillarbox.storage.interface.settlement import Verdict
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import DeliveryId, delivery_id, new_object_id
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW, Post, claimed_of
from tests.waited import settle


async def other_lane(storage: Storage, post: Post, destination: str = "ab12") -> int:
    return await storage.queue.lane(LaneName(post.app.id, "server", destination))


async def recipients(storage: Storage, wanted: Selection) -> list[str]:
    return [row.recipient for row in await storage.queue.waiting(wanted)]


async def test_what_is_selected_fits_everything_that_is_given(storage: Storage, post: Post) -> None:
    await post.accept("a@example.org", "b@Mail.Example.org", "c@example.net")
    await post.accept("e@example.org", state=State.HELD)
    await post.accept("d@example.org", at=NOW + HOUR)
    assert await recipients(storage, Selection(recipient_domain="example.org")) == [
        "a@example.org", "e@example.org", "d@example.org",
    ]  # fmt: skip
    assert await recipients(storage, Selection(recipient_domain=".example.org")) == [
        "b@Mail.Example.org"
    ]
    young = Selection(recipient_domain="example.org", accepted_before=NOW + HOUR)
    assert await recipients(storage, young) == ["a@example.org", "e@example.org"]
    both = Selection(recipient_domain="example.org", state=State.HELD)
    assert await recipients(storage, both) == ["e@example.org"]
    assert await recipients(storage, Selection(route="direct")) == []
    assert len(await recipients(storage, Selection(route="servers", destination="*"))) == 5
    assert await recipients(storage, Selection(apps=frozenset())) == []


async def test_mail_is_selected_by_who_sent_it(storage: Storage, post: Post) -> None:
    await post.accept("a@example.org", return_path=b"bounces@news.example")
    await post.accept("b@example.org")
    assert await recipients(storage, Selection(sender="news.example")) == ["a@example.org"]
    # The author of both.
    assert len(await recipients(storage, Selection(sender="ann@example.com"))) == 2
    assert await recipients(storage, Selection(sender="bob@example.com")) == []
    assert len(await recipients(storage, Selection(submitter=post.app.id))) == 2
    assert await recipients(storage, Selection(submitter=new_object_id())) == []


async def deferred_for(post: Post, delivery: DeliveryId, category: str) -> None:
    row = await post.storage.messages.delivery(delivery)
    facts = AttemptFacts(number=1, category=category)
    verdict = Verdict(
        delivery, row.recipient.encode(), State.DEFERRED, 1, row.last_event, "delivery.deferred",
        facts, NOW + HOUR,
    )  # fmt: skip
    await settle(post.storage.queue, post.settlement(verdict))


async def test_mail_is_selected_by_what_became_of_its_last_attempt(
    storage: Storage, post: Post
) -> None:
    message = await post.accept("a@example.org", "b@example.org", "c@example.org")
    await deferred_for(post, delivery_id(message, 1), "greylisted")
    await deferred_for(post, delivery_id(message, 2), "busy")
    await storage.queue.hold([delivery_id(message, 1)], NOW, "ann")
    assert await recipients(storage, Selection(category="greylisted")) == ["a@example.org"]
    assert await recipients(storage, Selection(category="no_route")) == []


async def test_a_long_queue_is_selected_from_in_pages(storage: Storage, post: Post) -> None:
    for _ in range(3):
        await post.accept(*(f"u{n}@example.org" for n in range(700)))
    message = await post.accept("last@example.net")
    rare = Selection(recipient_domain="example.net")
    (row,) = await storage.queue.waiting(rare, limit=1)
    assert row.delivery == delivery_id(message, 1)
    found, after = 0, None
    while rows := await storage.queue.waiting(Selection(lane=post.lane), after=after, limit=500):
        found, after = found + len(rows), rows[-1].delivery
    assert found == 2101


async def test_mail_is_moved_with_its_history_and_is_due_in_its_new_lane(
    storage: Storage, post: Post
) -> None:
    message = await post.accept("a@example.org", "b@example.org")
    first, second = delivery_id(message, 1), delivery_id(message, 2)
    await deferred_for(post, first, "busy")
    await storage.queue.hold([second], NOW, "ann")
    lane = await other_lane(storage, post)
    change = await storage.queue.move({first: lane, second: lane}, NOW + 5, "ann", "to b")
    assert change.changed == (first, second) and not change.refused
    rows = {row.delivery: row for row in await storage.queue.waiting(Selection(lane=lane))}
    assert (rows[first].state, rows[first].due_at) == (State.DEFERRED, NOW + 5)
    assert rows[second].state is State.HELD
    history = await storage.events.history(rows[first].last_event)
    assert history[-1].kind == "delivery.moved"
    assert history[-1].data == ActionFacts(by="ann", reason="to b")
    assert [row.delivery for row in await claimed_of(storage, lane, now_ms=NOW + 5)] == [first]
    assert await claimed_of(storage, post.lane, now_ms=NOW + 2 * HOUR) == []


async def test_what_is_being_sent_is_not_moved(storage: Storage, post: Post) -> None:
    message = await post.accept("a@example.org", "b@example.org")
    sent, waiting = delivery_id(message, 1), delivery_id(message, 2)
    await storage.queue.mark_started([sent])
    lane = await other_lane(storage, post)
    change = await storage.queue.move({sent: lane, waiting: lane}, NOW, "ann", "")
    assert change.changed == (waiting,)
    assert change.refused == {sent: State.ACTIVE}


async def test_what_was_moved_after_it_was_claimed_must_not_leave_from_its_old_lane(
    storage: Storage, post: Post
) -> None:
    delivery = delivery_id(await post.accept(), 1)
    await storage.queue.heads()
    rows, _ = await storage.queue.claim(post.lane, (0, 0), NOW, 10)
    assert [row.delivery for row in rows] == [delivery]
    lane = await other_lane(storage, post)
    await storage.queue.move({delivery: lane}, NOW, "ann", "")
    assert await storage.queue.mark_started([delivery], verify=True, lane=post.lane) == {delivery}
    storage.queue.finished([delivery])
    assert [row.delivery for row in await claimed_of(storage, lane)] == [delivery]
    assert await storage.queue.mark_started([delivery], verify=True, lane=lane) == frozenset()


async def test_a_lane_is_paused_and_goes_on_and_both_are_remembered(
    place: Place, storage: Storage, post: Post
) -> None:
    assert await storage.queue.pause_lane(post.lane, NOW, "ann")
    assert not await storage.queue.pause_lane(post.lane, NOW + 1, "bob")
    assert await storage.queue.paused_lanes() == {post.lane: NOW}
    again = await place.open()
    assert await again.queue.paused_lanes() == {post.lane: NOW}
    assert await again.queue.resume_lane(post.lane, NOW + 2, "ann")
    assert not await again.queue.resume_lane(post.lane, NOW + 3, "ann")
    assert await again.queue.paused_lanes() == {}
    newest = await again.events.recent(2)
    assert [event.kind for event in newest] == ["lane.resumed", "lane.paused"]
    assert newest[1].data == LaneFacts(post.lane, "servers", "*", "ann")
    assert newest[1].app == post.app.id


async def test_a_lane_that_is_not_there_cannot_be_paused(storage: Storage) -> None:
    with pytest.raises(NotFound):
        await storage.queue.pause_lane(4711, NOW, "ann")


async def test_mail_in_memory_is_put_back_and_is_not_uncertain(
    place: Place, storage: Storage, post: Post
) -> None:
    message = await post.accept("a@example.org", mirrored=True, marked=True)
    assert await claimed_of(storage, post.lane) == []
    await storage.queue.put_back([delivery_id(message, 1)])
    assert [row.delivery for row in await claimed_of(storage, post.lane)] == [
        delivery_id(message, 1)
    ]
    again = await place.open()
    assert (await again.queue.recover(NOW)).uncertain == 0


async def test_mail_that_could_not_be_put_back_is_still_called_active(
    place: Place, storage: Storage, post: Post
) -> None:
    delivery = delivery_id(await post.accept("a@example.org", mirrored=True, marked=True), 1)
    await place.say("ALTER TABLE queue RENAME TO elsewhere")
    with pytest.raises(StorageTrouble):
        await storage.queue.put_back([delivery])
    await place.say("ALTER TABLE elsewhere RENAME TO queue")
    waiting = await storage.queue.one(delivery)
    assert waiting is not None and waiting.state is State.ACTIVE
    await storage.queue.put_back([delivery])
    again = await place.open()
    assert (await again.queue.recover(NOW)).uncertain == 0


async def test_the_rules_that_name_a_server_go_with_it(storage: Storage, post: Post) -> None:
    gone, stays = (Server(new_object_id(), post.app.id, name, name) for name in ("a", "b"))
    directory = storage.directory
    for server in (gone, stays):
        await directory.save_server(server)
    rules = (RouteRule(gone.id, "x.example"), RouteRule(stays.id, "y.example"))
    await directory.save_app(replace(post.app, routes=rules))
    await directory.remove_server(gone.id)
    app: App = await directory.app(post.app.id)
    assert app.routes == rules[1:]
