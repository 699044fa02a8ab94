"""the event log's promises"""

from __future__ import annotations

from pillarbox.policy.events import EVENT_KINDS, ServerFacts
from pillarbox.storage.interface.events import SessionFacts
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import delivery_id, node_of
from tests.contract.conftest import Place
from tests.contract.post import NOW, Post


async def test_an_event_about_no_delivery_is_appended_and_read(
    storage: Storage, post: Post
) -> None:
    facts = ServerFacts(b"server", "one", errors=3, words="refused")
    seq = await storage.events.append(NOW, post.app.id, "server.paused", facts)
    (event,) = await storage.events.read({}, 10)
    assert (event.kind, event.data, event.delivery) == ("server.paused", facts, 0)
    assert await storage.events.position() == {node_of(seq): seq}
    assert await storage.events.read({node_of(seq): seq}, 10) == []


async def test_the_newest_events_come_first(storage: Storage, post: Post) -> None:
    for n in range(5):
        await storage.events.append(NOW + n, post.app.id, "server.recovered", ServerFacts(b"s"))
    newest = await storage.events.recent(2)
    assert [event.at for event in newest] == [NOW + 4, NOW + 3]
    assert await storage.events.recent(2, app=post.account.id) == []


async def test_numbers_go_on_after_a_restart(place: Place, storage: Storage, post: Post) -> None:
    first = await storage.events.append(NOW, post.app.id, "server.recovered", ServerFacts(b"s"))
    again = await place.open()
    second = await again.events.append(NOW, post.app.id, "server.recovered", ServerFacts(b"s"))
    assert second > first


async def test_connections_are_noted_once_and_found_by_number(
    place: Place, storage: Storage, post: Post
) -> None:
    facts = SessionFacts(b"server", "mail.example.com", "192.0.2.1", 587, tls="TLSv1.3")
    number = storage.events.open_session(NOW, facts)
    await post.accept()
    again = await place.open()
    assert (await again.events.sessions([number, number + 1]))[number].facts == facts
    assert again.events.open_session(NOW, facts) > number


async def test_every_kind_that_storage_writes_is_in_the_vocabulary(
    storage: Storage, post: Post
) -> None:
    delivery = delivery_id(await post.accept(), 1)
    await storage.queue.hold([delivery], NOW, "ann")
    await storage.queue.release([delivery], NOW, "ann")
    await storage.queue.retry([delivery], NOW, "ann")
    await storage.queue.cancel([delivery], NOW, "ann")
    events = await storage.events.read({}, 100)
    assert len(events) == 5
    assert {event.kind for event in events} <= set(EVENT_KINDS)
    assert all(event.data is not None for event in events[1:])
