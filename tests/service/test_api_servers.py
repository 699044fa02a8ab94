"""servers over the API: everything that can be said about one, presets, and the check"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pillarbox.policy.events import SwitchFacts
from pillarbox.policy.server import Kind, SenderRule
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.doubles.script import Script, Stage, say
from tests.fix_api_face import Face

SERVERS = "/apps/first-app/servers"
DIGEST = "ab" * 32


async def add(face: Face, **said: Any) -> dict[str, Any]:
    made = await face.own("POST", SERVERS, {"host": "a.example.com", "name": "one", **said})
    assert made.status == 201, made.body
    return made.json()


async def wrong(face: Face, **said: Any) -> list[str]:
    """The places of the mistakes in a new server."""
    made = await face.own("POST", SERVERS, {"host": "a.example.com", "name": "one", **said})
    assert made.status == 422, made.body
    return [each["pointer"] for each in made.json()["errors"]]


# --- fields -----------------------------------------------------------------------------------


async def test_everything_that_is_said_about_a_server_is_kept_and_shown(face: Face) -> None:
    said = {
        "auth": False, "pin": DIGEST, "hello_name": "relay.example.com",
        "local_address": "192.0.2.1", "preset": "", "allowed_senders": ["example.com"],
        "sender_rule": "always", "max_per_second": 0.5, "max_per_minute": 30, "max_per_day": 500,
    }  # fmt: skip
    made = await add(face, **said)
    shown = (await face.own("GET", "/servers/one")).json()
    assert {name: shown[name] for name in said} == said
    assert made["kind"] == "smtp"
    (stored,) = await face.storage.directory.servers(face.app.id)
    assert (stored.max_per_second, stored.sender_rule) == (0.5, SenderRule.ALWAYS)
    changed = await face.own(
        "PATCH", "/servers/one", {"auth": True, "pin": "", "allowed_senders": []}
    )
    assert (changed.json()["auth"], changed.json()["pin"]) == (True, "")
    assert changed.json()["allowed_senders"] == []


@pytest.mark.parametrize(
    "said",
    [
        DIGEST.upper(),
        ":".join(["AB"] * 32),
        "sha256//q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
    ],
)
async def test_a_pin_is_taken_in_the_forms_people_have_it_in(face: Face, said: str) -> None:
    assert (await add(face, pin=said))["pin"] == DIGEST


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pin", "ab" * 31),
        ("pin", "sha256//short"),
        ("pin", "not hex" * 9),
        ("hello_name", "not a name"),
        ("hello_name", "[999.1.1.1]"),
        ("local_address", "relay.example.com"),
        ("allowed_senders", ["@@"]),
        ("sender_rule", "sometimes"),
        ("max_per_second", -1),
        ("max_per_minute", -1),
        ("max_per_day", 1.5),
        ("auth", "yes"),
        ("kind", "pigeon"),
    ],
)
async def test_what_cannot_be_used_is_named(face: Face, field: str, value: Any) -> None:
    (place,) = await wrong(face, **{field: value})
    assert place.startswith(f"/{field}")


@pytest.mark.parametrize("literal", ["[192.0.2.1]", "[IPv6:2001:db8::7]"])
async def test_an_address_may_be_said_in_ehlo_in_brackets(face: Face, literal: str) -> None:
    assert (await add(face, hello_name=literal))["hello_name"] == literal


@pytest.mark.parametrize(
    ("said", "warned"),
    [
        ({}, False),
        ({"verify": False}, True),
        ({"verify": False, "pin": DIGEST}, False),
        ({"encryption": "none"}, True),
    ],
)
async def test_a_connection_others_could_read_is_warned_of_wherever_the_server_is_shown(
    face: Face, said: dict[str, Any], warned: bool
) -> None:
    made = await add(face, **said)
    (listed,) = (await face.own("GET", SERVERS)).json()["items"]
    shown = (await face.own("GET", "/servers/one")).json()
    assert bool(made["warnings"]) is bool(listed["warnings"]) is bool(shown["warnings"]) is warned


async def test_a_server_without_a_host_is_refused(face: Face) -> None:
    made = await face.own("POST", SERVERS, {"name": "one"})
    assert made.status == 422 and made.json()["errors"][0]["pointer"] == "/host"


# --- direct ways ------------------------------------------------------------------------------


async def test_a_direct_way_has_no_host_and_stands_in_the_same_order(face: Face) -> None:
    await add(face, priority=5)
    made = await face.own("POST", SERVERS, {"kind": "direct", "priority": 1, "max_per_minute": 60})
    assert made.status == 201
    assert (made.json()["name"], made.json()["host"], made.json()["warnings"]) == ("direct", "", [])
    names = [each["name"] for each in (await face.own("GET", SERVERS)).json()["items"]]
    assert names == ["direct", "one"]
    (stored, _) = await face.storage.directory.servers(face.app.id)
    assert stored.kind is Kind.DIRECT


async def test_what_means_nothing_for_a_direct_way_is_refused(face: Face) -> None:
    said = {"kind": "direct", "username": "me", "verify": False, "host": "a.example.com"}
    made = await face.own("POST", SERVERS, said)
    assert {e["pointer"] for e in made.json()["errors"]} == {"/username", "/verify", "/host"}
    await face.own("POST", SERVERS, {"kind": "direct"})
    changed = await face.own("PATCH", "/servers/direct", {"port": 2525})
    assert changed.status == 422
    assert (await face.own("PATCH", "/servers/direct", {"priority": 3})).status == 200


# --- presets ----------------------------------------------------------------------------------


async def test_a_preset_fills_in_what_was_not_said(face: Face) -> None:
    made = await face.own(
        "POST", SERVERS, {"preset": "gmail", "username": "me@gmail.com", "max_per_day": 100}
    )
    server = made.json()
    assert (server["host"], server["port"], server["encryption"]) == (
        "smtp.gmail.com", 587, "starttls",
    )  # fmt: skip
    assert (server["preset"], server["max_per_day"]) == ("gmail", 100)


async def test_a_preset_with_regions_wants_one(face: Face) -> None:
    made = await face.own("POST", SERVERS, {"preset": "ses"})
    assert made.status == 422
    assert made.json()["errors"][0]["pointer"] == "/region"
    assert "eu-west-1" in made.json()["detail"]
    made = await face.own("POST", SERVERS, {"preset": "ses", "region": "eu-west-1"})
    assert made.json()["host"] == "email-smtp.eu-west-1.amazonaws.com"


async def test_an_unknown_preset_is_answered_with_a_guess(face: Face) -> None:
    made = await face.own("POST", SERVERS, {"preset": "gmial"})
    assert made.status == 422 and "gmail" in made.json()["detail"]
    await add(face)
    assert (await face.own("PATCH", "/servers/one", {"preset": "gmial"})).status == 422
    changed = await face.own("PATCH", "/servers/one", {"preset": "gmail"})
    assert (changed.json()["preset"], changed.json()["host"]) == ("gmail", "a.example.com")


async def test_presets_are_listed_with_what_to_know_about_them(face: Face) -> None:
    items = (await face.own("GET", "/presets")).json()["items"]
    by_name = {each["name"]: each for each in items}
    assert items[0]["name"] == "gmail"
    assert "app password" in by_name["gmail"]["password"]
    assert by_name["mailgun"]["regions"]["eu"] == "smtp.eu.mailgun.org"


# --- status and check -------------------------------------------------------------------------


async def test_who_enables_and_disables_a_server_stands_in_the_log(face: Face) -> None:
    await add(face)
    for verb in ("disable", "disable", "enable"):
        await face.own("POST", f"/servers/one/{verb}")
    events = [e for e in await face.storage.events.recent(9) if e.kind.startswith("server.")]
    assert [event.kind for event in events] == ["server.enabled", "server.disabled"]
    assert all(isinstance(e.data, SwitchFacts) and e.data.by == "key everything" for e in events)


async def test_what_a_check_found_and_did_is_told_in_the_events(face: Face) -> None:
    await face.storage.directory.save_app(replace(face.app, test_address="me@example.com"))
    await add(face, host="127.0.0.1", port=free_port(), encryption="none")
    await face.own("POST", "/servers/one/check")
    items = (await face.own("GET", "/events")).json()["items"]
    switched, checked = items[0], items[1]
    assert (switched["kind"], checked["kind"]) == ("server.disabled", "server.checked")
    assert switched["words"].startswith("one is used no more (check: connect: ")
    assert [step["name"] for step in checked["facts"]["steps"]] == ["name", "connect"]
    assert checked["facts"]["server_name"] == "one"


async def test_a_check_answers_200_whatever_comes_of_it(face: Face) -> None:
    await face.storage.directory.save_app(replace(face.app, test_address="me@example.com"))
    script = Script().on(Stage.RCPT, say(550, "5.1.1 nobody here"), times=1)
    async with BadServer(script) as server:
        await add(face, host="127.0.0.1", port=server.port, encryption="none")
        bad = await face.own("POST", "/servers/one/check")
        assert bad.status == 200
        report = bad.json()
        assert (report["ok"], report["enabled"], report["changed"]) == (False, False, True)
        assert report["steps"][-1]["result"] == "failed" and report["steps"][-1]["name"] == "mail"
        assert "nobody here" in report["sentence"]
        good = (await face.own("POST", "/servers/one/check", {"from": "a@example.com"})).json()
        assert (good["ok"], good["enabled"], good["changed"]) == (True, True, True)
        assert (good["from"], good["to"]) == ("a@example.com", "me@example.com")
        assert len(server.messages) == 1


async def test_a_check_without_mail_changes_nothing(face: Face) -> None:
    await add(face, host="127.0.0.1", port=free_port(), encryption="none")
    report = (await face.own("POST", "/servers/one/check", {"mail": False})).json()
    assert (report["ok"], report["enabled"], report["mail"]) == (False, True, False)


async def test_a_check_is_refused_for_what_is_not_there_and_for_what_makes_no_sense(
    face: Face,
) -> None:
    assert (await face.own("POST", "/servers/nope/check", {})).status == 404
    await add(face)
    assert (await face.own("POST", "/servers/one/check", {"from": "nobody"})).status == 422
    assert (await face.own("POST", "/servers/one/check", {"to": "a@b.example"})).status == 422


async def test_a_key_that_may_not_manage_checks_nothing(face: Face) -> None:
    await add(face)
    key = await face.new_key(name="reader", verbs=("read",))
    refused = await face.own("POST", "/servers/one/check", {}, key=key)
    assert refused.status == 403
