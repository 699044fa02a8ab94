"""one message in is one message out, at a house's ports and on its way to a careless server

Inward: the vectors pretend that content is over and go on with the commands of a second
transaction, whole in one write and one byte at a time, on both kinds of port, behind a login.
Outward: the server behind the house takes any lone dot for the end of a message, whatever line
ends stand around it; so whatever the house lets through would be seen there.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from pillarbox.net.http_client import LocalClient
from pillarbox.net.smtp_ports import PortKind
from pillarbox.policy.delivery import State
from pillarbox.protocol.lines import has_bare_line_end
from pillarbox.storage.interface.messages import MessageFilter
from tests.doubles.bad_server import BadServer
from tests.e2e.porch import BOTH, ENVELOPE, PROTECTED, codes, converse, logged_in
from tests.fix_house import Houses, Running
from tests.pair.test_smuggling import CONTENT, REFUSED, SECOND, START

SMUGGLED = b"MAIL FROM:<smuggler@example.com>"


@pytest.fixture
async def house(houses: Houses, naive: BadServer) -> Running:
    """Live, with the careless server behind it."""
    running = await houses.start(smtp=BOTH)
    await running.add_server("naive", naive.port)
    return running


async def attack(house: Running, kind: PortKind, vector: bytes, *, slowly: bool) -> bytes:
    """Everything the server says to a transaction with the vector in it, and QUIT."""
    async with logged_in(house, kind) as client:
        data = ENVELOPE + START + vector + SECOND + b"QUIT\r\n"
        return await converse(client, data, slowly=slowly)


# --- inward ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slowly", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("kind", PROTECTED)
async def test_a_bare_line_end_in_content_is_refused_and_ends_the_session(
    house: Running, naive: BadServer, kind: PortKind, slowly: bool
) -> None:
    for name, vector in REFUSED.items():
        said = await attack(house, kind, vector, slowly=slowly)
        assert codes(said) == [250, 250, 354, 550], name
        last = said.splitlines()[-1]
        assert last.startswith(b"550 5.5.2 ") and b"CR and LF" in last, "it says why"
    newest = await house.house.storage.messages.newest(MessageFilter(), 10)
    assert newest.messages == [], "nothing was taken"
    assert naive.sessions == []


@pytest.mark.parametrize("slowly", [False, True], ids=["whole", "byte-by-byte"])
@pytest.mark.parametrize("kind", PROTECTED)
async def test_what_only_resembles_the_end_is_content_of_one_message(
    house: Running, naive: BadServer, kind: PortKind, slowly: bool
) -> None:
    for count, (name, vector) in enumerate(CONTENT.items(), 1):
        said = await attack(house, kind, vector, slowly=slowly)
        assert codes(said) == [250, 250, 354, 250, 221], name
        await naive.until(lambda count=count: len(naive.delivered) == count)  # type: ignore[misc]
        message = naive.delivered[-1]
        assert SMUGGLED in message.content, name
        assert [each.address for each in message.recipients] == ["bob@example.org"], name
    await settled(house)
    assert len(naive.messages) == len(CONTENT)
    assert_nothing_bare(naive)


async def test_all_eighteen_vectors_are_tried() -> None:
    assert len(REFUSED | CONTENT) == 18


# --- outward ----------------------------------------------------------------------------------------

ENDS = ("\n.\r\n", "\n.\n", "\r\n.\r\n", "\r\n.\n", "\r.\r", "\r.\n", "\n.\r", "\r\r\n.\r\r\n")
TEXTS = {repr(end): f"hello{end}{SECOND.decode()}" for end in ENDS}
DOTS = ".\n..\n...\n.\r\n. \n.\t\n\n.\n"


@pytest.mark.parametrize("field", ["body_text", "body_html"])
async def test_text_over_http_with_the_end_of_a_message_in_it_stays_one_message(
    house: Running, naive: BadServer, field: str
) -> None:
    for count, text in enumerate((*TEXTS.values(), DOTS, "." * 5000), 1):
        status, answer = await post(house, {field: text})
        assert (status, answer) == (200, {"count": 1})
        assert len(naive.delivered) == count, repr(text)
    await settled(house)
    assert_one_each(naive)
    assert_nothing_bare(naive)


@pytest.mark.parametrize(
    "field",
    ["subject", "from_name", "reply_to_name", "to_name", "placeholder", "file_name", "type"],
)
async def test_fields_of_the_header_open_no_second_message(
    house: Running, naive: BadServer, field: str
) -> None:
    taken = 0
    for end, text in TEXTS.items():
        status, answer = await post(house, in_field(field, text))
        assert status == 200 or (status == 400 and answer["error"]["message"]), (end, answer)
        taken += status == 200
        assert len(naive.messages) == taken, (end, "one each, if any")
    # So that an answer of 400 is known to come from the field and from nothing else.
    assert (await post(house, in_field(field, "fine")))[0] == 200
    await settled(house)
    assert len(naive.messages) == taken + 1
    assert_one_each(naive)
    assert_nothing_bare(naive)


async def test_whole_messages_over_http_are_normalised_or_refused(
    house: Running, naive: BadServer
) -> None:
    for end, text in TEXTS.items():
        raw = f"From: ann@example.com\r\nSubject: x\r\n\r\n{text}".encode()
        document = {"to": "bob@example.org", "raw_base64": base64.b64encode(raw).decode()}
        before = len(naive.messages)
        status, answer = await ask(house, "/pillarbox/v1/messages", document)
        assert status in (202, 400, 422), (end, answer)
        await settled(house)
        assert len(naive.messages) == before + (status == 202), end
    assert_one_each(naive)
    assert_nothing_bare(naive)


async def test_lines_of_dots_arrive_as_they_were_submitted(
    house: Running, naive: BadServer
) -> None:
    body = (
        b".\r\n..\r\n...\r\n. \r\n.\t\r\n\r\n.\r\n" + b"." * 990 + b"\r\n.." + b"x" * 990 + b"\r\n"
    )
    receipt = await house.submit(content=b"From: ann@example.com\r\n\r\n" + body)
    await house.until(receipt.message)
    (message,) = naive.messages
    assert message.content.partition(b"\r\n\r\n")[2] == body
    assert_nothing_bare(naive)


# --- hands -------------------------------------------------------------------------------------------


async def settled(house: Running) -> None:
    """Until every delivery has reached its end, and not by failing."""
    for message in (await house.house.storage.messages.newest(MessageFilter(), 100)).messages:
        for row in await house.until(message.id):
            assert row.state is State.HANDED_OVER


def assert_one_each(naive: BadServer) -> None:
    """Nobody was made to see a message, or an envelope, of the smuggler's."""
    for session in naive.sessions:
        for command in session.commands:
            assert b"smuggler" not in command.line and b"victim" not in command.line
    for message in naive.messages:
        assert [each.address for each in message.recipients] == ["bob@example.org"]


def assert_nothing_bare(naive: BadServer) -> None:
    assert naive.messages
    for message in naive.messages:
        assert not has_bare_line_end(message.raw)


def in_field(field: str, text: str) -> dict[str, Any]:
    """A document of the email service with `text` somewhere in its header."""
    match field:
        case "to_name":
            return {"to": [{"email": "bob@example.org", "name": text}]}
        case "reply_to_name":
            return {"reply_to_email": "r@example.com", "reply_to_name": text}
        case "placeholder":
            return {"subject": "{x}", "template_data": {"x": text}}
        case "file_name":
            return {"attachments": [{"name": text, "content": "eA=="}]}
        case "type":
            file = {"name": "a", "content": "eA==", "content_type": f"text/{text}"}
            return {"attachments": [file]}
    return {field: text}


async def post(house: Running, more: dict[str, Any]) -> tuple[int, Any]:
    """One message through the email service."""
    document = {
        "to": "bob@example.org", "from_email": "ann@example.com", "subject": "x",
        "body_text": "hello", **more,
    }  # fmt: skip
    return await ask(house, "/api/v2/first-app", document)


async def ask(house: Running, path: str, document: dict[str, Any]) -> tuple[int, Any]:
    assert house.first is not None
    key = house.first.key.reveal()
    headers = {
        "X-DreamFactory-API-Key": key,
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
    }
    body = json.dumps(document).encode()
    with LocalClient(f"http://127.0.0.1:{house.http_port}") as client:
        answer = await asyncio.to_thread(client.request, "POST", path, headers=headers, body=body)
    return answer.status, answer.json()
