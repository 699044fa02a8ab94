"""mail beyond ASCII, from a login over TLS to a next hop that takes less

What a message holds decides where it may go, not what was declared for it (RFC 6531 §3.4, §3.6): some
programs declare SMTPUTF8 and BODY=8BITMIME for all they send, others send eight bits without a word.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import AsyncIterator

import pytest

from pillarbox.net.listener import PortKind
from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import DEFAULT_EXTENSIONS, BadServer
from tests.doubles.records import MessageRecord
from tests.doubles.script import Script, Stage, say
from tests.e2e.porch import BOTH, HELLO, codes, converse, logged_in, queued_as
from tests.fix_house import Houses, Running

HEAD = b"From: ann@example.com\r\nMessage-ID: <1@example.com>\r\nSubject: "
ASCII = HEAD + b"hello\r\n\r\nGood morning.\r\n"
HEADER = HEAD + "Grüße\r\n\r\nGood morning.\r\n".encode()
BODY = HEAD + "hello\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße aus Köln\r\n".encode()
PART = (
    HEAD
    + (
        "hello\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\n\r\nhello\r\n"
        '--b\r\nContent-Disposition: attachment; filename="grüße.txt"\r\n\r\nhello\r\n--b--\r\n'
    ).encode()
)
LINE = b"0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
LONG = LINE * (1_200_000 // len(LINE))
NOBODY = Script().on(
    Stage.RCPT, say(550, "5.1.1 nobody here"), when=lambda moment: "nobody" in moment.recipient
)


@contextlib.asynccontextmanager
async def offering(house: Running, *lacking: str, priority: int = 10) -> AsyncIterator[BadServer]:
    """A next hop of the app that offers everything but what is `lacking`."""
    offered = tuple(name for name in DEFAULT_EXTENSIONS if name not in lacking)
    async with BadServer(NOBODY, extensions=offered) as server:
        name = f"server-{priority}"
        await house.add_server(name, server.port, priority=priority)
        yield server


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Live, with ports that ask for TLS and a login; no server yet."""
    return await houses.start(smtp=BOTH)


async def submitted(
    house: Running,
    content: bytes,
    *recipients: str,
    mail: str = "ann@example.com",
    parameters: str = " SMTPUTF8",
) -> StoredMessage:
    """What is stored of one message."""
    envelope = f"MAIL FROM:<{mail}>{parameters}\r\n"
    envelope += "".join([f"RCPT TO:<{one}>\r\n" for one in recipients or ("bob@example.org",)])
    async with logged_in(house, PortKind.TLS) as client:
        said = await converse(client, envelope.encode() + b"DATA\r\n" + content + b".\r\nQUIT\r\n")
    assert codes(said)[-2:] == [250, 221], said
    return await house.house.storage.messages.get(queued_as(said))


async def settled(house: Running, stored: StoredMessage) -> list[tuple[str, str]]:
    """State and status of each recipient, at the end."""
    rows = await house.until(stored.id)
    return [(row.state, (await last_attempt(house, row)).status) for row in rows]


async def last_attempt(house: Running, row: DeliveryRow) -> AttemptFacts:
    history = await house.house.storage.events.history(row.last_event)
    return next(e.data for e in reversed(history) if isinstance(e.data, AttemptFacts))


def mail_of(server: BadServer) -> list[MessageRecord]:
    """What was delivered, without the notices that failures lead to."""
    return [message for message in server.delivered if message.return_path]


GONE = (State.HANDED_OVER, "2.0.0")
UNSAYABLE = (State.FAILED, "5.6.7")


# --- what is said of it -------------------------------------------------------------------------------


async def test_the_trace_field_says_how_it_was_declared(house: Running) -> None:
    for parameters, protocol in ((" SMTPUTF8", b"UTF8SMTPSA"), ("", b"ESMTPSA")):
        stored = await submitted(house, ASCII, parameters=parameters)
        content = await house.house.storage.messages.content(stored.id)
        assert b" with %b id msg_" % protocol in content.partition(b"\r\nFrom:")[0]


async def test_a_declaration_that_was_not_needed_is_not_passed_on(house: Running) -> None:
    async with offering(house) as server:
        stored = await submitted(house, ASCII, parameters=" BODY=7BIT SMTPUTF8")
        assert await settled(house, stored) == [GONE]
    assert "SMTPUTF8" not in server.delivered[0].parameters


@pytest.mark.parametrize("content", [HEADER, BODY, PART])
async def test_what_may_be_needed_is_declared_to_the_next_hop(
    house: Running, content: bytes
) -> None:
    async with offering(house) as server:
        stored = await submitted(house, content)
        assert await settled(house, stored) == [GONE]
    assert {"SMTPUTF8", "BODY=8BITMIME"} <= set(server.delivered[0].parameters)


# --- where the next hop lacks SMTPUTF8 ----------------------------------------------------------------


async def test_ascii_goes_anywhere_whatever_was_declared(house: Running) -> None:
    async with offering(house, "SMTPUTF8", "8BITMIME") as server:
        stored = await submitted(house, ASCII, parameters=" BODY=8BITMIME SMTPUTF8")
        assert await settled(house, stored) == [GONE]
    (message,) = mail_of(server)
    assert not [each for each in message.parameters if not each.startswith("SIZE=")]


async def test_a_domain_beyond_ascii_goes_in_its_a_labels(house: Running) -> None:
    async with offering(house, "SMTPUTF8") as server:
        stored = await submitted(house, ASCII, "bob@bücher.example", mail="ann@bücher.example")
        assert await settled(house, stored) == [GONE]
    (message,) = mail_of(server)
    assert message.return_path == "ann@xn--bcher-kva.example"
    assert message.accepted_recipients == ("bob@xn--bcher-kva.example",)


async def test_a_local_part_beyond_ascii_fails_for_its_recipient_alone(house: Running) -> None:
    async with offering(house, "SMTPUTF8") as server:
        stored = await submitted(
            house, ASCII, "bob@example.org", "jörg@example.org", "eve@example.org"
        )
        assert await settled(house, stored) == [GONE, UNSAYABLE, GONE]
    (message,) = mail_of(server)
    assert message.accepted_recipients == ("bob@example.org", "eve@example.org")


async def test_a_return_path_beyond_ascii_fails_for_all(house: Running) -> None:
    async with offering(house, "SMTPUTF8") as server:
        stored = await submitted(house, ASCII, "bob@example.org", mail="jörg@example.org")
        assert await settled(house, stored) == [UNSAYABLE]
    assert mail_of(server) == []


@pytest.mark.parametrize("content", [HEADER, PART], ids=["header", "header of a part"])
async def test_a_header_beyond_ascii_fails_and_is_not_mended(
    house: Running, content: bytes
) -> None:
    async with offering(house, "SMTPUTF8") as server:
        stored = await submitted(house, content)
        assert await settled(house, stored) == [UNSAYABLE]
        (row,) = await house.deliveries(stored.id)
        assert "SMTPUTF8" in (await last_attempt(house, row)).words
    assert mail_of(server) == []


async def test_the_header_of_long_content_is_looked_at_too(house: Running) -> None:
    async with offering(house, "SMTPUTF8") as server:
        stored = await submitted(house, HEADER + LONG)
        assert await settled(house, stored) == [UNSAYABLE]
    assert mail_of(server) == []


async def test_another_server_of_the_app_that_offers_it_is_asked(house: Running) -> None:
    async with (
        offering(house, "SMTPUTF8", priority=1) as old,
        offering(house, priority=2) as new,
    ):
        stored = await submitted(house, HEADER, "jörg@example.org", "bob@example.org")
        assert await settled(house, stored) == [GONE, GONE]
    assert mail_of(old) == []
    assert new.delivered[0].accepted_recipients == ("jörg@example.org", "bob@example.org")


async def test_several_messages_in_a_row_are_each_judged_by_themselves(house: Running) -> None:
    """Also where the envelope of the next would be said behind the content of the one before."""
    async with offering(house, "SMTPUTF8") as server:
        kinds = [ASCII, HEADER, ASCII, PART, BODY] * 4
        stored = [await submitted(house, content) for content in kinds]
        for content, one in zip(kinds, stored, strict=True):
            wanted = UNSAYABLE if content in (HEADER, PART) else GONE
            assert await settled(house, one) == [wanted]
    assert len(mail_of(server)) == 12


async def test_a_notice_to_somebody_beyond_ascii_is_declared(house: Running) -> None:
    async with offering(house) as server:
        stored = await submitted(house, ASCII, "nobody@example.org", mail="jörg@example.com")
        await house.until(stored.id)
        await house.house.notices.pay()
        await server.until(lambda: bool(server.delivered))
    (notice,) = server.delivered
    assert notice.return_path == ""
    assert notice.accepted_recipients == ("jörg@example.com",)
    assert "SMTPUTF8" in notice.parameters


# --- eight bits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", ["", " BODY=7BIT", " BODY=8BITMIME"])
@pytest.mark.parametrize("more", [b"", LONG + "Tschüß\r\n".encode()], ids=["short", "long"])
async def test_eight_bits_are_declared_to_the_next_hop_whoever_said_so_to_us(
    house: Running, parameters: str, more: bytes
) -> None:
    async with offering(house) as server:
        stored = await submitted(house, BODY + more, parameters=parameters)
        assert await settled(house, stored) == [GONE]
    (message,) = mail_of(server)
    assert "BODY=8BITMIME" in message.parameters
    assert message.content.endswith("Grüße aus Köln\r\n".encode() + more)


@pytest.mark.parametrize(
    "content",
    [BODY, BODY + LONG, BODY[: BODY.index("Grüße".encode())] + LONG + "Tschüß\r\n".encode()],
    ids=["short", "long", "late in long content"],
)
@pytest.mark.parametrize("parameters", ["", " BODY=7BIT", " BODY=8BITMIME"])
async def test_eight_bits_are_converted_where_they_are_not_taken_and_never_cut_off(
    house: Running, content: bytes, parameters: str
) -> None:
    async with offering(house, "8BITMIME", "SMTPUTF8") as server:
        stored = await submitted(house, content, parameters=parameters)
        assert await settled(house, stored) == [GONE]
    (message,) = mail_of(server)
    assert message.content.isascii()
    assert not [each for each in message.parameters if each.startswith("BODY")]
    assert decoded(message) == content.partition(b"\r\n\r\n")[2]


def decoded(message: MessageRecord) -> bytes:
    """What a reader sees of the body."""
    read = email.message_from_bytes(message.content, policy=email.policy.SMTP)
    payload = read.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


# --- and what every client relies on --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
async def test_a54_pipelining_and_8bitmime_are_listed_and_honoured(
    house: Running, kind: PortKind
) -> None:
    async with offering(house) as server, logged_in(house, kind) as client:
        offered = [line[4:] for line in (await client.say(HELLO)).splitlines()]
        assert {b"PIPELINING", b"8BITMIME"} <= set(offered)
        group = (
            b"MAIL FROM:<ann@example.com> BODY=8BITMIME\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n"
        )
        said = await converse(client, (group + BODY + b".\r\n") * 3 + b"QUIT\r\n")
        assert codes(said) == [250, 250, 354, 250] * 3 + [221]
        await server.until(lambda: len(server.delivered) == 3)
    assert all(each.content.endswith("Grüße aus Köln\r\n".encode()) for each in server.delivered)


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
async def test_a52_a_null_return_path_of_a_client_that_logged_in_is_accepted(
    house: Running, kind: PortKind
) -> None:
    async with offering(house) as server, logged_in(house, kind) as client:
        data = b"MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\n" + ASCII + b".\r\nQUIT\r\n"
        assert codes(await converse(client, data)) == [250, 250, 354, 250, 221]
        await server.until(lambda: bool(server.delivered))
    assert server.delivered[0].return_path == ""
