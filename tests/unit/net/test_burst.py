"""replies of one turn of the loop are written together, in order, and never behind a farewell"""

from __future__ import annotations

import asyncio
from typing import cast

from pillarbox.net.burst import Burst


class Journal:
    """A transport that writes down into a list shared with others what was done to it."""

    def __init__(self, name: str, done: list[tuple[str, bytes]]) -> None:
        self._name = name
        self._done = done
        self.closing = self.refuses = False

    def abort(self) -> None:
        self.closing = True

    def write(self, data: bytes) -> None:
        if self.refuses:
            raise RuntimeError("nothing more is taken")
        self._done.append((self._name, data))

    def is_closing(self) -> bool:
        return self.closing


def _two() -> tuple[asyncio.Transport, asyncio.Transport, list[tuple[str, bytes]]]:
    done: list[tuple[str, bytes]] = []
    first, second = Journal("first", done), Journal("second", done)
    return cast(asyncio.Transport, first), cast(asyncio.Transport, second), done


async def test_nothing_is_written_before_the_turn_is_over() -> None:
    first, second, done = _two()
    burst = Burst()
    burst.write(first, b"1")
    burst.write(second, b"2")
    burst.write(first, b"3")
    assert not done
    await asyncio.sleep(0)
    assert done == [("first", b"1"), ("second", b"2"), ("first", b"3")]
    burst.write(second, b"4")
    await asyncio.sleep(0)
    assert done[3:] == [("second", b"4")]


async def test_who_writes_by_another_way_flushes_first() -> None:
    first, _, done = _two()
    burst = Burst()
    burst.write(first, b"reply")
    burst.flush()
    first.write(b"farewell")
    await asyncio.sleep(0)
    assert done == [("first", b"reply"), ("first", b"farewell")]


async def test_a_client_that_is_gone_gets_nothing_and_the_others_theirs() -> None:
    first, second, done = _two()
    burst = Burst()
    burst.write(first, b"1")
    burst.write(second, b"2")
    cast(Journal, first).closing = True
    await asyncio.sleep(0)
    assert done == [("second", b"2")]


async def test_a_connection_that_takes_nothing_costs_the_others_nothing() -> None:
    first, second, done = _two()
    journal = cast(Journal, first)
    journal.refuses = True
    burst = Burst()
    burst.write(first, b"1")
    burst.write(second, b"2")
    await asyncio.sleep(0)
    assert done == [("second", b"2")]
    assert journal.closing, "it is cut off"
