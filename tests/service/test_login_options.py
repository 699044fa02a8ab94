"""option headers that a login fixes, that nobody can read, or that mean nothing"""

from __future__ import annotations

import pytest

from pillarbox.handover.config import DoorConfig, UnreadableOptions
from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from tests.e2e.clerk import (
    API,
    Login,
    add_login,
    ask,
    nothing_taken,
    options_of,
    queued_as,
    show,
)
from tests.e2e.porch import BOTH, hand_in, plain_login, protected
from tests.fix_house import Houses, Running


@pytest.fixture
async def house(houses: Houses) -> Running:
    """What is handed in stays here."""
    return await houses.start(Mode.SANDBOX, smtp=BOTH)


def letter(*fields: bytes) -> bytes:
    return b"\r\n".join([b"From: ann@example.com", *fields, b"", b"hello", b""])


async def said_to(house: Running, login: Login, *fields: bytes) -> bytes:
    """What a message with these fields is answered."""
    async with protected(house, PortKind.TLS) as client:
        said = await client.say(plain_login(login.username, login.password))
        assert said.startswith(b"235 ")
        return await hand_in(client, letter(*fields))


async def remarks(house: Running, message: str) -> list[tuple[str, str, str]]:
    """What its history says of headers that were not obeyed."""
    (delivery,) = (await show(house, f"/messages/{message}"))["deliveries"]
    return [
        (each["facts"]["name"], each["facts"]["value"], each["words"])
        for each in delivery["history"]
        if each["kind"] == "message.option_ignored"
    ]


async def test_a_header_cannot_change_what_its_login_fixes_and_the_history_says_so(
    house: Running,
) -> None:
    login = await add_login(
        house, "shop", options={"trackclicks": False}, fixed_options=["trackclicks", "tags"]
    )
    fields = (
        b"X-SMTPeter-TrackClicks: true",
        b"x-pillarbox-tags: a,b",
        b"X-Pillarbox-Images: hosted",
    )
    message = queued_as(await said_to(house, login, *fields))
    assert await options_of(house, message) == {
        "trackclicks": ("false", "credential"), "images": ("hosted", "header"),
    }  # fmt: skip
    why = "this login does not let headers change it"
    assert await remarks(house, message) == [
        ("x-smtpeter-trackclicks", "true", f"x-smtpeter-trackclicks: true was not obeyed; {why}."),
        ("x-pillarbox-tags", "a,b", f"x-pillarbox-tags: a,b was not obeyed; {why}."),
    ]
    changed = await ask(house, "PATCH", f"{API}/credentials/shop", {"fixed_options": []})
    assert changed.status == 200
    message = queued_as(await said_to(house, login, *fields))
    assert (await options_of(house, message))["trackclicks"] == ("true", "header")
    assert await remarks(house, message) == []


async def test_a_fixed_option_that_nobody_can_read_refuses_nothing(house: Running) -> None:
    login = await add_login(house, "shop", fixed_options=["trackclicks"])
    message = queued_as(await said_to(house, login, b"X-Pillarbox-TrackClicks: perhaps"))
    assert [value for _, value, _ in await remarks(house, message)] == ["perhaps"]


@pytest.mark.parametrize(
    ("field", "name", "value", "wanted"),
    [
        (b"X-SMTPeter-TrackClicks: perhaps", "x-smtpeter-trackclicks", "perhaps", "true or false"),
        (b"X-Pillarbox-Images: gone", "x-pillarbox-images", "gone", "default or hosted"),
        (b"X-Pillarbox-Tags: a b", "x-pillarbox-tags", "a b", "without blanks"),
    ],
)
async def test_an_option_that_nobody_can_read_refuses_its_message_and_is_named(
    house: Running, field: bytes, name: str, value: str, wanted: str
) -> None:
    login = await add_login(house, "shop")
    said = (await said_to(house, login, field)).decode()
    assert said.startswith(f"554-5.6.0 {name} is '{value}', but wants "), said
    assert wanted in said and f"Correct {name}, or leave it out." in said
    assert await nothing_taken(house)


async def test_where_the_setting_says_so_an_unreadable_option_is_ignored_and_noted(
    houses: Houses,
) -> None:
    lenient = DoorConfig(unreadable_options=UnreadableOptions.IGNORE)
    house = await houses.start(Mode.SANDBOX, smtp=BOTH, accept=lenient)
    login = await add_login(house, "shop", options={"trackclicks": True})
    fields = (b"X-SMTPeter-TrackClicks: perhaps", b"X-SMTPeter-TrackOpens: yes")
    message = queued_as(await said_to(house, login, *fields))
    assert await options_of(house, message) == {
        "trackclicks": ("true", "credential"), "trackopens": ("true", "header"),
    }  # fmt: skip
    ((name, value, words),) = await remarks(house, message)
    assert (name, value) == ("x-smtpeter-trackclicks", "perhaps")
    assert "'perhaps', but wants true or false" in words


async def test_a_header_that_names_no_option_is_noted(house: Running) -> None:
    login = await add_login(house, "shop")
    message = queued_as(await said_to(house, login, b"X-SMTPeter-Whatever: 1"))
    (remark,) = await remarks(house, message)
    assert remark[0] == "x-smtpeter-whatever" and "there is no such option" in remark[2]


async def test_what_an_mta_passes_on_is_neither_obeyed_nor_refused_nor_noted(
    house: Running,
) -> None:
    login = await add_login(house, "mta", kind="relay", options={"trackclicks": True})
    fields = (b"X-SMTPeter-TrackClicks: false", b"X-SMTPeter-Tags: a b", b"X-SMTPeter-Nothing: 1")
    message = queued_as(await said_to(house, login, *fields))
    assert await options_of(house, message) == {"trackclicks": ("true", "credential")}
    assert await remarks(house, message) == []


async def test_features_that_are_left_to_the_app_follow_it(house: Running) -> None:
    login = await add_login(house, "shop", options={"trackclicks": False})
    await ask(house, "PATCH", f"{API}/apps/first-app", {"options": {"trackclicks": True}})
    before = queued_as(await said_to(house, login))
    await ask(house, "PATCH", f"{API}/credentials/shop", {"options": {"trackclicks": None}})
    after = queued_as(await said_to(house, login))
    assert await options_of(house, before) == {"trackclicks": ("false", "credential")}
    assert await options_of(house, after) == {"trackclicks": ("true", "app")}
