"""what an app prefers for its readers, over real sockets: who is named, and whence images come"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.message.tokens import TokenKind
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import App, TrackedImages, VisitDetail
from pillarbox.policy.events import UnsubscribedFacts
from pillarbox.services.tracking.preference import Preferences
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.queue import LaneName
from pillarbox.storage.interface.visits import Reached
from pillarbox.terms.ids import DeliveryId, delivery_id, new_object_id
from tests.contract.post import Post
from tests.doubles.reader import FIREFOX
from tests.doubles.web_server import WebReply, WebServer
from tests.fix_house import Houses, HousesOverDatabase
from tests.fix_tracking import LOOPBACK, Tracked, begin_tracking
from tests.waited import settle

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
LINK = "https://example.com/"
NAMED = ("127.0.0.1", FIREFOX)
NOBODY = ("", "")
GONE = DeliveryId(1 << 40 | 1)


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


@pytest.fixture
async def there() -> AsyncIterator[WebServer]:
    reply = WebReply(body=PNG, fields={"content-type": "image/png"})
    async with WebServer(lambda _: reply) as server:
        yield server


async def prefer(tracked: Tracked, **values: object) -> None:
    directory = tracked.running.house.storage.directory
    app = await directory.app(tracked.running.app.id)
    await directory.save_app(replace(app, **values))  # type: ignore[arg-type]


async def of_another_app(tracked: Tracked) -> DeliveryId:
    """A delivery that was made a minute ago."""
    house, first = tracked.running.house, tracked.running.app
    app = App(new_object_id(), first.account, "other")
    await house.storage.directory.save_app(app)
    lane = await house.storage.queue.lane(LaneName(app.id, "servers", "*"))
    post = Post(house.storage, tracked.running.account, app, lane)
    then = house.clock.now_ms() - 60_000
    message = await post.accept("carol@example.org", state=State.HELD, at=then)
    verdict = await post.verdict(delivery_id(message, 1))
    await settle(house.storage.queue, post.settlement(verdict, at=then))
    return verdict.delivery


async def named(
    tracked: Tracked, count: int, delivery: DeliveryId | None = None
) -> tuple[str, str]:
    """Who came last."""
    last = (await tracked.visits(count, delivery))[-1]
    return last.address, last.agent


# --- who is named -----------------------------------------------------------------------------


@pytest.mark.both_engines
async def test_visits_of_a_private_app_are_counted_and_name_nobody_from_the_next_on(
    tracked: Tracked,
) -> None:
    link = await tracked.link(LINK)
    pixel = f"/{await tracked.token(TokenKind.PIXEL, position=0)}"
    await tracked.reader.ask(link)
    assert await named(tracked, 1) == NAMED
    await prefer(tracked, visits=VisitDetail.PRIVATE)
    await tracked.reader.ask(link)
    assert await named(tracked, 2) == NOBODY
    await tracked.reader.ask(pixel)
    assert await named(tracked, 3) == NOBODY
    assert [each.verdict for each in await tracked.visits(3)] == ["person"] * 3
    await prefer(tracked, visits=VisitDetail.DEFAULT)
    await tracked.reader.ask(link)
    assert await named(tracked, 4) == NAMED


async def test_an_app_that_is_private_says_nothing_for_others(tracked: Tracked) -> None:
    other = await of_another_app(tracked)
    await prefer(tracked, visits=VisitDetail.PRIVATE)
    await tracked.reader.ask(await tracked.link(LINK))
    await tracked.reader.ask(f"/{await tracked.token(TokenKind.CLICK, LINK, delivery=other)}")
    assert await named(tracked, 1) == NOBODY
    assert await named(tracked, 1, other) == NAMED


async def test_an_app_may_name_visitors_where_others_do_not(houses: Houses) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, personal_data=False))
    other = await of_another_app(tracked)
    await prefer(tracked, visits=VisitDetail.FULL)
    await tracked.reader.ask(await tracked.link(LINK))
    await tracked.reader.ask(f"/{await tracked.token(TokenKind.CLICK, LINK, delivery=other)}")
    assert await named(tracked, 1) == NAMED
    assert await named(tracked, 1, other) == NOBODY


async def test_of_mail_whose_app_is_gone_nobody_is_named(tracked: Tracked) -> None:
    other = await of_another_app(tracked)
    directory = tracked.running.house.storage.directory
    await directory.remove_app((await directory.app_named("other")).id)
    token = await tracked.token(TokenKind.CLICK, LINK, delivery=other)
    assert (await tracked.reader.ask(f"/{token}")).location == LINK
    assert await named(tracked, 1, other) == NOBODY


@pytest.mark.parametrize(("visits", "address"), [("private", ""), ("full", "127.0.0.1")])
async def test_who_unsubscribes_is_named_as_the_app_prefers(
    tracked: Tracked, visits: str, address: str
) -> None:
    await prefer(tracked, visits=VisitDetail(visits))
    token = await tracked.token(TokenKind.UNSUBSCRIBE, position=0)
    told = await tracked.reader.ask(
        f"/{token}",
        method="POST",
        fields={"Content-Type": "application/x-www-form-urlencoded"},
        body=b"List-Unsubscribe=One-Click",
    )
    assert told.status == 200
    store = tracked.running.house.storage.visits
    (event,) = await store.of_delivery(tracked.delivery, 10)
    assert isinstance(event.data, UnsubscribedFacts)
    assert (event.data.address, bool(event.data.agent)) == (address, bool(address))


# --- whence images come -----------------------------------------------------------------------


@pytest.mark.both_engines
async def test_readers_of_an_app_are_sent_to_the_original_from_the_next_image_on(
    tracked: Tracked, there: WebServer
) -> None:
    target = there.url("/logo.png", host="127.0.0.1")
    path = f"/{await tracked.token(TokenKind.IMAGE, target)}"
    other = await of_another_app(tracked)
    await prefer(tracked, tracked_images=TrackedImages.REDIRECT)
    told = await tracked.reader.ask(path)
    assert (told.status, told.location, there.requests) == (302, target, [])
    elsewhere = await tracked.token(TokenKind.IMAGE, target, delivery=other)
    assert (await tracked.reader.ask(f"/{elsewhere}")).body == PNG
    await prefer(tracked, tracked_images=TrackedImages.DEFAULT)
    assert (await tracked.reader.ask(path)).body == PNG
    assert len(await tracked.visits(2)) == 2, "a redirect is recorded as well"


async def test_an_app_may_have_its_images_served_where_others_do_not(
    houses: Houses, there: WebServer
) -> None:
    tracked = await begin_tracking(houses, replace(LOOPBACK, images="redirect"))
    target = there.url("/logo.png", host="127.0.0.1")
    await prefer(tracked, tracked_images=TrackedImages.SERVE)
    other = await of_another_app(tracked)
    assert (
        await tracked.reader.ask(f"/{await tracked.token(TokenKind.IMAGE, target)}")
    ).body == PNG
    elsewhere = await tracked.token(TokenKind.IMAGE, target, delivery=other)
    assert (await tracked.reader.ask(f"/{elsewhere}")).location == target


async def test_an_image_of_a_message_that_is_gone_is_answered_as_is_set_for_all(
    tracked: Tracked, there: WebServer
) -> None:
    await prefer(tracked, tracked_images=TrackedImages.REDIRECT)
    target = there.url("/logo.png", host="127.0.0.1")
    token = await tracked.token(TokenKind.IMAGE, target, delivery=GONE)
    assert (await tracked.reader.ask(f"/{token}")).body == PNG


class Looks:
    """Counts who asks whose mail a delivery is, and answers as the store does, or not."""

    def __init__(self, tracked: Tracked) -> None:
        self.asked = 0
        self.away = False
        store = tracked.running.house.storage.visits
        self._real: Callable = store.reached
        store.reached = self.reached  # type: ignore[method-assign]

    async def reached(self, delivery: DeliveryId) -> Reached | None:
        self.asked += 1
        if self.away:
            raise StorageTrouble("The store does not answer.")
        return await self._real(delivery)


async def test_whose_an_image_is_is_looked_up_once_and_only_where_an_app_prefers_something(
    tracked: Tracked,
) -> None:
    looks = Looks(tracked)
    storage = tracked.running.house.storage
    preferences = Preferences(
        storage.directory, storage.visits, personal_data=True, serves_images=True
    )
    assert await preferences.serves_images(tracked.delivery)
    assert looks.asked == 0
    await prefer(tracked, tracked_images=TrackedImages.REDIRECT)
    assert [await preferences.serves_images(tracked.delivery) for _ in range(3)] == [False] * 3
    assert looks.asked == 1


async def test_an_image_is_answered_while_nobody_can_say_whose_it_is(
    tracked: Tracked, there: WebServer
) -> None:
    await prefer(tracked, tracked_images=TrackedImages.REDIRECT)
    looks = Looks(tracked)
    looks.away = True
    path = f"/{await tracked.token(TokenKind.IMAGE, there.url('/a.png', host='127.0.0.1'))}"
    assert (await tracked.reader.ask(path)).body == PNG
    looks.away = False
    assert (await tracked.reader.ask(path)).status == 302
