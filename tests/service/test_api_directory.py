"""apps, servers, credentials and keys over the API"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.api.v1.apps import app_view
from pillarbox.policy.credential import LoginUse
from pillarbox.policy.directory import Mode
from pillarbox.policy.problems import Problem, ProblemKind
from pillarbox.policy.submitter import Submitter
from pillarbox.terms.ids import format_object_id
from pillarbox.terms.secret import Secret
from tests.fix_api_face import Face


async def logged_in(face: Face, username: str, password: str) -> Submitter | Problem:
    use = LoginUse(face.rooms.clock.now_ms(), "192.0.2.7")
    return await face.rooms.authenticator.login(username, Secret(password), use, 587)


# --- apps -------------------------------------------------------------------------------------


async def test_a_new_app_is_born_in_the_sandbox(face: Face) -> None:
    made = await face.own("POST", "/apps", {"name": "Shop", "label": "The shop"})
    assert made.status == 201
    assert made.headers["location"] == "/pillarbox/v1/apps/shop"
    assert made.json()["mode"] == "sandbox"
    assert (await face.own("GET", "/apps/SHOP")).json() == made.json()


async def test_live_is_said_on_its_own(face: Face) -> None:
    assert (await face.own("POST", "/apps", {"name": "x", "mode": "live"})).status == 422
    changed = await face.own("PATCH", "/apps/first-app", {"mode": "live"})
    assert changed.json()["mode"] == "live"
    assert (await face.storage.directory.app(face.app.id)).mode is Mode.LIVE


async def test_a_change_leaves_the_rest_as_it_was(face: Face) -> None:
    before = (await face.own("GET", "/apps/first-app")).json()
    after = (await face.own("PATCH", "/apps/first-app", {"label": "New"})).json()
    assert after == {**before, "label": "New"}


@pytest.mark.parametrize(
    "name", ["", "-a", "a b", "a/b", "x" * 65, "system", "Admin", "api_docs", "ä", "a\n"]
)
async def test_names_that_would_collide_or_confuse_are_refused(face: Face, name: str) -> None:
    answer = await face.own("POST", "/apps", {"name": name})
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "/name"


async def test_two_apps_cannot_have_one_name(face: Face) -> None:
    answer = await face.own("POST", "/apps", {"name": "FIRST-APP"})
    assert (answer.status, answer.json()["code"]) == (409, "already_exists")


async def test_an_app_goes_with_its_logins(face: Face) -> None:
    await face.own("POST", "/apps", {"name": "gone"})
    await face.own("POST", "/credentials", {"name": "login", "app": "gone"})
    assert (await face.own("DELETE", "/apps/gone")).status == 204
    assert (await face.own("GET", "/apps/gone")).status == 404
    assert (await face.own("GET", "/credentials/login")).status == 404


async def test_an_app_whose_mail_waits_is_not_removed(face: Face) -> None:
    await face.own("PATCH", "/apps/first-app", {"mode": "hold"})
    taken = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"})
    assert taken.status == 202
    answer = await face.own("DELETE", "/apps/first-app")
    assert (answer.status, answer.json()["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"trackclicks": "true"}, 200),
        ({"TrackClicks": "yes"}, 200),
        ({"trackclicks": "maybe"}, 422),
        ({"trackclick": "true"}, 422),
    ],
)
async def test_options_are_checked(face: Face, options: dict[str, str], status: int) -> None:
    answer = await face.own("PATCH", "/apps/first-app", {"options": options})
    assert answer.status == status
    if status == 200:
        assert answer.json()["options"] == {"trackclicks": "true"}


async def test_an_app_that_asks_for_tracking_says_where_there_is_no_host_for_it(face: Face) -> None:
    asked = await face.own("PATCH", "/apps/first-app", {"options": {"trackclicks": True}})
    assert asked.json()["note"].startswith("Without a tracking host trackclicks does nothing")
    app = await face.storage.directory.app(face.app.id)
    assert app_view(app, tracking=True)["note"] == ""
    left = await face.own("PATCH", "/apps/first-app", {"options": {"trackclicks": None}})
    assert left.json()["note"] == ""


async def test_what_an_app_prefers_for_its_readers_is_one_of_few_words(face: Face) -> None:
    before = (await face.own("GET", "/apps/first-app")).json()
    assert (before["visits"], before["tracked_images"]) == ("default", "default")
    wanted = {"visits": "private", "tracked_images": "redirect"}
    answer = await face.own("PATCH", "/apps/first-app", wanted)
    assert answer.json() == {**before, **wanted}
    stored = await face.storage.directory.app(face.app.id)
    assert (stored.visits, stored.tracked_images) == ("private", "redirect")
    for wrong in ({"visits": "none"}, {"tracked_images": "hosted"}, {"visits": None}):
        refused = await face.own("PATCH", "/apps/first-app", wrong)
        assert refused.status == 422
    made = await face.own("POST", "/apps", {"name": "shop", "visits": "full"})
    assert made.json()["visits"] == "full"


async def test_header_values_of_an_app_are_one_line(face: Face) -> None:
    answer = await face.own("PATCH", "/apps/first-app", {"from_name": "a\r\nBcc: v@example.com"})
    assert answer.status == 422


# --- what a narrowed key sees -----------------------------------------------------------------


async def test_a_narrowed_key_does_not_see_other_apps(face: Face) -> None:
    other = await face.new_app("other")
    key = await face.new_key(app=other.id)
    names = [a["name"] for a in (await face.own("GET", "/apps", key=key)).json()["items"]]
    assert names == ["other"]
    unseen = await face.own("GET", "/apps/first-app", key=key)
    absent = await face.own("GET", "/apps/nothing-at-all", key=key)
    assert unseen.status == absent.status == 404
    assert unseen.json()["detail"].replace("first-app", "X") == absent.json()["detail"].replace(
        "nothing-at-all", "X"
    )


async def test_a_narrowed_key_makes_no_apps_and_only_keys_like_itself(face: Face) -> None:
    other = await face.new_app("other")
    key = await face.new_key(app=other.id)
    assert (await face.own("POST", "/apps", {"name": "more"}, key=key)).status == 403
    assert (await face.own("DELETE", "/apps/other", key=key)).status == 403
    made = await face.own("POST", "/keys", {"name": "mine"}, key=key)
    assert made.json()["app"] == "other"
    assert (
        await face.own("POST", "/keys", {"name": "wide", "app": "first-app"}, key=key)
    ).status == 404
    assert (await face.own("DELETE", "/keys/everything", key=key)).status == 404


# --- servers ----------------------------------------------------------------------------------


async def test_a_password_of_a_server_never_comes_back(face: Face) -> None:
    made = await face.own(
        "POST", "/apps/first-app/servers",
        {"host": "SMTP.example.com.", "username": "u", "password": "xyzzy-secret"},
    )  # fmt: skip
    assert made.status == 201
    server = made.json()
    assert server["password_set"] is True
    assert server["name"] == server["host"] == "smtp.example.com"
    assert server["port"] == 587
    assert server["status"] == "A"
    answers = [
        made,
        await face.own("GET", "/apps/first-app/servers"),
        await face.own("GET", f"/servers/{server['id']}"),
        await face.own("PATCH", "/servers/smtp.example.com", {"priority": 0}),
        await face.own("POST", "/servers/smtp.example.com/disable", {}),
    ]
    assert all(b"xyzzy" not in answer.body for answer in answers)
    stored = (await face.storage.directory.servers(face.app.id))[0]
    assert stored.password == Secret("xyzzy-secret")
    assert stored.priority == 0


async def test_null_takes_a_password_away(face: Face) -> None:
    await face.own("POST", "/apps/first-app/servers", {"host": "a.example.com", "password": "p"})
    changed = await face.own("PATCH", "/servers/a.example.com", {"password": None})
    assert changed.json()["password_set"] is False


@pytest.mark.parametrize(("encryption", "port"), [("none", 25), ("starttls", 587), ("tls", 465)])
async def test_the_usual_port_follows_from_the_encryption(
    face: Face, encryption: str, port: int
) -> None:
    made = await face.own(
        "POST", "/apps/first-app/servers", {"host": "a.example.com", "encryption": encryption}
    )
    assert made.json()["port"] == port


@pytest.mark.parametrize(
    ("host", "stored"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("[IPv6:::1]", "::1"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
    ],
)
async def test_hosts_are_names_or_addresses(face: Face, host: str, stored: str) -> None:
    made = await face.own("POST", "/apps/first-app/servers", {"host": host, "name": "it"})
    assert made.json()["host"] == stored


@pytest.mark.parametrize("host", ["", "a b", "a:25", "http://x", "a\r\nb", "a..b", "user@host"])
async def test_what_is_no_host_is_refused(face: Face, host: str) -> None:
    made = await face.own("POST", "/apps/first-app/servers", {"host": host, "name": "it"})
    assert made.status == 422
    assert made.json()["errors"][0]["pointer"] == "/host"


async def test_a_server_is_disabled_and_enabled_by_name(face: Face) -> None:
    await face.own("POST", "/apps/first-app/servers", {"host": "a.example.com", "name": "one"})
    assert (await face.own("POST", "/servers/one/disable", {})).json()["status"] == "D"
    assert (await face.own("POST", "/servers/one/enable")).json()["enabled"] is True


async def test_a_name_that_two_apps_use_needs_the_app_or_the_id(face: Face) -> None:
    await face.new_app("other")
    for app in ("first-app", "other"):
        await face.own("POST", f"/apps/{app}/servers", {"host": "a.example.com", "name": "one"})
    unclear = await face.own("GET", "/servers/one")
    assert unclear.status == 409
    assert "srv_" in unclear.json()["fix"]
    assert (await face.own("GET", "/servers/one?app=other")).json()["app"] == "other"


async def test_servers_come_in_the_order_in_which_they_are_tried(face: Face) -> None:
    for name, priority in (("b", 5), ("a", 0), ("c", 10)):
        await face.own(
            "POST", "/apps/first-app/servers",
            {"host": "a.example.com", "name": name, "priority": priority},
        )  # fmt: skip
    listed = (await face.own("GET", "/apps/first-app/servers")).json()["items"]
    assert [server["name"] for server in listed] == ["a", "b", "c"]


async def test_a_removed_server_is_gone(face: Face) -> None:
    await face.own("POST", "/apps/first-app/servers", {"host": "a.example.com", "name": "one"})
    assert (await face.own("DELETE", "/servers/one")).status == 204
    assert (await face.own("GET", "/servers/one")).status == 404


# --- credentials ------------------------------------------------------------------------------


async def test_a_password_is_shown_once_and_works(face: Face) -> None:
    made = await face.own("POST", "/credentials", {"name": "shop-web"})
    assert made.status == 201
    assert made.headers["cache-control"] == "no-store"
    document = made.json()
    assert document["username"] == "shop-web"
    assert document["password"].startswith("pb_")
    shown = await face.own("GET", "/credentials/shop-web")
    assert "password" not in shown.json()
    found = await logged_in(face, "shop-web", document["password"])
    assert isinstance(found, Submitter)


async def test_a_rotated_password_fails_at_once(face: Face) -> None:
    first = (await face.own("POST", "/credentials", {"name": "shop-web"})).json()
    second = (await face.own("POST", "/credentials/shop-web/rotate", {})).json()
    found = await logged_in(face, "shop-web", first["password"])
    assert isinstance(found, Problem)
    assert isinstance(await logged_in(face, "shop-web", second["password"]), Submitter)


async def test_a_user_name_that_is_taken_gets_an_ending(face: Face) -> None:
    await face.own("POST", "/credentials", {"name": "old", "username": "web"})
    made = await face.own("POST", "/credentials", {"name": "web"})
    assert made.status == 201
    assert made.json()["username"].startswith("web-")


async def test_a_user_name_that_is_asked_for_twice_is_a_conflict(face: Face) -> None:
    await face.own("POST", "/credentials", {"name": "a", "username": "same"})
    made = await face.own("POST", "/credentials", {"name": "b", "username": "same"})
    assert made.status == 409


async def test_with_several_apps_a_credential_has_to_name_its_own(face: Face) -> None:
    await face.new_app("other")
    answer = await face.own("POST", "/credentials", {"name": "web"})
    assert answer.status == 422
    assert "first-app, other" in answer.json()["fix"]


async def test_a_credential_is_switched_off(face: Face) -> None:
    made = (await face.own("POST", "/credentials", {"name": "web"})).json()
    changed = await face.own(
        "PATCH", "/credentials/web",
        {"active": False, "mode": "hold", "allowed_senders": ["*@EXAMPLE.com"], "kind": "relay"},
    )  # fmt: skip
    assert changed.json()["active"] is False
    assert changed.json()["allowed_senders"] == ["example.com"]
    found = await logged_in(face, "web", made["password"])
    assert isinstance(found, Problem)
    assert found.kind is ProblemKind.DISABLED


async def test_credentials_are_found_by_id_name_and_user_name(face: Face) -> None:
    made = (await face.own("POST", "/credentials", {"name": "web", "username": "u-1"})).json()
    for text in (made["id"], "web", "u-1"):
        assert (await face.own("GET", f"/credentials/{text}")).json()["id"] == made["id"]
    listed = await face.own("GET", "/credentials?app=first-app")
    assert [each["id"] for each in listed.json()["items"]] == [made["id"]]
    assert (await face.own("DELETE", "/credentials/web")).status == 204
    assert (await face.own("GET", "/credentials/web")).status == 404


# --- keys -------------------------------------------------------------------------------------


async def test_a_key_is_shown_once_and_works(face: Face) -> None:
    made = await face.own("POST", "/keys", {"name": "reader", "verbs": ["read", "read"]})
    assert made.status == 201
    document = made.json()
    assert len(document["key"]) == 64
    assert document["verbs"] == ["read"]
    assert document["hint"] == document["key"][:8]
    assert (await face.own("GET", "/status", key=document["key"])).status == 200
    listed = await face.own("GET", "/keys")
    assert document["key"].encode() not in listed.body
    assert b"secret_hash" not in listed.body


async def test_a_key_without_further_words_may_do_everything(face: Face) -> None:
    made = (await face.own("POST", "/keys", {"name": "all"})).json()
    assert made["verbs"] == ["send", "read", "manage"]
    assert made["app"] is None


async def test_a_removed_key_is_refused_at_once(face: Face) -> None:
    made = (await face.own("POST", "/keys", {"name": "brief"})).json()
    assert (await face.own("DELETE", "/keys/brief")).status == 204
    assert (await face.own("GET", "/status", key=made["key"])).status == 401


async def test_a_verb_that_does_not_exist_is_refused(face: Face) -> None:
    answer = await face.own("POST", "/keys", {"name": "x", "verbs": ["fly"]})
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "/verbs/0"


async def test_a_key_of_another_account_reaches_nothing(face: Face) -> None:
    stranger = replace(face.account, id=type(face.account.id)(b"x" * 12), name="other")
    await face.storage.directory.save_account(stranger)
    mine, face.account = face.account, stranger
    key = await face.new_key()
    face.account = mine
    assert (await face.own("GET", "/apps", key=key)).json()["items"] == []
    by_id = format_object_id("app", face.app.id)
    assert (await face.own("GET", f"/apps/{by_id}", key=key)).status == 404
    names = [k["name"] for k in (await face.own("GET", "/keys", key=key)).json()["items"]]
    assert "everything" not in names
