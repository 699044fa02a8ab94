"""pausing lanes and moving mail while delivery is at work"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import RouteRule
from pillarbox.policy.lanes import lane_of_way
from pillarbox.policy.routing import DISABLED
from pillarbox.policy.server import Server
from pillarbox.storage.interface.queue import LaneName
from pillarbox.terms.ids import delivery_id, new_object_id
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.doubles.records import MessageRecord
from tests.doubles.script import Gate, Moment, Script, Stage, stall, usual
from tests.fix_house import Houses, HousesOverDatabase, Running


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


def _to(message: MessageRecord) -> list[str]:
    return [recipient.address for recipient in message.recipients]


async def servers_lane(running: Running) -> int:
    return await running.house.storage.queue.lane(LaneName(running.app.id, "servers", "*"))


async def lane_of(running: Running, server: Server) -> int:
    name = LaneName(running.app.id, *lane_of_way(server, "example.org"))
    return await running.house.storage.queue.lane(name)


async def until(wanted: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not wanted():
            await asyncio.sleep(0.01)


def paused(running: Running, lane: int) -> Callable[[], bool]:
    return lambda: lane in running.house.worker._paused


@pytest.mark.both_engines
async def test_a_paused_lane_keeps_what_comes_new_in_storage_until_it_goes_on(
    running: Running,
) -> None:
    async with BadServer() as server:
        await running.add_server("good", server.port)
        queue, now_ms = running.house.storage.queue, running.house.clock.now_ms()
        lane = await servers_lane(running)
        await queue.pause_lane(lane, now_ms, "ann")
        await until(paused(running, lane))
        receipts = [await running.submit() for _ in range(5)]
        await until(lambda: running.house.mirror.messages == 0)
        for receipt in receipts:
            (row,) = await running.deliveries(receipt.message)
            assert (row.state, row.attempts) == (State.QUEUED, 0)
        assert not server.messages
        await queue.resume_lane(lane, now_ms, "ann")
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert row.state is State.HANDED_OVER
        assert len(server.messages) == 5


@pytest.mark.both_engines
async def test_mail_moved_to_a_server_takes_it_and_no_other(running: Running) -> None:
    async with BadServer() as good:
        await running.add_server("dead", free_port(), priority=0)
        receipt = await running.submit()
        await running.until(receipt.message, lambda rows: rows[0].state is State.DEFERRED)
        second = await running.add_server("second", good.port, priority=5, status=DISABLED)
        delivery = delivery_id(receipt.message, 1)
        queue, now_ms = running.house.storage.queue, running.house.clock.now_ms
        change = await moved(running, delivery, await lane_of(running, second))
        assert change == (delivery,)
        # Disabled: it waits, and says for which.
        (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts > 3)
        events = await running.house.storage.events.history(row.last_event)
        assert events[-1].data.words == "second is disabled, and this mail takes no other way"  # type: ignore[union-attr]
        assert not good.messages
        await running.house.storage.directory.save_server(replace(second, status="A"))
        await queue.retry([delivery], now_ms(), "ann")
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
        assert len(good.messages) == 1


async def moved(running: Running, delivery: int, lane: int) -> tuple[int, ...]:
    """Tried again while it is being sent: nothing is moved then."""
    queue, now_ms = running.house.storage.queue, running.house.clock.now_ms
    async with asyncio.timeout(10):
        while True:
            change = await queue.move({delivery: lane}, now_ms(), "ann", "")  # type: ignore[dict-item]
            if change.changed:
                return change.changed
            await asyncio.sleep(0.01)


async def test_mail_bound_to_a_server_that_is_gone_takes_the_order_of_the_app(
    running: Running,
) -> None:
    async with BadServer() as good:
        gone = await running.add_server("gone", free_port())
        receipt = await running.submit()
        await running.until(receipt.message, lambda rows: rows[0].state is State.DEFERRED)
        await moved(running, delivery_id(receipt.message, 1), await lane_of(running, gone))
        await running.house.storage.directory.remove_server(gone.id)
        await running.add_server("good", good.port)
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER


async def test_new_mail_that_a_rule_binds_takes_its_server_only(running: Running) -> None:
    async with BadServer() as usual, BadServer() as special:
        await running.add_server("usual", usual.port, priority=0)
        way = await running.add_server("special", special.port, priority=9)
        running.app = replace(running.app, routes=(RouteRule(way.id, "example.org"),))
        await running.house.storage.directory.save_app(running.app)
        receipt = await running.submit("a@example.org", "b@example.net")
        await running.until(receipt.message)
        assert [_to(m) for m in special.messages] == [["a@example.org"]]
        assert [_to(m) for m in usual.messages] == [["b@example.net"]]


async def test_what_another_app_has_in_line_at_a_shared_server_does_not_come_first(
    running: Running,
) -> None:
    """One connection; nineteen messages of one app wait for it when one of another app comes."""
    gate = Gate()
    held_up = Script().on(Stage.MAIL, stall(gate), usual(), when=_to_noisy)
    async with BadServer(held_up) as server:
        directory = running.house.storage.directory
        shared = await running.add_server("shared", server.port, max_connections=1)
        for receipt in [await running.submit() for _ in range(20)]:
            await running.until(receipt.message)  # by then its window is wide open
        before = len(server.messages)
        noisy = running.app
        loud = [await running.submit(return_path="noisy@example.com") for _ in range(20)]
        await gate.reached()
        running.app = replace(noisy, id=new_object_id(), name="other")
        await directory.save_app(running.app)
        await running.add_server("shared", server.port, max_connections=1)
        late = await running.submit("late@example.net")
        slots = running.house.circuits.way(shared).slots
        await until(lambda: slots.others_wait(noisy.id))
        gate.release()
        await running.until(late.message)
        for receipt in loud:
            await running.until(receipt.message)
        order = [_to(m) for m in server.messages[before:]]
        assert len(order) == 21
        assert order.index(["late@example.net"]) <= 3


def _to_noisy(moment: Moment) -> bool:
    return "noisy" in moment.argument
