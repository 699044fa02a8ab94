"""what a server may be given in a second and a day, and where mail goes when that is used up"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.server import Server
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script, Stage, say
from tests.e2e.clerk import show
from tests.fix_house import Houses, HousesOverDatabase, Running

HOUR = 3_600_000
USED_UP = say(550, "5.4.5 Daily user sending limit exceeded. For more information see our help")


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


async def submitted(running: Running, count: int, *recipients: str) -> list[DeliveryRow]:
    receipts = [await running.submit(*recipients) for _ in range(count)]
    return [row for one in receipts for row in await running.until(one.message)]


async def told(running: Running) -> list[tuple[str, Any]]:
    """The events of servers, in their order."""
    events = reversed(await running.house.storage.events.recent(1000))
    return [(one.kind, one.data) for one in events if one.kind.startswith("server.")]


async def heard(running: Running, *kinds: str) -> list[tuple[str, Any]]:
    async with asyncio.timeout(10):
        while True:
            events = await told(running)
            if {kind for kind, _ in events} >= set(kinds):
                return events
            await asyncio.sleep(0.01)


async def stored(running: Running, server: Server) -> Server:
    servers = await running.house.storage.directory.servers(running.app.id)
    return next(one for one in servers if one.id == server.id)


def taken(server: BadServer) -> int:
    """Recipients it answers for."""
    return sum(len(one.accepted_recipients) for one in server.messages if one.code == 250)


def densest(server: BadServer, span_ms: int) -> int:
    """The most recipients in any span of time."""
    at = sorted(one.answered_at for one in server.messages for _ in one.accepted_recipients)
    return max(sum(begin <= one < begin + span_ms for one in at) for begin in at)


@pytest.mark.both_engines
async def test_mail_waits_for_its_turn_where_a_second_takes_no_more(running: Running) -> None:
    async with BadServer() as server:
        await running.add_server("only", server.port, max_per_second=20)
        receipts = await asyncio.gather(*(running.submit() for _ in range(50)))
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 1), "it only waited"
        # What was had may be used a little later, hence a block and a hair on top.
        assert densest(server, 1000) <= 24


async def test_many_recipients_of_one_message_go_in_portions_of_a_second(running: Running) -> None:
    async with BadServer() as server:
        await running.add_server("only", server.port, max_per_second=10)
        rows = await submitted(running, 1, *(f"r{n}@example.org" for n in range(25)))
        assert {(row.state, row.attempts) for row in rows} == {(State.HANDED_OVER, 1)}
        assert taken(server) == 25
        assert max(len(one.accepted_recipients) for one in server.messages) <= 10
        assert len(server.messages) <= 4


async def test_a_limit_that_is_far_away_costs_no_wait(running: Running) -> None:
    async with BadServer() as server:
        limits = {"max_per_second": 10_000, "max_per_minute": 1_000_000, "max_per_day": 1_000_000}
        await running.add_server("only", server.port, **limits)
        await submitted(running, 100)
        assert taken(server) == 100


async def test_an_equal_server_takes_what_would_have_to_wait(running: Running) -> None:
    async with BadServer() as slow, BadServer() as quick:
        await running.add_server("slow", slow.port, max_per_second=1, weight=1000)
        await running.add_server("quick", quick.port, weight=1)
        rows = await submitted(running, 40)
        assert {(row.state, row.attempts) for row in rows} == {(State.HANDED_OVER, 1)}
        assert taken(slow) >= 1 and taken(quick) >= 35


async def test_a_server_behind_it_takes_over_where_the_wait_is_long(running: Running) -> None:
    async with BadServer() as slow, BadServer() as backup:
        await running.add_server("slow", slow.port, max_per_minute=2, priority=0)
        await running.add_server("backup", backup.port, priority=1)
        await submitted(running, 10)
        assert taken(slow) >= 1 and taken(slow) + taken(backup) == 10


@pytest.mark.both_engines
async def test_a_used_up_day_moves_mail_to_the_next_server_and_says_so(running: Running) -> None:
    async with BadServer() as first, BadServer() as second:
        await running.add_server("first", first.port, max_per_day=10, priority=0)
        await running.add_server("second", second.port, priority=1)
        rows = await submitted(running, 15)
        assert {(row.state, row.attempts) for row in rows} == {(State.HANDED_OVER, 1)}
        assert (taken(first), taken(second)) == (10, 5)
        events = await heard(running, "server.quota_near", "server.quota_reached")
        assert [kind for kind, _ in events] == ["server.quota_near", "server.quota_reached"]
        near, reached = (facts for _, facts in events)
        assert 8 <= near.used <= 10 and near.most == 10, "it is taken a block at a time"
        assert (reached.used, reached.most) == (10, 10)
        assert reached.until_at > running.house.clock.now_ms() + 24 * HOUR
        view = await show(running, "/servers/first")
        assert (view["used"]["day"], view["used"]["day_limit"]) == (10, 10)
        assert view["used"]["rests_until"] and view["used"]["reason"]
        assert view["circuit"]["state"] == "closed", "nothing is wrong with it"
        items = (await show(running, f"/apps/{running.app.name}/servers"))["items"]
        assert [item["used"]["day"] for item in items] == [10, None]


async def test_a_message_with_more_recipients_than_are_left_is_divided(running: Running) -> None:
    async with BadServer() as first, BadServer() as second:
        await running.add_server("first", first.port, max_per_day=5, priority=0)
        await running.add_server("second", second.port, priority=1)
        rows = await submitted(running, 1, *(f"r{n}@example.org" for n in range(8)))
        assert {(row.state, row.attempts) for row in rows} == {(State.HANDED_OVER, 1)}
        assert (taken(first), taken(second)) == (5, 3)


async def test_without_another_server_mail_waits_until_the_limit_allows_it(
    running: Running,
) -> None:
    async with BadServer() as server:
        only = await running.add_server("only", server.port, max_per_day=2)
        await submitted(running, 2)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
        assert row.state is State.DEFERRED
        facts = (await running.house.storage.events.history(row.last_event))[-1].data
        assert isinstance(facts, AttemptFacts)
        assert facts.category == "limit_reached"
        assert "may be given no more before" in facts.words
        assert (await stored(running, only)).errors == 0, "nothing is wrong with it"
        raised = replace(await stored(running, only), max_per_day=3)
        await running.house.storage.directory.save_server(raised)
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER


async def test_two_apps_with_the_same_login_share_what_it_may_send(running: Running) -> None:
    async with BadServer() as server, BadServer() as other:
        await running.add_server("one", server.port, max_per_day=4, priority=0)
        await running.add_server("another", server.port, max_per_day=4, priority=1)
        await running.add_server("backup", other.port, priority=2)
        await submitted(running, 6)
        assert (taken(server), taken(other)) == (4, 2)


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT])
@pytest.mark.both_engines
async def test_a_server_that_says_its_quota_is_used_up_is_left_alone_and_nobody_is_bounced(
    running: Running, stage: Stage
) -> None:
    async with BadServer(Script().on(stage, USED_UP)) as first, BadServer() as second:
        before = await running.add_server("first", first.port, priority=0)
        await running.add_server("second", second.port, priority=1)
        rows = await submitted(running, 1) + await submitted(running, 9)
        assert {(row.state, row.attempts) for row in rows} == {(State.HANDED_OVER, 1)}
        assert (taken(first), taken(second)) == (0, 10)
        assert (await stored(running, before)).errors == 0
        said = [c for one in first.sessions for c in one.commands if c.stage is Stage.MAIL]
        assert len(said) == 1, "it was asked once"
        ((kind, facts),) = await heard(running, "server.quota_reached")
        assert (kind, facts.category) == ("server.quota_reached", "quota_reached")
        assert facts.until_at > running.house.clock.now_ms() + HOUR // 2
        await running.house.circuits.stop()
        used = (await show(running, "/servers/first"))["used"]
        assert used["rests_until"] and "first has taken as much" in used["reason"]


async def test_mail_that_can_go_nowhere_else_waits_for_the_quota(running: Running) -> None:
    async with BadServer(Script().on(Stage.DOT, USED_UP)) as server:
        await running.add_server("only", server.port)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts >= 3)
        assert row.state is State.DEFERRED
        assert len(server.messages) == 1, "the server is not asked meanwhile"


async def test_what_did_not_reach_the_server_is_not_counted(running: Running) -> None:
    async with BadServer(Script().on(Stage.EHLO, say(421, "4.3.2 later"))) as first:
        async with BadServer() as second:
            await running.add_server("first", first.port, max_per_day=1000, priority=0)
            await running.add_server("second", second.port, priority=1)
            await submitted(running, 2)
            (way,) = [
                one for one in running.house.circuits._ways.all() if one.allowance is not None
            ]
            assert way.allowance is not None
            assert way.allowance._day_left == 11, "a block of ten, and one who waited for it"


async def test_who_waits_for_his_turn_does_not_keep_the_house_from_closing(
    running: Running,
) -> None:
    async with BadServer() as server:
        await running.add_server("only", server.port, max_per_minute=1)
        receipts = [await running.submit() for _ in range(4)]
        await server.until(lambda: len(server.messages) >= 1)
        running.house.circuits.close_lines()
        for receipt in receipts[1:]:
            await running.until(receipt.message, lambda rows: rows[0].attempts >= 1, seconds=3)
