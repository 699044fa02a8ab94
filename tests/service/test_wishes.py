"""wishes about notices, from RCPT over TLS to the next hop, or to a notice of our own

RFC 3461: what is stored is what was said, decoded; what a next hop with DSN hears is what was said,
encoded again; one without DSN hears nothing, and then the notices that are owed are ours.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pillarbox.message.facts import RecipientFacts
from pillarbox.net.listener import PortKind
from pillarbox.storage.interface.messages import StoredMessage
from tests.doubles.bad_server import DEFAULT_EXTENSIONS, BadServer
from tests.doubles.records import MessageRecord
from tests.doubles.script import Script, Stage, say
from tests.e2e.porch import BOTH, HELLO, called, codes, converse, logged_in, queued_as
from tests.fix_house import Houses, Running

LETTER = b"From: ann@example.com\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n\r\nGood morning.\r\n"
WITHOUT_DSN = tuple(name for name in DEFAULT_EXTENSIONS if name != "DSN")
NOBODY = Script().on(
    Stage.RCPT, say(550, "5.1.1 nobody here"), when=lambda moment: "nobody" in moment.recipient
)


@pytest.fixture
async def knowing() -> AsyncIterator[BadServer]:
    """A next hop that offers DSN."""
    async with BadServer(NOBODY) as server:
        yield server


@pytest.fixture
async def simple() -> AsyncIterator[BadServer]:
    """A next hop that does not."""
    async with BadServer(NOBODY, extensions=WITHOUT_DSN) as server:
        yield server


@pytest.fixture
async def house(houses: Houses) -> Running:
    """Live, with ports that ask for TLS and a login; no server yet."""
    return await houses.start(smtp=BOTH)


async def submitted(house: Running, mail: str, *rcpts: str) -> StoredMessage:
    """One message with these commands, as it is stored."""
    commands = [f"MAIL FROM:<ann@example.com>{mail}"]
    commands += [f"RCPT TO:{rcpt}" for rcpt in rcpts]
    async with logged_in(house, PortKind.STARTTLS) as client:
        envelope = "".join(line + "\r\n" for line in [*commands, "DATA"]).encode()
        said = await converse(client, envelope + LETTER + b".\r\nQUIT\r\n")
    assert codes(said) == [250] * len(commands) + [354, 250, 221], said
    return await house.house.storage.messages.get(queued_as(said))


async def notices(house: Running, server: BadServer, count: int) -> list[MessageRecord]:
    """The notices that come to the return path, when everything is settled."""
    await house.house.notices.pay()
    await server.until(lambda: len(_notices(server)) >= count)
    assert len(_notices(server)) == count
    return _notices(server)


def _notices(server: BadServer) -> list[MessageRecord]:
    return [message for message in server.delivered if not message.return_path]


def reported(notice: MessageRecord) -> dict[str, str]:
    """The fields of a notice for programs, about its message and its one recipient."""
    kind = b"message/delivery-status\r\n\r\n"
    part = notice.content.partition(kind)[2].partition(b"\r\n--")[0]
    lines = part.decode().replace("\r\n ", " ").split("\r\n")
    return dict(line.split(": ", 1) for line in lines if ": " in line)


# --- offered, and taken to the letter ---------------------------------------------------------------


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
async def test_b35_ehlo_lists_dsn_before_and_after_the_login(
    house: Running, kind: PortKind
) -> None:
    for connected in (called, logged_in):
        async with connected(house, kind) as client:
            offered = [line[4:] for line in (await client.say(HELLO)).splitlines()]
            assert b"DSN" in offered


async def test_b45_never_stands_alone(house: Running) -> None:
    for wish in ("NEVER,FAILURE", "FAILURE,NEVER", "NEVER,NEVER", "success,never"):
        await refused(house, "", f" NOTIFY={wish}")


async def test_b46_unknown_words_of_notify_and_ret_are_refused(house: Running) -> None:
    for wish in (
        "NOTIFY=SOMETIMES",
        "NOTIFY=SUCCESS,",
        "NOTIFY=",
        "NOTIFY",
        "NOTIFY=FAILURE;DELAY",
    ):
        await refused(house, "", f" {wish}")
    for wish in ("RET=BODY", "RET=FULL,HDRS", "RET=", "RET"):
        await refused(house, f" {wish}", "")


async def test_b47_what_is_said_twice_is_refused(house: Running) -> None:
    for wish in ("RET=FULL RET=FULL", "RET=FULL ret=hdrs", "ENVID=a ENVID=a"):
        await refused(house, f" {wish}", "")
    for wish in (
        "NOTIFY=NEVER NOTIFY=NEVER",
        "NOTIFY=DELAY notify=FAILURE",
        "NOTIFY=DELAY,DELAY",
        "ORCPT=rfc822;a@example.com ORCPT=rfc822;a@example.com",
    ):
        await refused(house, "", f" {wish}")


async def refused(house: Running, mail: str, rcpt: str) -> None:
    """Both kinds of port say 501 5.5.4 to these parameters, and the conversation goes on."""
    for kind in (PortKind.STARTTLS, PortKind.TLS):
        async with logged_in(house, kind) as client:
            said = await client.say(f"MAIL FROM:<ann@example.com>{mail}\r\n".encode())
            if not mail:
                assert said.startswith(b"250 2.1.0 ")
                said = await client.say(f"RCPT TO:<bob@example.org>{rcpt}\r\n".encode())
            assert said.startswith(b"501 5.5.4 "), (mail, rcpt)
            assert (await client.say(b"NOOP\r\n")).startswith(b"250 ")


# --- stored, and passed on --------------------------------------------------------------------------


async def test_b48_xtext_is_decoded_for_us_and_encoded_for_the_next_hop(
    house: Running, knowing: BadServer
) -> None:
    await house.add_server("knowing", knowing.port)
    stored = await submitted(
        house,
        " RET=HDRS ENVID=QQ+2B314+3D+20x",
        "<bob@example.org> ORCPT=RFC822;Bob+2Bsales@Example.ORG",
        "<eve@example.org> ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@b\\x{FC}cher.example",
    )
    assert (stored.facts.report, stored.facts.envelope_id) == ("HDRS", "QQ+314= x")
    assert [one.original for one in stored.facts.recipients] == [
        "RFC822;Bob+sales@Example.ORG",
        "utf-8;jörg+x@bücher.example",
    ]
    await house.until(stored.id)
    (message,) = knowing.delivered
    assert {"RET=HDRS", "ENVID=QQ+2B314+3D+20x"} <= set(message.parameters)
    assert [one.parameters for one in message.recipients] == [
        ("ORCPT=RFC822;Bob+2Bsales@Example.ORG",),
        ("ORCPT=utf-8;j\\x{F6}rg\\x{2B}x@b\\x{FC}cher.example",),
    ]


async def test_b49_each_recipient_has_wishes_of_its_own(house: Running, knowing: BadServer) -> None:
    await house.add_server("knowing", knowing.port)
    wishes = (
        " NOTIFY=NEVER",
        " NOTIFY=DELAY,SUCCESS",
        "",
        " ORCPT=rfc822;D@example.org",
        " notify=failure",
    )
    names = "abcde"
    stored = await submitted(
        house,
        "",
        *[f"<{name}@example.org>{wish}" for name, wish in zip(names, wishes, strict=True)],
    )
    assert stored.facts.recipients == (
        RecipientFacts("a@example.org", "NEVER", None, True),
        RecipientFacts("b@example.org", "DELAY,SUCCESS", None, True),
        RecipientFacts("c@example.org"),
        RecipientFacts("d@example.org", "FAILURE", "rfc822;D@example.org"),
        RecipientFacts("e@example.org", "FAILURE", None, True),
    )
    await house.until(stored.id)
    (message,) = knowing.delivered
    assert [one.parameters for one in message.recipients] == [
        ("NOTIFY=NEVER",),
        ("NOTIFY=DELAY,SUCCESS",),
        (),
        ("ORCPT=rfc822;D@example.org",),
        ("NOTIFY=FAILURE",),
    ]
    assert not [each for each in message.parameters if each.startswith(("RET", "ENVID"))], (
        "what was not said is not said for anybody (RFC 3461 §5.2.1)"
    )


async def test_b54_wishes_go_on_to_a_next_hop_with_dsn_and_to_no_other(
    house: Running, simple: BadServer
) -> None:
    await house.add_server("simple", simple.port)
    stored = await submitted(
        house, " RET=FULL ENVID=a", "<bob@example.org> NOTIFY=DELAY ORCPT=rfc822;b@example.org"
    )
    await house.until(stored.id)
    (message,) = simple.delivered
    (recipient,) = message.recipients
    assert recipient.parameters == ()
    assert not [each for each in message.parameters if each.startswith(("RET", "ENVID"))]


async def test_a_server_that_knows_the_wishes_writes_the_notices_of_what_it_took(
    house: Running, knowing: BadServer
) -> None:
    await house.add_server("knowing", knowing.port)
    stored = await submitted(house, "", "<bob@example.org> NOTIFY=SUCCESS,FAILURE")
    await house.until(stored.id)
    assert await notices(house, knowing, 0) == []


# --- our own notices --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "failed", "relayed"),
    [
        ("", True, False),
        (" NOTIFY=FAILURE", True, False),
        (" NOTIFY=NEVER", False, False),
        (" NOTIFY=SUCCESS", False, True),
        (" NOTIFY=DELAY", False, False),
        (" NOTIFY=SUCCESS,FAILURE", True, True),
    ],
)
async def test_b40_b41_b42_b43_a_notice_is_written_for_what_was_asked_for(
    house: Running, simple: BadServer, wish: str, failed: bool, relayed: bool
) -> None:
    await house.add_server("simple", simple.port)
    stored = await submitted(house, "", f"<nobody@example.org>{wish}", f"<bob@example.org>{wish}")
    await house.until(stored.id)
    written = [reported(each) for each in await notices(house, simple, failed + relayed)]
    told = {(each["Final-Recipient"], each["Action"]) for each in written}
    assert told == ({("rfc822;nobody@example.org", "failed")} if failed else set()) | (
        {("rfc822;bob@example.org", "relayed")} if relayed else set()
    )


async def test_b38_b39_a_notice_names_the_message_and_the_recipient_as_the_submitter_does(
    house: Running, simple: BadServer
) -> None:
    await house.add_server("simple", simple.port)
    stored = await submitted(
        house, " ENVID=order+2B17", "<nobody@example.org> ORCPT=rfc822;No+2Bbody@Example.org"
    )
    await house.until(stored.id)
    (notice,) = await notices(house, simple, 1)
    fields = reported(notice)
    assert fields["Original-Envelope-Id"] == "order+17"
    assert fields["Original-Recipient"] == "rfc822;No+body@Example.org"


@pytest.mark.parametrize(
    ("wish", "kind"),
    [
        (" RET=FULL", "message/rfc822"),
        (" RET=HDRS", "text/rfc822-headers"),
        ("", "text/rfc822-headers"),
    ],
)
async def test_b36_b37_a_notice_returns_as_much_as_was_asked_for(
    house: Running, simple: BadServer, wish: str, kind: str
) -> None:
    await house.add_server("simple", simple.port)
    stored = await submitted(house, wish, "<nobody@example.org>")
    await house.until(stored.id)
    (notice,) = await notices(house, simple, 1)
    assert f"Content-Type: {kind}\r\n".encode() in notice.content
    assert (b"Good morning." in notice.content) == (kind == "message/rfc822")
