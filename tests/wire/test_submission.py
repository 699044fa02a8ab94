"""what no dialogue can show of a submission: what becomes of the bytes, and of those who leave"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.net.listener import PortKind, SmtpConfig
from pillarbox.policy.directory import Mode
from pillarbox.terms.ids import format_message_id
from tests.doubles.bad_server import BadServer
from tests.e2e.porch import (
    BOTH,
    HELLO,
    PROTECTED,
    codes,
    converse,
    hand_in,
    logged_in,
    plain_login,
    queued_as,
)
from tests.e2e.product import Pillarbox
from tests.fix_house import Houses, Running
from tests.wire.conversation import Typist
from tests.wire.test_hostile_clients import taken, until_all_have_left

ENVELOPE = b"MAIL FROM:<ann@example.com>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
WHOLE = (
    b"Received: from b.example by c.example; Thu, 19 Nov 2026 08:00:00 +0100\r\n"
    b"Received: from a.example by b.example; Thu, 19 Nov 2026 08:00:00 +0100\r\n"
    b"Date: Thu, 19 Nov 2026 08:00:00 +0100\r\n"
    b"From: Ann <ann@example.com>\r\nMessage-ID: <1@example.com>\r\nSubject:  as it was \r\n\r\n"
    b"Good morning.\r\n\r\n"
)


@pytest.fixture
async def server() -> AsyncIterator[BadServer]:
    async with BadServer() as found:
        yield found


@pytest.fixture
async def house(houses: Houses, server: BadServer) -> Running:
    """Live, with a well-behaved server behind it."""
    running = await houses.start(smtp=BOTH)
    await running.add_server("next", server.port)
    return running


async def submitted(house: Running, content: bytes, kind: PortKind = PortKind.TLS) -> bytes:
    """The answer to the end of a message."""
    async with logged_in(house, kind) as client:
        return await hand_in(client, content)


async def arrived(house: Running, server: BadServer, said: bytes) -> bytes:
    """The content of that message as the next server has it."""
    assert said.startswith(b"250 2.0.0 Ok: queued as "), said
    await house.until(queued_as(said))
    return server.delivered[-1].content


# --- the bytes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
async def test_one_trace_field_goes_on_top_and_nothing_else_changes(
    house: Running, server: BadServer, kind: PortKind
) -> None:
    """RFC 5321 §4.4; no Return-Path, which only the last server writes."""
    said = await submitted(house, WHOLE, kind)
    content = await arrived(house, server, said)
    assert content.endswith(WHOLE)
    trace = content.removesuffix(WHOLE).decode()
    name = format_message_id(queued_as(said))
    assert trace.startswith("Received: from client.example.com ([127.0.0.1])\r\n\t(using TLSv1.")
    assert f"\r\n\tby relay.test with ESMTPSA id {name}\r\n\tfor <bob@example.org>;\r\n\t" in trace
    assert trace.count("\r\n") == trace.count("\r\n\t") + 1, "it is one field"


async def test_what_is_missing_is_added_and_blind_copies_leave(
    house: Running, server: BadServer
) -> None:
    """RFC 6409 §8, RFC 5322 §3.6.3."""
    head = b"Subject: x\r\nBcc: eve@example.org\r\nResent-Bcc:\r\n eve@example.org\r\n\r\nhello\r\n"
    content = await arrived(house, server, await submitted(house, head))
    fields = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = [line.partition(b":")[0] for line in fields if line[:1] not in b" \t"]
    assert names == [b"Received", b"Message-ID", b"Date", b"From", b"Subject"]
    assert b"From: ann@example.com" in fields
    assert b"eve" not in content


@pytest.mark.parametrize("field", [b"From: ann", b"From: Ann <ann>", b"From:"])
async def test_an_author_without_a_domain_is_refused_in_words(
    house: Running, server: BadServer, field: bytes
) -> None:
    """RFC 6409 §4.2, §6.3."""
    said = await submitted(house, field + b"\r\nSubject: x\r\n\r\nhello\r\n")
    assert said.startswith(b"554-5.6.0 the From field of the message names no address")
    assert b"\r\n554 5.6.0 Write From: Ann <ann@example.com>" in said
    assert server.messages == []


async def test_nobody_is_no_author_where_the_return_path_is_null(house: Running) -> None:
    async with logged_in(house, PortKind.TLS) as client:
        envelope = ENVELOPE.replace(b"ann@example.com", b"")
        said = await converse(client, envelope + b"Subject: x\r\n\r\n.\r\nQUIT\r\n")
    assert codes(said) == [250, 250, 354, 554, 221]


async def test_mail_that_goes_in_circles_is_refused(house: Running) -> None:
    """RFC 5321 §6.3."""
    said = await submitted(house, b"Received: from a by b\r\n" * 51 + WHOLE)
    assert said.startswith(b"554-5.4.6 ")


# --- those who leave ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROTECTED)
@pytest.mark.parametrize("behind", [b"", b"half a line", b"\r\n", b"\r\n.", b"\r\n.\r"])
async def test_who_leaves_in_content_has_handed_in_nothing(
    houses: Houses, kind: PortKind, behind: bytes
) -> None:
    """RFC 5321 §4.1.1.4: without its end there is no message."""
    house = await houses.start(Mode.SANDBOX, smtp=BOTH)
    async with logged_in(house, kind) as client:
        client.type(ENVELOPE)
        for code in (b"250", b"250", b"354"):
            assert (await client.heard()).startswith(code)
        client.type(WHOLE.removesuffix(b"\r\n") + behind)
        await client.writer.drain()
    await until_all_have_left(house)
    assert await taken(house) == []


@pytest.mark.parametrize("kind", PROTECTED)
async def test_who_leaves_without_quit_behind_the_250_has_handed_in_a_message(
    houses: Houses, kind: PortKind
) -> None:
    """RFC 5321 §4.1.1.10, §6.1."""
    house = await houses.start(Mode.SANDBOX, smtp=BOTH)
    async with logged_in(house, kind) as client:
        said = await hand_in(client, WHOLE)
        client.writer.transport.abort()
    await until_all_have_left(house)
    assert [message.id for message in await taken(house)] == [queued_as(said)]


def test_a_client_may_be_silent_for_five_minutes() -> None:
    """RFC 5321 §4.5.3.2.7; that it is then sent away with 421 is shown with shorter times."""
    assert SmtpConfig().idle_seconds >= 300


async def test_sigterm_is_a_421_for_whoever_is_connected_and_what_was_taken_stays(
    tmp_path: Path,
) -> None:
    """RFC 5321 §3.8; in the middle of a message the client may finish it first."""
    async with Pillarbox(tmp_path) as product:
        context = ssl.create_default_context(cafile=str(product.ca))
        idle = await Typist.call(product.port("TLS"), context)
        busy = await Typist.call(product.port("TLS"), context)
        for client in (idle, busy):
            assert (await client.heard()).startswith(b"220 ")
            assert (await client.say(HELLO)).startswith(b"250-")
        login = plain_login(product.first.username, product.first.password)
        assert (await busy.say(login)).startswith(b"235 ")
        busy.type(ENVELOPE)
        for code in (b"250", b"250", b"354"):
            assert (await busy.heard()).startswith(code)
        product.signal(signal.SIGTERM)
        assert (await idle.over()).startswith(b"421 4.3.2 ")
        name = format_message_id(queued_as(await busy.say(WHOLE + b".\r\n")))
        assert (await busy.over()).startswith(b"421 4.3.2 ")
        assert await product.dead() == 0
        for client in (idle, busy):
            await client.hang_up()
        await product.start()
        shown = await asyncio.to_thread(product.call, "message", "show", name, "--json")
        assert json.loads(shown)["id"] == name
