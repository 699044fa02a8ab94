from __future__ import annotations

import asyncio

import pytest

from pillarbox.policy.site import SiteConfig
from pillarbox.services.delivery.sites import Sites, registrable
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.terms.clock import SystemClock


def one_at_a_time(**facts: object) -> Sites:
    return Sites(SiteConfig(connections=1, **facts), SystemClock())  # type: ignore[arg-type]


async def waiting(sites: Sites, count: int) -> None:
    while sites.waiting("example.org") != count:
        await asyncio.sleep(0)


def test_a_provider_is_known_by_the_domain_it_has_registered() -> None:
    assert registrable("alt1.aspmx.l.google.com") == "google.com"
    assert registrable("mx.example.co.uk") == "example.co.uk"
    assert registrable("example-com.mail.protection.outlook.com") == "outlook.com"
    assert registrable("co.uk") == ""


async def test_whoever_comes_first_is_served_first() -> None:
    sites = one_at_a_time()
    site = await sites.enter("example.org")
    assert site is not None
    served: list[int] = []

    async def go(number: int) -> None:
        mine = await sites.enter("example.org")
        assert mine is site
        served.append(number)
        sites.leave(site)

    tasks = [asyncio.ensure_future(go(number)) for number in range(5)]
    await waiting(sites, 5)
    assert not served
    sites.leave(site)
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3, 4]
    assert site.active == 0


async def test_a_full_site_keeps_nobody_back_who_goes_elsewhere() -> None:
    sites = one_at_a_time()
    assert await sites.enter("example.org") is not None
    assert await sites.enter("example.net", 0.0) is not None


async def test_whose_patience_runs_out_goes_without_and_leaves_no_trace() -> None:
    sites = one_at_a_time()
    site = await sites.enter("example.org")
    assert site is not None
    assert await sites.enter("example.org", 0.01) is None
    assert sites.waiting("example.org") == 0
    sites.leave(site)
    assert await sites.enter("example.org", 0.0) is site


async def test_who_is_cut_off_in_the_moment_of_his_turn_gives_it_back() -> None:
    sites = one_at_a_time()
    site = await sites.enter("example.org")
    assert site is not None
    turn = asyncio.ensure_future(sites.enter("example.org"))
    await waiting(sites, 1)
    sites.leave(site)  # the turn is given, and its owner has not woken yet
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert turn.cancelled() and site.active == 0


async def test_a_stop_sends_everybody_back_who_waits() -> None:
    sites = one_at_a_time()
    await sites.enter("example.org")
    turn = asyncio.ensure_future(sites.enter("example.org"))
    await waiting(sites, 1)
    sites.close()
    with pytest.raises(StorageTrouble):
        await turn
    with pytest.raises(StorageTrouble):
        await sites.enter("example.net")


async def test_a_site_with_a_pace_wakes_whoever_waits_when_it_is_time() -> None:
    sites = Sites(SiteConfig(per_minute_of={"example.org": 6000.0}), SystemClock())
    began = asyncio.get_running_loop().time()
    for _ in range(6):
        site = await sites.enter("example.org")
        assert site is not None
        sites.leave(site)
    assert asyncio.get_running_loop().time() - began >= 0.04


async def test_sites_that_nobody_uses_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pillarbox.services.delivery.sites._MOST_SITES", 3)
    sites = one_at_a_time()
    busy = await sites.enter("busy.example")
    for number in range(10):
        site = await sites.enter(f"d{number}.example")
        assert site is not None
        sites.leave(site)
    assert len(sites._lines) <= 4 and "busy.example" in sites._lines
    assert busy is not None
