"""recipes and profiles over the API"""

from __future__ import annotations

import plistlib
import re
from dataclasses import replace
from urllib.parse import quote

import pytest

from pillarbox.api.app import build_app
from pillarbox.api.rooms import ListenerFact, SmtpFacts
from pillarbox.policy.connecting import ConnectConfig
from pillarbox.wiring.recipes import load_recipes
from tests.fix_api_face import Face

BOTH = SmtpFacts(
    (ListenerFact("0.0.0.0", 587, "STARTTLS"), ListenerFact("0.0.0.0", 465, "TLS")), "/data/ca.pem"
)


def listening(face: Face, facts: SmtpFacts = BOTH, **config: object) -> None:
    face.rooms = replace(
        face.rooms,
        smtp_facts=lambda: facts,
        recipes=load_recipes,
        connect=ConnectConfig(**config),  # type: ignore[arg-type]
    )
    face.public, face.owner = build_app(face.rooms), build_app(face.rooms, owner=True)


@pytest.fixture
async def login(face: Face) -> str:
    """The path of a login whose name and user name differ."""
    listening(face)
    made = await face.own(
        "POST", "/credentials", {"name": "web", "username": "web+1@example.com", "kind": "relay"}
    )
    assert made.status == 201
    return f"/credentials/{made.json()['id']}"


# --- recipes ----------------------------------------------------------------------------------


async def test_a_recipe_has_the_login_s_values_and_never_a_password(face: Face, login: str) -> None:
    answer = await face.own("GET", f"{login}/connect?for=curl")
    assert answer.status == 200
    found = answer.json()
    assert found["values"] == {
        "credential": "web", "username": "web+1@example.com", "password": "YOUR_PASSWORD",
        "host": "mail.example.com", "port": 465, "security": "TLS", "sender": "shop@example.com",
        "ca_path": "/data/ca.pem", "tls_port": 465, "starttls_port": 587, "incoming": "",
    }  # fmt: skip
    (file,) = found["files"]
    assert 'user = "web+1@example.com:YOUR_PASSWORD"' in file["text"]
    assert 'url = "smtps://mail.example.com:465"' in file["text"]
    assert found["for"] == "curl" and len(found["failures"]) == 3


async def test_every_recipe_is_listed_and_answered(face: Face, login: str) -> None:
    listed = (await face.own("GET", f"{login}/connect")).json()
    assert listed["next"] is None and listed["values"]["port"] == 465
    names = [each["name"] for each in listed["items"]]
    assert {"thunderbird", "postfix", "django", "dns", "env"} <= set(names)
    for name in names:
        assert (await face.own("GET", f"{login}/connect?for={name}")).status == 200


async def test_starttls_is_had_by_asking_for_it(face: Face, login: str) -> None:
    found = (await face.own("GET", f"{login}/connect?for=curl&via=starttls")).json()
    assert (found["values"]["port"], found["values"]["security"]) == (587, "STARTTLS")
    assert "smtp://mail.example.com:587" in found["files"][0]["text"]


async def test_a_program_that_is_better_off_with_starttls_gets_it(face: Face, login: str) -> None:
    assert (await face.own("GET", f"{login}/connect?for=grafana")).json()["values"]["port"] == 587
    asked = await face.own("GET", f"{login}/connect?for=grafana&via=tls")
    assert asked.json()["values"]["port"] == 465
    listening(face, SmtpFacts((ListenerFact("0.0.0.0", 465, "TLS"),)))
    assert (await face.own("GET", f"{login}/connect?for=grafana")).json()["values"]["port"] == 465


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("for=djnago", 404, "did you mean django"),
        ("for=" + "x" * 1000, 404, "no recipe"),
        ("for=curl&via=ssl", 422, "via is tls or starttls"),
        ("for=curl&for=curl", 422, "given twice"),
        ("fro=curl", 422, "for"),
    ],
)
async def test_a_mistake_is_named(
    face: Face, login: str, query: str, status: int, words: str
) -> None:
    answer = await face.own("GET", f"{login}/connect?{query}")
    assert answer.status == status
    assert words in answer.json()["detail"] + answer.json()["fix"]
    assert len(answer.body) < 2500


async def test_where_no_port_is_open_nothing_is_recommended(face: Face, login: str) -> None:
    listening(face, SmtpFacts())
    answer = await face.own("GET", f"{login}/connect?for=curl")
    assert (answer.status, answer.json()["code"]) == (409, "wrong_state")
    assert "connect.tls_port" in answer.json()["fix"]
    listening(face, SmtpFacts((ListenerFact("127.0.0.1", 465, "TLS"),)))
    answer = await face.own("GET", f"{login}/connect?for=curl&via=starttls")
    assert answer.status == 409 and "STARTTLS" in answer.json()["detail"]


async def test_another_s_login_is_not_there(face: Face, login: str) -> None:
    other = await face.new_app("other")
    narrow = await face.new_key(app=other.id)
    for what in ("connect?for=curl", "profile?incoming=imaps://i.example"):
        assert (await face.own("GET", f"{login}/{what}", key=narrow)).status == 404
        sender = await face.new_key(verbs=("send",))
        assert (await face.own("GET", f"{login}/{what}", key=sender)).status == 403
        assert (await face.own("GET", f"{login}/{what}", key=None)).status == 401


# --- profiles ---------------------------------------------------------------------------------


async def test_a_profile_has_what_apple_s_payload_must_have(face: Face, login: str) -> None:
    answer = await face.own(
        "GET", f"{login}/profile?incoming=imaps://imap.example.com&name=Ann%20%C3%84"
    )
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/x-apple-aspen-config"
    assert answer.headers["content-disposition"].endswith('.mobileconfig"')
    profile = plistlib.loads(answer.body)
    assert profile["PayloadType"] == "Configuration"
    (account,) = profile["PayloadContent"]
    assert account["PayloadType"] == "com.apple.mail.managed"
    for each in (profile, account):
        assert each["PayloadVersion"] == 1 and each["PayloadIdentifier"]
        assert re.fullmatch(
            r"[0-9A-F]{8}-[0-9A-F]{4}-8[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}",
            each["PayloadUUID"],
        )
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    assert account["EmailAccountName"] == "Ann Ä"
    assert account["IncomingMailServerAuthentication"] == "EmailAuthPassword"
    assert account["IncomingMailServerHostName"] == "imap.example.com"
    assert account["IncomingMailServerPortNumber"] == 993
    assert account["OutgoingMailServerAuthentication"] == "EmailAuthPassword"
    assert account["OutgoingMailServerHostName"] == "mail.example.com"
    assert account["OutgoingMailServerPortNumber"] == 465
    assert account["OutgoingMailServerUseSSL"] is True
    assert account["OutgoingMailServerUsername"] == "web+1@example.com"
    assert account["EmailAddress"] == "shop@example.com"
    assert not [name for name in account if "Password" in name and name.startswith("Incoming")
                and name.endswith("Password")]  # fmt: skip
    assert "OutgoingPassword" not in account


async def test_a_profile_of_a_later_day_replaces_the_first(face: Face, login: str) -> None:
    first = plistlib.loads(
        (await face.own("GET", f"{login}/profile?incoming=imaps://a.example")).body
    )
    await face.own("PATCH", login, {"username": "another", "name": "another"})
    again = plistlib.loads(
        (await face.own("GET", f"{login}/profile?incoming=imap://b.example")).body
    )
    for name in ("PayloadUUID", "PayloadIdentifier"):
        assert first[name] == again[name]
        assert first["PayloadContent"][0][name] == again["PayloadContent"][0][name]
    assert first["PayloadUUID"] != first["PayloadContent"][0]["PayloadUUID"]
    other = (await face.own("POST", "/credentials", {"name": "other"})).json()
    else_ = await face.own("GET", f"/credentials/{other['id']}/profile?incoming=imaps://a.example")
    assert plistlib.loads(else_.body)["PayloadUUID"] != first["PayloadUUID"]


async def test_the_incoming_server_may_be_a_setting(face: Face, login: str) -> None:
    refused = await face.own("GET", f"{login}/profile")
    assert refused.status == 422 and "incoming" in refused.json()["fix"]
    listening(face, incoming="pop3://pop.example.com")
    (account,) = plistlib.loads((await face.own("GET", f"{login}/profile")).body)["PayloadContent"]
    assert account["EmailAccountType"] == "EmailTypePOP"
    assert account["IncomingMailServerPortNumber"] == 110
    answer = await face.own(
        "GET", f"{login}/profile?incoming=imaps://imap.example.com&via=starttls"
    )
    (account,) = plistlib.loads(answer.body)["PayloadContent"]
    assert account["IncomingMailServerHostName"] == "imap.example.com"
    assert account["OutgoingMailServerPortNumber"] == 587


@pytest.mark.parametrize(
    "query",
    [
        "incoming=imap.example.com", "incoming=imaps://a.example&address=nobody",
        "incoming=imaps://a.example&name=a%00b", "incoming=imaps://a.example&name=" + "x" * 101,
        "incoming=file:///etc/passwd",
    ],
)  # fmt: skip
async def test_what_cannot_be_in_a_profile_is_refused(face: Face, login: str, query: str) -> None:
    assert (await face.own("GET", f"{login}/profile?{query}")).status == 422


async def test_what_is_written_into_a_profile_stays_text(face: Face, login: str) -> None:
    name = quote("<dict>&amp;]]>\"'")
    address = quote('"a<b>&c"@example.com')
    answer = await face.own(
        "GET", f"{login}/profile?incoming=imaps://a.example&name={name}&address={address}"
    )
    (account,) = plistlib.loads(answer.body)["PayloadContent"]
    assert account["EmailAccountName"] == "<dict>&amp;]]>\"'"
    assert account["EmailAddress"] == '"a<b>&c"@example.com'
