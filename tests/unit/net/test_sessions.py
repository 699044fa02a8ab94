from __future__ import annotations

import asyncio

from pillarbox.net.sessions import Sessions


class Guest:
    def __init__(self, sessions: Sessions, *, polite: bool = True, hurries: bool = True) -> None:
        self.sessions, self.polite, self.hurries = sessions, polite, hurries
        self.asked = self.aborted = 0
        sessions.enter(self, "192.0.2.1")

    def ask_to_leave(self) -> None:
        self.asked += 1
        if self.polite:
            asyncio.get_running_loop().call_soon(self.sessions.leave, self, "192.0.2.1")

    def abort(self) -> None:
        self.aborted += 1
        if self.hurries:
            self.sessions.leave(self, "192.0.2.1")


async def test_the_caps_hold_in_all_and_per_address() -> None:
    sessions = Sessions(3, 2)
    assert not sessions.full("192.0.2.1")
    first, second = Guest(sessions), Guest(sessions)
    assert sessions.full("192.0.2.1") and not sessions.full("192.0.2.2")
    sessions.enter(third := object(), "192.0.2.2")  # type: ignore[arg-type]
    assert sessions.full("192.0.2.3")
    sessions.leave(third, "192.0.2.2")  # type: ignore[arg-type]
    sessions.leave(first, "192.0.2.1")
    assert not sessions.full("192.0.2.1")
    assert len(sessions) == 1
    sessions.leave(second, "192.0.2.1")
    assert len(sessions) == 0


async def test_draining_asks_everybody_and_waits() -> None:
    sessions = Sessions(10, 10)
    guests = [Guest(sessions) for _ in range(3)]
    assert await sessions.drain(5.0) == 0
    assert [(guest.asked, guest.aborted) for guest in guests] == [(1, 0)] * 3
    assert sessions.leaving


async def test_draining_an_empty_house_does_not_wait() -> None:
    async with asyncio.timeout(1):
        assert await Sessions(10, 10).drain(60.0) == 0


async def test_who_does_not_leave_is_aborted_and_counted() -> None:
    sessions = Sessions(10, 10)
    stubborn, polite = Guest(sessions, polite=False), Guest(sessions)
    assert await sessions.drain(0.02) == 1
    assert (stubborn.aborted, polite.aborted) == (1, 0)


async def test_who_cannot_even_be_aborted_does_not_hold_us_for_ever() -> None:
    sessions = Sessions(10, 10)
    Guest(sessions, polite=False, hurries=False)
    async with asyncio.timeout(5):
        assert await sessions.drain(0.01) == 1
