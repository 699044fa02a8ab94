"""an allowance: ahead of use, in line, given back, and quiet about what others have said"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.policy.server import Server
from pillarbox.services.delivery.allowance import Allowance
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.clock import SystemClock
from pillarbox.terms.ids import ObjectId

HOUR = 3_600_000
PLAIN = Server(ObjectId(b"s" * 12), ObjectId(b"a" * 12), "one", "smtp.example.net")


class ShiftedClock(SystemClock):
    """The system's, put forward by hand."""

    ahead_ms = 0

    def now_ms(self) -> int:
        return super().now_ms() + self.ahead_ms


class Desk:
    """Where allowances are made, and what they tell."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.clock = ShiftedClock()
        self.told: list[str] = []
        self.made: list[Allowance] = []

    def allowance(self, **limits: float) -> Allowance:
        server = replace(PLAIN, **limits)

        def told(kind: str, used: int, most: int, until: int) -> None:
            self.told.append(f"{kind} {used}/{most}")

        made = Allowance(server, self.storage.limits, self.clock, told)
        self.made.append(made)
        return made


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    storage = await open_storage(tmp_path, now_ms=SystemClock().now_ms(), on_broken=print)
    found = Desk(storage)
    yield found
    for each in found.made:
        each.close()
    await storage.close()


async def get(allowance: Allowance, wanted: int = 1) -> int:
    return allowance.take_now(wanted) or await allowance.turn(wanted, 10.0)


async def test_the_usual_message_finds_its_tokens_in_memory(desk: Desk) -> None:
    allowance = desk.allowance(max_per_second=1000, max_per_day=100_000)
    assert await get(allowance) == 1
    for _ in range(20):
        assert allowance.take_now(1) == 1


async def test_who_came_first_gets_his_first(desk: Desk) -> None:
    allowance = desk.allowance(max_per_second=50)
    order: list[int] = []

    async def wait(number: int) -> None:
        assert await allowance.turn(1, 10.0) == 1
        order.append(number)

    await asyncio.gather(*(wait(number) for number in range(10)))
    assert order == list(range(10))


async def test_nobody_passes_those_who_stand_in_line(desk: Desk) -> None:
    allowance = desk.allowance(max_per_second=1)
    assert await get(allowance) == 1
    waiting = asyncio.create_task(allowance.turn(1, 10.0))
    await asyncio.sleep(0)
    allowance.give_back(1)
    assert await waiting == 1
    assert allowance.take_now(1) == 0


async def test_who_waits_too_long_or_goes_away_leaves_the_line_and_takes_nothing(
    desk: Desk,
) -> None:
    allowance = desk.allowance(max_per_minute=1)
    assert await get(allowance) == 1
    assert await allowance.turn(1, 0.01) == 0
    waiting = asyncio.create_task(allowance.turn(1, 10.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    allowance.give_back(1)
    assert allowance.take_now(1) == 1


async def test_a_used_up_day_sends_everybody_away_until_an_hour_of_it_is_free(desk: Desk) -> None:
    allowance = desk.allowance(max_per_day=10)
    assert sum([await get(allowance, 4) for _ in range(3)]) == 10
    assert await get(allowance) == 0
    until = allowance.free_at(desk.clock.now_ms())
    assert 24 * HOUR < until - desk.clock.now_ms() <= 25 * HOUR
    assert desk.told[-1] == "server.quota_reached 10/10"
    desk.clock.ahead_ms = until - SystemClock().now_ms() + 1000
    assert not allowance.free_at(desk.clock.now_ms())
    assert await get(allowance, 4) == 4
    kinds = [line.split()[0].partition(".")[2] for line in desk.told]
    assert kinds[:3] == ["quota_near", "quota_reached", "quota_over"]


async def test_what_is_told_of_a_day_is_told_once_by_whoever_took_the_last(desk: Desk) -> None:
    one, two = desk.allowance(max_per_day=6), desk.allowance(max_per_day=6)
    while await get(one) or await get(two):
        pass
    assert not await get(one) and not await get(two)
    assert [line.split()[0] for line in desk.told] == ["server.quota_near", "server.quota_reached"]


async def test_a_raised_limit_is_used_at_once(desk: Desk) -> None:
    allowance = desk.allowance(max_per_day=2)
    while await get(allowance):
        pass
    allowance.set_limits(replace(PLAIN, max_per_day=4))
    assert await get(allowance) == 1


async def test_a_clock_that_was_put_back_makes_no_rest_longer_than_a_rest_can_be(
    desk: Desk,
) -> None:
    allowance = desk.allowance()
    now_ms = desk.clock.now_ms()
    assert allowance.rest(now_ms + HOUR) and not allowance.rest(now_ms + HOUR)
    assert allowance.free_at(now_ms) == now_ms + HOUR
    assert not allowance.free_at(now_ms - 1000 * HOUR)
    assert allowance.is_over() and not allowance.is_over()


async def test_a_closed_line_lets_everybody_go(desk: Desk) -> None:
    allowance = desk.allowance(max_per_minute=1)
    await get(allowance)
    waiting = [asyncio.create_task(allowance.turn(1, 60.0)) for _ in range(3)]
    await asyncio.sleep(0)
    allowance.close()
    assert await asyncio.gather(*waiting) == [0, 0, 0]


async def test_a_turn_that_comes_in_the_moment_the_time_is_over_is_taken_and_not_lost(
    desk: Desk,
) -> None:
    allowance = desk.allowance(max_per_minute=1)
    assert await get(allowance) == 1
    loop = asyncio.get_running_loop()
    waiting = asyncio.create_task(allowance.turn(1, 0.01))
    await asyncio.sleep(0)
    # Both timers are due in the same round of the loop: the turn is given, then the time is over.
    loop.call_at(loop.time() + 0.005, allowance.give_back, 1)
    time.sleep(0.02)
    assert await waiting == 1
