from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from pillarbox.net.pool import Pool


class Clock:
    now = 0.0

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return self.now


@dataclass(eq=False)
class Line:
    """A connection without a server."""

    key: str
    usable: bool = True
    transactions: int = 0
    goodbyes: list[str] = field(default_factory=list)

    async def quit(self) -> None:
        self.goodbyes.append("quit")

    def close(self) -> None:
        self.goodbyes.append("close")


class Opener:
    def __init__(self) -> None:
        self.opened: list[Line] = []
        self.error: Exception | None = None

    async def __call__(self, key: str) -> Line:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.opened.append(Line(key))
        return self.opened[-1]


def pool(opener: Opener, clock: Clock, **limits: float) -> Pool[str, Line]:
    return Pool(opener, clock, **limits)  # type: ignore[arg-type]


async def test_a_connection_given_back_is_taken_again_by_its_own_key_only() -> None:
    kept = pool(opener := Opener(), Clock())
    first, fresh = await kept.take("a")
    assert fresh
    kept.give_back(first)
    assert await kept.take("b") == (opener.opened[1], True)
    assert await kept.take("a") == (first, False)
    assert await kept.take("a") == (opener.opened[2], True)
    await kept.close()


async def test_the_one_used_last_is_taken_first() -> None:
    kept = pool(Opener(), Clock())
    one, two = (await kept.take("a"))[0], (await kept.take("a"))[0]
    kept.give_back(one)
    kept.give_back(two)
    assert (await kept.take("a"))[0] is two
    await kept.close()


async def test_connections_are_counted_from_their_opening_to_their_end() -> None:
    kept = pool(Opener(), Clock())
    opening = asyncio.create_task(kept.take("a"))
    await asyncio.sleep(0)
    assert kept.count("a") == 1
    line, _ = await opening
    kept.give_back(line)
    assert (kept.count("a"), kept.idle("a"), kept.count("b")) == (1, 1, 0)
    kept.discard((await kept.take("a"))[0])
    assert kept.count("a") == 0
    assert line.goodbyes == ["close"]
    await kept.close()


async def test_connections_to_the_keys_of_a_group_are_counted_together() -> None:
    kept: Pool[str, Line] = Pool(Opener(), Clock(), group_of=lambda key: key[0])
    lines = [(await kept.take(key))[0] for key in ("a1", "a2", "b1")]
    assert (kept.open_in_group("a1"), kept.open_in_group("b9"), kept.count("a1")) == (2, 1, 1)
    kept.give_back(lines[0])
    assert kept.open_in_group("a2") == 2, "what lies idle is open"
    kept.discard(lines[1])
    kept.drop_idle("a1")
    assert (kept.open_in_group("a1"), kept.open_in_group("b1")) == (0, 1)
    await kept.close()


async def test_a_failed_opening_leaves_no_trace() -> None:
    opener = Opener()
    opener.error = ZeroDivisionError()
    kept = pool(opener, Clock())
    with pytest.raises(ZeroDivisionError):
        await kept.take("a")
    assert kept.count("a") == 0


async def test_a_stale_connection_is_ended_politely_and_a_dead_one_just_closed() -> None:
    clock = Clock()
    kept = pool(opener := Opener(), clock, idle_seconds=10)
    stale, dead = (await kept.take("a"))[0], (await kept.take("a"))[0]
    kept.give_back(stale)
    kept.give_back(dead)
    clock.now = 11
    dead.usable = False
    line, fresh = await kept.take("a")
    assert fresh and line is opener.opened[2]
    await kept.close()
    assert (stale.goodbyes, dead.goodbyes) == (["quit"], ["close"])
    assert kept.count("a") == 1


async def test_a_connection_has_its_number_of_transactions() -> None:
    kept = pool(Opener(), Clock(), max_transactions=3)
    line, _ = await kept.take("a")
    line.transactions = 2
    kept.give_back(line)
    assert kept.idle("a") == 1
    line, _ = await kept.take("a")
    line.transactions = 3
    kept.give_back(line)
    assert kept.idle("a") == 0
    await kept.close()
    assert line.goodbyes == ["quit"]


async def test_a_broken_connection_given_back_is_not_kept() -> None:
    kept = pool(Opener(), Clock())
    line, _ = await kept.take("a")
    line.usable = False
    kept.give_back(line)
    assert kept.count("a") == 0
    assert line.goodbyes == ["close"]


async def test_idle_connections_do_not_wait_for_somebody_to_ask() -> None:
    clock = Clock()
    kept = pool(Opener(), clock, idle_seconds=0.01)
    line, _ = await kept.take("a")
    kept.give_back(line)
    clock.now = 1
    async with asyncio.timeout(5):
        while not line.goodbyes:
            await asyncio.sleep(0.005)
    assert kept.count("a") == 0
    await kept.close()


async def test_a_sweep_leaves_fresh_ones_and_comes_again() -> None:
    clock = Clock()
    kept = pool(Opener(), clock, idle_seconds=0.02)
    old, young = (await kept.take("a"))[0], (await kept.take("a"))[0]
    kept.give_back(old)
    clock.now = 0.015
    kept.give_back(young)
    clock.now = 0.03
    async with asyncio.timeout(5):
        while not old.goodbyes:
            await asyncio.sleep(0.005)
    assert young.goodbyes == [] and kept.idle("a") == 1
    clock.now = 1
    async with asyncio.timeout(5):
        while not young.goodbyes:
            await asyncio.sleep(0.005)
    await kept.close()


async def test_dropping_a_key_ends_its_idle_connections_only() -> None:
    kept = pool(Opener(), Clock())
    taken, waiting, other = [(await kept.take(key))[0] for key in ("a", "a", "b")]
    kept.give_back(waiting)
    kept.give_back(other)
    kept.drop_idle("a")
    kept.drop_idle("unknown")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (taken.goodbyes, waiting.goodbyes, other.goodbyes) == ([], ["quit"], [])
    await kept.close()


async def test_closing_ends_what_is_idle_and_what_comes_back_later() -> None:
    kept = pool(Opener(), Clock())
    idle, taken = (await kept.take("a"))[0], (await kept.take("a"))[0]
    kept.give_back(idle)
    await kept.close()
    assert idle.goodbyes == ["quit"]
    kept.give_back(taken)
    await kept.close()
    assert taken.goodbyes == ["quit"]
    assert kept.count("a") == 0
