"""mail straight to the recipients' own hosts: a scripted DNS, a farm of MX hosts, a real house"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import dns.rcode
import pytest

from pillarbox.handover.receipt import Receipt
from pillarbox.net.dns_servers import DnsConfig
from pillarbox.policy.breaker import BreakerConfig, Circuit
from pillarbox.policy.delivery import State
from pillarbox.policy.mx import DirectConfig
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Kind
from pillarbox.policy.site import SiteConfig
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import issue_certificate
from tests.doubles.dns_server import refusing, silence
from tests.doubles.mx_farm import NETWORK, MxFarm, mx_farm
from tests.doubles.ports import free_port
from tests.doubles.script import Gate, Script, Stage, drop, say, stall, usual
from tests.fix_house import QUICK, Houses, Running

SOON = RetryConfig(first_seconds=0.1, ceiling_seconds=0.4)
LATE = RetryConfig(first_seconds=60.0)
"""One attempt, and what came of it stays to be looked at."""


@pytest.fixture
async def farm() -> AsyncIterator[MxFarm]:
    async with mx_farm() as found:
        yield found


async def start(
    houses: Houses, farm: MxFarm, retry: RetryConfig = SOON, **sections: object
) -> Running:
    """A house whose only way out leads straight to the farm's hosts."""
    limits = {name: sections.pop(name) for name in list(sections) if name.startswith("max_")}
    allowed = sections.pop("allowed", (NETWORK,))
    direct = DirectConfig(
        port=farm.port or free_port(), allowed_networks=allowed, connect_seconds=1.0
    )  # type: ignore[arg-type]
    running = await houses.start(
        direct=sections.pop("direct", direct),
        dns=DnsConfig(servers=(farm.dns.address,), timeout_seconds=1.0, rounds=1),
        retry=retry,
        **sections,
    )
    await add_direct(running, **limits)
    return running


async def add_direct(running: Running, priority: int = 0, **limits: object) -> None:
    await running.add_server("direct", 25, kind=Kind.DIRECT, priority=priority, **limits)


def waits(rows: object) -> bool:
    return all(row.state is State.DEFERRED and row.attempts >= 1 for row in rows)  # type: ignore[attr-defined]


async def host_of(farm: MxFarm, domain: str, *how: Script, **facts: object) -> BadServer:
    """The one host of a domain."""
    host = await farm.host(f"mx.{domain}", *how, **facts)
    farm.domain(domain, (10, f"mx.{domain}"))
    return host


async def standing(
    running: Running,
    recipient: str = "bob@example.org",
    wanted: Callable[[Sequence[DeliveryRow]], bool] | None = None,
) -> DeliveryRow:
    """What became of a message to one recipient; final, if nothing is said."""
    receipt = await running.submit(recipient)
    (row,) = await running.until(receipt.message, wanted)
    return row


async def all_delivered(running: Running, receipts: Sequence[Receipt]) -> None:
    """Each by the first attempt: it may have waited for its turn, and was not put off."""
    for receipt in receipts:
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.DELIVERED, 1)


async def words(running: Running, row: object) -> str:
    history = await running.house.storage.events.history(row.last_event)  # type: ignore[attr-defined]
    return " | ".join(getattr(event.data, "words", "") for event in history)


async def status(running: Running, row: object) -> str:
    (event,) = [
        event
        for event in await running.house.storage.events.history(row.last_event)  # type: ignore[attr-defined]
        if event.kind == "delivery.failed"
    ]
    return event.data.status


async def test_mail_goes_to_the_host_of_its_recipient_and_is_delivered(
    houses: Houses, farm: MxFarm
) -> None:
    host = await host_of(farm, "example.org")
    running = await start(houses, farm)
    row = await standing(running)
    assert (row.state, row.attempts) == (State.DELIVERED, 1)
    assert host.sessions[0].commands[0].line == b"EHLO relay.test\r\n"
    assert [r.address for r in host.messages[0].recipients] == ["bob@example.org"]


async def test_each_domain_goes_to_its_own_hosts(houses: Houses, farm: MxFarm) -> None:
    first, second = await farm.host("mx.one.example"), await farm.host("mx.two.example")
    farm.domain("one.example", (10, "mx.one.example"))
    farm.domain("two.example", (10, "mx.two.example"))
    running = await start(houses, farm)
    receipt = await running.submit("a@one.example", "b@two.example", "c@one.example")
    rows = await running.until(receipt.message)
    assert {row.state for row in rows} == {State.DELIVERED}
    assert [len(m.recipients) for m in first.messages] == [2]
    assert [len(m.recipients) for m in second.messages] == [1]


async def test_the_lowest_preference_is_tried_first_and_the_next_when_it_fails(
    houses: Houses, farm: MxFarm
) -> None:
    farm.dead("mx1.example.org")
    busy = await farm.host(
        "mx2.example.org", Script().on(Stage.BANNER, say(421, "4.3.2 later"), drop())
    )
    good = await farm.host("mx3.example.org")
    farm.domain(
        "example.org", (30, "mx3.example.org"), (10, "mx1.example.org"), (20, "mx2.example.org")
    )
    running = await start(houses, farm)
    row = await standing(running)
    assert (row.state, row.attempts) == (State.DELIVERED, 1)
    assert (len(busy.sessions), len(good.messages)) == (1, 1)


async def test_a_domain_without_mx_records_is_its_own_host(houses: Houses, farm: MxFarm) -> None:
    host = await farm.host("example.org")
    running = await start(houses, farm)
    row = await standing(running)
    assert row.state is State.DELIVERED and len(host.messages) == 1


async def test_a_domain_beyond_ascii_is_looked_up_in_its_ascii_form(
    houses: Houses, farm: MxFarm
) -> None:
    host = await farm.host("mx.example.org")
    farm.domain("xn--bcher-kva.example", (10, "mx.example.org"))
    running = await start(houses, farm)
    row = await standing(running, "bob@xn--bcher-kva.example")
    assert row.state is State.DELIVERED and len(host.messages) == 1


async def test_an_mx_host_may_be_an_alias(houses: Houses, farm: MxFarm) -> None:
    host = await farm.host("real.example.net")
    farm.dns.has("mx.example.org", "CNAME", "real.example.net.")
    farm.domain("example.org", (10, "mx.example.org"))
    running = await start(houses, farm)
    row = await standing(running)
    assert row.state is State.DELIVERED and len(host.messages) == 1


async def test_an_address_in_brackets_is_the_host(houses: Houses, farm: MxFarm) -> None:
    host = await farm.host("mx.example.org")
    running = await start(houses, farm)
    row = await standing(running, f"bob@[{host.host}]")
    assert row.state is State.DELIVERED and not farm.dns.asked


async def test_a_domain_that_takes_no_mail_fails_at_once(houses: Houses, farm: MxFarm) -> None:
    farm.dns.has("none.example", "MX", "0 .")
    running = await start(houses, farm, LATE)
    row = await standing(running, "bob@none.example")
    assert (row.state, row.attempts) == (State.FAILED, 1)
    assert await status(running, row) == "5.1.10"


async def test_a_domain_that_does_not_exist_fails_when_a_later_attempt_says_so_again(
    houses: Houses, farm: MxFarm
) -> None:
    running = await start(houses, farm)
    receipt = await running.submit("bob@missing.example")
    (row,) = await running.until(receipt.message)
    assert (row.state, row.attempts) == (State.FAILED, 2)
    assert await status(running, row) == "5.1.2"
    assert farm.dns.asked["missing.example", "MX"] >= 3, "never from memory alone"


async def test_a_domain_that_was_missing_for_a_moment_gets_its_mail(
    houses: Houses, farm: MxFarm
) -> None:
    host = await farm.host("mx.example.org")
    running = await start(houses, farm, RetryConfig(first_seconds=0.5))
    receipt = await running.submit("bob@example.org")
    (row,) = await running.until(receipt.message, waits)
    assert "asks once more" in await words(running, row)
    farm.domain("example.org", (10, "mx.example.org"))
    (row,) = await running.until(receipt.message)
    assert row.state is State.DELIVERED and len(host.messages) == 1


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED", "silent"])
async def test_a_resolver_that_cannot_tell_makes_mail_wait(
    houses: Houses, farm: MxFarm, how: str
) -> None:
    await host_of(farm, "example.org")
    farm.dns.twists["*"] = silence if how == "silent" else refusing(dns.rcode.from_text(how))
    running = await start(houses, farm, LATE)
    row = await standing(running, wanted=waits)
    assert "could not look up example.org" in await words(running, row)


async def test_a_resolver_that_does_not_run_makes_mail_wait_until_it_does(
    houses: Houses, farm: MxFarm
) -> None:
    await host_of(farm, "example.org")
    answering = farm.dns.twists
    answering["*"] = silence
    running = await start(houses, farm, RetryConfig(first_seconds=2.5, jitter=0.0))
    receipt = await running.submit("bob@example.org")
    await running.until(receipt.message, waits)
    del answering["*"]
    (row,) = await running.until(receipt.message)
    assert row.state is State.DELIVERED


async def test_hosts_in_private_networks_are_not_connected_to(houses: Houses, farm: MxFarm) -> None:
    host = await host_of(farm, "example.org")
    running = await start(houses, farm, LATE, allowed=())
    row = await standing(running, wanted=waits)
    assert not host.sessions
    assert "direct.allowed_networks" in await words(running, row)


async def test_of_the_addresses_of_a_host_only_those_that_are_permitted_are_tried(
    houses: Houses, farm: MxFarm
) -> None:
    host = await farm.host("mx.example.org")
    forbidden = await farm.host("inside.example.org")
    farm.dns.has("mx.example.org", "A", host.host, forbidden.host)
    farm.domain("example.org", (10, "mx.example.org"))
    running = await start(houses, farm, allowed=(f"{host.host}/32",))
    for _ in range(5):
        row = await standing(running)
        assert row.state is State.DELIVERED
    assert len(host.messages) == 5 and not forbidden.sessions


async def test_mail_that_would_come_back_to_us_fails(houses: Houses, farm: MxFarm) -> None:
    later = await farm.host("mx2.example.org")
    farm.dead("relay.test")
    farm.domain("example.org", (10, "relay.test"), (20, "mx2.example.org"))
    running = await start(houses, farm, LATE)
    row = await standing(running)
    assert (row.state, await status(running, row)) == (State.FAILED, "5.4.6")
    assert not later.sessions, "a host of lower preference would send it back to us"


async def test_we_as_a_second_choice_leave_the_first(houses: Houses, farm: MxFarm) -> None:
    first = await farm.host("mx1.example.org")
    farm.dead("relay.test")
    farm.domain("example.org", (20, "relay.test"), (10, "mx1.example.org"))
    running = await start(houses, farm, LATE)
    row = await standing(running)
    assert row.state is State.DELIVERED and len(first.messages) == 1


async def test_of_twenty_hosts_nineteen_of_them_dead_the_last_gets_the_mail_in_time(
    houses: Houses, farm: MxFarm
) -> None:
    host = await farm.host("mx20.example.org")
    for number in range(1, 20):
        farm.dead(f"mx{number}.example.org")
    farm.domain("example.org", *((number, f"mx{number}.example.org") for number in range(1, 21)))
    running = await start(houses, farm, breaker=BreakerConfig())
    row = await standing(running)
    assert (row.state, row.attempts) == (State.DELIVERED, 1)
    known = running.house.worker._tools.attempts._straight.hosts
    dead = [known.circuit(f"mx{number}.example.org") for number in range(1, 20)]
    assert set(dead) == {Circuit.OPEN}, "and are passed by from now on"
    row = await standing(running)
    assert (row.state, row.attempts) == (State.DELIVERED, 1)
    assert len(host.messages) == 2 and not known.may_use("mx1.example.org")


async def test_a_user_unknown_at_his_own_host_is_final_and_no_other_way_is_tried(
    houses: Houses, farm: MxFarm
) -> None:
    await farm.host(
        "mx1.example.org",
        Script().on(Stage.RCPT, say(550, "5.1.1 no such user"), recipient="bad@example.org"),
    )
    second = await farm.host("mx2.example.org")
    farm.domain("example.org", (10, "mx1.example.org"), (20, "mx2.example.org"))
    running = await start(houses, farm)
    async with BadServer() as upstream:
        await running.add_server("upstream", upstream.port, priority=10)
        receipt = await running.submit("bad@example.org", "good@example.org")
        rows = {row.recipient: row.state for row in await running.until(receipt.message)}
        assert rows == {"bad@example.org": State.FAILED, "good@example.org": State.DELIVERED}
        assert not second.sessions and not upstream.sessions


@pytest.mark.parametrize("trouble", ["port 25 closed", "banner 554", "no resolver", "private"])
async def test_what_is_about_us_moves_mail_to_the_next_way_in_the_same_attempt(
    houses: Houses, farm: MxFarm, trouble: str
) -> None:
    refuses = Script().on(Stage.BANNER, say(554, "5.7.1 your address is listed"))
    host = await farm.host("mx.example.org", refuses)
    if trouble == "port 25 closed":
        farm.dead("mx.example.org")
    if trouble == "no resolver":
        farm.dns.twists["*"] = silence
    farm.domain("example.org", (10, "mx.example.org"))
    allowed = () if trouble == "private" else (NETWORK,)
    running = await start(houses, farm, LATE, allowed=allowed)
    async with BadServer() as upstream:
        await running.add_server("upstream", upstream.port, priority=10)
        row = await standing(running)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(upstream.messages) == 1 and not host.messages


async def test_where_the_servers_fail_mail_goes_straight(houses: Houses, farm: MxFarm) -> None:
    hosts = [await farm.host("mx.one.example"), await farm.host("mx.two.example")]
    farm.domain("one.example", (10, "mx.one.example"))
    farm.domain("two.example", (10, "mx.two.example"))
    running = await start(houses, farm)
    await running.add_server("upstream", free_port(), priority=-1)
    receipt = await running.submit("a@one.example", "b@two.example", "c@missing.example")
    rows = await running.until(
        receipt.message, lambda rows: sum(r.state is State.DELIVERED for r in rows) == 2
    )
    assert {row.recipient: row.attempts for row in rows}["a@one.example"] == 1
    assert [len(host.messages) for host in hosts] == [1, 1]


async def test_who_is_greylisted_waits_and_goes_round_neither_to_other_hosts_nor_other_ways(
    houses: Houses, farm: MxFarm
) -> None:
    grey = Script().on(Stage.RCPT, say(450, "4.7.1 Greylisted, please come back"), times=1)
    await farm.host("mx1.example.org", grey)
    second = await farm.host("mx2.example.org")
    farm.domain("example.org", (10, "mx1.example.org"), (20, "mx2.example.org"))
    running = await start(houses, farm)
    async with BadServer() as upstream:
        await running.add_server("upstream", upstream.port, priority=10)
        row = await standing(running)
        assert (row.state, row.attempts) == (State.DELIVERED, 2)
        assert not second.sessions and not upstream.sessions


async def test_a_line_lost_behind_the_dot_is_doubt_and_nobody_else_gets_the_mail(
    houses: Houses, farm: MxFarm
) -> None:
    await farm.host("mx1.example.org", Script().on(Stage.DOT, drop()))
    second = await farm.host("mx2.example.org")
    farm.domain("example.org", (10, "mx1.example.org"), (20, "mx2.example.org"))
    running = await start(houses, farm, LATE)
    row = await standing(running, wanted=waits)
    assert row.uncertain and not second.sessions


async def test_tls_is_used_where_it_is_offered_whoever_the_host_is(
    houses: Houses, farm: MxFarm, tmp_path: object
) -> None:
    stranger = issue_certificate(tmp_path / "tls", "somebody.else.example").server_context()  # type: ignore[operator]
    host = await host_of(farm, "example.org", tls=stranger)
    running = await start(houses, farm)
    row = await standing(running)
    assert row.state is State.DELIVERED
    assert host.messages[0].tls


async def test_where_the_handshake_fails_mail_goes_in_clear_on_a_new_connection(
    houses: Houses, farm: MxFarm, tmp_path: object
) -> None:
    context = issue_certificate(tmp_path / "tls").server_context()  # type: ignore[operator]
    host = await host_of(farm, "example.org", Script().on(Stage.HANDSHAKE, drop()), tls=context)
    running = await start(houses, farm)
    row = await standing(running)
    assert (row.state, row.attempts) == (State.DELIVERED, 1)
    assert len(host.sessions) == 2 and not host.messages[0].tls


async def test_a_dead_domain_does_not_keep_back_a_healthy_one(houses: Houses, farm: MxFarm) -> None:
    gate = Gate()
    stalled = await farm.host("mx.dead.example", Script().on(Stage.BANNER, stall(gate), usual()))
    healthy = await farm.host("mx.healthy.example")
    farm.domain("dead.example", (10, "mx.dead.example"))
    farm.domain("healthy.example", (10, "mx.healthy.example"))
    running = await start(houses, farm, timeouts=replace(QUICK, banner_seconds=60.0))
    late = [await running.submit(f"u{number}@dead.example") for number in range(30)]
    receipts = [await running.submit(f"u{number}@healthy.example") for number in range(30)]
    await all_delivered(running, receipts)
    assert (len(healthy.messages), len(stalled.messages)) == (30, 0)
    gate.release()
    await all_delivered(running, late)


async def test_a88_mail_faster_than_the_rate_of_its_destination_is_delayed_and_not_refused(
    houses: Houses, farm: MxFarm
) -> None:
    host = await host_of(farm, "example.org")
    running = await start(
        houses, farm, LATE, sites=SiteConfig(per_minute_of={"example.org": 300.0})
    )
    began = time.monotonic()
    receipts = [await running.submit(f"u{number}@example.org") for number in range(11)]
    assert len(host.messages) < 11, "all of it is accepted at once"
    await all_delivered(running, receipts)
    assert time.monotonic() - began >= 10 * 0.2 - 0.05
    assert len(host.messages) == 11


async def test_two_domains_at_one_provider_share_its_connections(
    houses: Houses, farm: MxFarm
) -> None:
    gate = Gate()
    first = await farm.host("mx1.provider.example", Script().on(Stage.DATA, stall(gate), usual()))
    second = await farm.host("mx2.provider.example", Script().on(Stage.DATA, stall(gate), usual()))
    farm.domain("one.example", (10, "mx1.provider.example"))
    farm.domain("two.example", (10, "mx2.provider.example"))
    site = SiteConfig(connections_of={"provider.example": 1})
    running = await start(houses, farm, sites=site)
    receipts = [
        await running.submit(f"u{number}@{domain}")
        for number in range(3)
        for domain in ("one.example", "two.example")
    ]
    await gate.reached()
    sites = running.house.worker._tools.attempts._straight._sites
    await until(lambda: sites.waiting("provider.example") == 5)
    assert len(first.sessions) + len(second.sessions) == 1
    gate.release()
    await all_delivered(running, receipts)


async def test_a_site_that_says_slow_down_gets_less_and_the_mail_all_the_same(
    houses: Houses, farm: MxFarm
) -> None:
    slow = Script().on(
        Stage.MAIL, say(421, "4.7.28 unusual rate of mail, slow down"), drop(), times=1
    )
    host = await farm.host("mx.example.org", slow)
    other = await farm.host("mx2.example.org")
    farm.domain("example.org", (10, "mx.example.org"), (20, "mx2.example.org"))
    running = await start(houses, farm, sites=SiteConfig(pause_seconds=1.0))
    began = time.monotonic()
    row = await standing(running)
    assert (row.state, row.attempts) == (State.DELIVERED, 2)
    assert time.monotonic() - began >= 0.99, "it was left alone for a moment"
    assert len(host.messages) == 1 and not other.sessions


async def test_mail_that_waits_for_its_turn_does_not_hold_up_a_stop(
    houses: Houses, farm: MxFarm
) -> None:
    host = await host_of(farm, "example.org")
    running = await start(houses, farm, sites=SiteConfig(per_minute_of={"example.org": 0.1}))
    receipts = [await running.submit(f"u{number}@example.org") for number in range(3)]
    await until(lambda: host.messages)
    sites = running.house.worker._tools.attempts._straight._sites
    await until(lambda: sites.waiting("example.org") > 0)
    began = time.monotonic()
    await houses.stop()
    assert time.monotonic() - began < 15, "less than the time that what is on its way has"
    running = await houses.start(
        direct=running.house.settings.direct, dns=running.house.settings.dns
    )
    for receipt in receipts:
        (row,) = await running.until(receipt.message)
        assert row.state is State.DELIVERED


async def until(condition: object, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_where_connections_are_scarce_none_lies_idle_and_all_mail_arrives(
    houses: Houses, farm: MxFarm
) -> None:
    names = [f"mx.d{number}.example" for number in range(6)]
    hosts = [await farm.host(name) for name in names]
    for number, name in enumerate(names):
        farm.domain(f"d{number}.example", (10, name))
    direct = DirectConfig(port=farm.port, allowed_networks=(NETWORK,), connections=2)
    running = await start(houses, farm, direct=direct)
    receipts = [await running.submit(f"u@d{number % 6}.example") for number in range(24)]
    await all_delivered(running, receipts)
    assert sum(len(host.messages) for host in hosts) == 24
    await until(lambda: running.house.pool.open <= 2)


async def test_the_way_has_no_more_connections_than_it_may_have_and_all_mail_arrives(
    houses: Houses, farm: MxFarm
) -> None:
    gate = Gate()
    hosts = []
    for number in range(6):
        script = Script().on(Stage.DATA, stall(gate), usual(), times=1)
        hosts.append(await farm.host(f"mx.d{number}.example", script))
        farm.domain(f"d{number}.example", (10, f"mx.d{number}.example"))
    running = await start(houses, farm, max_connections=2)
    receipts = [await running.submit(f"u@d{number % 6}.example") for number in range(18)]
    await gate.reached()
    await until(lambda: sum(len(host.sessions) for host in hosts) == 2)
    (way,) = running.house.circuits._ways.all()
    await until(lambda: len(way.slots._waiters) > 0)
    assert sum(len(host.sessions) for host in hosts) == 2
    gate.release()
    await all_delivered(running, receipts)
    await until(lambda: running.house.pool.open <= 2)


async def test_the_way_takes_no_more_in_a_second_than_it_may_and_the_rest_waits(
    houses: Houses, farm: MxFarm
) -> None:
    host = await host_of(farm, "example.org")
    running = await start(houses, farm, LATE, max_per_second=10)
    receipts = [await running.submit(f"u{number}@example.org") for number in range(25)]
    await all_delivered(running, receipts)
    at = sorted(one.answered_at for one in host.messages)
    assert max(sum(begin <= one < begin + 1000 for one in at) for begin in at) <= 13


async def test_recipients_of_one_message_go_straight_in_portions_and_each_once(
    houses: Houses, farm: MxFarm
) -> None:
    farm.dead("mx.dead.example")
    farm.domain("dead.example", (10, "mx.dead.example"))
    host = await host_of(farm, "example.org")
    running = await start(houses, farm, LATE, max_per_second=4)
    recipients = [f"d{n}@dead.example" for n in range(4)] + [f"u{n}@example.org" for n in range(8)]
    receipt = await running.submit(*recipients)

    def settled(rows: object) -> bool:
        return all(row.attempts == 1 for row in rows)  # type: ignore[attr-defined]

    rows = await running.until(receipt.message, settled)
    there = [row for row in rows if row.recipient.endswith("@example.org")]
    assert {row.state for row in there} == {State.DELIVERED}
    assert {row.state for row in rows if row not in there} == {State.DEFERRED}
    sizes = [len(message.recipients) for message in host.messages]
    assert sum(sizes) == 8 and max(sizes) <= 4


async def test_a_used_up_day_of_the_way_moves_mail_to_the_next_and_what_was_not_sent_is_free(
    houses: Houses, farm: MxFarm
) -> None:
    farm.dead("mx.dead.example")
    farm.domain("dead.example", (10, "mx.dead.example"))
    host = await host_of(farm, "example.org")
    running = await start(houses, farm, max_per_day=3)
    async with BadServer() as upstream:
        await running.add_server("upstream", upstream.port, priority=10)
        for _ in range(4):
            await running.until((await running.submit("bob@dead.example")).message)
        for _ in range(5):
            await running.until((await running.submit("bob@example.org")).message)
        assert len(host.messages) == 3, "nobody was given the four that reached no host"
        assert len(upstream.messages) == 6


async def test_the_way_says_its_own_name_and_comes_from_its_own_address(
    houses: Houses, farm: MxFarm
) -> None:
    host = await host_of(farm, "example.org")
    running = await start(houses, farm)
    (way,) = await running.house.storage.directory.servers(running.app.id)
    await running.house.storage.directory.save_server(
        replace(way, hello_name="out.example.com", local_address="127.0.0.99")
    )
    row = await standing(running)
    assert row.state is State.DELIVERED
    assert host.sessions[0].commands[0].line == b"EHLO out.example.com\r\n"
    (session,) = [
        event.data.session
        for event in await running.house.storage.events.history(row.last_event)
        if event.kind == "delivery.delivered"
    ]
    facts = (await running.house.storage.events.sessions([session]))[session].facts
    assert (facts.host, facts.address) == ("mx.example.org", host.host)


async def test_who_takes_few_recipients_at_once_is_asked_again_for_the_others(
    houses: Houses, farm: MxFarm
) -> None:
    few = Script()
    for nth in range(3, 11):
        few.on(Stage.RCPT, say(452, "4.5.3 too many recipients"), nth=nth)
    host = await host_of(farm, "example.org", few)
    running = await start(houses, farm, LATE)
    receipt = await running.submit(*(f"u{number}@example.org" for number in range(6)))
    rows = await running.until(receipt.message)
    assert {(row.state, row.attempts) for row in rows} == {(State.DELIVERED, 1)}
    assert len(host.messages) == 3


async def test_a_caller_who_waits_hears_of_a_domain_that_takes_no_mail(
    houses: Houses, farm: MxFarm
) -> None:
    farm.dns.has("none.example", "MX", "0 .")
    farm.dns.twists["slow.example"] = silence
    running = await start(houses, farm)
    soon = running.house.clock.now_ms() + 3000
    receipt = await running.submit("a@none.example", "b@slow.example", answer_by=soon)
    rows = await running.until(receipt.message, seconds=10)
    assert {row.state for row in rows} == {State.FAILED}


@pytest.mark.parametrize("busy", ["site", "way out"])
async def test_a_caller_who_was_told_that_it_failed_leaves_no_mail_in_line(
    houses: Houses, farm: MxFarm, busy: str
) -> None:
    gate = Gate()
    first = await farm.host("mx.example.org", Script().on(Stage.RCPT, stall(gate), usual()))
    second = await farm.host("mx.example.net")
    farm.domain("example.org", (10, "mx.example.org"))
    farm.domain("example.net", (10, "mx.example.net"))
    running = await start(houses, farm, LATE, max_connections=1)
    early = await running.submit("a@example.org")
    await gate.reached()
    queue, clock = running.house.storage.queue, running.house.clock
    soon = clock.now_ms() + 400
    recipient = "b@example.org" if busy == "site" else "b@example.net"
    late = await running.submit(recipient, answer_by=soon)
    assert await queue.wait_settled(late.message, soon + 10_000, clock.now_ms())
    (row,) = await running.deliveries(late.message)
    assert row.state is State.FAILED
    assert (await running.kinds(row)).count("delivery.failed") == 1
    gate.release()
    await running.until(early.message)
    assert (len(first.messages), len(second.messages)) == (1, 0)
