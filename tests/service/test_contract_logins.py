"""the contract about logins: how they are made, what they look like, and what opens a session"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from pathlib import Path

import pytest

from pillarbox.api.app import ENTRIES
from pillarbox.net.http_client import LocalClient
from pillarbox.net.listener import PortKind
from pillarbox.observe.log import LogConfig, configure
from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import Mode
from pillarbox.services.submission.authenticate import hash_secret, new_spaced_password
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.e2e.clerk import API, add_login, ask, nothing_taken, queued_as, show
from tests.e2e.porch import (
    BOTH,
    HELLO,
    PROTECTED,
    called,
    hand_in,
    plain_login,
    protected,
)
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist

LETTER = b"From: ann@example.com\r\nSubject: x\r\n\r\nhello\r\n"
MAIL = b"MAIL FROM:<ann@example.com>\r\n"
USERNAME_WANTED, PASSWORD_WANTED = b"334 VXNlcm5hbWU6\r\n", b"334 UGFzc3dvcmQ6\r\n"


@pytest.fixture
async def house(houses: Houses) -> Running:
    """With a port of each protected kind; what is handed in stays here."""
    return await houses.start(Mode.SANDBOX, smtp=BOTH)


def first(house: Running) -> tuple[str, str]:
    """User name and password of the login there is from the beginning."""
    assert house.first is not None
    return house.first.username, house.first.password.reveal()


def coded(text: str) -> bytes:
    return base64.b64encode(text.encode())


async def log_in(client: Typist, username: str, password: str) -> bytes:
    """AUTH LOGIN, prompt by prompt; the verdict."""
    assert await client.say(b"AUTH LOGIN\r\n") == USERNAME_WANTED
    assert await client.say(coded(username) + b"\r\n") == PASSWORD_WANTED
    return await client.say(coded(password) + b"\r\n")


# --- how one logs in ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a7_under_tls_plain_and_login_are_offered_and_nothing_weaker(
    house: Running, kind: PortKind
) -> None:
    async with protected(house, kind) as client:
        lines = (await client.say(HELLO)).splitlines()
    (offer,) = [line[4:] for line in lines if line[4:].upper().startswith(b"AUTH")]
    keyword, *mechanisms = offer.split()
    assert keyword == b"AUTH" and sorted(mechanisms) == [b"LOGIN", b"PLAIN"]


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a8_auth_plain_with_its_response_in_the_command_logs_in(
    house: Running, kind: PortKind
) -> None:
    async with protected(house, kind) as client:
        assert (await client.say(plain_login(*first(house)))).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a9_auth_plain_without_a_response_is_asked_for_it(
    house: Running, kind: PortKind
) -> None:
    response = plain_login(*first(house)).removeprefix(b"AUTH PLAIN ")
    async with protected(house, kind) as client:
        assert await client.say(b"AUTH PLAIN\r\n") == b"334 \r\n"
        assert (await client.say(response)).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a10_auth_login_with_the_user_name_in_the_command_asks_for_the_password(
    house: Running, kind: PortKind
) -> None:
    username, password = first(house)
    async with protected(house, kind) as client:
        said = await client.say(b"AUTH LOGIN " + coded(username) + b"\r\n")
        assert said == b"334 UGFzc3dvcmQ6\r\n"
        assert (await client.say(coded(password) + b"\r\n")).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a11_auth_login_in_two_challenges_logs_in(house: Running, kind: PortKind) -> None:
    async with protected(house, kind) as client:
        assert (await log_in(client, *first(house))).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a12_any_other_mechanism_is_refused_with_504(house: Running, kind: PortKind) -> None:
    others = [
        b"CRAM-MD5", b"XOAUTH2", b"XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIGIBAQ==", b"OAUTHBEARER",
        b"DIGEST-MD5", b"SCRAM-SHA-256", b"EXTERNAL =",
    ]  # fmt: skip
    async with protected(house, kind) as client:
        for mechanism in others:
            said = await client.say(b"AUTH " + mechanism + b"\r\n")
            assert said.startswith(b"504 "), (mechanism, said)
        assert (await client.say(MAIL)).startswith(b"530 ")


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a13_a_wrong_password_is_answered_535_and_opens_nothing(
    house: Running, kind: PortKind
) -> None:
    username, password = first(house)
    async with protected(house, kind) as client:
        # Two only: whoever fails more often is answered slowly.
        assert (await client.say(plain_login(username, password[:-1]))).startswith(b"535 ")
        assert (await client.say(MAIL)).startswith(b"530 ")
        assert (await log_in(client, username, password.lower())).startswith(b"535 ")
        assert (await client.say(MAIL)).startswith(b"530 ")
        assert (await log_in(client, username, password)).startswith(b"235 ")


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a14_blanks_inside_a_password_are_part_of_it(house: Running, kind: PortKind) -> None:
    generated = new_spaced_password().reveal()
    assert " " in generated
    # Everybody from an address of his own: whoever fails often is answered slowly.
    addresses = (f"127.0.1.{n}" for n in range(1, 250))
    for username, password in (("double", "kq7d  29ss xw2m mq1z"), ("generated", generated)):
        credential = Credential(
            new_object_id(), house.app.id, username, username, hash_secret(Secret(password))
        )
        await house.house.storage.directory.save_credential(credential)
        blank = password.index(" ")
        for wrong in (
            password.replace(" ", ""), password[:blank] + password[blank + 1 :],
            password.replace(" ", "  ", 1), f"{password} ", f" {password}",
        ):  # fmt: skip
            async with protected(house, kind, address=next(addresses)) as client:
                said = await client.say(plain_login(username, wrong))
                assert said.startswith(b"535 "), wrong
                assert (await log_in(client, username, wrong)).startswith(b"535 "), wrong
        async with protected(house, kind, address=next(addresses)) as client:
            assert (await client.say(plain_login(username, password))).startswith(b"235 ")
        async with protected(house, kind, address=next(addresses)) as client:
            assert (await log_in(client, username, password)).startswith(b"235 ")


@pytest.mark.parametrize("kind", PROTECTED)
async def test_b1_nothing_is_handed_over_on_a_connection_before_its_login(
    house: Running, kind: PortKind
) -> None:
    async with protected(house, kind) as client:
        assert (await client.say(plain_login(*first(house)))).startswith(b"235 ")
    async with called(house, kind) as client:
        await client.say(HELLO)
        assert (await client.say(MAIL)).startswith(b"530 ")
    async with protected(house, kind) as client:
        assert (await client.say(MAIL)).startswith(b"530 "), "another connection's login"
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"503 ")
        assert (await client.say(b"DATA\r\n")).startswith(b"503 ")
        assert await nothing_taken(house)
        assert (await client.say(plain_login(*first(house)))).startswith(b"235 ")
        queued_as(await hand_in(client, LETTER))


@pytest.mark.parametrize("kind", PROTECTED)
async def test_b2_one_login_works_with_plain_and_with_login(house: Running, kind: PortKind) -> None:
    made = await add_login(house, "shop")
    async with protected(house, kind) as client:
        said = await client.say(plain_login(made.username, made.password))
        assert said.startswith(b"235 ")
        by_plain = queued_as(await hand_in(client, LETTER))
    async with protected(house, kind) as client:
        assert (await log_in(client, made.username, made.password)).startswith(b"235 ")
        by_login = queued_as(await hand_in(client, LETTER))
    for message in (by_plain, by_login):
        shown = await show(house, f"/messages/{message}")
        assert shown["submitter"] == {"kind": "credential", "name": "shop"}


# --- how one is made ------------------------------------------------------------------------------


async def test_a15_making_a_login_gives_a_user_name_and_a_password_made_for_it(
    house: Running,
) -> None:
    await add_login(house, "first", username="second")
    second, third = await add_login(house, "second"), await add_login(house, "third")
    assert len({"second", second.username, third.username}) == 3, "never one that is taken"
    assert second.password != third.password
    for made in (second, third):
        assert len(made.password) >= 32
        async with protected(house, PortKind.TLS) as client:
            said = await client.say(plain_login(made.username, made.password))
            assert said.startswith(b"235 ")


async def test_a16_no_call_gives_a_password_away_a_second_time(house: Running) -> None:
    made = await add_login(house, "shop", options={"trackclicks": "true"})
    async with protected(house, PortKind.TLS) as client:
        await client.say(plain_login(made.username, made.password))
        message = queued_as(await hand_in(client, LETTER))
    await ask(house, "POST", f"{API}/apps/first-app/servers", {"name": "one", "host": "mx.test"})
    (server,) = (await show(house, "/apps/first-app/servers"))["items"]
    names = defaultdict(lambda: "1", account="default", app="first-app", credential="shop",
                        message=message, server=server["id"])  # fmt: skip
    reading = [e.path.format_map(names) for e in ENTRIES if e.method == "GET"]
    assert "/credentials" in reading and "/credentials/shop" in reading
    profile = "/credentials/shop/profile"
    reading[reading.index(profile)] = f"{profile}?incoming=imaps://mail.example.com"
    asked = [("GET", f"{API}{path}", None) for path in reading]
    asked += [("GET", path, None) for path in ("/metrics", "/healthz", "/readyz")]
    asked += [
        ("PATCH", f"{API}/credentials/shop", {"options": {}}),
        ("PATCH", f"{API}/credentials/shop", {"password": "x"}),
        ("POST", f"{API}/credentials", {"name": "shop"}),
        ("POST", f"{API}/credentials/shop/rotate", None),
        ("GET", f"{API}/credentials/shop", None),
        ("DELETE", f"{API}/credentials/shop", None),
    ]
    socket = house.house.settings.data_dir / "pillarbox.sock"
    for number, (method, path, document) in enumerate(asked):
        said = await ask(house, method, path, document)
        assert made.password.encode() not in said.body, path
        there = "/1" not in path.removeprefix(API)
        assert number >= len(reading) or said.status == 200 or not there, (path, said.body)
        if method == "GET":
            with LocalClient(socket) as owner:
                said = await asyncio.to_thread(owner.request, method, path)
            assert made.password.encode() not in said.body, path


async def test_a17_what_is_kept_of_a_password_does_not_give_it_back(
    house: Running, houses: Houses, tmp_path: Path
) -> None:
    log = tmp_path / "house.log"
    with log.open("w") as stream:
        configure(stream, LogConfig(level="debug"))
        made = await add_login(house, "shop")
        async with protected(house, PortKind.STARTTLS) as client:
            wrong = await client.say(plain_login(made.username, made.password + "x"))
            assert wrong.startswith(b"535 ")
            assert (await log_in(client, made.username, made.password)).startswith(b"235 ")
            queued_as(await hand_in(client, LETTER))
        kept = await house.house.storage.directory.credential_with_username(made.username)
        assert kept is not None
        # A digest of 190 random bits: there is neither a way back nor anything to guess.
        assert kept.password_hash == hash_secret(Secret(made.password))
        assert len(made.password.removeprefix("pb_")) >= 32 and len(kept.password_hash) == 32
        with_wal = contents(houses.data_dir)
        await houses.stop()
    assert any(name.endswith("-wal") and data for name, data in with_wal.items())
    assert kept.password_hash in b"".join(with_wal.values()), "this is where it is kept"
    assert b"login.refused" in log.read_bytes()
    said = plain_login(made.username, made.password)
    assert any(form in said for form in forms(made.password)), "what was said would be found"
    for name, data in (with_wal | contents(tmp_path)).items():
        for form in forms(made.password):
            assert form not in data, (name, form)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def forms(secret: str) -> list[bytes]:
    """A secret as it might be written down, at any place in base64."""
    clear = secret.encode()
    shifted = [base64.b64encode(b"x" * n + clear)[(4 * n + 2) // 3 : -4] for n in range(3)]
    wide = [secret.encode("utf-16-le"), secret.encode("utf-16-be")]
    return [clear, clear[::-1], clear.hex().encode(), clear.hex().upper().encode(), *wide, *shifted]


# --- how many there are ---------------------------------------------------------------------------


async def test_a18_an_account_has_several_logins_each_with_its_own_features(house: Running) -> None:
    wanted = {
        "plain": {},
        "styled": {"inlinecss": "true"},
        "watched": {"trackclicks": "true", "trackopens": "true", "inlinecss": "false"},
    }
    made = {name: await add_login(house, name, options=wanted[name]) for name in wanted}
    for name, options in wanted.items():
        shown = await show(house, f"/credentials/{name}")
        assert (shown["options"], shown["app"]) == (options, "first-app")
        async with protected(house, PortKind.TLS) as client:
            await client.say(plain_login(made[name].username, made[name].password))
            message = queued_as(await hand_in(client, LETTER))
        assert (await show(house, f"/messages/{message}"))["options"] == options
    assert len(await house.house.storage.directory.accounts()) == 1


async def test_b5_an_account_has_a_hundred_logins_and_all_of_them_work(house: Running) -> None:
    made = [await add_login(house, f"login-{n}") for n in range(100)]
    assert len({each.username for each in made}) == len({each.password for each in made}) == 100
    assert len(await house.house.storage.directory.credentials(house.app.id)) == 101

    async def works(username: str, password: str) -> bool:
        async with protected(house, PortKind.TLS) as client:
            return (await client.say(plain_login(username, password))).startswith(b"235 ")

    async with asyncio.TaskGroup() as group:
        tries = [group.create_task(works(each.username, each.password)) for each in made]
    assert all(each.result() for each in tries)
