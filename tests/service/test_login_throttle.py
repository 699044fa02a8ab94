"""many failed logins: their address is sent away at the door, and nobody else is kept out"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.policy.throttle import ThrottleConfig
from tests.e2e.clerk import Login, add_login, queued_as, show
from tests.e2e.porch import (
    BOTH,
    HELLO,
    called,
    converse,
    hand_in,
    plain_login,
    port_of,
    protected,
    right_login,
)
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist

LETTER = b"From: ann@example.com\r\nSubject: x\r\n\r\nhello\r\n"
ATTACKER, OTHER = "127.0.0.2", "127.0.0.3"
AWAY = re.compile(
    rb"421 4\.7\.0 Too many failed logins from your address; wait a few minutes "
    rb"\(ref [0-9a-z]{8}\)\r\n"
)
FEW = ThrottleConfig(failures=2, pause_seconds=300)


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Two failed logins are one too many."""
    return await houses.start(Mode.SANDBOX, smtp=BOTH, logins=FEW)


async def fail_twice(running: Running, username: str = "first-app") -> None:
    """The first is answered as ever, the second ends the session."""
    async with protected(running, PortKind.STARTTLS, address=ATTACKER) as client:
        assert (await client.say(plain_login(username, "wrong"))).startswith(b"535 5.7.8 ")
        said = await converse(client, plain_login(username, "wrong") + HELLO)
        assert AWAY.fullmatch(said), said


async def banner(running: Running, address: str) -> bytes:
    """The first words of the STARTTLS port to somebody who calls from `address`."""
    streams = await asyncio.open_connection(
        "127.0.0.1", port_of(running, PortKind.STARTTLS), local_addr=(address, 0)
    )
    async with Typist(*streams) as client:
        return await client.heard()


async def works(running: Running, login: bytes, address: str) -> bool:
    async with protected(running, PortKind.TLS, address=address) as client:
        if not (await client.say(login)).startswith(b"235 "):
            return False
        queued_as(await hand_in(client, LETTER))
    return True


async def test_who_fails_often_is_sent_away_at_the_door_and_others_are_not(house: Running) -> None:
    await fail_twice(house)
    said = await banner(house, ATTACKER)
    assert AWAY.fullmatch(said), said
    assert (await banner(house, OTHER)).startswith(b"220 ")
    with pytest.raises(OSError):
        async with called(house, PortKind.TLS, address=ATTACKER):
            pass  # no handshake is spent on it
    kinds = {each["kind"] for each in (await show(house, "/credentials/problems"))["items"]}
    assert kinds == {"wrong_password", "throttled"}
    assert house.house.metrics.logins["smtp", "throttled"] >= 1


async def test_the_owner_of_a_login_is_never_kept_out_by_what_others_try(house: Running) -> None:
    await fail_twice(house)
    async with asyncio.timeout(4):
        assert await works(house, right_login(house), OTHER)


async def test_one_user_name_tried_from_everywhere_does_not_keep_its_owner_out(
    house: Running,
) -> None:
    for n in range(40):
        async with protected(house, PortKind.TLS, address=f"127.0.1.{n + 1}") as client:
            client.type(plain_login("first-app", "wrong"))
    async with asyncio.timeout(4):
        assert await works(house, right_login(house), OTHER)


async def test_who_was_let_in_before_is_sent_away_as_well_even_with_the_right_password(
    house: Running,
) -> None:
    async with protected(house, PortKind.TLS, address=ATTACKER) as early:
        await fail_twice(house)
        said = await converse(early, right_login(house) + HELLO)
        assert AWAY.fullmatch(said), said


async def test_an_address_that_many_share_is_not_sent_away_where_somebody_logged_in_from_it(
    house: Running,
) -> None:
    assert await works(house, right_login(house), ATTACKER)
    async with protected(house, PortKind.TLS, address=ATTACKER) as client:
        assert (await client.say(plain_login("first-app", "wrong"))).startswith(b"535 ")
        assert (await client.say(plain_login("first-app", "wrong"))).startswith(b"535 ")
    assert (await banner(house, ATTACKER)).startswith(b"220 ")
    assert await works(house, right_login(house), ATTACKER)


async def test_who_was_sent_away_comes_in_again_after_the_pause(houses: Houses) -> None:
    config = ThrottleConfig(failures=2, pause_seconds=1, longest_pause_seconds=1)
    house = await houses.start(Mode.SANDBOX, smtp=BOTH, logins=config)
    await fail_twice(house)
    async with asyncio.timeout(10):
        while not (await banner(house, ATTACKER)).startswith(b"220 "):
            await asyncio.sleep(0.05)
    assert await works(house, right_login(house), ATTACKER)


async def test_a_login_has_no_more_connections_than_it_may(houses: Houses) -> None:
    house = await houses.start(Mode.SANDBOX, smtp=replace(BOTH, max_sessions_per_login=2))
    login: Login = await add_login(house, "shop")
    said = plain_login(login.username, login.password)
    async with (
        protected(house, PortKind.TLS) as first,
        protected(house, PortKind.TLS) as second,
        protected(house, PortKind.TLS) as third,
    ):
        assert (await first.say(said)).startswith(b"235 ")
        assert (await second.say(said)).startswith(b"235 ")
        assert (await third.say(said)).startswith(b"454 4.7.0 This login has too many connections")
        await first.hang_up()
        async with asyncio.timeout(5):
            while not (await third.say(said)).startswith(b"235 "):
                await asyncio.sleep(0.02)
    items = (await show(house, "/credentials/problems?credential=shop"))["items"]
    assert [each["kind"] for each in items] == ["too_many_sessions"]
