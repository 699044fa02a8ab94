"""room for connections: so many at once, in order, and none lost to whoever gives up"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.services.delivery.slots import Slots


async def wait_in_line(slots: Slots, count: int) -> list[asyncio.Task[None]]:
    """Tasks that wait for a slot, one behind the other."""
    tasks = [asyncio.create_task(slots.take()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_so_many_are_given_and_no_more() -> None:
    slots = Slots(2)
    assert slots.take_now() and slots.take_now() and not slots.take_now()
    slots.give_back()
    assert slots.take_now() and not slots.take_now()


async def test_who_waits_longest_is_next_and_nobody_comes_before_him() -> None:
    slots = Slots(1)
    await slots.take()
    first, second = await wait_in_line(slots, 2)
    slots.give_back()
    assert not slots.take_now(), "it was promised to the one in front"
    await first
    assert not second.done()
    slots.give_back()
    await second
    slots.give_back()
    assert slots.take_now()


@pytest.mark.parametrize("given_back_first", [True, False])
async def test_who_gives_up_leaves_his_turn_to_the_next(given_back_first: bool) -> None:
    slots = Slots(1)
    assert slots.take_now()
    first, second = await wait_in_line(slots, 2)
    if given_back_first:
        slots.give_back()
        first.cancel()
    else:
        first.cancel()
        slots.give_back()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    slots.give_back()
    assert slots.take_now() and not slots.take_now()


async def test_a_line_that_was_given_up_costs_no_slot() -> None:
    slots = Slots(1)
    assert slots.take_now()
    waiting = await wait_in_line(slots, 3)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    slots.give_back()
    assert slots.take_now() and not slots.take_now()
