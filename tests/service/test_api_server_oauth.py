"""logins by access token over the API: what may be said, what is shown, what is kept"""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.policy.server import Grant, OAuth
from pillarbox.terms.secret import Secret
from tests.fix_api_face import Face

SERVERS = "/apps/first-app/servers"
MICROSOFT = {"provider": "microsoft", "tenant": "contoso.onmicrosoft.com", "client_id": "c1"}


async def add(face: Face, **said: Any) -> dict[str, Any]:
    made = await face.own(
        "POST", SERVERS, {"name": "m365", "username": "relay@contoso.com", **said}
    )
    assert made.status == 201, made.body
    return made.json()


async def mistakes(face: Face, method: str, path: str, said: dict[str, Any]) -> dict[str, str]:
    made = await face.own(method, path, said)
    assert made.status == 422, made.body
    return {each["pointer"]: each["detail"] for each in made.json()["errors"]}


async def test_a_preset_knows_the_host_and_secrets_are_kept_and_never_shown(face: Face):
    made = await add(face, oauth=MICROSOFT, client_secret="s3cret")
    assert (made["host"], made["port"], made["encryption"]) == (
        "smtp.office365.com", 587, "starttls",
    )  # fmt: skip
    assert made["oauth"] == {
        "provider": "microsoft",
        "grant": "client_credentials",
        "client_id": "c1",
        "tenant": "contoso.onmicrosoft.com",
        "token_url": "",
        "scope": "",
        "client_secret_set": True,
        "refresh_token_set": False,
    }
    shown = await face.own("GET", "/servers/m365")
    assert b"s3cret" not in shown.body
    (stored,) = await face.storage.directory.servers(face.app.id)
    assert stored.client_secret == Secret("s3cret")
    assert stored.oauth == OAuth(
        "microsoft", Grant.CLIENT_CREDENTIALS, "c1", "contoso.onmicrosoft.com"
    )


async def test_google_is_asked_with_a_refresh_token_that_may_come_later(face: Face):
    made = await add(face, oauth={"provider": "google", "client_id": "g"}, client_secret="s")
    assert made["oauth"]["grant"] == "refresh_token"
    assert made["oauth"]["refresh_token_set"] is False
    changed = await face.own("PATCH", "/servers/m365", {"refresh_token": " 1//abc "})
    assert changed.json()["oauth"]["refresh_token_set"] is True
    (stored,) = await face.storage.directory.servers(face.app.id)
    assert stored.refresh_token == Secret("1//abc")
    assert stored.client_secret == Secret("s")


async def test_only_what_is_named_changes_and_another_provider_keeps_who_we_are(face: Face):
    await add(face, oauth={**MICROSOFT, "scope": "mine"}, client_secret="s")
    changed = await face.own("PATCH", "/servers/m365", {"oauth": {"client_id": "c2"}})
    oauth = changed.json()["oauth"]
    assert (oauth["client_id"], oauth["tenant"], oauth["scope"]) == (
        "c2", "contoso.onmicrosoft.com", "mine",
    )  # fmt: skip
    changed = await face.own("PATCH", "/servers/m365", {"oauth": {"provider": "google"}})
    oauth = changed.json()["oauth"]
    assert (oauth["client_id"], oauth["scope"], oauth["grant"]) == ("c2", "", "refresh_token")
    assert oauth["client_secret_set"] is True


async def test_a_password_takes_the_tokens_away_and_tokens_the_password(face: Face):
    await add(face, host="smtp.example.com", password="p")
    changed = await face.own("PATCH", "/servers/m365", {"oauth": MICROSOFT, "client_secret": "s"})
    assert changed.json()["password_set"] is False
    changed = await face.own("PATCH", "/servers/m365", {"password": "p"})
    assert (changed.json()["password_set"], changed.json()["oauth"]) == (True, None)
    await face.own("PATCH", "/servers/m365", {"oauth": MICROSOFT, "client_secret": "s"})
    changed = await face.own("PATCH", "/servers/m365", {"oauth": None})
    assert (changed.json()["password_set"], changed.json()["oauth"]) == (False, None)
    (stored,) = await face.storage.directory.servers(face.app.id)
    assert stored.client_secret is None


@pytest.mark.parametrize(
    ("said", "place", "words"),
    [
        ({"oauth": {"provider": "yahoo", "client_id": "c"}}, "/oauth", "microsoft, google"),
        ({"oauth": {**MICROSOFT, "tenant": ""}}, "/oauth", "tenant"),
        ({"oauth": {**MICROSOFT, "client_id": ""}}, "/oauth", "client id"),
        ({"oauth": MICROSOFT}, "/client_secret", "missing"),
        ({"oauth": {"token_url": "http://a.example/", "client_id": "c"}}, "/oauth", "only https"),
        ({"oauth": {"token_url": "https://u:p@a.example/", "client_id": "c"}}, "/oauth", "user"),
        ({"oauth": {"client_id": "c"}}, "/oauth", "token endpoint"),
        ({"oauth": {**MICROSOFT, "colour": "red"}}, "/oauth", "colour"),
        ({"oauth": {**MICROSOFT, "client_id": "a\r\nb"}}, "/oauth", "line break"),
        ({"oauth": MICROSOFT, "client_secret": "s", "username": ""}, "/username", "mailbox"),
        ({"refresh_token": "x"}, "/refresh_token", "without oauth"),
        ({"oauth": MICROSOFT, "client_secret": "a\nb"}, "/client_secret", "line break"),
        ({"oauth": MICROSOFT, "client_secret": "s" * 1001}, "/client_secret", "length"),
    ],
)
async def test_what_cannot_work_is_refused_with_its_place(face: Face, said, place, words):
    document = {"name": "m", "host": "smtp.example.com", "username": "u@example.com", **said}
    found = await mistakes(face, "POST", SERVERS, document)
    assert words in found[place], found


async def test_another_endpoint_is_asked_at_its_own_url(face: Face):
    made = await add(
        face, host="smtp.example.com", client_secret="s",
        oauth={"token_url": "https://login.example/token", "client_id": "c", "scope": "smtp"},
    )  # fmt: skip
    assert made["oauth"]["token_url"] == "https://login.example/token"
    assert made["oauth"]["provider"] == ""
