"""what readers did is told by deliveries, in the log, and goes with the messages"""

from __future__ import annotations

import asyncio

from pillarbox.policy.events import ActionFacts
from pillarbox.storage.interface.visits import NewVisit, Reached
from pillarbox.terms.ids import DeliveryId, delivery_id
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW, Post
from tests.waited import settle


def visit(post: Post, delivery: DeliveryId, at: int, who: str) -> NewVisit:
    return NewVisit(at, post.app.id, "delivery.released", delivery, ActionFacts(by=who))


async def test_visits_are_told_by_delivery_and_stand_in_the_log(place: Place, post: Post) -> None:
    message = await post.accept("a@example.org", "b@example.org")
    a, b = delivery_id(message, 1), delivery_id(message, 2)
    await post.storage.visits.add(
        [visit(post, a, NOW + 2, "x"), visit(post, b, NOW + 1, "y"), visit(post, a, NOW + 3, "z")]
    )
    await post.storage.visits.add([])
    storage = await place.open()
    told = await storage.visits.of_delivery(a, 10)
    assert [(e.at, e.data.by) for e in told if isinstance(e.data, ActionFacts)] == [
        (NOW + 2, "x"), (NOW + 3, "z"),
    ]  # fmt: skip
    assert len(await storage.visits.of_delivery(a, 1)) == 1
    assert [event.seq for event in await storage.events.recent(1)] == [told[-1].seq]


async def test_whose_a_delivery_is_and_when_it_was_final(post: Post) -> None:
    message = await post.accept()
    delivery = delivery_id(message, 1)
    assert await post.storage.visits.reached(delivery) == Reached(post.app.id, None)
    verdict = await post.verdict(delivery)
    await settle(post.storage.queue, post.settlement(verdict, at=NOW + 7))
    assert await post.storage.visits.reached(delivery) == Reached(post.app.id, NOW + 7)
    assert await post.storage.visits.reached(DeliveryId(delivery + (1 << 30))) is None


async def test_visits_go_with_their_message(post: Post) -> None:
    message = await post.accept()
    delivery = delivery_id(message, 1)
    await settle(post.storage.queue, post.settlement(await post.verdict(delivery)))
    await post.storage.visits.add([visit(post, delivery, NOW, "x")])
    later = NOW + 30 * 24 * HOUR
    while await post.storage.retention.drop_content(later, 100):
        pass
    while await post.storage.retention.drop_history(later, 100):
        pass
    assert await post.storage.visits.of_delivery(delivery, 10) == []
    assert await post.storage.visits.reached(delivery) is None


async def test_that_a_recipient_wants_no_more_is_told_once(post: Post) -> None:
    message = await post.accept("a@example.org", "b@example.org")
    a, b = delivery_id(message, 1), delivery_id(message, 2)
    visits = post.storage.visits
    asked = [visits.unsubscribe(visit(post, a, NOW + n, str(n))) for n in range(5)]
    assert sorted(await asyncio.gather(*asked)) == [False, False, False, False, True]
    assert not await visits.unsubscribe(visit(post, a, NOW + 9, "again"))
    assert await visits.unsubscribe(visit(post, b, NOW + 9, "other"))
    assert len(await visits.of_delivery(a, 10)) == 1
    assert len(await visits.of_delivery(b, 10)) == 1


async def test_who_wants_no_more_is_forgotten_with_the_message(post: Post) -> None:
    message = await post.accept()
    delivery = delivery_id(message, 1)
    await settle(post.storage.queue, post.settlement(await post.verdict(delivery)))
    await post.storage.visits.unsubscribe(visit(post, delivery, NOW, "x"))
    later = NOW + 30 * 24 * HOUR
    while await post.storage.retention.drop_content(later, 100):
        pass
    while await post.storage.retention.drop_history(later, 100):
        pass
    assert await post.storage.visits.of_delivery(delivery, 10) == []
