"""each name server of a zone is asked by itself, and none can keep us waiting or lead us inside"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import dns.rcode
import pytest

from pillarbox.net.authority import Authorities
from pillarbox.net.dns_servers import DnsConfig
from pillarbox.net.resolver import Resolver
from pillarbox.terms.clock import SystemClock
from tests.doubles.dns_server import (
    DnsDouble,
    Twist,
    dns_double,
    garbage,
    lame,
    refusing,
    silence,
)

NAME = "x.example.com"


@asynccontextmanager
async def asking(permits: str = "127.0.0.1") -> AsyncIterator[tuple[DnsDouble, Authorities]]:
    """One server that is everything: resolver, and both name servers of the zone."""
    async with dns_double() as double:
        double.has("example.com", "NS", "NS2.example.net.", "ns1.example.net.")
        double.has("ns1.example.net", "A", "127.0.0.1")
        double.has("ns2.example.net", "A", "127.0.0.1")
        double.has(NAME, "TXT", '"one " "two"', '"three"')
        config = DnsConfig((double.address,), timeout_seconds=0.2, rounds=1)
        resolver = Resolver(config, SystemClock())
        authorities = Authorities(
            resolver, seconds=0.2, port=double.port, permits=lambda address: address == permits
        )
        try:
            yield double, authorities
        finally:
            await resolver.close()


async def test_every_server_of_the_nearest_zone_is_asked() -> None:
    async with asking() as (_, authorities):
        seen = await authorities.ask(f"y.{NAME}", "TXT")
        assert [(one.server, one.found, one.trouble) for one in seen] == [
            ("ns1.example.net", (), ""),
            ("ns2.example.net", (), ""),
        ]
        seen = await authorities.ask(NAME, "TXT")
        assert {one.found for one in seen} == {("one two", "three")}
        assert {one.ttl_seconds for one in seen} == {300}


async def test_a_zone_below_has_servers_of_its_own() -> None:
    async with asking() as (double, authorities):
        double.has("sub.example.com", "NS", "ns3.example.net.")
        double.has("ns3.example.net", "A", "127.0.0.1")
        assert [one.server for one in await authorities.ask("a.sub.example.com", "TXT")] == [
            "ns3.example.net"
        ]


@pytest.mark.parametrize(
    ("twist", "words"),
    [
        (silence, "did not answer in time"),
        (garbage, "did not answer in time"),
        (refusing(dns.rcode.REFUSED), "answered REFUSED"),
        (refusing(dns.rcode.SERVFAIL), "answered SERVFAIL"),
        (lame, "does not answer for the zone"),
    ],
)
async def test_a_server_that_does_not_answer_is_told_with_its_reason(
    twist: Twist, words: str
) -> None:
    async with asking() as (double, authorities):
        double.twists[NAME] = twist
        for one in await authorities.ask(NAME, "TXT"):
            assert (one.trouble, one.found) == (words, ())


async def test_an_alias_is_told_beside_what_lies_behind_it() -> None:
    async with asking() as (double, authorities):
        double.has("a.example.com", "CNAME", f"{NAME}.")
        (one, _) = await authorities.ask("a.example.com", "TXT")
        assert (one.alias, one.found) == (NAME, ("one two", "three"))
        (one, _) = await authorities.ask("a.example.com", "CNAME")
        assert (one.alias, one.found) == ("", (NAME,))


async def test_an_answer_too_long_for_a_datagram_comes_over_a_connection() -> None:
    async with asking() as (double, authorities):
        double.short.add(NAME)
        assert {one.found for one in await authorities.ask(NAME, "TXT")} == {("one two", "three")}
        assert double.streams >= 2


async def test_records_are_cut_and_counted() -> None:
    async with asking() as (double, authorities):
        double.has(NAME, "TXT", *(f'"{n}"' for n in range(40)))
        assert {len(one.found) for one in await authorities.ask(NAME, "TXT")} == {20}
        double.has(NAME, "TXT", " ".join([f'"{"x" * 250}"'] * 30))
        assert {len(*one.found) for one in await authorities.ask(NAME, "TXT")} == {4096}


async def test_of_many_servers_some_are_asked() -> None:
    async with asking() as (double, authorities):
        double.has("example.com", "NS", *(f"n{n}.example.net." for n in range(40)))
        assert len(await authorities.ask(NAME, "TXT")) == 8


async def test_inner_addresses_are_not_asked() -> None:
    async with asking(permits="192.0.2.1") as (double, authorities):
        double.has("ns2.example.net", "A")
        seen = await authorities.ask(NAME, "TXT")
        assert [one.trouble for one in seen] == ["has no public address", "has no address"]
        assert not double.asked[NAME, "TXT"]
        usual = Authorities(authorities._resolver, port=double.port)
        assert (await usual.ask(NAME, "TXT"))[0].trouble == "has no public address"


async def test_without_a_known_server_there_is_nothing_to_see() -> None:
    async with asking() as (double, authorities):
        assert await authorities.ask("x.example.org", "TXT") == ()
        assert await authorities.ask("localhost", "TXT") == ()
        double.twists["example.com"] = silence
        assert await authorities.ask("z.example.com", "TXT") == ()


async def test_a_name_that_cannot_be_asked_for_is_told() -> None:
    async with asking() as (_, authorities):
        for one in await authorities.ask("x" * 70 + ".example.com", "TXT"):
            assert one.trouble.startswith("cannot be asked for that name")
