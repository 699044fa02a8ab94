"""the contract about a transaction: what is taken, what is refused, and what arrives of it"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.directory import Mode
from tests.doubles.bad_server import BadServer
from tests.e2e.clerk import arrived, nothing_taken, queued_as, show
from tests.e2e.porch import BOTH, HELLO, PROTECTED, codes, hand_in, logged_in, protected
from tests.fix_house import Houses, Running

GREETING = b"From: ann@example.com\r\nSubject: hello\r\n\r\nGood morning.\r\n"
FROM_ANN, TO_BOB = b"MAIL FROM:<ann@example.com>\r\n", b"RCPT TO:<bob@example.org>\r\n"


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    """The server of the app, where everything that leaves is looked at."""
    async with BadServer() as server:
        yield server


@pytest.fixture
async def house(houses: Houses, sink: BadServer) -> Running:
    """Its mail leaves for the sink."""
    running = await houses.start(Mode.LIVE, smtp=BOTH)
    await running.add_server("sink", sink.port)
    return running


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a21_content_that_is_taken_is_answered_with_the_id_it_is_queued_as(
    house: Running, sink: BadServer, kind: PortKind
) -> None:
    async with logged_in(house, kind) as client:
        first = queued_as(await hand_in(client, GREETING))
        second = queued_as(await hand_in(client, GREETING))
    assert first != second
    for message in (first, second):
        assert (await show(house, f"/messages/{message}"))["id"] == message
        await arrived(house, sink, message)


async def test_a51_refusals_come_at_rcpt_or_behind_the_content_and_then_nothing_is_queued(
    house: Running, sink: BadServer
) -> None:
    directory = house.house.storage.directory
    (credential,) = await directory.credentials()
    await directory.save_credential(replace(credential, allowed_senders=("ann@example.com",)))
    stranger = GREETING.replace(b"ann@", b"eve@")
    long = stranger + b"All of it had to be read before it could be refused.\r\n" * 20_000
    async with logged_in(house, PortKind.TLS) as client:
        assert codes(await client.say(FROM_ANN)) == [250]
        assert codes(await client.say(b"RCPT TO:<bob@@example.org>\r\n")) == [501]
        assert codes(await client.say(b"DATA\r\n"))[0] in (503, 554)
        assert codes(await client.say(b"RSET\r\n")) == [250]
        for refused in (stranger, long):
            assert codes(await hand_in(client, refused)) == [550]
            assert await nothing_taken(house)
        message = queued_as(await hand_in(client, GREETING))
    sent = await arrived(house, sink, message)
    assert sink.messages == [sent], "and nothing else has left"


async def test_a53_nobody_who_gets_the_mail_sees_its_bcc(house: Running, sink: BadServer) -> None:
    fields = (
        b"Bcc: hidden@example.org\r\n"
        b"BCC : a@hidden.example,\r\n b@hidden.example,\r\n\tc@hidden.example\r\n"
        b"To: bob@example.org\r\n"
        b"bcc:\r\n hidden@example.org\r\n"
        b"Resent-Bcc: hidden@example.org\r\n"
        b"X-Bcc: stays\r\n"
    )
    body = b"Bcc: this is no field any more.\r\n"
    content = b"Bcc: hidden@example.org\r\nFrom: ann@example.com\r\n" + fields + b"\r\n" + body
    async with logged_in(house, PortKind.TLS) as client:
        await client.say(FROM_ANN)
        for recipient in (b"bob@example.org", b"hidden@example.org"):
            assert codes(await client.say(b"RCPT TO:<" + recipient + b">\r\n")) == [250]
        assert codes(await client.say(b"DATA\r\n")) == [354]
        message = queued_as(await client.say(content + b".\r\n"))
    sent = await arrived(house, sink, message)
    assert sent.accepted_recipients == ("bob@example.org", "hidden@example.org")
    assert not sent.header("Bcc") and not sent.header("Resent-Bcc")
    assert b"hidden" not in sent.content
    assert sent.header("X-Bcc") == [b"stays"] and sent.body == body


@pytest.mark.parametrize("kind", PROTECTED)
async def test_a54_pipelining_and_8bitmime_are_offered_and_kept_to(
    house: Running, sink: BadServer, kind: PortKind
) -> None:
    body = "Größe: 5 €, 日本\r\n".encode() * 3
    async with protected(house, kind) as client:
        offered = {line[4:] for line in (await client.say(HELLO)).splitlines()}
        assert {b"PIPELINING", b"8BITMIME"} <= offered
    async with logged_in(house, kind) as client:
        client.type(b"MAIL FROM:<ann@example.com> BODY=8BITMIME\r\n" + TO_BOB + b"DATA\r\n")
        said = [await client.heard() for _ in range(3)]
        assert [code for each in said for code in codes(each)] == [250, 250, 354]
        # The next transaction is typed behind the content, before anything of it is answered.
        client.type(
            GREETING + body + b".\r\n" + FROM_ANN + b"RCPT TO:<>\r\n" + TO_BOB + b"RSET\r\n"
        )
        message = queued_as(await client.heard())
        said = [await client.heard() for _ in range(4)]
        assert [code for each in said for code in codes(each)] == [250, 501, 250, 250]
    sent = await arrived(house, sink, message)
    assert sent.body.endswith(body) and "BODY=8BITMIME" in sent.parameters
