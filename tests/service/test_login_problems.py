"""why clients fail: they all hear the same, and their operator finds the reason"""

from __future__ import annotations

import re
from base64 import b64encode

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from tests.e2e.clerk import API, Login, add_login, ask, queued_as, show
from tests.e2e.porch import (
    BOTH,
    HELLO,
    MAIL,
    called,
    hand_in,
    plain_login,
    port_of,
    protected,
)
from tests.fix_house import Houses, Running

LETTER = b"From: ann@example.com\r\nSubject: x\r\n\r\nhello\r\n"
REFUSED = re.compile(rb"535 5\.7\.8 Username or password not accepted \(ref ([0-9a-z]{8})\)\r\n")


@pytest.fixture
async def house(houses: Houses) -> Running:
    """With a port of each protected kind; what is handed in stays here."""
    return await houses.start(Mode.SANDBOX, smtp=BOTH)


async def refused(running: Running, username: str, password: str, address: str) -> str:
    """The reference that a login is refused with."""
    async with protected(running, PortKind.TLS, address=address) as client:
        found = REFUSED.fullmatch(await client.say(plain_login(username, password)))
    assert found is not None
    return found[1].decode()


async def told(running: Running, query: str = "") -> list[dict]:
    items: list[dict] = (await show(running, f"/credentials/problems{query}"))["items"]
    return items


async def behind(running: Running, reference: str) -> dict:
    """The one problem that a reference leads to."""
    (found,) = await told(running, f"?reference={reference}")
    return found


async def in_each_way(running: Running) -> dict[str, tuple[str, str, str]]:
    """User name, password and address of logins that fail, by why they do."""
    made: dict[str, Login] = {}
    for name, facts in {
        "right": {},
        "rotated": {},
        "disabled": {"active": False},
        "expired": {"expires_at": "2020-01-01T00:00:00Z"},
        "elsewhere": {"allowed_addresses": ["192.0.2.0/24"]},
    }.items():
        made[name] = await add_login(running, name, **facts)
    await ask(running, "POST", f"{API}/credentials/rotated/rotate")
    return {
        "wrong_password": ("right", "wrong", "127.0.0.2"),
        "unknown_username": ("nobody", "x", "127.0.0.3"),
        "rotated_password": ("rotated", made["rotated"].password, "127.0.0.4"),
        "credential_disabled": ("disabled", made["disabled"].password, "127.0.0.5"),
        "credential_expired": ("expired", made["expired"].password, "127.0.0.6"),
        "ip_not_allowed": ("elsewhere", made["elsewhere"].password, "127.0.0.7"),
    }


WORDS = {
    "wrong_password": "Wrong password for right.",
    "unknown_username": "No login has the user name nobody.",
    "rotated_password": "The password of rotated was rotated, and this client still has the old one.",
    "credential_disabled": "The login disabled is switched off.",
    "credential_expired": "The login expired was valid until a date that has passed.",
    "ip_not_allowed": "elsewhere may not log in from 127.0.0.7.",
}


async def test_whatever_is_wrong_with_a_login_the_client_hears_the_same_and_a_reference_finds_why(
    house: Running,
) -> None:
    for kind, (username, password, address) in (await in_each_way(house)).items():
        reference = await refused(house, username, password, address)
        found = await behind(house, reference)
        assert (found["kind"], found["what"]) == (kind, WORDS[kind])
        assert found["fix"].endswith(".") and found["count"] == 1
        assert (found["address"], found["username"]) == (address, username)
        assert found["port"] == port_of(house, PortKind.TLS), "ours, not that of the client"
        assert found["credential"] == (None if username == "nobody" else username)
    assert {one["kind"] for one in await told(house)} == set(WORDS)


async def test_who_has_not_shown_the_password_learns_of_nothing_else(house: Running) -> None:
    for kind, (username, _, address) in (await in_each_way(house)).items():
        reference = await refused(house, username, "wrong", address)
        expected = "unknown_username" if kind == "unknown_username" else "wrong_password"
        assert (await behind(house, reference))["kind"] == expected


async def test_a_client_that_fails_again_is_one_problem_with_a_count(house: Running) -> None:
    references = {await refused(house, "first-app", "wrong", "127.0.0.1") for _ in range(3)}
    assert len(references) == 1, "also over several connections"
    found = await behind(house, references.pop())
    assert found["count"] == 3 and found["first_at"] <= found["last_at"]
    await house.house.storage.directory.flush()
    await refused(house, "first-app", "wrong", "127.0.0.2")
    assert sorted(one["count"] for one in await told(house)) == [1, 3], "another client, another"


async def test_a_client_that_logs_in_in_clear_is_told_to_its_operator(house: Running) -> None:
    async with called(house, PortKind.STARTTLS) as client:
        await client.say(HELLO)
        assert (await client.say(plain_login("first-app", "x"))).startswith(b"538 5.7.11 ")
        assert (await client.say(MAIL)).startswith(b"530 5.7.0 ")
    (found,) = await told(house)
    assert (found["kind"], found["count"]) == ("in_clear", 2)
    assert found["what"] == "The client tried to log in or to send without TLS."
    assert (found["username"], found["port"]) == ("", port_of(house, PortKind.STARTTLS))


async def test_a_client_that_does_not_log_in_is_told_to_its_operator(house: Running) -> None:
    async with protected(house, PortKind.TLS) as client:
        assert (await client.say(MAIL)).startswith(b"530 5.7.0 ")
    (found,) = await told(house)
    assert (found["kind"], found["what"]) == (
        "no_login",
        "The client sent mail without logging in.",
    )


async def test_a_client_that_logs_in_in_another_way_is_told_to_its_operator(house: Running) -> None:
    async with protected(house, PortKind.TLS) as client:
        assert (await client.say(b"AUTH CRAM-MD5\r\n")).startswith(b"504 5.5.4 ")
    (found,) = await told(house)
    assert found["kind"] == "mechanism_unknown"
    assert found["what"] == (
        "The client wanted to log in in a way that is not offered: AUTH CRAM-MD5."
    )
    assert "PLAIN or LOGIN" in found["fix"]


async def test_a_client_that_acts_as_somebody_else_is_told_to_its_operator(house: Running) -> None:
    assert house.first is not None
    claim = f"root\0first-app\0{house.first.password.reveal()}".encode()
    async with protected(house, PortKind.TLS) as client:
        said = await client.say(b"AUTH PLAIN " + b64encode(claim) + b"\r\n")
        assert REFUSED.fullmatch(said)
    (found,) = await told(house)
    assert found["kind"] == "other_authorization"
    assert found["what"] == "first-app asked to act as somebody else (root)."


async def test_a_sender_that_is_not_allowed_is_told_with_the_login_that_tried(
    house: Running,
) -> None:
    login = await add_login(house, "shop", username="web", allowed_senders=["example.org"])
    async with protected(house, PortKind.TLS) as client:
        assert (await client.say(plain_login("web", login.password))).startswith(b"235 ")
        said = await client.say(MAIL)
        assert said.startswith(b"550-5.7.1 ann@example.com in the return path is not an allowed")
        found = re.search(rb"\(ref ([0-9a-z]{8})\)\r\n$", said)
        assert found is not None
        mail = b"MAIL FROM:<ann@example.org>\r\n"
        client.type(mail + b"RCPT TO:<bob@example.org>\r\nDATA\r\n")
        for _ in range(3):
            await client.heard()
        assert (await client.say(LETTER + b".\r\n")).startswith(
            b"550-5.7.1 ann@example.com in the "
        )
    reasons = await told(house, f"?reference={found[1].decode()}")
    assert {one["kind"] for one in reasons} == {"sender_not_allowed"}
    assert {one["credential"] for one in reasons} == {"shop"}
    assert sorted(one["what"] for one in reasons) == [
        "web was refused because of the sender: ann@example.com in the From field is not an allowed "
        "sender for this login.",
        "web was refused because of the sender: ann@example.com in the return path is not an "
        "allowed sender for this login.",
    ]
    assert await told(house, "?credential=shop") == reasons


async def test_what_works_is_no_problem(house: Running) -> None:
    login = await add_login(house, "shop")
    async with protected(house, PortKind.STARTTLS) as client:
        await client.say(plain_login(login.username, login.password))
        queued_as(await hand_in(client, LETTER))
    assert await told(house) == []
