"""what a login may hand in: so many recipients, so much at once, and what follows beyond"""

from __future__ import annotations

import asyncio
from contextlib import closing

import apsw
import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.storage.interface.messages import BLOCK_BYTES, MessageFilter
from pillarbox.storage.interface.store_url import DATABASE_NAME
from tests.e2e.clerk import API, Login, add_login, ask, nothing_taken, queued_as, show
from tests.e2e.porch import BOTH, MAIL, hand_in_to, plain_login, protected
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist

HEAD = b"From: ann@example.com\r\nSubject: x\r\n\r\n"
LETTER = HEAD + b"hello\r\n"
MEGABYTE = 1 << 20


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Its app is live and has no server: what is taken waits."""
    return await houses.start(Mode.LIVE, smtp=BOTH)


def people(count: int, name: str = "bob") -> list[str]:
    return [f"{name}-{n}@example.org" for n in range(count)]


async def log_in(client: Typist, login: Login) -> None:
    said = await client.say(plain_login(login.username, login.password))
    assert said.startswith(b"235 "), said


async def taken(house: Running) -> int:
    """How many deliveries there are."""
    newest = (await house.house.storage.messages.newest(MessageFilter(), 500)).messages
    return sum([len(await house.deliveries(message.id)) for message in newest])


def uploads(house: Running) -> int:
    """How many blocks of content lie there that belong to no message."""
    with closing(apsw.Connection(str(house.house.settings.data_dir / DATABASE_NAME))) as database:
        ((count,),) = database.execute("SELECT count(*) FROM upload")
    return int(count)


# --- how many ---------------------------------------------------------------------------------


async def test_beyond_a_limit_mail_is_put_off_and_at_mail_already(house: Running) -> None:
    login = await add_login(house, "shop", per_hour=3)
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        queued_as(await hand_in_to(client, people(2), LETTER))
        said = await hand_in_to(client, people(2), LETTER)
        assert said.startswith(b"451 4.7.1 The limit of 3 recipients an hour is reached"), said
        assert b"it is free again in " in said
        queued_as(await hand_in_to(client, people(1), LETTER))
        said = await hand_in_to(client, people(1), LETTER)
        assert said.startswith(b"451 4.7.1 "), "nothing is known to be left before this is said"
        said = await client.say(MAIL)
        assert said.startswith(b"451 4.7.1 The limit of 3 recipients an hour is reached"), said
        async with protected(house, PortKind.STARTTLS) as other:
            await log_in(other, login)
            assert (await other.say(MAIL)).startswith(b"451 4.7.1 ")
        changed = await ask(house, "PATCH", f"{API}/credentials/shop", {"per_hour": 4})
        assert changed.status == 200
        queued_as(await hand_in_to(client, people(1), LETTER))
    assert await taken(house) == 4


async def test_beyond_a_limit_mail_is_held_where_the_login_says_so_and_its_history_says_why(
    house: Running,
) -> None:
    login = await add_login(house, "shop", per_minute=1000, per_day=2, over_limit="hold")
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        within = queued_as(await hand_in_to(client, people(2), LETTER))
        beyond = queued_as(await hand_in_to(client, people(2), LETTER))
    assert "held" not in (await show(house, f"/messages/{within}"))["states"]
    shown = await show(house, f"/messages/{beyond}")
    assert shown["states"] == {"held": 2}
    for delivery in shown["deliveries"]:
        (held,) = [each for each in delivery["history"] if each["kind"] == "delivery.held"]
        assert held["words"].startswith("The limit of 2 recipients a day is reached")
        assert held["facts"]["by"] == "pillarbox"
    released = await ask(house, "POST", f"{API}/queue/release", {"message": beyond})
    assert released.json()["changed"] == 2, "a person lets it go"


async def test_beyond_a_limit_mail_is_refused_where_the_login_says_so(house: Running) -> None:
    login = await add_login(house, "shop", per_hour=1, over_limit="reject")
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        queued_as(await hand_in_to(client, people(1), LETTER))
        for _ in range(2):
            said = await hand_in_to(client, people(1), LETTER)
            assert said.startswith(b"550 5.7.1 The limit of 1 recipients an hour is reached"), said
    assert await taken(house) == 1


async def test_a_message_that_no_period_has_room_for_is_refused_for_good(house: Running) -> None:
    login = await add_login(house, "shop", per_hour=3)
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        said = await hand_in_to(client, people(4), LETTER)
        assert said.startswith(b"550-5.7.1 The message has 4 recipients; this login may send to 3")
        queued_as(await hand_in_to(client, people(3), LETTER))


async def test_limits_are_exact_however_many_sessions_spend_of_them_at_once(house: Running) -> None:
    login = await add_login(house, "shop", per_day=50)
    other = await add_login(house, "other", per_day=50)

    async def session(whose: Login, count: int) -> int:
        done = 0
        async with protected(house, PortKind.TLS) as client:
            await log_in(client, whose)
            for n in range(20):
                if not (await client.say(MAIL)).startswith(b"250 "):
                    break
                assert (await client.say(b"RSET\r\n")).startswith(b"250 ")
                said = await hand_in_to(client, people(count, f"n{n}"), LETTER)
                assert said.startswith((b"250 ", b"451 ")), said
                done += count if said.startswith(b"250 ") else 0
        return done

    counts = await asyncio.gather(
        *(session(login, count) for count in (1, 1, 2, 3)), session(other, 1)
    )
    assert sum(counts[:-1]) == 50, "the small ones fill what the large ones leave"
    assert counts[-1] == 20, "another login has a limit of its own"
    assert await taken(house) == 70


async def test_what_was_refused_has_spent_nothing(house: Running) -> None:
    login = await add_login(house, "shop", per_hour=2, allowed_senders=["example.com"])
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        for _ in range(3):
            stranger = LETTER.replace(b"ann@example.com", b"eve@example.net")
            assert (await hand_in_to(client, people(2), stranger)).startswith(b"550-5.7.1 ")
        queued_as(await hand_in_to(client, people(2), LETTER))


# --- how much ---------------------------------------------------------------------------------


async def test_a_message_too_large_for_its_login_is_refused_by_what_mail_says_of_it(
    house: Running,
) -> None:
    login = await add_login(house, "shop", max_message_bytes=MEGABYTE)
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        said = await client.say(b"MAIL FROM:<ann@example.com> SIZE=3145728\r\n")
        assert said.startswith(
            b"552-5.3.4 The message is 3.0 MB, the limit of this login is 1.0 MB"
        )
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"503 ")
        mail = b"MAIL FROM:<ann@example.com> SIZE=1048576\r\n"
        queued_as(await hand_in_to(client, people(1), LETTER, mail=mail))


@pytest.mark.parametrize("size", [MEGABYTE + 2000, 3 * MEGABYTE])
async def test_a_message_too_large_for_its_login_is_refused_at_its_end_and_leaves_nothing(
    house: Running, size: int
) -> None:
    login = await add_login(house, "shop", max_message_bytes=MEGABYTE)
    line = b"x" * 998 + b"\r\n"
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        said = await hand_in_to(client, people(1), HEAD + line * (size // 1000))
        assert said.startswith(b"552-5.3.4 The message "), said
        assert b"the limit of this login" in said
        queued_as(await hand_in_to(client, people(1), HEAD + line * 600))
    assert await taken(house) == 1
    async with asyncio.timeout(5):
        while uploads(house):
            await asyncio.sleep(0.02)


async def test_a_small_limit_holds_for_a_message_of_one_block(house: Running) -> None:
    login = await add_login(house, "shop", max_message_bytes=2000)
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        said = await hand_in_to(client, people(1), HEAD + b"x" * 2000 + b"\r\n")
        assert said.startswith(b"552-5.3.4 The message has 2")
        queued_as(await hand_in_to(client, people(1), LETTER))


async def test_a_login_without_a_limit_takes_what_the_listener_takes(house: Running) -> None:
    login = await add_login(house, "shop")
    line = b"x" * 998 + b"\r\n"
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        queued_as(await hand_in_to(client, people(1), HEAD + line * (2 * BLOCK_BYTES // 1000)))
    assert not await nothing_taken(house)
