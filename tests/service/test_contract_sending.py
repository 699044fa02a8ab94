"""the contract about sending through the API for an app's servers"""

from __future__ import annotations

import email
import email.policy

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from tests.doubles.bad_server import BadServer
from tests.doubles.form_client import Reply, Value, form_of
from tests.fix_server_api import NOBODY, Desk

SEND = "/private/emails/send"
EDGE = "a-boundary-of-ours"


async def send(desk: Desk, **values: Value) -> Reply:
    usual = {
        "idapp": desk.idapp, "from": "ann@example.com", "tos": "bob@example.org",
        "subject": "Hello", "body": "Good morning",
    }  # fmt: skip
    given = {name: value for name, value in {**usual, **values}.items() if value != "left out"}
    return await desk.client.post(SEND, given)


async def test_c67_without_an_active_server_nothing_is_sent(desk: Desk) -> None:
    await desk.running.set_mode(Mode.LIVE)
    reply = await send(desk)
    assert (reply.status, reply.text) == (406, "No active SMTP for App")
    assert reply.media_type == "text/plain"
    server = await desk.way(2525)
    found = await desk.running.house.storage.directory.servers(desk.running.app.id)
    assert [each.id.hex() for each in found] == [server["_id"]]
    await desk.running.house.storage.directory.remove_server(found[0].id)
    assert (await send(desk)).status == 406


async def test_c76_a_call_without_recipient_subject_or_body_is_a_bad_request(desk: Desk) -> None:
    for name in ("idapp", "tos", "subject", "body"):
        for value in ("left out", None):
            reply = await send(desk, **{name: value})
            assert (reply.status, name in reply.text) == (400, True), reply.text


async def test_c77_tracking_is_not_possible_with_copies(desk: Desk) -> None:
    for name in ("ccs", "bccs"):
        reply = await send(desk, includetracking=True, **{name: "eve@example.net"})
        assert (reply.status, "CC or BCC" in reply.text) == (406, True)


async def test_what_is_sent_is_queued_and_leaves_through_the_apps_server(desk: Desk) -> None:
    await desk.running.set_mode(Mode.LIVE)
    async with BadServer() as sink:
        await desk.way(sink.port)
        reply = await send(
            desk, tos="bob@example.org, nobody, eve@example.net", tonames="Bob,,Eve",
            fromname="Ann", ccs="kim@example.net", bccs="lee@example.net",
        )  # fmt: skip
        assert reply.status == 200, reply.text
        answer = reply.json()
        assert (answer["status"], answer["notvalidrecipients"]) == ("Q", ["nobody"])
        message = int(answer["id"], 16)
        rows = await desk.running.until(message)
        assert {row.state for row in rows} == {State.HANDED_OVER}
        (taken,) = sink.messages
    found = email.message_from_bytes(taken.content, policy=email.policy.default)
    assert (found["from"], found["to"]) == (
        "Ann <ann@example.com>", "Bob <bob@example.org>, Eve <eve@example.net>"
    )  # fmt: skip
    assert found["cc"] == "kim@example.net" and found["bcc"] is None
    assert {one.address for one in taken.recipients} == {
        "bob@example.org", "eve@example.net", "kim@example.net", "lee@example.net",
    }  # fmt: skip


async def test_files_come_as_parts_of_the_form(desk: Desk) -> None:
    await desk.running.set_mode(Mode.SANDBOX)
    fields = {"idapp": desk.idapp, "from": "ann@example.com", "tos": "bob@example.org",
              "subject": "Hello", "mimetype": "text/html", "body": "<p>Good morning</p>"}  # fmt: skip
    parts = [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts += [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="attachments"; filename="{name}"\r\n'
        f"Content-Type: text/csv\r\n\r\n{data}\r\n"
        for name, data in {"a.csv": "1,2", "b.csv": "3,4"}.items()
    ]
    body = "".join([*parts, f"--{EDGE}--\r\n"]).encode()
    kind = f"multipart/form-data; boundary={EDGE}"
    reply = await desk.client.send("POST", "/api" + SEND, body, kind)
    assert (reply.status, reply.json()["attachments"]) == (200, ["a.csv", "b.csv"])
    content = await desk.running.house.storage.messages.content(int(reply.json()["id"], 16))
    found = email.message_from_bytes(content, policy=email.policy.default)
    files = {part.get_filename(): part.get_content() for part in found.iter_attachments()}
    assert {name: text.strip() for name, text in files.items()} == {"a.csv": "1,2", "b.csv": "3,4"}
    for broken in (body[:-30], b"--\r\n", b"", body.replace(b'name="tos"', b"name=")):
        assert (await desk.client.send("POST", SEND, broken, kind)).status == 400


async def test_what_cannot_be_done_yet_is_refused_in_words(desk: Desk) -> None:
    for name, value in {"senddate": "2030-01-01T00:00:00+0000", "includetracking": "true",
                        "urlattachments": "https://example.com/a"}.items():  # fmt: skip
        reply = await send(desk, **{name: value})
        assert (reply.status, "here" in reply.text) == (406, True), reply.text
    assert (await send(desk, tos="nobody,nothing")).text == "All TO are not valid"
    assert (await send(desk, **{"from": "nobody"})).text == "FROM is not a valid email"
    assert (await send(desk, replyto="nobody")).text == "REPLYTO is not a valid email"
    assert (await send(desk, idapp=NOBODY)).text == "App not found"
    assert (await send(desk, mimetype="text/calendar")).status == 400
    assert (await desk.stranger.send("POST", SEND, form_of({}))).status == 401
    assert (await desk.client.send("GET", SEND, None)).status == 405
