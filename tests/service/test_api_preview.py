"""previews over the API: whole messages and stored ones, rendered in full and not sent"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.message.render import RENDERER_VERSION, Hop, render
from pillarbox.net.errors import WorkerLost
from pillarbox.net.workers import Workers
from pillarbox.policy.delivery import State
from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.services.delivery.renderer import StoredKeys
from pillarbox.terms.ids import delivery_id, new_object_id
from tests.fix_api_face import Answer, Face

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
NEWSLETTER = (SAMPLES / "newsletter.eml").read_bytes()
PAGE = (
    b"From: shop@example.com\r\nSubject: Hi\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p><a href="https://example.com/a?b=1">there</a></p>\r\n'
)
TRACKED = {"trackclicks": True, "trackopens": True}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


async def asked(face: Face, whole: bytes = PAGE, **more: Any) -> Answer:
    return await face.own("POST", "/preview", {"raw_base64": encoded(whole), **more})


async def sent(face: Face, content: bytes = PAGE, *to: str) -> str:
    document = {"to": to or ["a@example.com"], "raw_base64": encoded(content)}
    return str((await face.own("POST", "/messages", document)).json()["id"])


async def with_app_options(face: Face, **options: bool) -> None:
    assert (await face.own("PATCH", "/apps/first-app", {"options": options})).status == 200


async def messages(face: Face) -> list[Any]:
    return list((await face.own("GET", "/messages")).json()["items"])


# --- whole messages -------------------------------------------------------------------------------


async def test_a_message_is_shown_as_it_would_leave_and_not_taken(face: Face) -> None:
    answer = await asked(face, options=TRACKED, content=True)
    assert answer.status == 200
    told = answer.json()
    (link,) = told["links"]
    assert (link["url"], link["verdict"]) == ("https://example.com/a?b=1", "tracked")
    assert link["instead"].startswith("https://track.example.com/")
    assert [image["kind"] for image in told["images"]] == ["pixel"]
    assert link["instead"].encode() in base64.b64decode(told["content_base64"])
    assert told["difference"]["parts"][0]["fate"] == "changed"
    assert await messages(face) == []


async def test_content_is_given_only_where_it_is_wanted(face: Face) -> None:
    assert "content_base64" not in (await asked(face)).json()


async def test_options_come_from_app_login_request_and_header(face: Face) -> None:
    await with_app_options(face, preventscam=True)
    login = {"app": "first-app", "name": "web", "options": {"inlinecss": True}}
    assert (await face.own("POST", "/credentials", login)).status == 201
    told = (
        await asked(
            face, b"X-Pillarbox-TrackOpens: no\r\n" + PAGE, credential="web", options=TRACKED
        )
    ).json()
    assert {(each["name"], each["value"], each["origin"]) for each in told["options"]} == {
        ("preventscam", "true", "app"),
        ("inlinecss", "true", "credential"),
        ("trackclicks", "true", "request"),
        ("trackopens", "false", "header"),
    }


async def test_a_newsletter_in_full_is_rendered_in_a_child(face: Face) -> None:
    options = {**TRACKED, "inlinecss": True, "images": "hosted"}
    told = (await asked(face, NEWSLETTER, options=options)).json()
    assert {"tracked", "label_is_link", "unsubscribe"} <= {
        link["verdict"] for link in told["links"]
    }
    assert [image["content_id"] for image in told["hosted"]] == ["logo@letters.example.com"]
    passages = told["difference"]["parts"][1]["passages"]
    assert any('style="padding: 12px' in each["after"] for each in passages)


async def test_an_author_who_would_be_refused_is_remarked(face: Face) -> None:
    change = {"allowed_senders": ["example.net"]}
    assert (await face.own("PATCH", "/apps/first-app", change)).status == 200
    told = (await asked(face)).json()
    assert told["remarks"][0].startswith("It would be refused: ")


async def test_an_author_at_no_domain_of_an_account_that_enforces_them_is_remarked(
    face: Face,
) -> None:
    await face.storage.directory.save_account(replace(face.account, enforces_domains=True))
    told = (await asked(face)).json()
    assert told["remarks"][0].startswith("It would be refused: ")
    assert "example.com" in told["remarks"][0]


async def with_signing_domain(face: Face) -> None:
    domain = SendingDomain(
        new_object_id(), face.account.id, "example.com", "c",
        tracking_host="clicks.example.com", tracking_found=True, proved_at=1,
    )  # fmt: skip
    signer = new_key("example.com", "s1", Algorithm.ED25519)
    key = DkimKey("s1", Algorithm.ED25519, signer.record, KeyState.ACTIVE, created_at=1)
    await face.storage.domains.save_domain(domain)
    await face.storage.domains.add_keys(domain.id, [(key, signer.private_text())])


async def test_nobody_gets_a_signature_for_what_the_door_would_refuse(face: Face) -> None:
    await with_signing_domain(face)
    change = {"allowed_senders": ["someone@example.com"]}
    assert (await face.own("PATCH", "/apps/first-app", change)).status == 200
    told = (await asked(face, content=True)).json()
    assert told["remarks"][0].startswith("It would be refused: ")
    assert told["signed_by"] == []
    assert b"DKIM-Signature" not in base64.b64decode(told["content_base64"])
    permitted = PAGE.replace(b"shop@", b"someone@")
    assert (await asked(face, permitted)).json()["signed_by"] == ["example.com/s1"]


async def test_mail_of_a_sending_domain_is_signed_and_tracked_as_that_wishes(face: Face) -> None:
    await with_signing_domain(face)
    told = (await asked(face, options=TRACKED)).json()
    assert told["signed_by"] == ["example.com/s1"]
    assert told["difference"]["fields"][0]["name"] == "DKIM-Signature"
    assert told["links"][0]["instead"].startswith("https://clicks.example.com/")
    message = await sent(face)
    wish = {"message": message, "options": {"trackclicks": True}}
    told = (await face.own("POST", "/preview", wish)).json()
    assert told["signed_by"] == ["example.com/s1"]
    assert told["links"][0]["instead"].startswith("https://clicks.example.com/")


async def test_what_the_next_server_cannot_take_is_said(face: Face) -> None:
    signed = (
        b"From: shop@example.com\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n"
        b"--b\r\n\r\ncaf\xc3\xa9\r\n--b--\r\n"
    )
    assert (await asked(face, signed)).status == 200
    refused = await asked(face, signed, seven_bit=True)
    assert refused.json()["code"] == "cannot_render"


async def test_mistakes_in_the_request_are_pointed_at(face: Face) -> None:
    mistakes: list[tuple[dict[str, Any], str]] = [
        ({}, "/raw_base64"),
        ({"raw_base64": "eA==", "message": "msg_0"}, "/raw_base64"),
        ({"raw_base64": "%"}, "/raw_base64"),
        ({"raw_base64": "eA==", "options": {"nonsense": True}}, "/options"),
        ({"raw_base64": "eA==", "recipient": "a@example.com"}, "/recipient"),
        ({"message": "msg_0", "app": "first-app"}, "/message"),
        ({"raw_base64": "eA==", "colour": "red"}, "/colour"),
    ]
    for document, pointer in mistakes:
        answer = await face.own("POST", "/preview", document)
        assert answer.status == 422
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_a_message_that_the_door_would_refuse_is_refused_alike(face: Face) -> None:
    answer = await asked(face, b"Subject: from nobody\r\n\r\nHi\r\n")
    assert answer.json()["code"] == "message_malformed"


async def test_a_message_that_is_too_large_is_refused(face: Face) -> None:
    face.rebuild(type(face.rooms.config)(max_message_mb=1))
    answer = await asked(face, PAGE + b"x" * (1024 * 1024))
    assert answer.json()["code"] == "message_too_large"


async def test_of_too_many_at_once_some_are_asked_to_come_again(face: Face) -> None:
    answers = await asyncio.gather(*(asked(face) for _ in range(50)))
    refused = [each for each in answers if each.status != 200]
    assert 0 < len(refused) < 50
    assert {each.status for each in refused} == {503}
    assert all("retry-after" in each.headers for each in refused)
    assert (await asked(face)).status == 200


# --- messages that were taken ---------------------------------------------------------------------


async def test_a_stored_message_is_shown_as_delivery_renders_it(face: Face) -> None:
    await with_app_options(face, **TRACKED)
    message = await sent(face, PAGE, "a@example.com", "b@example.com")
    wish = {"message": message, "recipient": "b@example.com", "content": True}
    told = (await face.own("POST", "/preview", wish)).json()
    number = face.door.receipts[-1].message
    stored = await face.storage.messages.get(number)
    keys = await StoredKeys(face.storage.keys, face.storage.domains).keys_for(stored.facts)
    hop = Hop(eight_bit=True, smtputf8=True)
    leaves = render(await face.content(number), stored.facts, hop, keys, delivery_id(number, 2))
    assert base64.b64decode(told["content_base64"]) == leaves
    assert told["name"] == message
    assert told["recipient"] == "b@example.com"
    assert told["sent"] is None
    assert (await face.own("GET", f"/messages/{message}/preview?recipient=b@example.com")).json()[
        "links"
    ] == told["links"]


async def test_each_recipient_has_links_of_his_own_and_an_unknown_one_none(face: Face) -> None:
    await with_app_options(face, **TRACKED)
    message = await sent(face, PAGE, "a@example.com", "b@example.com")
    first = (await face.own("GET", f"/messages/{message}/preview")).json()
    other = (await face.own("GET", f"/messages/{message}/preview?recipient=b@example.com")).json()
    assert first["recipient"] == "a@example.com"
    assert first["links"][0]["instead"] != other["links"][0]["instead"]
    nobody = await face.own("GET", f"/messages/{message}/preview?recipient=c@example.com")
    assert nobody.status == 404


async def test_a_stored_message_is_shown_with_other_options_on_request(face: Face) -> None:
    message = await sent(face)
    plain = (await face.own("GET", f"/messages/{message}/preview")).json()
    assert plain["difference"]["parts"][0]["fate"] == "same"
    wish = {"message": message, "options": {"inlinecss": True}, "seven_bit": True}
    told = (await face.own("POST", "/preview", wish)).json()
    assert [(each["name"], each["origin"]) for each in told["options"]] == [
        ("inlinecss", "request")
    ]


@pytest.mark.parametrize("same", [True, False])
async def test_what_left_is_compared_with_what_is_shown(face: Face, same: bool) -> None:
    await with_app_options(face, **TRACKED)
    await face.go_live()
    await face.own("POST", "/apps/first-app/servers", {"name": "one", "host": "one"})
    message = await sent(face)
    wish = {"message": message, "content": True}
    leaves = base64.b64decode((await face.own("POST", "/preview", wish)).json()["content_base64"])
    digest = hashlib.sha256(leaves if same else b"other").digest()
    facts = AttemptFacts(number=1, code=250, bytes_sha256=digest, renderer=RENDERER_VERSION)
    await face.settle(face.door.receipts[-1], (State.HANDED_OVER, facts))
    told = (await face.own("GET", f"/messages/{message}/preview")).json()
    assert told["sent"]["same"] is same
    assert told["sent"]["digest"] == digest.hex()
    assert told["sent"]["words"].startswith("These are" if same else "Other octets left")


async def test_a_message_of_somebody_else_is_not_there(face: Face) -> None:
    other = await face.new_app("other")
    key = await face.new_key(name="narrow", app=other.id)
    document = {"to": ["a@example.com"], "raw_base64": encoded(PAGE), "app": "first-app"}
    message = (await face.own("POST", "/messages", document)).json()["id"]
    answer = await face.own("GET", f"/messages/{message}/preview", key=key)
    assert answer.status == 404
    wish = {"message": message}
    assert (await face.own("POST", "/preview", wish, key=key)).status == 404


async def test_whoever_only_sends_sees_no_stored_message_and_whoever_only_reads_tries_none(
    face: Face,
) -> None:
    message = await sent(face)
    sends = await face.new_key(name="sends", verbs=("send",))
    reads = await face.new_key(name="reads", verbs=("read",))
    assert (await face.own("POST", "/preview", {"message": message}, key=sends)).status == 403
    document = {"raw_base64": encoded(PAGE)}
    assert (await face.own("POST", "/preview", document, key=sends)).status == 200
    assert (await face.own("POST", "/preview", document, key=reads)).status == 403
    assert (await face.own("GET", f"/messages/{message}/preview", key=reads)).status == 200


async def test_a_message_that_ends_its_children_is_shown_as_it_came(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    do = Workers.do
    lost = []

    async def dies(workers: Workers, job: Callable[[], bytes]) -> bytes:
        if len(lost) < 2:
            lost.append(job)
            raise WorkerLost("it took too much processor time")
        return await do(workers, job)

    monkeypatch.setattr(Workers, "do", dies)
    told = (await asked(face, options=TRACKED)).json()
    assert told["links"] == []
    assert told["remarks"] == [
        "It leaves as it came: while it was changed, it took too much processor time, twice."
    ]
