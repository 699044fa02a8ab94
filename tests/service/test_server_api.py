"""the server API beyond its contract: masks, the log of who saw what, JSON, hostile requests"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import pytest

from pillarbox.policy.directory import App
from pillarbox.policy.events import PasswordShownFacts
from pillarbox.policy.server import Kind, Server
from pillarbox.policy.user import User, UserRole
from pillarbox.storage.interface.users import NewToken
from pillarbox.terms.ids import new_object_id
from tests.fix_api_face import CLOCK, LOOPBACK, Answer, Face

EMAIL = "ann@example.com"
SECRET = "smtppassword1234"
FAR = ("192.0.2.7", 40000)
FORM = "application/x-www-form-urlencoded"


@dataclass
class Caller:
    """Somebody who has signed in."""

    face: Face
    token: str

    async def ask(
        self, method: str, path: str, body: bytes | None = None, media_type: str = FORM, **more: Any
    ) -> Answer:
        headers = {
            "authorization": f"Bearer {self.token}", "content-type": media_type,
            **more.pop("headers", {}),
        }  # fmt: skip
        return await self.face.ask(method, path, body=body, headers=headers, **more)

    async def post(self, path: str, more: dict[str, Any] | None = None, **values: Any) -> Answer:
        return await self.ask("POST", path, urlencode(values).encode(), **(more or {}))

    async def get(self, path: str, more: dict[str, Any] | None = None, **values: Any) -> Answer:
        return await self.ask("GET", f"{path}?{urlencode(values)}", **(more or {}))

    def server(self, **values: Any) -> dict[str, Any]:
        return {
            "idapp": self.face.app.id.hex(), "host": "smtp.example.net", "port": 587,
            "auth": "true", "username": "me", "password": SECRET, **values,
        }  # fmt: skip

    async def saved(self, **values: Any) -> Any:
        answer = await self.post("/private/smtps/save", **self.server(**values))
        assert answer.status == 200, answer.body
        return answer.json()


async def signed_in(face: Face, role: UserRole = UserRole.ADMIN, email: str = EMAIL) -> Caller:
    """With a token from the store: comparing a password takes long, and is shown elsewhere."""
    user = User(new_object_id(), face.account.id, email, role=role, password_hash="none")
    await face.storage.users.save_user(user)
    token, now_ms = email * 3, CLOCK.now_ms()
    kept = NewToken(hashlib.sha256(token.encode()).digest(), now_ms, now_ms + 3_600_000)
    assert await face.storage.users.open_token(user, kept)
    return Caller(face, token)


@pytest.fixture
async def caller(face: Face) -> Caller:
    return await signed_in(face)


async def shown(caller: Caller, idsmtp: str, **more: Any) -> list[str]:
    """The password of a server in each of the answers that have it."""
    found = [(await caller.get("/private/smtps/findById", more, idsmtp=idsmtp)).json()]
    idapp = caller.face.app.id.hex()
    found += (await caller.get("/private/smtps/findByApp", more, idapp=idapp)).json()
    saved = await caller.post("/private/smtps/save", more, **caller.server(idsmtp=idsmtp))
    return [each["password"] for each in [*found, saved.json()]]


# --- passwords ------------------------------------------------------------------------------------


async def test_a_password_is_masked_where_others_may_listen(caller: Caller) -> None:
    made = await caller.saved()
    assert await shown(caller, made["_id"]) == [SECRET] * 3
    assert await shown(caller, made["_id"], client=FAR) == ["********"] * 3


@pytest.mark.parametrize(
    ("headers", "clear"),
    [
        ({"x-forwarded-proto": "https"}, True),
        ({"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"}, True),
        ({"forwarded": 'for=192.0.2.7;proto="https"'}, True),
        ({"x-forwarded-proto": "http"}, False),
        ({"x-forwarded-for": "192.0.2.7"}, False),
        ({"forwarded": "for=192.0.2.7; proto=http"}, False),
        ({"x-forwarded-proto": "https,http"}, False),
    ],
)
async def test_a_proxy_on_this_machine_must_say_that_it_was_spoken_to_over_tls(
    caller: Caller, headers: dict[str, str], clear: bool
) -> None:
    made = await caller.saved()
    wanted = SECRET if clear else "********"
    assert await shown(caller, made["_id"], headers=headers) == [wanted] * 3
    assert await shown(caller, made["_id"], headers=headers, client=FAR) == ["********"] * 3


async def test_a_setting_masks_every_password(caller: Caller) -> None:
    made = await caller.saved()
    config = replace(caller.face.rooms.config, show_server_passwords=False)
    caller.face.rebuild(config)
    assert await shown(caller, made["_id"]) == ["********"] * 3
    kept = (await caller.face.storage.directory.servers(caller.face.app.id))[0].password
    assert kept is not None and kept.reveal() == SECRET


async def test_where_there_is_no_password_there_is_no_mask(caller: Caller) -> None:
    made = await caller.saved(auth="false", username="", password="")
    found = await caller.get("/private/smtps/findById", {"client": FAR}, idsmtp=made["_id"])
    assert found.json()["password"] == ""


async def test_whoever_is_shown_passwords_stands_in_the_log_once_in_a_while(
    caller: Caller,
) -> None:
    face = caller.face

    async def told() -> list[PasswordShownFacts]:
        events = await face.storage.events.recent(100, app=face.app.id)
        return [each.data for each in events if each.kind == "server.password_shown"]  # type: ignore[misc]

    made = await caller.saved()
    words = f"{EMAIL} at 127.0.0.1 was given the password of a server in clear."
    assert await told() == [PasswordShownFacts(EMAIL, LOOPBACK[0], 1, words)]
    for _ in range(3):
        await shown(caller, made["_id"])
    await shown(caller, made["_id"], client=FAR)
    assert len(await told()) == 1
    other = await signed_in(face, email="bob@example.com")
    await shown(other, made["_id"])
    member = await signed_in(face, UserRole.MEMBER, "eve@example.com")
    await member.get("/private/smtps/findById", idsmtp=made["_id"])
    assert [facts.by for facts in await told()] == ["bob@example.com", EMAIL]
    shown_later = (await face.own("GET", "/events")).json()["items"]
    assert SECRET not in json.dumps(shown_later) and words in {e["words"] for e in shown_later}


async def test_no_password_is_shown_where_that_cannot_be_noted(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await caller.saved()
    caller.face.rebuild()  # forgets who was told

    async def full(*args: object) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(caller.face.storage.events, "append", full)
    answer = await caller.get("/private/smtps/findById", idsmtp=made["_id"])
    assert answer.status == 500
    assert SECRET.encode() not in answer.body


async def test_an_answer_with_a_password_is_not_to_be_kept(caller: Caller) -> None:
    answer = await caller.post("/private/smtps/save", **caller.server())
    assert answer.headers["cache-control"] == "no-store"


# --- bodies ---------------------------------------------------------------------------------------


async def test_json_says_the_same_as_a_form(caller: Caller) -> None:
    document = {
        **caller.server(port=2525, auth=True), "starttls": True, "priority": 3, "debug": None,
        "defaulfromemail": "info@example.net", "unknown": "is passed over",
    }  # fmt: skip
    made = await caller.ask(
        "POST", "/private/smtps/save", json.dumps(document).encode(), "application/json"
    )
    assert made.status == 200, made.body
    found = made.json()
    assert (found["port"], found["priority"], found["starttls"]) == (2525, 3, True)
    assert (found["debug"], found["defaultfromemail"]) == (False, "info@example.net")
    removed = await caller.ask(
        "POST", "/private/smtps/remove", json.dumps({"idapp": found["_id"]}).encode(), FORM
    )
    assert (removed.status, removed.body) == (200, b"")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", FORM),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"null", "application/json"),
        (b'{"idapp": {"a": 1}}', "application/json"),
        (b'{"idapp": ["a"]}', "application/json"),
        (b'{"a":' * 5000, "application/json"),
        (b'{"idapp": "\xff"}', "application/json"),
        (b'{"port": NaN}', "application/json"),
        (b"idapp=%ff", FORM),
        (b"idapp=\xff", FORM),
        (b"a=1&" * 5000, FORM),
        (b"idapp=1", "multipart/form-data; boundary=x"),
        (b"idapp=1", "text/xml"),
        (b"idapp=1&idapp=2", FORM),
        (b"idapp=1&IdApp=2", FORM),
    ],
)
async def test_bodies_of_another_shape_are_bad_requests(
    caller: Caller, body: bytes, media_type: str
) -> None:
    for path in ("/private/smtps/save", "/private/smtps/remove", "/private/smtps/check"):
        answer = await caller.ask("POST", path, body, media_type)
        assert answer.status == 400, (path, answer.body)
        assert answer.headers["content-type"].startswith("text/plain")
        assert len(answer.body) < 500


async def test_a_body_larger_than_anything_meant_is_refused_unread(caller: Caller) -> None:
    for path in ("/private/smtps/save", "/private/apps/save", "/auth/login"):
        answer = await caller.ask("POST", path, b"a=" + b"x" * 1_100_000)
        assert answer.status == 413
    assert (await caller.ask("POST", "/auth/login", b"a=" + b"x" * 17_000)).status == 413
    stranger = Caller(caller.face, "nobody")
    assert (await stranger.ask("POST", "/private/smtps/save", b"x" * 1_100_000)).status == 401


@pytest.mark.parametrize(
    "values",
    [
        {"host": "x" * 5000},
        {"host": "smtp example"},
        {"host": "smtp.example.net\r\nBcc: x"},
        {"username": "a\r\nb"},
        {"username": "a" * 2000},
        {"password": "p" * 2000},
        {"defaultfromemail": "nobody"},
        {"defaultfromname": "a\nb"},
        {"defaultfromname": "a" * 200},
        {"port": "9" * 5000},
        {"priority": 2**31},
    ],
)
async def test_values_that_cannot_be_meant_are_bad_requests(
    caller: Caller, values: dict[str, Any]
) -> None:
    answer = await caller.post("/private/smtps/save", **caller.server(**values))
    assert answer.status == 400
    assert next(iter(values)).encode() in answer.body
    assert await caller.face.storage.directory.servers(caller.face.app.id) == []


@pytest.mark.parametrize(
    "values",
    [
        {"name": "a\nb"},
        {"name": "n" * 200},
        {"name": "Shop", "strategy": "FASTEST"},
        {"name": "Shop", "retaindata": "perhaps"},
        {"name": "Shop", "timebetweenemails": "soon"},
        {"name": "Shop", "timebetweenemails": -1},
        {"name": "Shop", "testemail": "nobody"},
        {"name": "Shop", "webhook_tracking_opened": "x" * 3000},
    ],
)
async def test_an_app_with_impossible_values_is_a_bad_request(
    caller: Caller, values: dict[str, Any]
) -> None:
    assert (await caller.post("/private/apps/save", **values)).status == 400
    assert len(await caller.face.storage.directory.apps()) == 1


async def test_parameters_given_twice_alike_or_once_empty_are_understood(caller: Caller) -> None:
    body = urlencode(caller.server(ssltls="true")).encode() + b"&sslTls=&sslTls=true&auth=true"
    answer = await caller.ask("POST", "/private/smtps/save", body)
    assert answer.status == 200, answer.body
    assert answer.json()["sslTls"] is True


# --- names, apps, ways ----------------------------------------------------------------------------


async def test_servers_of_one_host_get_names_of_their_own(caller: Caller) -> None:
    for host in ("smtp.example.net", "smtp.example.net", "2001:db8::1", "192.0.2.1"):
        await caller.saved(host=host)
    servers = await caller.face.storage.directory.servers(caller.face.app.id)
    assert {each.name for each in servers} == {
        "smtp.example.net", "smtp.example.net-2", "2001-db8-1", "192.0.2.1",
    }  # fmt: skip


async def test_a_name_that_somebody_gave_stays_while_the_host_does(caller: Caller) -> None:
    made = await caller.saved()
    directory = caller.face.storage.directory
    (server,) = await directory.servers(caller.face.app.id)
    await directory.save_server(replace(server, name="mine", weight=7, verify=False))
    await caller.saved(idsmtp=made["_id"], port=25)
    (after,) = await directory.servers(caller.face.app.id)
    assert (after.name, after.port, after.weight, after.verify) == ("mine", 25, 7, False)


async def test_direct_delivery_is_no_server_of_these_calls(caller: Caller) -> None:
    face = caller.face
    way = Server(new_object_id(), face.app.id, "direct", "", kind=Kind.DIRECT)
    await face.storage.directory.save_server(way)
    idapp = face.app.id.hex()
    assert (await caller.get("/private/smtps/findByApp", idapp=idapp)).json() == []
    for answer in (
        await caller.get("/private/smtps/findById", idsmtp=way.id.hex()),
        await caller.post("/private/smtps/remove", idapp=way.id.hex()),
    ):
        assert (answer.status, answer.body) == (406, b"SMTP not found")
    assert await face.storage.directory.servers(face.app.id) == [way]


async def test_a_server_stays_with_its_app(caller: Caller) -> None:
    other = await caller.face.new_app("other")
    made = await caller.saved()
    answer = await caller.post(
        "/private/smtps/save", **caller.server(idapp=other.id.hex(), idsmtp=made["_id"])
    )
    assert (answer.status, answer.body) == (406, b"SMTP not found")


async def test_an_app_keeps_the_name_programs_use_when_people_rename_it(caller: Caller) -> None:
    made = (await caller.post("/private/apps/save", name="Märkte & Shops")).json()
    directory = caller.face.storage.directory
    app = await directory.app_named("m-rkte-shops")
    renamed = await caller.post("/private/apps/save", idapp=made["_id"], name="Shops")
    assert renamed.json()["name"] == "Shops"
    after = await directory.app(app.id)
    assert (after.name, after.label) == (app.name, "Shops")
    again = (await caller.post("/private/apps/save", name="Admin")).json()
    assert (await directory.app_named("app")).id.hex() == again["_id"]


async def test_an_app_made_elsewhere_is_shown_with_every_default(caller: Caller) -> None:
    idapp = caller.face.app.id.hex()
    found = (await caller.get("/private/apps/findById", idapp=idapp)).json()
    assert (found["name"], found["testemail"]) == ("first-app", EMAIL)
    assert (found["strategy"], found["timebetweenemails"]) == ("PRIORITY", 60)
    assert (found["useblacklist"], found["webhook_mailing_finished"]) == (False, "")


async def test_an_app_written_before_there_were_such_fields_is_read(face: Face) -> None:
    old = App(new_object_id(), face.account.id, "old")
    assert (old.legacy, old.modified_at) == ({}, 0)


async def test_an_app_whose_mail_waits_is_not_removed(caller: Caller) -> None:
    face = caller.face
    await face.go_live()
    sent = await face.post_email(
        {"async": True, "to": "bob@example.org", "subject": "x", "body_text": "x"}
    )
    assert sent.status == 200, sent.body
    answer = await caller.post("/private/apps/remove", idapp=face.app.id.hex())
    assert answer.status == 406 and b"waits" in answer.body
    assert await face.storage.directory.app(face.app.id) == face.app


async def test_what_is_no_call_is_not_found_only_for_whoever_signed_in(caller: Caller) -> None:
    for path in ("/private/emails/info", "/api/private/nothing", "/private/"):
        assert (await caller.get(path)).status == 404
        assert (await Caller(caller.face, "x").get(path)).status == 401


async def test_the_owner_of_the_data_directory_needs_no_token(face: Face) -> None:
    values = {"idapp": face.app.id.hex(), "host": "smtp.example.net", "port": 25}
    made = await face.ask(
        "POST", "/private/smtps/save", body=urlencode(values).encode(),
        headers={"content-type": FORM}, owner=True,
    )  # fmt: skip
    assert made.status == 200, made.body
