from __future__ import annotations

import asyncio

import pytest

from pillarbox.handover.duty import go_rounds
from pillarbox.storage.interface.errors import StorageTrouble

LONG_SECONDS = 3600.0


@pytest.mark.parametrize("error", [StorageTrouble(), ValueError("ours")])
async def test_a_round_that_breaks_is_followed_by_the_next(error: Exception) -> None:
    stop = asyncio.Event()
    rounds: list[int] = []

    async def go_round() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 3:
            stop.set()
        raise error

    await go_rounds(go_round, stop, "upkeep", 0.001)
    assert rounds == [0, 1, 2]


async def test_a_stop_ends_the_pause_at_once() -> None:
    stop, made = asyncio.Event(), asyncio.Event()

    async def go_round() -> None:
        made.set()

    going = asyncio.create_task(go_rounds(go_round, stop, "upkeep", LONG_SECONDS))
    await made.wait()
    stop.set()
    await going


async def test_a_stop_lets_the_round_that_is_being_made_end() -> None:
    stop, begun, let_go = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ended: list[bool] = []

    async def go_round() -> None:
        begun.set()
        await let_go.wait()
        ended.append(True)

    going = asyncio.create_task(go_rounds(go_round, stop, "upkeep", LONG_SECONDS))
    await begun.wait()
    stop.set()
    let_go.set()
    await going
    assert ended == [True]
