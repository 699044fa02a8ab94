"""logins over real connections: made anew, ended, switched off, taken elsewhere, and not permitted"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.terms.clock import format_instant
from tests.e2e.clerk import API, Login, add_login, ask, nothing_taken, queued_as, show
from tests.e2e.porch import BOTH, MAIL, PROTECTED, called, hand_in, plain_login, protected
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist

LETTER = b"From: ann@example.com\r\nSubject: x\r\n\r\nhello\r\n"
REFUSED = b"535 5.7.8 Username or password not accepted (ref "


@pytest.fixture
async def house(houses: Houses) -> Running:
    """With a port of each protected kind; what is handed in stays here."""
    return await houses.start(Mode.SANDBOX, smtp=BOTH)


async def change(running: Running, name: str, **facts: object) -> None:
    answer = await ask(running, "PATCH", f"{API}/credentials/{name}", facts)
    assert answer.status == 200, answer.body


async def rotated(running: Running, name: str, **wish: object) -> Login:
    answer = await ask(running, "POST", f"{API}/credentials/{name}/rotate", wish)
    assert answer.status == 200, answer.body
    made = answer.json()
    return Login(made["username"], made["password"], made)


async def log_in(client: Typist, login: Login) -> bytes:
    return await client.say(plain_login(login.username, login.password))


async def lets_in(running: Running, login: Login, *, address: str = "127.0.0.1") -> bool:
    async with protected(running, PortKind.TLS, address=address) as client:
        said = await log_in(client, login)
    assert said.startswith((b"235 ", REFUSED)), said
    return said.startswith(b"235 ")


async def until_refused(client: Typist) -> bytes:
    """MAIL again and again, until it is not taken any more; the refusal."""
    async with asyncio.timeout(10):
        while (said := await client.say(MAIL)).startswith(b"250 "):
            assert (await client.say(b"RSET\r\n")).startswith(b"250 ")
            await asyncio.sleep(0.02)
    return said


async def reasons(running: Running, reply: bytes) -> set[str]:
    """What the operator finds under the reference of a refusal."""
    reference = reply.partition(b"(ref ")[2].partition(b")")[0].decode()
    items = (await show(running, f"/credentials/problems?reference={reference}"))["items"]
    return {each["kind"] for each in items}


# --- permission -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a20_an_account_that_may_not_send_is_refused_in_words_about_that_permission(
    house: Running, kind: PortKind
) -> None:
    login = await add_login(house, "shop")
    async with protected(house, kind) as client:
        assert (await log_in(client, login)).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))
        wish = {"may_send": False, "contact": "ops@example.com"}
        suspended = await ask(house, "PATCH", f"{API}/accounts/default", wish)
        assert suspended.status == 200
        said = await client.say(MAIL)
        assert said.startswith(
            b"550 5.7.1 This account has no permission to send email; contact ops@example.com. (ref "
        ), said
        assert await reasons(house, said) == {"may_not_send"}
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"503 ")
        async with protected(house, kind) as other:
            assert (await log_in(other, login)).startswith(b"235 "), "the login is right"
            assert (await other.say(MAIL)).startswith(b"550 5.7.1 ")
        letter = {"from": "ann@example.com", "to": "bob@example.org", "text": "x"}
        over_http = await ask(house, "POST", f"{API}/messages", letter)
        assert (over_http.status, over_http.json()["code"]) == (403, "may_not_send")
        await ask(house, "PATCH", f"{API}/accounts/default", {"may_send": True})
        queued_as(await hand_in(client, LETTER))


async def test_a_message_that_was_begun_under_a_permission_is_finished_under_it(
    house: Running,
) -> None:
    login = await add_login(house, "shop")
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        assert (await client.say(MAIL)).startswith(b"250 ")
        account = replace(house.account, may_send=False)
        await house.house.storage.directory.save_account(account)
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"250 ")
        assert (await client.say(b"DATA\r\n")).startswith(b"354 ")
        queued_as(await client.say(LETTER + b".\r\n"))
        assert (await client.say(MAIL)).startswith(b"550 5.7.1 ")


# --- made anew --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
async def test_b6_user_name_and_password_are_made_anew_and_what_was_before_fails_from_then_on(
    house: Running, kind: PortKind
) -> None:
    first = await add_login(house, "shop")
    async with protected(house, kind) as client:
        assert (await log_in(client, first)).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))
        second = await rotated(house, "shop")
        assert second.username == first.username and second.password != first.password
        said = await client.say(MAIL)
        assert said.startswith(REFUSED), "also where a session is open"
        assert await reasons(house, said) == {"rotated_password"}
    assert not await lets_in(house, first)
    assert await lets_in(house, second)
    async with protected(house, kind) as client:
        assert (await log_in(client, second)).startswith(b"235 ")
        third = await rotated(house, "shop", username=True)
        assert third.username != second.username
        assert (await client.say(MAIL)).startswith(REFUSED)
    for old in (first, second, Login(second.username, third.password, {})):
        assert not await lets_in(house, old, address="127.0.0.2")
    async with protected(house, kind) as client:
        assert (await log_in(client, third)).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))


async def test_within_an_overlap_both_logins_work_and_at_its_end_the_old_one_ceases_to(
    house: Running,
) -> None:
    first = await add_login(house, "shop")
    async with (
        protected(house, PortKind.TLS) as old,
        protected(house, PortKind.TLS, address="127.0.0.2") as late,
        protected(house, PortKind.TLS) as new,
    ):
        assert (await log_in(old, first)).startswith(b"235 ")
        second = await rotated(house, "shop", username=True, overlap_seconds=2)
        assert (await log_in(late, first)).startswith(b"235 ")
        assert (await log_in(new, second)).startswith(b"235 ")
        for client in (old, late, new):
            queued_as(await hand_in(client, LETTER))
        await house.house.storage.directory.flush()
        former = (await show(house, "/credentials/shop"))["former"]
        assert former["username"] == first.username
        assert former["last_use"]["address"] == "127.0.0.2", "whom to tell"
        assert former["last_use"]["hello"] == "client.example.com"
        assert former["last_use"]["tls"].startswith("TLSv1.")
        for client in (old, late):
            said = await until_refused(client)
            assert said.startswith(REFUSED)
            assert await reasons(house, said) == {"rotated_password"}
        queued_as(await hand_in(new, LETTER))
    assert not await lets_in(house, first)
    assert await lets_in(house, second)
    assert (await show(house, "/credentials/shop"))["former"] is None


# --- ended, switched off, elsewhere -----------------------------------------------------------


async def test_a_login_that_ends_while_a_session_is_open_takes_no_further_message(
    house: Running,
) -> None:
    ends_at = house.house.clock.now_ms() + 1500
    login = await add_login(house, "shop", expires_at=format_instant(ends_at))
    async with protected(house, PortKind.STARTTLS) as client:
        assert (await log_in(client, login)).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))
        said = await until_refused(client)
        assert house.house.clock.now_ms() >= ends_at
    assert said.startswith(REFUSED)
    assert await reasons(house, said) == {"credential_expired"}
    assert not await lets_in(house, login)
    await change(house, "shop", expires_at=None)
    assert await lets_in(house, login)


async def test_a_login_that_is_switched_off_is_told_to_its_operator_alone(house: Running) -> None:
    login = await add_login(house, "shop")
    async with protected(house, PortKind.TLS) as client:
        await log_in(client, login)
        await change(house, "shop", active=False)
        said = await client.say(MAIL)
        assert said.startswith(REFUSED)
        assert await reasons(house, said) == {"credential_disabled"}
        await change(house, "shop", active=True)
        queued_as(await hand_in(client, LETTER))


async def test_a_login_is_used_from_its_addresses_only_also_over_a_session_that_is_open(
    house: Running,
) -> None:
    login = await add_login(house, "shop", allowed_addresses=["127.0.0.2", "192.0.2.0/24"])
    assert await lets_in(house, login, address="127.0.0.2")
    assert not await lets_in(house, login, address="127.0.0.1")
    async with protected(house, PortKind.TLS, address="127.0.0.2") as client:
        assert (await log_in(client, login)).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))
        await change(house, "shop", allowed_addresses=["192.0.2.0/24"])
        said = await client.say(MAIL)
        assert said.startswith(REFUSED)
        assert await reasons(house, said) == {"ip_not_allowed"}
        await change(house, "shop", allowed_addresses=[])
        queued_as(await hand_in(client, LETTER))


async def test_a_plain_port_of_this_machine_takes_nothing_under_a_login_that_has_ended(
    houses: Houses,
) -> None:
    smtp = replace(BOTH, local_ports=(0,), local_credential="first-app")
    house = await houses.start(Mode.SANDBOX, smtp=smtp)
    async with called(house, PortKind.LOCAL) as client:
        await client.say(b"EHLO client.example.com\r\n")
        queued_as(await hand_in(client, LETTER))
    await change(house, "first-app", expires_at="2020-01-01T00:00:00Z")
    async with called(house, PortKind.LOCAL) as client:
        await client.say(b"EHLO client.example.com\r\n")
        said = await client.say(MAIL)
        assert said.startswith(REFUSED)
        assert await reasons(house, said) == {"credential_expired"}


async def test_a_login_whose_app_takes_nothing_hands_in_nothing(house: Running) -> None:
    login = await add_login(house, "shop")
    await house.set_mode(Mode.OFF)
    async with protected(house, PortKind.TLS) as client:
        assert (await log_in(client, login)).startswith(b"235 ")
        assert (await client.say(MAIL)).startswith(b"550 5.7.1 ")
    assert await nothing_taken(house)
