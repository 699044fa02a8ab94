"""handing messages over by our own API, and finding them again"""

from __future__ import annotations

import base64
import json
from email import message_from_bytes, policy
from typing import Any

import pytest

from pillarbox.api.config import ApiConfig
from pillarbox.handover.gate import Gate
from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.storage.interface.store import Health
from pillarbox.terms.ids import parse_message_id
from tests.fix_api_face import Face

HELLO = {"from": "Shop <shop@example.com>", "to": "you@example.com", "subject": "Hi", "text": "x"}


async def stored(face: Face, answer: Any) -> Any:
    content = await face.storage.messages.content(parse_message_id(answer.json()["id"]))
    return message_from_bytes(content, policy=policy.default)


async def test_a_message_is_taken_and_kept(face: Face) -> None:
    answer = await face.own("POST", "/messages", HELLO)
    assert answer.status == 202
    document = answer.json()
    assert document["status"] == "sandboxed"
    assert [each["recipient"] for each in document["deliveries"]] == ["you@example.com"]
    assert answer.headers["location"] == f"/pillarbox/v1/messages/{document['id']}"
    message = await stored(face, answer)
    assert message["from"] == "Shop <shop@example.com>"
    assert message["subject"] == "Hi"
    assert document["id"] in message["message-id"]


async def test_everything_that_can_be_said_arrives(face: Face) -> None:
    answer = await face.own(
        "POST", "/messages",
        {
            "from": {"email": "shop@example.com", "name": "Bücher"},
            "to": ["Ann <ann@example.com>", {"email": "bob@example.com", "name": "Bob"}],
            "cc": "cyd@example.com",
            "bcc": ["dan@example.com"],
            "reply_to": "help@example.com",
            "subject": "Größe",
            "text": "text",
            "html": "<p>html</p>",
            "attachments": [
                {"name": "../a.pdf", "content": base64.encodebytes(b"%PDF" * 99).decode()},
                {"name": "b", "content": "", "content_type": "text/csv"},
            ],
            "app": "first-app",
        },
    )  # fmt: skip
    assert answer.status == 202
    assert [each["recipient"] for each in answer.json()["deliveries"]] == [
        "ann@example.com", "bob@example.com", "cyd@example.com", "dan@example.com",
    ]  # fmt: skip
    message = await stored(face, answer)
    assert message["from"].addresses[0].display_name == "Bücher"
    assert message["to"] == "Ann <ann@example.com>, Bob <bob@example.com>"
    assert message["reply-to"] == "help@example.com"
    assert "dan@" not in message.as_string()
    assert message.get_body(("plain",)).get_content().strip() == "text"
    files = list(message.iter_attachments())
    assert [file.get_filename() for file in files] == ["a.pdf", "b"]
    assert files[0].get_content() == b"%PDF" * 99
    assert files[0].get_content_type() == "application/pdf"


async def test_without_an_author_the_app_speaks(face: Face) -> None:
    await face.own(
        "PATCH", "/apps/first-app", {"from_name": "The shop", "reply_to_address": "r@example.com"}
    )
    answer = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"})
    message = await stored(face, answer)
    assert message["from"] == "The shop <shop@example.com>"
    assert message["reply-to"] == "r@example.com"
    assert face.door.envelopes[0].return_path == "shop@example.com"


async def test_an_address_named_twice_gets_one_copy(face: Face) -> None:
    answer = await face.own("POST", "/messages", {**HELLO, "cc": ["you@example.com"]})
    assert len(answer.json()["deliveries"]) == 1


async def test_every_mistake_in_a_message_is_named(face: Face) -> None:
    answer = await face.own(
        "POST", "/messages",
        {
            "from": "nobody", "to": ["a@example.com", "b@", {"email": "c", "x": 1}],
            "subjet": "x", "attachments": [{"name": "a", "content": "***"}],
        },
    )  # fmt: skip
    assert answer.status == 422
    pointers = {each["pointer"]: each for each in answer.json()["errors"]}
    assert set(pointers) == {"/from", "/to/1", "/to/2", "/subjet", "/attachments/0"}
    assert pointers["/to/1"]["code"] == "recipient_invalid"
    assert pointers["/from"]["code"] == "address_invalid"
    assert not face.door.receipts


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        ({"text": "x"}, "/to"),
        ({"to": [], "text": "x"}, "/to"),
        ({"to": "a@example.com"}, "/text"),
        ({"to": ["a@example.com"] * 2001, "text": "x"}, "/to"),
    ],
)
async def test_a_message_needs_somebody_and_something(
    face: Face, document: dict[str, Any], pointer: str
) -> None:
    answer = await face.own("POST", "/messages", document)
    assert answer.status == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_more_recipients_than_a_message_can_have_are_refused(face: Face) -> None:
    many = [f"u{n}@example.com" for n in range(1500)]
    answer = await face.own("POST", "/messages", {**HELLO, "to": many})
    assert answer.status == 422
    assert answer.json()["code"] == "too_many_recipients"


INJECTIONS = [
    "a\r\nBcc: v@example.com", "a\nBcc: v@example.com", "a\rBcc: v", "a\u2028Bcc: v", "a\x85Bcc: v",
    "a\x0bBcc: v", "a\0b", "=?utf-8?q?a=0D=0ABcc:_v@example.com?=",
    "=?utf-8?b?YQ0KQmNjOiB2QGV4YW1wbGUuY29t?=",
]  # fmt: skip


@pytest.mark.parametrize("vector", INJECTIONS)
@pytest.mark.parametrize("place", ["subject", "from", "to", "reply_to", "file", "type"])
async def test_no_value_becomes_a_header_of_its_own(face: Face, vector: str, place: str) -> None:
    document: dict[str, Any] = {**HELLO}
    file = {"name": "a.txt", "content": "eA=="}
    if place == "file":
        document["attachments"] = [{**file, "name": vector}]
    elif place == "type":
        document["attachments"] = [{**file, "content_type": f"text/plain; {vector}"}]
    elif place == "subject":
        document["subject"] = vector
    else:
        document[place] = {"email": "a@example.com", "name": vector}
    answer = await face.own("POST", "/messages", document)
    assert answer.status in (202, 422)
    if answer.status == 422:
        assert answer.json()["errors"][0]["pointer"].startswith(
            {"file": "/attachments", "type": "/attachments"}.get(place, f"/{place}")
        )
        return
    message = await stored(face, answer)
    assert "bcc" not in [name.lower() for name in message]
    assert len(face.door.envelopes[0].recipients) == 1
    for part in message.walk():
        assert "bcc" not in [name.lower() for name in part]


@pytest.mark.parametrize(
    "address",
    ["a@x> SIZE=1", "<a@example.com>\r\nRCPT TO:<v@example.com>", "a@x\r\nDATA", "@x", "a@",
     "a@x..y", "a@x:2525", "a" * 65 + "@example.com", "a@" + "x" * 256, "a b@example.com",
     "a@example.com, b@example.com", "a\0@example.com", '"a\r\nb"@example.com'],
)  # fmt: skip
async def test_hostile_addresses_are_refused_by_name(face: Face, address: str) -> None:
    answer = await face.own("POST", "/messages", {**HELLO, "to": [{"email": address}]})
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == "/to/0"


async def test_a_sender_that_is_not_allowed_is_refused_in_words(face: Face) -> None:
    key = await face.new_key(allowed_senders=("example.com",))
    answer = await face.own("POST", "/messages", {**HELLO, "from": "a@other.test"}, key=key)
    assert (answer.status, answer.json()["code"]) == (403, "sender_not_allowed")
    assert "a@other.test" in answer.json()["detail"]


async def test_a_full_disk_is_said_before_anything_is_stored(face: Face) -> None:
    gate = Gate(1000, 0)
    gate.look(Health(True, 10, 1, "sqlite"))
    face.rebuild(gate=gate)
    answer = await face.own("POST", "/messages", HELLO)
    assert (answer.status, answer.json()["code"]) == (507, "storage_full")


async def test_refusals_are_told_to_whoever_counts_them(face: Face) -> None:
    told: list[tuple[str, str, str]] = []
    from dataclasses import replace

    face.rooms = replace(face.rooms, note_refusal=lambda *what: told.append(what))
    face.rebuild()
    await face.own("POST", "/messages", {**HELLO, "to": "nobody"})
    assert [(code, name) for code, name, _ in told] == [("recipient_invalid", "key everything")]


async def test_a_message_that_is_too_large_is_refused(face: Face) -> None:
    face.rebuild(ApiConfig(max_message_mb=1))
    answer = await face.own("POST", "/messages", {**HELLO, "text": "x" * (1 << 20)})
    assert (answer.status, answer.json()["code"]) == (413, "message_too_large")


async def test_a_large_message_arrives_whole(face: Face) -> None:
    data = bytes(range(256)) * 4096
    answer = await face.own(
        "POST", "/messages",
        {**HELLO, "attachments": [{"name": "a.bin", "content": base64.b64encode(data).decode()}]},
    )  # fmt: skip
    assert answer.status == 202
    message = await stored(face, answer)
    assert next(message.iter_attachments()).get_content() == data
    raw = await face.own("GET", f"/messages/{answer.json()['id']}/raw")
    assert int(raw.headers["content-length"]) == len(raw.body)


# --- whole messages ---------------------------------------------------------------------------

WHOLE = b"From: Ann <ann@example.com>\nSubject: As it is\n\nOne\n.\ntwo\r\nthree"


async def test_a_whole_message_goes_as_it_is(face: Face) -> None:
    document = {"to": "you@example.com", "raw_base64": base64.encodebytes(WHOLE).decode()}
    answer = await face.own("POST", "/messages", document)
    assert answer.status == 202
    content = await face.storage.messages.content(parse_message_id(answer.json()["id"]))
    lines = WHOLE.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert content.rstrip(b"\r\n").endswith(lines)
    assert face.door.envelopes[0].return_path == "ann@example.com"


async def test_the_envelope_of_a_whole_message_may_be_another(face: Face) -> None:
    document = {
        "from": "bounces@example.com", "to": ["a@example.com"], "bcc": ["b@example.com"],
        "raw_base64": base64.b64encode(WHOLE).decode(),
    }  # fmt: skip
    assert (await face.own("POST", "/messages", document)).status == 202
    envelope = face.door.envelopes[0]
    assert envelope.return_path == "bounces@example.com"
    assert [each.address for each in envelope.recipients] == ["a@example.com", "b@example.com"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"subject": "x"}, "/raw_base64"),
        ({"raw_base64": "*"}, "/raw_base64"),
        ({"to": []}, "/to"),
    ],
)
async def test_a_whole_message_with_contradictions_is_refused(
    face: Face, change: dict[str, Any], pointer: str
) -> None:
    document = {"to": "a@example.com", "raw_base64": base64.b64encode(WHOLE).decode()}
    answer = await face.own("POST", "/messages", {**document, **change})
    assert answer.status == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


async def test_whole_messages_are_bound_by_the_allowed_senders(face: Face) -> None:
    key = await face.new_key(allowed_senders=("other.test",))
    document = {
        "from": "a@other.test", "to": "a@example.com",
        "raw_base64": base64.b64encode(WHOLE).decode(),
    }  # fmt: skip
    assert (await face.own("POST", "/messages", document, key=key)).status == 403


# --- idempotency ------------------------------------------------------------------------------


async def test_the_same_call_twice_gives_one_message(face: Face) -> None:
    headers = {"idempotency-key": "order-1042"}
    first = await face.own("POST", "/messages", HELLO, headers=headers)
    second = await face.own("POST", "/messages", HELLO, headers=headers)
    assert (first.status, second.status) == (202, 202)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len((await face.own("GET", "/messages")).json()["items"]) == 1


async def test_another_body_under_the_same_key_is_refused(face: Face) -> None:
    headers = {"idempotency-key": "order-1042"}
    await face.own("POST", "/messages", HELLO, headers=headers)
    answer = await face.own("POST", "/messages", {**HELLO, "subject": "No"}, headers=headers)
    assert (answer.status, answer.json()["code"]) == (422, "idempotency_conflict")


async def test_idempotency_keys_of_two_submitters_do_not_meet(face: Face) -> None:
    headers = {"idempotency-key": "order-1042"}
    first = await face.own("POST", "/messages", HELLO, headers=headers)
    second = await face.own("POST", "/messages", HELLO, headers=headers, key=await face.new_key())
    assert second.status == 202
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_an_odd_idempotency_key_is_refused(face: Face, key: str) -> None:
    answer = await face.own("POST", "/messages", HELLO, headers={"idempotency-key": key})
    assert answer.status == 422


# --- finding it again -------------------------------------------------------------------------


async def test_a_message_shows_its_history_in_words(face: Face) -> None:
    await face.go_live()
    await face.own("POST", "/apps/first-app/servers", {"host": "a.example.com", "name": "one"})
    server = (await face.storage.directory.servers(face.app.id))[0]

    async def fail(face: Face, receipt: Any) -> None:
        facts = AttemptFacts(
            number=1, server=server.id, category="no_such_recipient", code=550, status="5.1.1",
            text="no such user", words="says that the address does not exist",
            dialogue=((12, "550 5.1.1 no such user"),),
        )  # fmt: skip
        await face.settle(receipt, (State.FAILED, facts))

    face.door.script = fail
    answer = await face.own("POST", "/messages", HELLO)
    assert answer.json()["status"] == "queued"
    await face.door.running[0]
    shown = (await face.own("GET", f"/messages/{answer.json()['id']}")).json()
    assert shown["status"] == "failed"
    assert shown["states"] == {"failed": 1}
    assert shown["submitter"] == {"kind": "key", "name": "everything"}
    delivery = shown["deliveries"][0]
    assert delivery["state"] == "failed"
    assert delivery["settled_at"].endswith("Z")
    assert "One says that the address does not exist" in delivery["explanation"]["why"].replace(
        "one", "One"
    )
    kinds = [event["kind"] for event in delivery["history"]]
    assert kinds == ["message.accepted", "delivery.failed"]
    assert delivery["history"][0]["words"] == "Taken from everything over HTTP, from 127.0.0.1."
    last = delivery["history"][-1]
    assert last["words"] == "one says that the address does not exist."
    assert last["facts"]["server_name"] == "one"
    assert last["facts"]["server"].startswith("srv_")
    assert last["facts"]["dialogue"] == [{"ms": 12, "line": "550 5.1.1 no such user"}]


async def test_lists_are_paged_and_filtered(face: Face) -> None:
    ids = [
        (await face.own("POST", "/messages", {**HELLO, "to": f"u{n}@example.com"})).json()["id"]
        for n in range(5)
    ]
    first = (await face.own("GET", "/messages?limit=2")).json()
    assert [item["id"] for item in first["items"]] == [ids[4], ids[3]]
    second = (await face.own("GET", f"/messages?limit=3&before={first['next']}")).json()
    assert [item["id"] for item in second["items"]] == [ids[2], ids[1], ids[0]]
    assert second["next"] is None
    found = (await face.own("GET", "/messages?recipient=u3@example.com")).json()["items"]
    assert [item["id"] for item in found] == [ids[3]]
    assert found[0]["recipients"] == ["u3@example.com"]
    assert (await face.own("GET", "/messages?state=failed")).json()["items"] == []
    assert len((await face.own("GET", "/messages?since=1h")).json()["items"]) == 5
    assert (await face.own("GET", "/messages?since=2999-01-01T00:00:00Z")).json()["items"] == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "state=nope", "since=never", "stat=failed", "limit=1&limit=2",
     "since=9999999999999w", "since=-1", "limit=%EF%BC%91"],
)  # fmt: skip
async def test_a_query_that_makes_no_sense_is_refused(face: Face, query: str) -> None:
    assert (await face.own("GET", f"/messages?{query}")).status == 422


@pytest.mark.parametrize("text", ["msg_00000000000", "msg_0", "x", "dlv_00000000000000", "%00"])
async def test_ids_that_name_nothing_are_not_found(face: Face, text: str) -> None:
    for path in (f"/messages/{text}", f"/messages/{text}/raw"):
        assert (await face.own("GET", path)).status == 404


async def test_messages_of_an_unseen_app_are_not_there(face: Face) -> None:
    mine = (await face.own("POST", "/messages", HELLO)).json()["id"]
    other = await face.new_app("other", from_address="o@example.com")
    key = await face.new_key(app=other.id)
    for path in (f"/messages/{mine}", f"/messages/{mine}/raw"):
        assert (await face.own("GET", path, key=key)).status == 404
    assert (await face.own("GET", "/messages", key=key)).json()["items"] == []
    assert (await face.own("GET", "/events", key=key)).json()["items"] == []
    assert (await face.own("GET", "/status", key=key)).json()["last_message"] is None
    sent = await face.own("POST", "/messages", {"to": "a@example.com", "text": "x"}, key=key)
    assert sent.status == 202
    assert (
        await face.own("POST", "/messages", {**HELLO, "app": "first-app"}, key=key)
    ).status == 404


async def test_raw_is_what_is_stored_and_never_rendered(face: Face) -> None:
    answer = await face.own("POST", "/messages", {**HELLO, "html": "<script>alert(1)</script>"})
    raw = await face.own("GET", f"/messages/{answer.json()['id']}/raw")
    assert raw.headers["content-type"].startswith("text/plain")
    assert raw.headers["x-content-type-options"] == "nosniff"
    identity = parse_message_id(answer.json()["id"])
    assert raw.body == await face.storage.messages.content(identity)


async def test_the_owner_hands_over_as_owner(face: Face) -> None:
    answer = await face.own("POST", "/messages", HELLO, owner=True)
    assert answer.status == 202
    shown = await face.own("GET", f"/messages/{answer.json()['id']}", owner=True)
    assert shown.json()["submitter"]["name"] == "owner"


async def test_events_are_read_behind_a_cursor(face: Face) -> None:
    for _ in range(3):
        await face.own("POST", "/messages", HELLO)
    newest = (await face.own("GET", "/events?limit=1")).json()
    assert str(newest["items"][0]["seq"]) == newest["next"]
    first = (await face.own("GET", "/events?after=0&limit=2")).json()
    assert [event["seq"] for event in first["items"]] == sorted(
        event["seq"] for event in first["items"]
    )
    assert first["items"][0]["kind"] == "message.accepted"
    assert first["items"][1]["delivery"].startswith("dlv_")
    rest = (await face.own("GET", f"/events?after={first['next']}")).json()
    assert len(rest["items"]) == 4
    assert rest["next"] == str(rest["items"][-1]["seq"])
    nothing = (await face.own("GET", f"/events?after={rest['next']}")).json()
    assert nothing == {"items": [], "next": rest["next"]}


async def test_the_status_answers_the_first_questions(face: Face) -> None:
    await face.own("POST", "/messages", HELLO)
    status = (await face.own("GET", "/status")).json()
    assert status["version"] == "1.2.3"
    assert status["listeners"][0] == {
        "host": "127.0.0.1", "port": 2525, "security": "STARTTLS", "note": "",
    }  # fmt: skip
    assert status["apps"][0]["mode"] == "sandbox"
    assert status["apps"][0]["route"]
    assert status["queue"] == {
        "waiting": 0, "held": 0, "active": 0, "oldest": None, "oldest_at": None,
        "paused_lanes": [],
    }  # fmt: skip
    assert status["last_message"]["subject"] == "Hi"
    assert status["storage"]["writable"] is True
    assert status["uptime_seconds"] >= 0
    json.dumps(status)


async def test_a_whole_message_that_comes_again_under_its_own_key_is_answered_as_before(
    face: Face,
) -> None:
    whole = b"From: shop@example.com\r\nX-Pillarbox-Idempotency-Key: order-1\r\n\r\nx\r\n"
    raw = base64.b64encode(whole).decode()
    wish = {"to": ["a@example.com", "b@example.com"], "raw_base64": raw}
    first = await face.own("POST", "/messages", wish)
    again = await face.own("POST", "/messages", wish)
    assert first.status == again.status == 202
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    more = await face.own("POST", "/messages", {**wish, "to": ["b@example.com", "c@example.com"]})
    assert [each["recipient"] for each in more.json()["deliveries"]] == ["c@example.com"]
