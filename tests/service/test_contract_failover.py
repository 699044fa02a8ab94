"""the contract about servers: their order, their failures, and those that are never used"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Strategy
from pillarbox.policy.server import Server
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.doubles.script import Script, Stage, say
from tests.fix_house import Running

LATER = Script().on(Stage.BANNER, say(421, "4.3.2 later"))


async def sent(running: Running) -> None:
    (row,) = await running.until((await running.submit()).message)
    assert (row.state, row.attempts) == (State.HANDED_OVER, 1)


async def errors(running: Running, server: Server) -> int:
    servers = await running.house.storage.directory.servers(running.app.id)
    return next(one.errors for one in servers if one.id == server.id)


async def choose(running: Running, strategy: Strategy) -> None:
    app = replace(running.app, strategy=strategy)
    await running.house.storage.directory.save_app(app)


async def test_c59_each_failure_of_a_server_raises_its_count_of_errors(running: Running) -> None:
    script = Script().on(Stage.MAIL, say(451, "4.3.0 later"), times=2)
    async with BadServer(script) as first, BadServer() as second:
        failing = await running.add_server("first", first.port, priority=0)
        backup = await running.add_server("second", second.port, priority=1)
        counts = []
        for _ in range(3):
            await sent(running)
            counts.append(await errors(running, failing))
        assert counts == [1, 2, 0], "in a row: what it takes in between begins the count anew"
        assert await errors(running, backup) == 0


@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.DOT])
async def test_a_refused_recipient_or_message_is_no_error_of_the_server(
    running: Running, stage: Stage
) -> None:
    async with BadServer(Script().on(stage, say(550, "5.1.1 no such user"))) as first:
        server = await running.add_server("first", first.port)
        (row,) = await running.until((await running.submit()).message)
        assert row.state is State.FAILED
        assert await errors(running, server) == 0


async def test_c60_with_priority_the_lowest_number_is_used_first(running: Running) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(BadServer()) for _ in range(3)]
        for server, priority in zip(servers, (30, 10, 20), strict=True):
            await running.add_server(f"p{priority}", server.port, priority=priority)
        for _ in range(5):
            await sent(running)
        assert [len(server.messages) for server in servers] == [0, 5, 0]


async def test_c61_priority_0_comes_before_1(running: Running) -> None:
    async with BadServer() as one, BadServer() as zero:
        await running.add_server("one", one.port, priority=1)
        await running.add_server("zero", zero.port, priority=0)
        await sent(running)
        assert (len(zero.messages), len(one.messages)) == (1, 0)


async def test_c62_where_a_server_fails_the_next_gets_the_same_mail(running: Running) -> None:
    async with BadServer(LATER) as first, BadServer() as second, BadServer() as third:
        await running.add_server("third", third.port, priority=30)
        await running.add_server("first", first.port, priority=10)
        await running.add_server("second", second.port, priority=20)
        await sent(running)
        assert (len(first.messages), len(second.messages), len(third.messages)) == (0, 1, 0)
        assert second.messages[0].content.endswith(b"Good morning.\r\n")


async def test_c63_with_random_every_active_server_is_used_in_the_end(running: Running) -> None:
    await choose(running, Strategy.RANDOM)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(BadServer()) for _ in range(4)]
        for priority, server in enumerate(servers):
            await running.add_server(f"p{priority}", server.port, priority=priority)
        for _ in range(80):
            await sent(running)
        assert all(server.messages for server in servers)
        assert sum(len(server.messages) for server in servers) == 80


async def test_c64_with_random_another_server_takes_over_where_one_fails(running: Running) -> None:
    await choose(running, Strategy.RANDOM)
    async with BadServer(LATER) as bad, BadServer() as good:
        await running.add_server("bad", bad.port)
        await running.add_server("gone", free_port())
        await running.add_server("good", good.port)
        for _ in range(12):
            await sent(running)
        assert (len(bad.messages), len(good.messages)) == (0, 12)


async def test_c66_a_disabled_server_is_never_used(running: Running) -> None:
    async with BadServer() as disabled, BadServer(LATER) as active:
        await running.add_server("disabled", disabled.port, priority=0, status="D")
        await running.add_server("active", active.port, priority=1)
        receipt = await running.submit()
        rows = await running.until(receipt.message, lambda rows: rows[0].attempts >= 4)
        assert rows[0].state is State.DEFERRED
        assert not disabled.sessions
