"""the contract about the API for an app's servers, asked by a program that posts forms"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path

import pytest

from pillarbox.policy.directory import Mode
from pillarbox.policy.server import Server
from pillarbox.policy.user import UserRole
from pillarbox.storage.interface.users import NewToken
from pillarbox.terms.ids import ObjectId, new_object_id
from pillarbox.terms.secret import Secret
from tests.contract.conftest import Place
from tests.doubles.bad_server import BadServer
from tests.doubles.form_client import FormClient
from tests.doubles.ports import free_port
from tests.doubles.script import Script, Stage, say
from tests.fix_house import Houses, HousesOverDatabase, Running
from tests.fix_server_api import (
    EMAIL,
    LOGIN,
    NOBODY,
    PASSWORD,
    Desk,
    add_user,
    desk_in,
    neighbour_of,
    url_of,
)

ROUTES = {
    "/private/smtps/save": "POST",
    "/private/smtps/findByApp": "GET",
    "/private/smtps/findById": "GET",
    "/private/smtps/remove": "POST",
    "/private/smtps/check": "POST",
    "/private/apps/save": "POST",
    "/private/apps/findAll": "GET",
    "/private/apps/findById": "GET",
    "/private/apps/remove": "POST",
}
SAMPLE = {
    "_id": str, "idapp": str, "priority": int, "host": str, "port": int, "username": str,
    "password": str, "auth": bool, "starttls": bool, "sslTls": bool, "debug": bool,
    "defaultfromemail": str, "defaultfromname": str, "numerrors": int, "created": str,
    "modified": str, "status": str,
}  # fmt: skip
ID = re.compile(r"[0-9a-f]{24}")
SAVED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}")
KEPT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,2}[1-9])?")


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


# --- signing in -----------------------------------------------------------------------------------


async def test_c1_whoever_is_not_signed_in_is_answered_with_unauthorized(desk: Desk) -> None:
    for path, method in {**ROUTES, "/private/nothing/here": "GET", "/private/": "POST"}.items():
        for prefix in ("", "/api"):
            reply = await desk.stranger.send(
                method, prefix + path, b"" if method == "POST" else None
            )
            assert reply.status == 401, path
    assert await desk.running.house.storage.directory.apps() == [desk.running.app]


async def test_c2_a_token_that_is_forged_or_over_is_answered_with_unauthorized(desk: Desk) -> None:
    house = desk.running.house
    (user,) = await house.storage.users.users()
    now_ms = house.clock.now_ms()
    for token in ("forged", "", "x" * 5000, "\u00e9", "0" * 43):
        client = FormClient(url_of(desk.running), token.encode().decode("latin-1"))
        assert (await client.get("/private/apps/findAll")).status == 401, token[:50]
    over = NewToken(b"\x9a" * 32, now_ms - 2, now_ms - 1)
    assert await house.storage.users.open_token(user, over)
    assert await house.storage.users.user_with_token(over.token_hash, now_ms - 2) is not None
    assert await house.storage.users.user_with_token(over.token_hash, now_ms) is None
    assert (await desk.client.get("/private/apps/findAll")).status == 200


async def test_c3_the_right_password_gives_a_token_and_says_whose_it_is(running: Running) -> None:
    user = await add_user(running)
    member = await add_user(running, "bob@example.com", UserRole.MEMBER)
    client = FormClient(url_of(running))
    reply = await client.log_in({"username": "Ann@Example.COM", "password": PASSWORD})
    assert reply.status == 200
    document = reply.json()
    assert list(document) == ["token", "role", "userId", "username", "clientId"]
    assert len(document.pop("token")) >= 40
    assert document == {
        "role": "ADMIN", "userId": user.id.hex(), "username": EMAIL,
        "clientId": running.account.id.hex(),
    }  # fmt: skip
    reply = await client.log_in({"username": member.email, "password": PASSWORD})
    assert reply.json()["role"] == "USER"
    assert reply.headers["cache-control"] == "no-store"


async def test_c4_a_wrong_password_is_forbidden_and_a_missing_field_a_bad_request(
    running: Running,
) -> None:
    await add_user(running)
    client = FormClient(url_of(running))
    wrong = await client.log_in({"username": EMAIL, "password": "open sesame"})
    unknown = await client.log_in({"username": "eve@example.com", "password": PASSWORD})
    assert (wrong.status, unknown.status) == (403, 403)
    assert wrong.body == unknown.body == b"Credentials not valid"
    for given in (
        {"username": EMAIL}, {"password": PASSWORD}, {"username": EMAIL, "password": None},
        {"username": "", "password": PASSWORD}, {},
    ):  # fmt: skip
        assert (await client.log_in(given)).status == 400, given


class _Later:
    """The clock, some milliseconds on."""

    def __init__(self, running: Running, ahead_ms: int) -> None:
        self._clock = running.house.clock
        self._ahead_ms = ahead_ms

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._ahead_ms

    def monotonic(self) -> float:
        return self._clock.monotonic()


async def test_c5_a_token_is_good_for_a_day(desk: Desk) -> None:
    day_ms = 24 * 3600 * 1000
    for ahead_ms, status in ((0, 200), (day_ms - 60_000, 200), (day_ms, 401)):
        desk.running.house.sign_in.clock = _Later(desk.running, ahead_ms)
        assert (await desk.client.get("/private/apps/findAll")).status == status, ahead_ms


async def test_c6_every_route_is_found_below_both_prefixes(desk: Desk) -> None:
    client = await FormClient(url_of(desk.running, "/api")).signed_in(EMAIL, PASSWORD)
    values = {"idapp": desk.idapp, "host": "a.example.net", "port": 25, **LOGIN}
    made = (await client.post("/private/smtps/save", values)).json()
    for each in (client, desk.client):
        assert (await each.get("/private/smtps/findByApp", idapp=desk.idapp)).json() == [
            await desk.found(made["_id"])
        ]
        for path, method in ROUTES.items():
            body = b"" if method == "POST" else None
            assert (await each.send(method, path, body)).status in (200, 400, 406), path


# --- saving ---------------------------------------------------------------------------------------


@pytest.mark.both_engines
async def test_c7_a_save_without_an_id_makes_a_server(desk: Desk) -> None:
    reply = await desk.save(auth=True, starttls=True)
    assert reply.status == 200
    assert await desk.listed() == [await desk.found(reply.json()["_id"])]
    assert reply.json()["host"] == "smtp.example.net"
    assert reply.json()["idapp"] == desk.idapp


async def test_c8_c10_the_object_has_the_fields_of_the_sample_and_their_types(desk: Desk) -> None:
    made = await desk.saved(defaultfromemail="info@example.net", defaultfromname="Jon Smith")
    assert {name: type(value) for name, value in made.items()} == SAMPLE
    assert list(made) == list(SAMPLE)
    read = await desk.found(made["_id"])
    assert {name: type(value) for name, value in read.items()} == SAMPLE


async def test_c9_ids_are_text_of_24_hex_digits(desk: Desk) -> None:
    made = await desk.saved()
    assert ID.fullmatch(made["_id"]) and ID.fullmatch(made["idapp"])


async def test_c11_c12_c13_what_is_left_out_has_its_documented_default(desk: Desk) -> None:
    made = await desk.saved()
    assert made["priority"] == 10
    assert [made[name] for name in ("auth", "starttls", "sslTls", "debug")] == [False] * 4


async def test_c14_c15_a_new_server_is_active_without_errors_and_was_never_modified(
    desk: Desk,
) -> None:
    made = await desk.saved()
    assert (made["numerrors"], made["status"]) == (0, "A")
    assert made["created"] == made["modified"]
    read = await desk.found(made["_id"])
    assert read["created"] == read["modified"]


async def test_c16_times_have_no_zone_nine_digits_when_saved_and_three_at_most_when_read(
    desk: Desk,
) -> None:
    made = await desk.saved()
    read = await desk.found(made["_id"])
    for name in ("created", "modified"):
        assert SAVED_TIME.fullmatch(made[name]) and KEPT_TIME.fullmatch(read[name])
        assert datetime.fromisoformat(read[name]) == datetime.fromisoformat(made[name][:23])


@pytest.mark.parametrize("name", ["idapp", "host", "port"])
async def test_c17_a_save_without_what_it_needs_is_a_bad_request(desk: Desk, name: str) -> None:
    for nothing in ("left out", "", None):
        assert (await desk.save(**{name: nothing})).status == 400
    assert await desk.listed() == []


async def test_c18_a_login_without_user_name_or_password_is_a_bad_request(desk: Desk) -> None:
    for name in ("username", "password"):
        for nothing in ("left out", "", None):
            assert (await desk.save(auth=True, **{name: nothing})).status == 400
    assert await desk.listed() == []
    without = await desk.saved(auth=False, username=None, password=None)
    assert (without["username"], without["password"]) == ("", "")


async def test_c19_a_port_or_priority_that_is_no_number_is_a_bad_request(desk: Desk) -> None:
    for wrong in ("abc", "25x", "2.5", "0x19", "٢٥", "1e3", "9" * 400, "25\n26"):
        assert (await desk.save(port=wrong)).status == 400, wrong
        assert (await desk.save(priority=wrong)).status == 400, wrong
    assert await desk.listed() == []


async def test_c20_a_switch_that_is_neither_true_nor_false_is_a_bad_request(desk: Desk) -> None:
    for name in ("auth", "starttls", "ssltls", "sslTls", "startstls", "debug"):
        assert (await desk.save(**{name: "maybe"})).status == 400, name
    assert await desk.listed() == []
    assert (await desk.saved(auth="TRUE"))["auth"] is True


async def test_c21_numbers_outside_their_range_are_a_bad_request(desk: Desk) -> None:
    for port in (0, -1, 65536, 99999):
        assert (await desk.save(port=port)).status == 400, port
    assert (await desk.save(priority=-1)).status == 400
    assert (await desk.saved(priority=0, port=65535))["priority"] == 0
    assert (await desk.saved(priority=150, port=1))["priority"] == 150


async def test_c22_c24_an_unknown_app_is_named_in_a_bare_sentence(desk: Desk) -> None:
    for idapp in (NOBODY, "x", "first-app", "z" * 24):
        reply = await desk.save(idapp=idapp)
        assert (reply.status, reply.text) == (406, "App not found"), idapp
        assert reply.media_type == "text/plain"


async def test_c23_an_unknown_server_cannot_be_changed(desk: Desk) -> None:
    for idsmtp in (NOBODY, "x", desk.idapp):
        reply = await desk.save(idsmtp=idsmtp)
        assert (reply.status, reply.text) == (406, "SMTP not found"), idsmtp
    assert await desk.listed() == []


@pytest.mark.both_engines
async def test_c25_a_save_with_an_id_changes_that_server(desk: Desk) -> None:
    made = await desk.saved(auth=True, starttls=True, priority=50)
    other = await desk.saved(host="other.example.net")
    after = await desk.saved(
        idsmtp=made["_id"], host="new.example.net", port=2525, auth=True, priority=7
    )
    assert (after["_id"], after["created"]) == (made["_id"], made["created"])
    assert after["modified"] > made["modified"]
    changed = {name for name in made if made[name] != after[name]}
    assert changed == {"host", "port", "priority", "starttls", "modified"}
    assert {each["_id"] for each in await desk.listed()} == {made["_id"], other["_id"]}
    assert (await desk.found(other["_id"]))["host"] == "other.example.net"


async def test_c26_what_is_empty_was_left_out(desk: Desk) -> None:
    names = ("priority", "auth", "starttls", "ssltls", "debug", "defaulfromemail",
             "defaultfromname", "idsmtp")  # fmt: skip
    plain = await desk.saved(host="one.example.net")
    for nothing in (None, ""):
        made = await desk.saved(host="one.example.net", **dict.fromkeys(names, nothing))
        different = {name for name in plain if plain[name] != made[name]}
        assert different <= {"_id", "created", "modified"}


async def test_c27_c29_the_misspelt_sender_is_understood_and_never_answered(desk: Desk) -> None:
    made = await desk.saved(defaulfromemail="info@Example.NET")
    assert made["defaultfromemail"] == "info@example.net"
    for document in (made, await desk.found(made["_id"]), *await desk.listed()):
        assert "defaulfromemail" not in document


async def test_c28_the_sender_spelt_right_wins(desk: Desk) -> None:
    made = await desk.saved(defaultfromemail="right@example.net")
    assert made["defaultfromemail"] == "right@example.net"
    for values in (
        {"defaulfromemail": "wrong@example.net", "defaultfromemail": "right@example.net"},
        {"defaultfromemail": "right@example.net", "defaulfromemail": "wrong@example.net"},
    ):
        assert (await desk.saved(**values))["defaultfromemail"] == "right@example.net"


async def test_c30_c32_tls_is_asked_for_in_any_letter_case_and_answered_in_one(desk: Desk) -> None:
    for name in ("ssltls", "sslTls", "SSLTLS"):
        made = await desk.saved(**{name: True})
        assert made["sslTls"] is True and "ssltls" not in made
        assert (await desk.found(made["_id"]))["sslTls"] is True
        assert (await desk.saved(**{name: False}))["sslTls"] is False


async def test_c31_starttls_is_understood_as_it_was_once_spelt(desk: Desk) -> None:
    assert (await desk.saved(startstls=True))["starttls"] is True
    assert (await desk.saved(startstls=True, starttls=False))["starttls"] is False


# --- finding and removing -------------------------------------------------------------------------


async def test_c33_all_servers_of_an_app_are_listed_and_no_others(desk: Desk) -> None:
    second = (await desk.save_app(name="Second")).json()["_id"]
    mine = {(await desk.saved())["_id"] for _ in range(3)}
    theirs = (await desk.saved(idapp=second))["_id"]
    neighbour = await neighbour_of(desk)
    await neighbour.saved()
    assert {each["_id"] for each in await desk.listed()} == mine
    assert [each["_id"] for each in await desk.listed(second)] == [theirs]
    assert await desk.listed(neighbour.idapp) == []


async def test_c34_a_list_without_an_app_is_a_bad_request(desk: Desk) -> None:
    assert (await desk.client.get("/private/smtps/findByApp")).status == 400
    assert (await desk.client.get("/private/smtps/findByApp", idapp="")).status == 400


async def test_c35_an_app_without_servers_has_an_empty_list(desk: Desk) -> None:
    reply = await desk.client.get("/private/smtps/findByApp", idapp=desk.idapp)
    assert (reply.status, reply.body) == (200, b"[]")
    assert await desk.listed(NOBODY) == []


async def test_c36_the_lowest_priority_number_is_listed_first(desk: Desk) -> None:
    for priority in (150, 0, 50, 7):
        await desk.saved(priority=priority)
    assert [each["priority"] for each in await desk.listed()] == [0, 7, 50, 150]


async def test_c37_a_server_is_shown_as_it_is_listed(desk: Desk) -> None:
    made = await desk.saved(auth=True, sslTls=True, debug=True, defaultfromname="Jon Smith")
    (listed,) = await desk.listed()
    assert await desk.found(made["_id"]) == listed
    assert {name for name in made if made[name] != listed[name]} <= {"created", "modified"}


async def test_c38_finding_needs_an_id_that_a_server_has(desk: Desk) -> None:
    path = "/private/smtps/findById"
    assert (await desk.client.get(path)).status == 400
    for idsmtp in (NOBODY, desk.idapp, "srv_1", "\u0000"):
        reply = await desk.client.get(path, idsmtp=idsmtp)
        assert (reply.status, reply.text) == (406, "SMTP not found")


@pytest.mark.both_engines
async def test_c39_what_belongs_to_others_is_unknown(desk: Desk) -> None:
    neighbour = await neighbour_of(desk)
    theirs = await neighbour.saved()
    there = {"idsmtp": theirs["_id"]}
    replies = [
        await desk.client.get("/private/smtps/findById", **there),
        await desk.remove(**there),
        await desk.client.post("/private/smtps/check", there),
        await desk.save(**there),
    ]
    assert {(reply.status, reply.text) for reply in replies} == {(406, "SMTP not found")}
    for reply in (
        await desk.save(idapp=neighbour.idapp),
        await desk.save(idapp=neighbour.idapp, **there),
        await desk.client.get("/private/apps/findById", idapp=neighbour.idapp),
        await desk.client.post("/private/apps/remove", {"idapp": neighbour.idapp}),
        await desk.save_app(idapp=neighbour.idapp, name="Mine now"),
    ):
        assert (reply.status, reply.text) == (406, "App not found")
    assert await neighbour.listed() == [await neighbour.found(theirs["_id"])]


async def test_c40_every_answer_with_a_server_has_its_password(desk: Desk) -> None:
    made = await desk.saved(auth=True)
    read = [made, await desk.found(made["_id"]), *await desk.listed()]
    assert {each["password"] for each in read} == {LOGIN["password"]}


async def test_c41_c42_a_server_is_removed_by_its_id_under_either_name(desk: Desk) -> None:
    for name in ("idapp", "idsmtp"):
        made = await desk.saved()
        reply = await desk.remove(**{name: made["_id"]})
        assert (reply.status, reply.body) == (200, b"")
        assert await desk.listed() == []
    made = await desk.saved()
    assert (await desk.remove(idsmtp=made["_id"], idapp=desk.idapp)).status == 200


async def test_c43_the_id_of_an_app_removes_nothing(desk: Desk) -> None:
    made = await desk.saved()
    for name in ("idapp", "idsmtp"):
        reply = await desk.remove(**{name: desk.idapp})
        assert (reply.status, reply.text) == (406, "SMTP not found")
    assert [each["_id"] for each in await desk.listed()] == [made["_id"]]
    assert (await desk.client.get("/private/apps/findById", idapp=desk.idapp)).status == 200


async def test_c44_c45_removing_needs_an_id_that_a_server_has(desk: Desk) -> None:
    reply = await desk.remove(idapp=NOBODY)
    assert (reply.status, reply.text) == (406, "SMTP not found")
    made = await desk.saved()
    assert (await desk.remove(idapp=made["_id"])).status == 200
    assert (await desk.remove(idapp=made["_id"])).status == 406
    for values in ({}, {"idapp": ""}, {"idsmtp": None, "idapp": None}):
        assert (await desk.remove(**values)).status == 400


async def test_c52_an_unknown_server_cannot_be_checked(desk: Desk) -> None:
    for name in ("idapp", "idsmtp"):
        for unknown in (NOBODY, desk.idapp, "x"):
            reply = await desk.client.post("/private/smtps/check", {name: unknown})
            assert (reply.status, reply.text) == (406, "SMTP not found")
    assert (await desk.client.post("/private/smtps/check", {})).status == 400


async def test_c53_a_server_whose_app_is_gone_cannot_be_checked(desk: Desk) -> None:
    left_over = Server(new_object_id(), new_object_id(), "left-over", "127.0.0.1", free_port())
    await desk.running.house.storage.directory.save_server(left_over)
    reply = await desk.client.post("/private/smtps/check", {"idapp": left_over.id.hex()})
    assert (reply.status, reply.text) == (406, "App not found")


# --- what the servers are used for ----------------------------------------------------------------


@pytest.mark.both_engines
async def test_c59_each_failure_that_is_the_fault_of_a_server_raises_its_errors(
    desk: Desk,
) -> None:
    refusing = Script().on(Stage.MAIL, say(451, "4.3.0 out of order"))
    async with BadServer(refusing) as first, BadServer() as second:
        failing = await desk.way(first.port, priority=0)
        healthy = await desk.way(second.port, priority=1)
        for count in (1, 2):
            receipt = await desk.running.submit()
            await desk.running.until(receipt.message)
            assert (await desk.found(failing["_id"]))["numerrors"] == count
        assert (await desk.found(healthy["_id"]))["numerrors"] == 0


async def test_c60_c61_the_lowest_number_is_tried_first_and_nought_is_the_lowest(
    desk: Desk,
) -> None:
    async with BadServer() as first, BadServer() as second:
        await desk.way(second.port, priority=1)
        await desk.way(first.port, priority=0)
        for _ in range(5):
            receipt = await desk.running.submit()
            await desk.running.until(receipt.message)
        assert (len(first.messages), len(second.messages)) == (5, 0)


async def test_c62_where_a_server_fails_the_next_one_gets_the_same_mail(desk: Desk) -> None:
    async with BadServer() as second:
        await desk.way(free_port(), priority=3)
        await desk.way(second.port, priority=50)
        receipt = await desk.running.submit()
        (row,) = await desk.running.until(receipt.message)
        assert row.attempts == 1
        assert [message.accepted_recipients for message in second.messages] == [
            ("bob@example.org",)
        ]


async def test_c63_with_strategy_random_every_active_server_is_used(desk: Desk) -> None:
    assert (await desk.save_app(idapp=desk.idapp, strategy="RANDOM")).status == 200
    async with BadServer() as first, BadServer() as second, BadServer() as third:
        servers = (first, second, third)
        for priority, server in enumerate(servers):
            await desk.way(server.port, priority=priority)
        for _ in range(100):  # that one of three is never drawn happens once in 10^17
            if all(server.messages for server in servers):
                break
            receipt = await desk.running.submit()
            await desk.running.until(receipt.message)
        assert all(server.messages for server in servers)


async def test_c64_with_strategy_random_another_server_takes_over(desk: Desk) -> None:
    assert (await desk.save_app(idapp=desk.idapp, strategy="random")).status == 200
    async with BadServer() as good:
        await desk.way(free_port())
        await desk.way(good.port)
        for count in range(1, 6):
            receipt = await desk.running.submit()
            (row,) = await desk.running.until(receipt.message)
            assert (row.attempts, len(good.messages)) == (1, count)


async def test_c66_a_disabled_server_is_never_used(desk: Desk) -> None:
    async with BadServer() as first, BadServer() as second:
        disabled = await desk.way(first.port, priority=0)
        await desk.way(second.port, priority=1)
        directory = desk.running.house.storage.directory
        known = await directory.server(ObjectId(bytes.fromhex(disabled["_id"])))
        path = f"/pillarbox/v1/servers/{disabled['_id']}/disable"
        key = desk.running.first and desk.running.first.key.reveal()
        assert (await FormClient(url_of(desk.running), key).post(path, {})).status == 200
        assert known.status == "A" and (await desk.found(disabled["_id"]))["status"] == "D"
        for strategy in ("PRIORITY", "RANDOM"):
            assert (await desk.save_app(idapp=desk.idapp, strategy=strategy)).status == 200
            for _ in range(5):
                receipt = await desk.running.submit()
                await desk.running.until(receipt.message)
        assert (len(first.messages), len(second.messages)) == (0, 10)


# --- the calls as such ----------------------------------------------------------------------------


async def test_c72_each_route_answers_the_method_it_is_described_with(desk: Desk) -> None:
    for path, method in {**ROUTES, "/auth/login": "POST"}.items():
        for prefix in ("", "/api"):
            for other in ({"GET", "POST", "PUT", "DELETE", "PATCH"}) - {method}:
                reply = await desk.client.send(other, prefix + path, None)
                assert reply.status == 405, (other, path)
                assert reply.headers["allow"] == method


@pytest.mark.both_engines
async def test_c73_where_the_store_fails_nothing_is_half_written(desk: Desk) -> None:
    made = await desk.saved()
    directory, settings = desk.running.house.storage.directory, desk.running.house.settings
    servers, (app,) = await desk.listed(), await directory.apps()
    # Every change ends with a note in this table, which is away: what came before it is undone.
    place = Place(settings.data_dir, settings.database_url.reveal())
    await place.say("ALTER TABLE directory RENAME TO directory_away")
    try:
        replies = [
            await desk.save(host="late.example.net"),
            await desk.save(idsmtp=made["_id"], host="late.example.net"),
            await desk.remove(idsmtp=made["_id"]),
            await desk.save_app(idapp=desk.idapp, name="Renamed"),
            await desk.save_app(name="Another"),
            await desk.client.post("/private/apps/remove", {"idapp": desk.idapp}),
        ]
    finally:
        await place.say("ALTER TABLE directory_away RENAME TO directory")
    assert {(reply.status, reply.media_type) for reply in replies} == {(500, "text/plain")}
    directory.forget()
    assert await desk.listed() == servers
    assert await directory.apps() == [app]
    assert len(await directory.credentials()) == 1
    assert (await desk.save(host="late.example.net")).status == 200


async def test_c74_json_is_declared_as_such(desk: Desk) -> None:
    made = await desk.save()
    replies = [
        made,
        await desk.client.get("/private/smtps/findByApp", idapp=desk.idapp),
        await desk.client.get("/private/smtps/findById", idsmtp=made.json()["_id"]),
        await desk.client.get("/private/apps/findAll"),
        await desk.stranger.log_in({"username": EMAIL, "password": PASSWORD}),
    ]
    assert {reply.headers["content-type"] for reply in replies} == {"application/json"}


async def test_c75_apps_are_made_listed_in_pages_shown_changed_and_removed(desk: Desk) -> None:
    made = (await desk.save_app(name="My Shop", testemail="try@example.com")).json()
    assert ID.fullmatch(made["_id"])
    assert (made["name"], made["strategy"], made["status"]) == ("My Shop", "PRIORITY", "A")
    assert (made["retaindata"], made["timebetweenemails"]) == (False, 60)
    assert (made["testemail"], made["defaultfromemail"]) == ("try@example.com", EMAIL)
    assert made["created"] == made["modified"] and SAVED_TIME.fullmatch(made["created"])

    page = (await desk.client.get("/private/apps/findAll", page=1, size=1)).json()
    assert [each["name"] for each in page["content"]] == ["My Shop"]
    assert {name: page[name] for name in page if name not in ("content", "pageable", "sort")} == {
        "last": True, "totalPages": 2, "totalElements": 2, "size": 1, "number": 1, "first": False,
        "numberOfElements": 1, "empty": False,
    }  # fmt: skip
    assert (page["pageable"]["pageNumber"], page["pageable"]["offset"]) == (1, 1)
    beyond = (await desk.client.get("/private/apps/findAll", page=7, size=5)).json()
    assert (beyond["content"], beyond["empty"], beyond["totalElements"]) == ([], True, 2)
    for wrong in ({"page": -1}, {"size": 0}, {"size": "many"}):
        assert (await desk.client.get("/private/apps/findAll", **wrong)).status == 400

    changed = await desk.save_app(
        idapp=made["_id"], name="Our Shop", retaindata=True, timebetweenemails=5,
        webhook_tracking_opened="https://example.com/seen", strategy="RANDOM",
    )  # fmt: skip
    assert changed.status == 200
    shown = (await desk.client.get("/private/apps/findById", idapp=made["_id"])).json()
    assert (shown["name"], shown["strategy"], shown["retaindata"]) == ("Our Shop", "RANDOM", True)
    assert shown["webhook_tracking_opened"] == "https://example.com/seen"
    assert (shown["timebetweenemails"], shown["testemail"]) == (5, "try@example.com")
    assert changed.json()["modified"] > made["modified"]
    assert changed.json()["created"] == made["created"]

    again = await desk.save_app(name="our shop")
    assert (again.status, again.media_type) == (406, "text/plain")
    assert (await desk.save_app()).status == 406
    await desk.saved(idapp=made["_id"])
    removed = await desk.client.post("/private/apps/remove", {"idapp": made["_id"]})
    assert (removed.status, removed.body) == (200, b"")
    for path in ("/private/apps/findById", "/private/apps/remove"):
        method = "GET" if path.endswith("Id") else "POST"
        query, body = ("?idapp=" + made["_id"], None) if method == "GET" else (
            "", f"idapp={made['_id']}".encode()
        )  # fmt: skip
        reply = await desk.client.send(method, path + query, body)
        assert (reply.status, reply.text) == (406, "App not found")


async def test_an_app_made_by_such_a_program_keeps_its_mail_in_the_sandbox(desk: Desk) -> None:
    made = (await desk.save_app(name="Shop")).json()
    app = await desk.running.house.storage.directory.app_named("shop")
    assert (app.id.hex(), app.mode) == (made["_id"], Mode.SANDBOX)


async def test_a_member_may_look_and_not_change(running: Running) -> None:
    admin = await desk_in(running)
    made = await admin.saved(auth=True)
    member = await desk_in(running, "bob@example.com", UserRole.MEMBER)
    assert (await member.found(made["_id"]))["password"] == "********"
    assert {each["password"] for each in await member.listed()} == {"********"}
    for reply in (
        await member.save(),
        await member.save(idsmtp=made["_id"]),
        await member.remove(idsmtp=made["_id"]),
        await member.client.post("/private/smtps/check", {"idsmtp": made["_id"]}),
        await member.save_app(name="Mine"),
        await member.client.post("/private/apps/remove", {"idapp": member.idapp}),
    ):
        assert reply.status == 401
    assert len(await admin.listed()) == 1


async def test_saving_the_mask_changes_nothing(desk: Desk) -> None:
    made = await desk.saved(auth=True)
    after = await desk.saved(idsmtp=made["_id"], auth=True, password="********", port=2525)
    assert (after["password"], after["port"]) == (LOGIN["password"], 2525)
    assert (await desk.save(auth=True, password="********")).status == 400
    directory = desk.running.house.storage.directory
    kept = (await directory.server(ObjectId(bytes.fromhex(made["_id"])))).password
    assert isinstance(kept, Secret) and kept.reveal() == LOGIN["password"]
