from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.rcode
import pytest

from pillarbox.net.dns_servers import DnsConfig, DnsServers, read_resolv_conf
from pillarbox.net.resolver import Resolver
from pillarbox.policy.lookup import Mx, Status, Tlsa
from pillarbox.terms.setting import InvalidSetting
from tests.doubles.dns_server import (
    DnsDouble,
    another_number,
    dns_double,
    garbage,
    lame,
    refusing,
    silence,
    without_edns,
)

PATIENCE = 0.2


class StoppedClock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def now_ms(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        return self.seconds


@asynccontextmanager
async def asking(
    *doubles: DnsDouble, **settings: object
) -> AsyncIterator[tuple[Resolver, StoppedClock]]:
    clock = StoppedClock()
    config = DnsConfig(
        servers=tuple(double.address for double in doubles),
        **{"timeout_seconds": PATIENCE, **settings},
    )
    resolver = Resolver(config, clock)
    try:
        yield resolver, clock
    finally:
        await resolver.close()


async def test_records_of_every_kind_that_mail_needs_are_read() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("example.org", "MX", "10 MX1.Example.ORG.", "20 mx2.example.org.")
        dns.has("none.example", "MX", "0 .")
        dns.has("mx1.example.org", "A", "192.0.2.1", "192.0.2.2")
        dns.has("mx1.example.org", "AAAA", "2001:db8::1")
        dns.has("_25._tcp.mx1.example.org", "TLSA", "3 1 1 " + "ab" * 32)
        dns.has("_mta-sts.example.org", "TXT", '"v=STSv1; " "id=7;"')
        found = await resolver.lookup("example.org", "MX")
        assert found.status is Status.FOUND
        assert set(found.exchangers) == {Mx(10, "mx1.example.org"), Mx(20, "mx2.example.org")}
        assert (await resolver.lookup("none.example", "MX")).exchangers == (Mx(0, ""),)
        addresses = await resolver.lookup("MX1.example.org.", "A")
        assert set(addresses.texts) == {"192.0.2.1", "192.0.2.2"}
        assert (await resolver.lookup("mx1.example.org", "AAAA")).texts == ("2001:db8::1",)
        tlsa = await resolver.lookup("_25._tcp.mx1.example.org", "TLSA")
        assert tlsa.associations == (Tlsa(3, 1, 1, bytes.fromhex("ab" * 32)),)
        assert (await resolver.lookup("_mta-sts.example.org", "TXT")).texts == ("v=STSv1; id=7;",)


async def test_no_name_and_no_records_are_told_apart() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("example.org", "A", "192.0.2.1")
        assert (await resolver.lookup("example.org", "MX")).status is Status.NO_DATA
        assert (await resolver.lookup("missing.example", "MX")).status is Status.NO_NAME


@pytest.mark.parametrize(
    "twist",
    [
        silence,
        lame,
        garbage,
        another_number,
        refusing(dns.rcode.SERVFAIL),
        refusing(dns.rcode.REFUSED),
    ],
    ids=["silent", "lame", "garbage", "another number", "SERVFAIL", "REFUSED"],
)
async def test_a_server_that_does_not_answer_says_nothing_about_a_name(twist: object) -> None:
    async with dns_double() as dns, asking(dns, rounds=1) as (resolver, _):
        dns.twists["*"] = twist
        answer = await resolver.lookup("example.org", "MX")
        assert answer.status is Status.TROUBLE
        assert answer.words.startswith("the DNS server 127.0.0.1 ")


async def test_a_server_that_does_not_run_says_nothing_about_a_name() -> None:
    async with dns_double() as dns:
        pass
    async with asking(dns) as (resolver, _):
        answer = await resolver.lookup("example.org", "A")
        assert answer.status is Status.TROUBLE
        assert "is not running" in answer.words


async def test_where_one_server_fails_the_next_is_asked_and_then_asked_first() -> None:
    async with (
        dns_double() as first,
        dns_double() as second,
        asking(first, second) as (resolver, clock),
    ):
        first.twists["*"] = refusing(dns.rcode.SERVFAIL)
        second.has("example.org", "A", "192.0.2.1")
        second.has("example.net", "A", "192.0.2.2")
        assert (await resolver.lookup("example.org", "A")).texts == ("192.0.2.1",)
        assert (await resolver.lookup("example.net", "A")).texts == ("192.0.2.2",)
        assert first.asked.total() == 1, "left alone for a while"
        clock.seconds += 31
        await resolver.lookup("www.example.net", "A")
        assert first.asked.total() == 2, "and then the first again"


async def test_a_lost_datagram_costs_a_second_question() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("example.org", "A", "192.0.2.1")
        lost: list[object] = []

        def first_is_lost(question: object, answer: object) -> bytes | None:
            lost.append(question)
            return None if len(lost) == 1 else answer.to_wire()  # type: ignore[attr-defined]

        dns.twists["*"] = first_is_lost
        assert (await resolver.lookup("example.org", "A")).texts == ("192.0.2.1",)


async def test_an_answer_that_does_not_fit_comes_over_a_connection() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        many = [f"192.0.2.{number}" for number in range(1, 120)]
        dns.has("big.example", "A", *many)
        dns.short.add("big.example")
        assert set((await resolver.lookup("big.example", "A")).texts) == set(many)
        assert dns.streams == 1


async def test_a_server_from_before_edns_is_asked_without_it() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("example.org", "A", "192.0.2.1")
        dns.twists["*"] = without_edns
        assert (await resolver.lookup("example.org", "A")).texts == ("192.0.2.1",)


async def test_aliases_are_followed_and_an_endless_row_of_them_is_not() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("www.example.org", "CNAME", "a.example.org.")
        dns.has("a.example.org", "CNAME", "B.example.net.")
        dns.has("b.example.net", "A", "192.0.2.1")
        answer = await resolver.lookup("www.example.org", "A")
        assert (answer.texts, answer.name) == (("192.0.2.1",), "b.example.net")
        dns.has("round.example", "CNAME", "about.example.")
        dns.has("about.example", "CNAME", "round.example.")
        assert (await resolver.lookup("round.example", "A")).status is Status.TROUBLE


async def test_an_alias_whose_target_was_left_out_is_asked_for() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("www.example.org", "CNAME", "a.example.net.")
        dns.has("a.example.net", "A", "192.0.2.1")

        def only_the_alias(question: object, answer: object) -> bytes:
            answer.answer = answer.answer[:1]  # type: ignore[attr-defined]
            return answer.to_wire()  # type: ignore[attr-defined]

        dns.twists["www.example.org"] = only_the_alias
        answer = await resolver.lookup("www.example.org", "A")
        assert (answer.texts, answer.name) == (("192.0.2.1",), "a.example.net")


async def test_answers_are_remembered_for_as_long_as_they_hold() -> None:
    async with dns_double(DnsDouble(ttl_seconds=60)) as dns, asking(dns) as (resolver, clock):
        dns.has("example.org", "A", "192.0.2.1")
        for _ in range(3):
            await resolver.lookup("example.org", "A")
            await resolver.lookup("missing.example", "A")
        assert dns.asked.total() == 2
        clock.seconds += 61
        await resolver.lookup("example.org", "A")
        assert dns.asked["example.org", "A"] == 2
        assert resolver.known("missing.example", "A") is None


async def test_an_answer_that_holds_for_no_time_still_serves_a_burst() -> None:
    async with dns_double(DnsDouble(ttl_seconds=0)) as dns, asking(dns) as (resolver, clock):
        dns.has("example.org", "A", "192.0.2.1")
        await resolver.lookup("example.org", "A")
        await resolver.lookup("example.org", "A")
        assert dns.asked.total() == 1
        clock.seconds += 6
        dns.has("example.org", "A", "192.0.2.2")
        assert (await resolver.lookup("example.org", "A")).texts == ("192.0.2.2",)


async def test_an_answer_that_holds_for_years_is_asked_for_again_after_an_hour() -> None:
    async with dns_double(DnsDouble(ttl_seconds=10**8)) as dns, asking(dns) as (resolver, clock):
        dns.has("example.org", "A", "192.0.2.1")
        await resolver.lookup("example.org", "A")
        clock.seconds += 3601
        await resolver.lookup("example.org", "A")
        assert dns.asked.total() == 2


async def test_what_is_remembered_is_bounded() -> None:
    async with dns_double() as dns, asking(dns, cache_entries=10) as (resolver, _):
        for number in range(30):
            await resolver.lookup(f"host{number}.example", "A")
        assert len(resolver._known) == 10
        assert resolver.known("host29.example", "A") is not None


async def test_many_who_want_the_same_ask_once() -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        dns.has("example.org", "MX", "10 mx.example.org.")
        answers = await asyncio.gather(*(resolver.lookup("example.org", "MX") for _ in range(50)))
        assert len(set(answers)) == 1
        assert dns.asked.total() == 1


async def test_who_gives_up_does_not_end_the_question_of_others() -> None:
    async with dns_double() as dns, asking(dns, timeout_seconds=30.0) as (resolver, _):
        dns.has("example.org", "A", "192.0.2.1")
        first = asyncio.ensure_future(resolver.lookup("example.org", "A"))
        second = asyncio.ensure_future(resolver.lookup("example.org", "A"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).status is Status.FOUND


async def test_asking_anew_passes_by_what_is_remembered_and_asks_another_server() -> None:
    async with (
        dns_double() as first,
        dns_double() as second,
        asking(first, second) as (resolver, _),
    ):
        second.has("example.org", "MX", "10 mx.example.org.")
        assert (await resolver.lookup("example.org", "MX")).status is Status.NO_NAME
        assert (await resolver.lookup("example.org", "MX", anew=True)).status is Status.FOUND
        assert resolver.known("example.org", "MX").status is Status.FOUND


async def test_only_a_trusted_server_makes_an_answer_secure() -> None:
    async with dns_double(DnsDouble(secure=True)) as dns, asking(dns) as (resolver, _):
        dns.has("example.org", "A", "192.0.2.1")
        assert (await resolver.lookup("example.org", "A")).secure, "it is on this machine"
        dns.secure = False
        dns.has("example.net", "A", "192.0.2.1")
        assert not (await resolver.lookup("example.net", "A")).secure


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "..", "x" * 300])
async def test_what_cannot_be_a_name_has_no_records(name: str) -> None:
    async with dns_double() as dns, asking(dns) as (resolver, _):
        assert (await resolver.lookup(name, "A")).status is Status.NO_NAME
        assert not dns.asked


def test_the_servers_of_the_system_are_read_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("# a comment\nsearch example.org\nnameserver 192.0.2.53\nnameserver nonsense\n")
    servers = DnsServers((), file)
    assert [server.host for server in servers.in_order(0.0)] == ["192.0.2.53"]
    file.write_text("nameserver ::1\nnameserver 127.0.0.53\n")
    assert [server.host for server in servers.in_order(6.0)] == ["::1", "127.0.0.53"]
    assert len(read_resolv_conf("nameserver 192.0.2.1\nnameserver 192.0.2.2\n" * 9)) == 2


def test_without_a_file_the_server_of_this_machine_is_asked(tmp_path: Path) -> None:
    servers = DnsServers((), tmp_path / "missing")
    assert [(server.host, server.port) for server in servers.in_order(0.0)] == [("127.0.0.1", 53)]


@pytest.mark.parametrize(
    "text", ["dns.example", "127.0.0.1:0", "127.0.0.1:x", "[::1", "[::1]x", "1.2.3"]
)
def test_a_server_is_an_address(text: str) -> None:
    with pytest.raises(InvalidSetting, match="servers are addresses"):
        DnsConfig(servers=(text,))


def test_a_server_may_have_a_port() -> None:
    servers = DnsServers(("127.0.0.1", "127.0.0.2:5353", "::1", "[::1]:54"))
    assert [(server.host, server.port) for server in servers.in_order(0.0)] == [
        ("127.0.0.1", 53), ("127.0.0.2", 5353), ("::1", 53), ("::1", 54)
    ]  # fmt: skip
