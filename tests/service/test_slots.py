"""room for connections: so many at once, in order, and none lost to whoever gives up"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.services.delivery.slots import Slots
from pillarbox.terms.ids import ObjectId


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


async def test_apps_take_turns_and_who_has_few_in_line_is_not_kept_by_who_has_many() -> None:
    slots = Slots(1)
    assert slots.take_now()
    order: list[str] = []

    async def waits(app: bytes) -> None:
        await slots.take(ObjectId(app))
        order.append(app.decode())
        slots.give_back()

    many = [asyncio.create_task(waits(b"many")) for _ in range(5)]
    await asyncio.sleep(0)
    few = asyncio.create_task(waits(b"few"))
    await asyncio.sleep(0)
    assert slots.others_wait(ObjectId(b"many")) and slots.others_wait(ObjectId(b"few"))
    slots.give_back()
    await asyncio.gather(*many, few)
    assert order.index("few") <= 1
    assert not slots.others_wait(ObjectId(b"many"))


async def test_whoever_waits_alone_keeps_his_slot_for_his_next_message() -> None:
    slots = Slots(1)
    assert slots.take_now()
    waiting = asyncio.create_task(slots.take(ObjectId(b"one")))
    await asyncio.sleep(0)
    assert not slots.others_wait(ObjectId(b"one"))
    assert slots.others_wait(ObjectId(b"two"))
    slots.give_back()
    await waiting


async def test_whose_patience_runs_out_goes_without_a_slot_and_leaves_no_trace() -> None:
    slots = Slots(1)
    assert await slots.take(None, 0.01)
    assert not await slots.take(None, 0.01)
    slots.give_back()
    assert slots.take_now() and not slots.take_now()
