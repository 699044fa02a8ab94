"""mail that is handed in again: each recipient is taken once under one login and one key"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.terms.ids import parse_message_id
from tests.e2e.clerk import API, Login, add_login, ask, queued_as, show
from tests.e2e.porch import BOTH, MAIL, hand_in_to, plain_login, protected
from tests.fix_house import Houses, HousesOverDatabase, Running


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


@pytest.fixture
async def house(houses: Houses) -> Running:
    """What is handed in stays here."""
    return await houses.start(Mode.SANDBOX, smtp=BOTH)


def letter(*fields: bytes, message_id: bytes = b"<order-1@shop.example>") -> bytes:
    head = [b"From: ann@example.com", *fields, b"Message-ID: " + message_id if message_id else b""]
    return b"\r\n".join([line for line in head if line] + [b"", b"hello", b""])


def people(first: int, last: int) -> list[str]:
    return [f"bob-{n}@example.org" for n in range(first, last)]


async def handed_in(
    house: Running, login: Login, recipients: Sequence[str], content: bytes | None = None
) -> str:
    """The id that a message is answered with."""
    async with protected(house, PortKind.TLS) as client:
        said = await client.say(plain_login(login.username, login.password))
        assert said.startswith(b"235 "), said
        return queued_as(await hand_in_to(client, recipients, content or letter()))


async def taken(house: Running) -> list[str]:
    """The recipient of every delivery there is."""
    messages = house.house.storage.messages
    newest = (await messages.newest(MessageFilter(), 500)).messages
    rows = [await messages.deliveries(message.id) for message in newest]
    return sorted(row.recipient for each in rows for row in each)


async def recipients_of(house: Running, message: str) -> list[str]:
    rows = await house.deliveries(parse_message_id(message))
    return sorted(row.recipient for row in rows)


ALL = people(0, 150)
THIRDS = (ALL[:50], ALL[50:100], ALL[100:])


@pytest.mark.both_engines
async def test_one_message_in_three_transactions_reaches_everybody_and_nobody_twice(
    house: Running,
) -> None:
    login = await add_login(house, "mta", once="message-id")
    first = [await handed_in(house, login, third) for third in THIRDS]
    assert len(set(first)) == 3
    assert await taken(house) == sorted(ALL)
    again = [await handed_in(house, login, third) for third in THIRDS]
    assert again == first, "the answer is that of the first time"
    assert await taken(house) == sorted(ALL)


@pytest.mark.both_engines
async def test_the_same_is_true_where_many_sessions_hand_it_in_at_once(house: Running) -> None:
    login = await add_login(house, "mta", once="message-id")
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            for third in THIRDS:
                group.create_task(handed_in(house, login, third))
            group.create_task(handed_in(house, login, ALL[25:125]))
    assert await taken(house) == sorted(ALL)


@pytest.mark.both_engines
async def test_the_same_is_true_after_a_restart(houses: Houses, house: Running) -> None:
    login = await add_login(house, "mta", once="message-id")
    first = [await handed_in(house, login, third) for third in THIRDS[:2]]
    key = house.first
    again = await houses.start(Mode.SANDBOX, smtp=BOTH)
    again.first = key
    assert [await handed_in(again, login, third) for third in THIRDS[:2]] == first
    await handed_in(again, login, ALL)
    assert await taken(again) == sorted(ALL)


@pytest.mark.both_engines
async def test_of_a_message_that_was_taken_in_part_the_rest_is_taken(house: Running) -> None:
    login = await add_login(house, "mta", once="message-id")
    first = await handed_in(house, login, ALL[:25])
    second = await handed_in(house, login, ALL[:50])
    assert second != first
    assert await recipients_of(house, second) == sorted(ALL[25:50])
    assert await taken(house) == sorted(ALL[:50])
    third = await handed_in(house, login, ALL[20:30])
    assert third in (first, second), "one of those it was taken by"


async def test_a_recipient_named_twice_is_taken_once(house: Running) -> None:
    login = await add_login(house, "mta", once="message-id")
    twice = ["ann@example.org", "bob@example.org", "ann@example.org"]
    message = await handed_in(house, login, twice)
    assert await recipients_of(house, message) == ["ann@example.org", "bob@example.org"]
    assert await handed_in(house, login, twice) == message


async def test_without_a_key_mail_is_taken_as_often_as_it_comes(house: Running) -> None:
    login = await add_login(house, "shop")
    for _ in range(2):
        await handed_in(house, login, ALL[:2])
    assert await taken(house) == sorted(ALL[:2] * 2)


@pytest.mark.parametrize("name", [b"X-Pillarbox-Idempotency-Key", b"x-smtpeter-idempotency-key"])
async def test_a_key_in_a_header_is_enough_for_every_login(house: Running, name: bytes) -> None:
    login = await add_login(house, "shop")
    keyed = name + b": order-1"
    first = await handed_in(house, login, ALL[:3], letter(keyed, message_id=b"<a@x>"))
    again = await handed_in(house, login, ALL[:3], letter(keyed, message_id=b"<b@x>"))
    assert again == first
    other = await handed_in(house, login, ALL[:3], letter(name + b": order-2"))
    assert other != first
    assert await taken(house) == sorted(ALL[:3] * 2)
    stored = b"".join([block async for block in house.house.storage.messages.blocks(
        parse_message_id(first))])  # fmt: skip
    assert b"order-1" not in stored, "it is for us alone"
    shown = await show(house, f"/messages/{first}")
    kinds = {e["kind"] for each in shown["deliveries"] for e in each["history"]}
    assert "message.option_ignored" not in kinds


async def test_a_key_in_a_header_is_stronger_than_the_message_id(house: Running) -> None:
    login = await add_login(house, "mta", once="message-id")
    for key in (b"one", b"two"):
        await handed_in(house, login, ALL[:1], letter(b"X-Pillarbox-Idempotency-Key: " + key))
    await handed_in(house, login, ALL[:1])
    assert await taken(house) == ALL[:1] * 3


async def test_what_an_mta_passes_on_is_known_by_its_message_id_and_not_by_a_header_in_it(
    house: Running,
) -> None:
    login = await add_login(house, "mta", once="message-id", kind="relay")
    for key in (b"one", b"two"):
        await handed_in(house, login, ALL[:1], letter(b"X-Pillarbox-Idempotency-Key: " + key))
    assert await taken(house) == ALL[:1]


async def test_a_message_without_a_message_id_is_never_taken_for_another(house: Running) -> None:
    login = await add_login(house, "mta", once="message-id")
    for _ in range(2):
        await handed_in(house, login, ALL[:1], letter(message_id=b""))
    assert await taken(house) == ALL[:1] * 2


async def test_one_key_means_nothing_to_another_login(house: Running) -> None:
    for name in ("one", "other"):
        login = await add_login(house, name, once="message-id")
        for _ in range(2):
            await handed_in(house, login, ALL[:2])
    assert await taken(house) == sorted(ALL[:2] * 2)


async def test_a_key_that_is_too_long_is_refused_and_named(house: Running) -> None:
    login = await add_login(house, "shop")
    content = letter(b"X-Pillarbox-Idempotency-Key: " + b"k" * 256)
    async with protected(house, PortKind.TLS) as client:
        await client.say(plain_login(login.username, login.password))
        said = await hand_in_to(client, ALL[:1], content)
    assert said.startswith(b"554-5.6.0 x-pillarbox-idempotency-key is "), said
    assert await taken(house) == []


@pytest.mark.both_engines
async def test_what_was_taken_before_spends_nothing_of_a_limit(house: Running) -> None:
    login = await add_login(house, "mta", once="message-id", per_day=5)
    first = await handed_in(house, login, ALL[:3])
    for _ in range(3):
        assert await handed_in(house, login, ALL[:3]) == first
    await handed_in(house, login, ALL[:5])
    async with protected(house, PortKind.TLS) as client:
        await client.say(plain_login(login.username, login.password))
        said = await hand_in_to(client, ALL[4:6], letter())
        assert said.startswith(b"451 4.7.1 "), said
        assert (await client.say(MAIL)).startswith(b"451 4.7.1 ")
    await ask(house, "PATCH", f"{API}/credentials/mta", {"per_day": 6})
    message = await handed_in(house, login, ALL[4:6])
    assert await recipients_of(house, message) == [ALL[5]], "what was refused left nothing behind"
