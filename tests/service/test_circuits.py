"""a server that fails is left alone, tried with one message, and used again with all that waited"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pillarbox.policy.breaker import BreakerConfig, Circuit
from pillarbox.policy.delivery import State
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Server
from pillarbox.services.delivery.config import DeliveryConfig
from pillarbox.storage.interface.limits import SharedCircuit
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.doubles.script import Gate, Script, Stage, say, stall, usual
from tests.e2e.clerk import show
from tests.fix_house import Houses, HousesOverDatabase, Running

PATIENT = RetryConfig(first_seconds=600.0, ceiling_seconds=3600.0)
"""Whoever is put off comes again long after this test, unless somebody calls it."""
QUICK = BreakerConfig(pause_seconds=0.2, ceiling_seconds=0.5)
SOON = DeliveryConfig(poll_seconds=0.05, catch_up_seconds=2.0)


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


async def told(running: Running) -> list[str]:
    events = reversed(await running.house.storage.events.recent(1000))
    return [one.kind for one in events if one.kind.startswith("server.")]


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def row_of(running: Running) -> SharedCircuit | None:
    found = await running.house.storage.limits.circuits()
    return found[0] if found else None


async def stored(running: Running, server: Server) -> Server:
    servers = await running.house.storage.directory.servers(running.app.id)
    return next(one for one in servers if one.id == server.id)


@pytest.mark.both_engines
async def test_a_failing_server_is_paused_tried_and_used_again_and_each_step_is_told(
    running: Running,
) -> None:
    port = free_port()
    only = await running.add_server("only", port)
    receipt = await running.submit()
    await running.until(receipt.message, lambda rows: rows[0].attempts >= 4)
    assert (await stored(running, only)).errors >= 3
    assert (await stored(running, only)).status == "A", "that is for people to change"
    row = await row_of(running)
    assert row is not None and row.until and "only could not be reached" in row.words
    circuit = (await show(running, "/servers/only"))["circuit"]
    assert circuit["state"] in ("open", "trial") and circuit["errors"] >= 3
    assert "only could not be reached" in circuit["reason"] and circuit["failed_at"]
    (app,) = (await show(running, "/status"))["apps"]
    assert app["servers_left_alone"] == ["only"]
    assert app["route"].endswith("Left alone just now: only.")
    async with BadServer(port=port):
        await running.until(receipt.message)

        async def forgotten() -> bool:
            return await row_of(running) is None and "server.recovered" in await told(running)

        await until(forgotten)
    kinds = await told(running)
    assert kinds[:2] == ["server.failing", "server.paused"]
    assert kinds[-2:] == ["server.tried", "server.recovered"]
    assert (await stored(running, only)).errors == 0


async def test_what_waited_for_a_server_goes_when_it_is_back_and_not_all_at_once(
    houses: Houses,
) -> None:
    running = await houses.start(retry=PATIENT, breaker=QUICK, delivery=SOON)
    port = free_port()
    await running.add_server("only", port)
    receipts = [await running.submit() for _ in range(120)]
    for receipt in receipts:
        await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
    async with BadServer(port=port) as server:
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert row.state is State.HANDED_OVER
        assert len(server.messages) == 120
        tenths = Counter(one.answered_at // 100 for one in server.messages)
        assert max(tenths.values()) <= 3 * 120 / 20, "spread over two seconds"


async def test_catching_up_ends_also_where_all_that_was_counted_has_gone(houses: Houses) -> None:
    running = await houses.start(retry=PATIENT, delivery=SOON)
    worker = running.house.worker
    later = Script().on(Stage.RCPT, say(450, "4.2.0 come again"), times=3)
    async with BadServer(later) as server:
        await running.add_server("only", server.port)
        receipts = [await running.submit() for _ in range(3)]
        for receipt in receipts:
            await running.until(receipt.message, lambda rows: rows[0].attempts == 1)
        worker.catch_up(frozenset({running.app.id}))
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 2)
        async with asyncio.timeout(10):
            while any(lane.catching_up is not None for lane in worker._lanes.values()):
                await asyncio.sleep(0.01)


async def test_one_message_makes_the_trial_while_all_others_wait(houses: Houses) -> None:
    running = await houses.start(retry=PATIENT, breaker=QUICK, delivery=SOON)
    port = free_port()
    await running.add_server("only", port)
    receipts = [await running.submit() for _ in range(40)]
    for receipt in receipts:
        await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
    gate = Gate()
    script = Script().on(Stage.DOT, stall(gate), usual(), times=1)
    async with BadServer(script, port=port) as server:
        await gate.reached()
        more = [await running.submit() for _ in range(10)]
        for receipt in more:
            await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
        assert len(server.messages) <= 1 and sum(bool(s.commands) for s in server.sessions) == 1
        gate.release()
        for receipt in [*receipts, *more]:
            await running.until(receipt.message)


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (Stage.AUTH, (535, "5.7.8 no")),
        (Stage.MAIL, (530, "5.7.0 Authentication required")),
        (Stage.RCPT, (554, "5.7.1 Relay access denied")),
    ],
)
async def test_the_operators_fault_pauses_a_server_at_once(
    houses: Houses, stage: Stage, reply: tuple[int, str]
) -> None:
    running = await houses.start(breaker=BreakerConfig(pause_seconds=60))
    script = Script().on(stage, say(*reply))
    bad = BadServer(script, credentials={"relay": "right"}, auth_in_clear=True)
    async with bad as first, BadServer() as second:
        login = {"username": "relay", "password": Secret("right")}
        server = await running.add_server("first", first.port, priority=0, **login)
        await running.add_server("second", second.port, priority=1)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
        breaker = running.house.circuits.peek(server)
        assert breaker is not None and breaker.circuit is Circuit.OPEN


async def test_a_server_that_takes_mail_is_not_paused_for_one_recipient_it_does_not_serve(
    houses: Houses,
) -> None:
    running = await houses.start(breaker=BreakerConfig(pause_seconds=60))
    denied = say(554, "5.7.1 Relay access denied")
    script = Script().on(Stage.RCPT, denied, recipient="eve@elsewhere.test")
    async with BadServer(script) as first, BadServer() as second:
        server = await running.add_server("first", first.port, priority=0)
        await running.add_server("second", second.port, priority=1)
        for recipient in ("bob@example.org", "eve@elsewhere.test", "bob@example.org"):
            await running.until((await running.submit(recipient)).message)
        assert (len(first.messages), len(second.messages)) == (2, 1)
        breaker = running.house.circuits.peek(server)
        assert breaker is not None and breaker.circuit is Circuit.CLOSED


@pytest.mark.both_engines
async def test_a_pause_outlives_the_process_that_began_it(houses: Houses) -> None:
    running = await houses.start(breaker=BreakerConfig(pause_seconds=60))
    async with BadServer(Script().on(Stage.BANNER, say(421, "4.3.2 later"))) as first:
        async with BadServer() as second:
            await running.add_server("first", first.port, priority=0)
            await running.add_server("second", second.port, priority=1)
            for _ in range(4):
                await running.until((await running.submit()).message)
            asked = len(first.sessions)
            running = await houses.start(breaker=BreakerConfig(pause_seconds=60))

            async def heard() -> bool:
                return bool(running.house.circuits._heard)

            await until(heard)
            for _ in range(3):
                await running.until((await running.submit()).message)
            assert len(first.sessions) == asked
            assert len(second.messages) == 7
