"""MTA-STS policies are kept until their time is over; sessions are counted by all nodes together"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.policy.mta_sts import StsPolicy
from pillarbox.policy.tls_plan import ReportedPolicy
from pillarbox.policy.tls_report import DAY_MS, Counted, day_of
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.interface.tls import MOST_GATHERED, KeptPolicy
from tests.contract.conftest import Place
from tests.contract.post import NOW

DAY = day_of(NOW)
KEPT = KeptPolicy("example.com", "1", StsPolicy("enforce", 3600, ("mx.example.com",)), NOW)
STS = ReportedPolicy("example.com", "sts", ("mode: enforce",), ("mx.example.com",))
WELL = Counted(STS, "", "mx.example.com", "192.0.2.1", 1)
BADLY = Counted(STS, "certificate-expired", "mx.example.com", "192.0.2.1", 1)
OTHER = replace(WELL, policy=replace(STS, domain="example.net"))


async def test_a_policy_is_what_was_kept_until_its_time_is_over(storage: Storage) -> None:
    assert await storage.tls.policy("example.com", NOW) is None
    await storage.tls.keep_policy(KEPT)
    assert await storage.tls.policy("example.com", NOW + 3_599_999) == KEPT
    assert await storage.tls.policy("example.com", NOW + 3_600_000) is None
    assert await storage.tls.policy("example.net", NOW) is None


async def test_a_policy_fetched_anew_takes_the_place_of_the_one_before(storage: Storage) -> None:
    await storage.tls.keep_policy(KEPT)
    newer = replace(KEPT, identity="2", policy=StsPolicy("none", 60), fetched_at=NOW + 5)
    await storage.tls.keep_policy(newer)
    assert await storage.tls.policy("example.com", NOW + 6) == newer


async def test_a_policy_survives_a_restart(place: Place) -> None:
    storage = await place.open()
    await storage.tls.keep_policy(KEPT)
    storage = await place.open()
    assert await storage.tls.policy("example.com", NOW) == KEPT


async def test_equal_sessions_add_up_and_others_stand_apart(storage: Storage) -> None:
    for _ in range(3):
        storage.tls.count(DAY, WELL)
    assert await storage.tls.counted(DAY) == [replace(WELL, sessions=3)]
    storage.tls.count(DAY, replace(WELL, sessions=4))
    storage.tls.count(DAY, BADLY)
    storage.tls.count(DAY, OTHER)
    storage.tls.count(DAY + DAY_MS, WELL)
    by_result = {one.result: one.sessions for one in await storage.tls.counted(DAY, "example.com")}
    assert by_result == {"": 7, "certificate-expired": 1}
    assert len(await storage.tls.counted(DAY)) == 3
    assert await storage.tls.counted(DAY + DAY_MS) == [WELL]


async def test_what_was_counted_survives_an_orderly_end(place: Place) -> None:
    storage = await place.open()
    storage.tls.count(DAY, WELL)
    storage = await place.open()
    assert await storage.tls.counted(DAY, "example.com") == [WELL]


async def test_a_flood_of_different_sessions_is_cut_off(storage: Storage) -> None:
    for number in range(MOST_GATHERED + 50):
        storage.tls.count(DAY, replace(WELL, host=f"mx{number}.example.com"))
    assert len(await storage.tls.counted(DAY)) == MOST_GATHERED


async def test_days_that_are_over_wait_for_their_report(storage: Storage) -> None:
    for one in (WELL, BADLY, OTHER):
        storage.tls.count(DAY, one)
    storage.tls.count(DAY + DAY_MS, WELL)
    await storage.tls.counted(DAY)
    assert await storage.tls.unreported(DAY, 10) == []
    over = DAY + DAY_MS
    assert await storage.tls.unreported(over, 10) == [(DAY, "example.com"), (DAY, "example.net")]
    assert await storage.tls.unreported(over, 1) == [(DAY, "example.com")]
    await storage.tls.set_reported(DAY, "example.com")
    assert await storage.tls.unreported(over, 10) == [(DAY, "example.net")]
    assert len(await storage.tls.counted(DAY, "example.com")) == 2


async def test_what_nobody_asks_about_any_more_goes(storage: Storage) -> None:
    await storage.tls.keep_policy(KEPT)
    storage.tls.count(DAY, WELL)
    storage.tls.count(DAY + DAY_MS, WELL)
    await storage.tls.counted(DAY)
    await storage.tls.trim(DAY + DAY_MS, NOW + 7_200_000)
    assert await storage.tls.counted(DAY) == []
    assert await storage.tls.counted(DAY + DAY_MS) == [WELL]
    assert await storage.tls.policy("example.com", NOW) is None
