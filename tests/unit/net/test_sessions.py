from __future__ import annotations

import asyncio

from pillarbox.net.sessions import Sessions, crowd_of


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


def test_a_client_of_ipv6_is_counted_by_its_network() -> None:
    assert crowd_of("2001:db8:1:2::1") == crowd_of("2001:DB8:1:2:ffff::9")
    assert crowd_of("2001:db8:1:2::1") != crowd_of("2001:db8:1:3::1")
    assert crowd_of("fe80::1%eth0") == crowd_of("fe80::2%eth1")
    assert crowd_of("192.0.2.1") == "192.0.2.1" != crowd_of("192.0.2.2")
    assert crowd_of("::1") == "::1"


def test_strangers_do_not_keep_this_machine_out_nor_the_other_way_round() -> None:
    sessions = Sessions(2, 2)
    strangers = [object(), object()]
    for number, guest in enumerate(strangers):
        sessions.enter(guest, f"192.0.2.{number}")  # type: ignore[arg-type]
    assert sessions.full("198.51.100.1")
    assert not sessions.full("127.0.0.1") and not sessions.full("::1")
    here = [object(), object()]
    sessions.enter(here[0], "127.0.0.1")  # type: ignore[arg-type]
    sessions.enter(here[1], "::1")  # type: ignore[arg-type]
    assert sessions.full("127.0.0.1")
    sessions.leave(strangers[0], "192.0.2.0")  # type: ignore[arg-type]
    assert not sessions.full("198.51.100.1")
    assert sessions.full("127.0.0.1")
    sessions.leave(here[1], "::1")  # type: ignore[arg-type]
    assert not sessions.full("127.0.0.1")
    assert len(sessions) == 2


def test_the_hosts_of_one_network_share_what_an_address_may_have() -> None:
    sessions = Sessions(10, 2)
    first, second = object(), object()
    sessions.enter(first, "2001:db8::1")  # type: ignore[arg-type]
    sessions.enter(second, "2001:db8::2")  # type: ignore[arg-type]
    assert sessions.full("2001:db8::3") and not sessions.full("2001:db8:0:1::3")
    sessions.leave(second, "2001:db8::2")  # type: ignore[arg-type]
    assert not sessions.full("2001:db8::3")
