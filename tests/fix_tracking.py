"""a Pillarbox with a tracking host on loopback, a delivery in it, and tokens for that"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from pillarbox.message.readable import readable_tail
from pillarbox.message.tokens import Token, TokenKind, mint, read
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.policy.events import VisitFacts
from pillarbox.services.tracking.config import TrackingHostConfig
from pillarbox.storage.interface.queue import LaneName
from pillarbox.terms.ids import DeliveryId, delivery_id
from tests.contract.post import Post
from tests.doubles.reader import Reader
from tests.fix_house import Houses, Running
from tests.waited import settle

LOOPBACK = TrackingHostConfig(listen=("127.0.0.1:0",), fetch_networks=("127.0.0.0/8",))


@dataclass
class Tracked:
    """Hands for a test."""

    running: Running
    reader: Reader
    delivery: DeliveryId

    async def token(
        self, kind: TokenKind, target: str = "", position: int = 1, delivery: int | None = None
    ) -> str:
        """As rendering mints it."""
        keys = self.running.house.storage.keys
        key = await keys.current_token_key(self.running.house.clock.now_ms())
        whose = self.delivery if delivery is None else DeliveryId(delivery)
        return mint(Token(kind, whose, position, target, key.number), key.secret)

    async def link(self, target: str, position: int = 1) -> str:
        """The path of a tracked link."""
        return f"/{await self.token(TokenKind.CLICK, target, position)}{readable_tail(target)}"

    async def visits(self, count: int, delivery: DeliveryId | None = None) -> list[VisitFacts]:
        """What was written down of a delivery, once it is so much."""
        house = self.running.house
        async with asyncio.timeout(15):
            while True:
                await house.tracking.book.write(everything=True)
                found = await house.storage.visits.of_delivery(delivery or self.delivery, 5000)
                if len(found) >= count:
                    break
                await asyncio.sleep(0.01)
        facts = [event.data for event in found]
        assert all(isinstance(each, VisitFacts) for each in facts) and len(facts) == count
        return facts  # type: ignore[return-value]


async def begin_tracking(houses: Houses, config: TrackingHostConfig, **sections: object) -> Tracked:
    """A house with one message for one recipient, who has it since a minute."""
    running = await houses.start(Mode.SANDBOX, tracking_host=config, **sections)
    house = running.house
    lane = await house.storage.queue.lane(LaneName(running.app.id, "servers", "*"))
    post = Post(house.storage, running.account, running.app, lane)
    then = house.clock.now_ms() - 60_000
    message = await post.accept("bob@example.org", state=State.HELD, at=then)
    verdict = await post.verdict(delivery_id(message, 1))
    await settle(house.storage.queue, post.settlement(verdict, at=then))
    (port, *_) = house.tracking.ports or [0]
    return Tracked(running, Reader(port), verdict.delivery)


@pytest.fixture
async def tracked(houses: Houses) -> Tracked:
    return await begin_tracking(houses, LOOPBACK)


async def token_in(running: Running, address: str, host: str) -> Token:
    """What an address of that tracking host says."""
    secrets = await running.house.storage.keys.token_secrets()
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("https", host), address
    token = read(parts.path.split("/")[1], secrets)
    assert token is not None
    return token
