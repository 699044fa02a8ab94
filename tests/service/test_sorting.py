"""which lane new mail is born in: one for all of it, one a domain, or that of the way a rule names"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode, RouteRule
from pillarbox.policy.server import Kind
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.fix_house import Running


@pytest.fixture
async def held(running: Running) -> Running:
    await running.set_mode(Mode.HOLD)
    return running


async def rule(running: Running, *rules: RouteRule) -> None:
    running.app = replace(running.app, routes=rules)
    await running.house.storage.directory.save_app(running.app)


async def lanes(running: Running) -> dict[tuple[str, str], int]:
    depths = await running.house.storage.queue.depths()
    return {(each.name.route, each.name.destination): each.waiting for each in depths}


async def test_mail_of_an_app_has_one_lane(held: Running) -> None:
    await held.add_server("usual", free_port())
    await held.submit("bob@example.org", "eve@example.net")
    await held.submit("ann@example.com")
    assert await lanes(held) == {("servers", "*"): 3}


async def test_where_direct_comes_first_each_domain_has_a_lane(held: Running) -> None:
    await held.add_server("straight", 25, kind=Kind.DIRECT, priority=0)
    await held.add_server("usual", free_port(), priority=10)
    await held.submit("bob@example.org", "eve@Example.NET", "ann@example.org")
    assert await lanes(held) == {("direct", "example.org"): 2, ("direct", "example.net"): 1}


async def test_a_change_of_the_order_holds_from_the_next_message(held: Running) -> None:
    await held.add_server("straight", 25, kind=Kind.DIRECT, priority=10)
    await held.submit("bob@example.org")
    usual = await held.add_server("usual", free_port(), priority=0)
    await held.submit("bob@example.org")
    await held.house.storage.directory.save_server(replace(usual, status="D"))
    await held.submit("bob@example.org")
    assert await lanes(held) == {("direct", "example.org"): 2, ("servers", "*"): 1}


async def test_a_rule_gives_mail_the_lane_of_its_way(held: Running) -> None:
    await held.add_server("usual", free_port())
    special = await held.add_server("special", free_port())
    straight = await held.add_server("straight", 25, kind=Kind.DIRECT, priority=99)
    await rule(
        held,
        RouteRule(special.id, recipient_domain="example.net"),
        RouteRule(straight.id, sender="example.com", recipient_domain=".test"),
    )
    await held.submit("bob@example.org", "eve@example.net", "kim@one.test", "lee@two.test")
    await held.submit("kim@one.test", content=b"From: <x@example.org>\r\n\r\nHello\r\n")
    assert await lanes(held) == {
        ("servers", "*"): 2, ("server", special.id.hex()): 1,
        ("server", f"{straight.id.hex()}/one.test"): 1,
        ("server", f"{straight.id.hex()}/two.test"): 1,
    }  # fmt: skip


async def test_only_lanes_that_mail_may_enter_are_made(held: Running) -> None:
    await held.add_server("usual", free_port())
    one, two = [
        await held.add_server(name, 25, kind=Kind.DIRECT, priority=99) for name in ("one", "two")
    ]
    await rule(
        held,
        RouteRule(one.id, recipient_domain="example.net"),
        RouteRule(two.id, sender="example.com", recipient_domain=".test"),
    )
    await held.submit("bob@example.org", "eve@example.net", "kim@x.test")
    queue, made = held.house.storage.queue, set[tuple[str, str]]()
    for route in ("servers", "server"):
        names = (await queue.lanes_of(held.app.id, route)).values()
        made.update((name.route, name.destination) for name in names)
    assert made == {
        ("servers", "*"), ("server", f"{one.id.hex()}/example.net"),
        ("server", f"{two.id.hex()}/x.test"),
    }  # fmt: skip


async def test_a_rule_whose_way_is_gone_is_no_rule(held: Running) -> None:
    await held.add_server("usual", free_port())
    special = await held.add_server("special", free_port())
    await rule(held, RouteRule(special.id))
    await held.house.storage.directory.remove_server(special.id)
    await held.submit("bob@example.org")
    assert await lanes(held) == {("servers", "*"): 1}


async def test_one_message_in_several_lanes_reaches_everybody_once(running: Running) -> None:
    async with BadServer() as sink:
        server = await running.add_server("usual", sink.port)
        await rule(running, RouteRule(server.id, recipient_domain="example.net"))
        receipt = await running.submit("bob@example.org", "eve@example.net", "ann@example.org")
        rows = await running.until(receipt.message)
        assert {row.state for row in rows} == {State.HANDED_OVER}
        assert {row.attempts for row in rows} == {1}
        taken = sorted(
            sorted(one.address for one in message.recipients) for message in sink.messages
        )
        assert taken == [["ann@example.org", "bob@example.org"], ["eve@example.net"]]
        bodies = {message.content.partition(b"\r\n\r\n")[2] for message in sink.messages}
        assert len(bodies) == 1
        assert running.house.door._mirror.messages == 0
        assert running.house.door._mirror.bytes == 0
