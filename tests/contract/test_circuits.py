"""what one node learns of a server the others know, and what it may be given is shared by all"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.breaker import BreakerConfig, Circuit
from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import from_broken, from_reply
from pillarbox.policy.server import Server
from pillarbox.protocol.reply import Reply
from pillarbox.services.delivery import circuits as circuits_module
from pillarbox.services.delivery.circuits import Circuits
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import SystemClock
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.contract.cluster import Cluster
from tests.contract.post import Post

pytestmark = pytest.mark.needs("postgres")

DOWN = from_broken(Stage.CONNECT, "nobody listens there")
RELAY_DENIED = from_reply(Stage.RCPT, Reply.of(554, "5.7.1", "relay access denied"))
WRONG_PASSWORD = from_reply(Stage.AUTH, Reply.of(535, "5.7.8", "no"))
USED_UP = from_reply(Stage.VERDICT, Reply.of(550, "5.4.5", "Daily user sending limit exceeded"))


class Nodes:
    """Two nodes on one database, and the server both of them send through."""

    def __init__(self, stores: list[Storage], rooms: list[Circuits], server: Server) -> None:
        self.stores = stores
        self.one, self.two = rooms
        self.server = server

    async def told(self, *wanted: str) -> list[str]:
        """The events of servers, oldest first, once those that are wanted are there."""
        async with asyncio.timeout(10):
            while True:
                events = reversed(await self.stores[0].events.recent(100))
                kinds = [one.kind for one in events if one.kind.startswith("server.")]
                if set(kinds) >= set(wanted):
                    return kinds
                await asyncio.sleep(0.02)


@pytest.fixture
async def nodes(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nodes]:
    monkeypatch.setattr(circuits_module, "_HEAR_SECONDS", 0.05)
    stores = [await cluster.open(name) for name in ("one", "two")]
    post = await Post.into(stores[0])
    server = Server(new_object_id(), post.app.id, "first", "smtp.example.net")
    config = BreakerConfig(pause_seconds=0.5, ceiling_seconds=2.0)
    rooms = [
        Circuits(config, store.events, store.limits, SystemClock(), Metrics(), News())
        for store in stores
    ]
    tasks = [asyncio.create_task(room.run()) for room in rooms]
    yield Nodes(stores, rooms, server)
    for room in rooms:
        room.close_lines()
        await room.stop()
    await asyncio.gather(*tasks)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def circuit(room: Circuits, server: Server) -> Circuit:
    return room.way(server).breaker.circuit


async def test_failures_on_different_nodes_add_up_and_one_of_them_says_that_it_is_paused(
    nodes: Nodes,
) -> None:
    server = nodes.server
    nodes.one.failed(server, DOWN)
    nodes.two.failed(server, DOWN)
    nodes.one.failed(server, DOWN)
    await until(lambda: circuit(nodes.one, server) is Circuit.OPEN)
    await until(lambda: circuit(nodes.two, server) is Circuit.OPEN)
    kinds = await nodes.told("server.paused")
    assert kinds.count("server.paused") == 1


async def test_a_fault_of_the_host_found_by_one_pauses_it_for_both_and_one_success_is_for_both(
    nodes: Nodes,
) -> None:
    server, freed = nodes.server, []
    nodes.two.way(server)
    nodes.two.listen(freed.append, lambda apps: None)
    nodes.one.failed(server, RELAY_DENIED)
    await until(lambda: circuit(nodes.two, server) is Circuit.OPEN)
    nodes.one.succeeded(server)
    await until(lambda: circuit(nodes.two, server) is Circuit.CLOSED)
    assert freed == [frozenset({server.app})], "what waits on the other node goes as well"
    kinds = await nodes.told("server.recovered")
    assert kinds == ["server.paused", "server.recovered"]


async def test_a_wrong_password_is_held_against_it_by_the_node_that_met_it_and_nobody_else(
    nodes: Nodes,
) -> None:
    server = nodes.server
    other = replace(server, id=new_object_id(), password=Secret("right"))
    nodes.two.way(server)
    nodes.one.failed(server, WRONG_PASSWORD)
    assert nodes.one.row(server).paused(SystemClock().now_ms())
    # Told and heard behind it, so that what was to be heard of it would have been.
    nodes.one.failed(other, DOWN)
    await until(lambda: nodes.two.way(server).breaker.errors == 1)
    now_ms = SystemClock().now_ms()
    assert not nodes.one.row(other).paused(now_ms)
    assert not nodes.two.row(server).paused(now_ms)
    assert await nodes.told("server.paused", "server.failing") == [
        "server.paused",
        "server.failing",
    ]


async def test_after_a_pause_one_of_all_nodes_makes_the_trial(nodes: Nodes) -> None:
    server, clock = nodes.server, SystemClock()
    rooms = [nodes.one, nodes.two]
    nodes.one.failed(server, RELAY_DENIED)
    await until(lambda: circuit(nodes.two, server) is Circuit.OPEN)
    await until(lambda: not nodes.one.way(server).breaker.paused(clock.now_ms()))
    await until(lambda: not nodes.two.way(server).breaker.paused(clock.now_ms()))
    tries = [room.may_try(room.row(server), clock.now_ms()) for room in rooms]
    tries += [room.may_try(room.row(server), clock.now_ms()) for room in rooms]
    assert sorted(await asyncio.gather(*tries)) == [False, False, False, True]


async def test_a_quota_that_one_node_heard_of_is_left_alone_by_both_and_no_failure(
    nodes: Nodes,
) -> None:
    server, clock = nodes.server, SystemClock()
    nodes.two.way(server)
    assert nodes.one.failed(server, USED_UP) is None

    def rests() -> bool:
        allowance = nodes.two.way(server).allowance
        return allowance is not None and allowance.free_at(clock.now_ms()) > 0

    await until(rests)
    assert circuit(nodes.two, server) is Circuit.CLOSED
    nodes.one.succeeded(server)
    assert await nodes.told("server.quota_over") == ["server.quota_reached", "server.quota_over"]


async def test_two_nodes_give_a_server_no_more_than_it_may_have_in_a_day(nodes: Nodes) -> None:
    server = replace(nodes.server, max_per_day=50)
    given = 0

    async def give(room: Circuits) -> None:
        nonlocal given
        allowance = room.way(server).allowance
        assert allowance is not None
        while True:
            granted = allowance.take_now(3) or await allowance.turn(3, 5.0)
            if not granted:
                return
            given += granted

    await asyncio.gather(*(give(room) for room in (nodes.one, nodes.two) for _ in range(4)))
    assert given == 50
    kinds = await nodes.told("server.quota_near", "server.quota_reached")
    assert kinds == ["server.quota_near", "server.quota_reached"]


async def test_two_nodes_give_a_server_no_more_than_it_may_have_in_a_second(nodes: Nodes) -> None:
    server, clock = replace(nodes.server, max_per_second=40.0), SystemClock()
    at: list[float] = []

    async def give(room: Circuits) -> None:
        allowance = room.way(server).allowance
        assert allowance is not None
        while len(at) < 120:
            if allowance.take_now(1) or await allowance.turn(1, 5.0):
                at.append(clock.monotonic())

    await asyncio.gather(*(give(room) for room in (nodes.one, nodes.two)))
    # A second's worth on top in any span, and a block for each node.
    assert all(later - earlier >= 0.9 for earlier, later in zip(at, at[90:], strict=False))
