"""what leaves where a server does not take the sender, and what is said of it"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.message.default_sender import authors_of
from pillarbox.message.header import HeaderBlock
from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.server import SenderRule
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import BadServer
from tests.doubles.records import MessageRecord
from tests.doubles.script import Moment, Script, Stage, say
from tests.fix_house import Running

SHOP = {"from_address": "shop@example.net", "from_name": "The Shop"}


def foreign(moment: Moment) -> bool:
    return "@example.net>" not in moment.argument


def refusing(*said: str, stage: Stage = Stage.MAIL) -> Script:
    """A server that lets its login send as one domain only."""
    return Script().on(stage, say(550, *said), when=foreign)


def reply_to(message: MessageRecord) -> bytes | None:
    return HeaderBlock.parse(message.content).get("reply-to")


async def last(running: Running, row: DeliveryRow) -> AttemptFacts:
    facts = (await running.house.storage.events.history(row.last_event))[-1].data
    assert isinstance(facts, AttemptFacts)
    return facts


async def sent(running: Running, *recipients: str, **facts: str) -> DeliveryRow:
    receipt = await running.submit(*recipients, **facts)  # type: ignore[arg-type]
    return (await running.until(receipt.message))[0]


async def test_c68_a_server_that_refuses_the_senders_domain_gets_its_default_sender(
    running: Running,
) -> None:
    async with BadServer(refusing("5.7.1 Sender address rejected")) as server:
        await running.add_server("only", server.port, **SHOP)
        row = await sent(running, "bob@example.org", "eve@example.org")
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        (message,) = server.messages
        assert message.return_path == "shop@example.net"
        assert message.accepted_recipients == ("bob@example.org", "eve@example.org")
        assert authors_of(message.content) == ["shop@example.net"]
        assert b"From: The Shop <shop@example.net>\r\n" in message.content
        assert reply_to(message) == b"ann@example.com"


@pytest.mark.parametrize(
    "said",
    [
        "5.7.60 Client does not have permissions to send as this sender",
        "Message rejected: Email address is not verified.",
    ],
)
async def test_a_server_that_refuses_the_author_behind_the_content_gets_the_default_author(
    running: Running, said: str
) -> None:
    async with BadServer(Script().on(Stage.DOT, say(554, said), times=1)) as server:
        await running.add_server("only", server.port, **SHOP)
        row = await sent(running)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        refused, taken = server.messages
        assert authors_of(refused.content) == ["ann@example.com"]
        assert authors_of(taken.content) == ["shop@example.net"]
        assert reply_to(taken) == b"ann@example.com"
        assert taken.content.partition(b"\r\n\r\n")[2] == refused.content.partition(b"\r\n\r\n")[2]
        facts = await last(running, row)
        assert facts.sender == "The Shop <shop@example.net>"
        assert "with its default sender shop@example.net" in facts.words
        assert facts.bytes_sha256 and facts.renderer


async def test_a_refusal_at_rcpt_is_understood_as_well(running: Running) -> None:
    words = say(553, "5.7.1 <ann@example.com>: Sender address rejected: not owned by user relay")
    script = Script().on(Stage.RCPT, words, times=2)
    async with BadServer(script) as server:
        await running.add_server("only", server.port, **SHOP)
        row = await sent(running, "bob@example.org", "eve@example.org")
        assert row.state is State.HANDED_OVER
        assert [message.return_path for message in server.messages] == ["shop@example.net"]


async def test_c69_a_sender_that_is_taken_is_kept(running: Running) -> None:
    async with BadServer() as server:
        await running.add_server("first", server.port, **SHOP)
        row = await sent(running)
        (message,) = server.messages
        assert message.return_path == "ann@example.com"
        assert authors_of(message.content) == ["ann@example.com"]
        assert reply_to(message) is None
        assert (await last(running, row)).sender == ""


async def test_c70_a_server_may_be_told_to_replace_the_sender_always(running: Running) -> None:
    async with BadServer() as server:
        await running.add_server("only", server.port, **SHOP, sender_rule=SenderRule.ALWAYS)
        await asyncio.gather(*(sent(running) for _ in range(5)))
        assert {message.return_path for message in server.messages} == {"shop@example.net"}
        for message in server.messages:
            assert authors_of(message.content) == ["shop@example.net"]


async def test_c71_without_a_default_sender_a_refused_one_fails(running: Running) -> None:
    async with BadServer(refusing("5.7.1 Sender address rejected")) as server:
        await running.add_server("only", server.port)
        row = await sent(running)
        assert (row.state, row.attempts) == (State.FAILED, 1)
        facts = await last(running, row)
        assert (facts.category, facts.sender) == ("sender_refused", "")


async def test_what_a_list_of_senders_does_not_name_is_not_even_offered(running: Running) -> None:
    async with BadServer() as server:
        listed = {"allowed_senders": ("example.net", "ann@example.com")}
        await running.add_server("only", server.port, **SHOP, **listed)
        await sent(running)
        await sent(running, content=b"From: eve@example.com\r\n\r\n", return_path="eve@example.com")
        first, second = server.messages
        assert (first.return_path, authors_of(first.content)) == (
            "ann@example.com", ["ann@example.com"],
        )  # fmt: skip
        assert (second.return_path, authors_of(second.content)) == (
            "shop@example.net", ["shop@example.net"],
        )  # fmt: skip
        assert reply_to(second) == b"eve@example.com"


async def test_a_refusal_is_remembered_and_not_provoked_for_every_message(running: Running) -> None:
    async with BadServer(refusing("5.7.1 Sender address rejected")) as server:
        await running.add_server("only", server.port, **SHOP)
        await sent(running)
        for _ in range(5):
            await sent(running)
        said = [c for session in server.sessions for c in session.commands if c.stage is Stage.MAIL]
        assert len([one for one in said if b"ann@example.com" in one.line]) == 1
        assert len(server.messages) == 6


async def test_many_at_once_are_all_taken_with_the_default_sender(running: Running) -> None:
    async with BadServer(refusing("5.7.1 Sender address rejected")) as server:
        await running.add_server("only", server.port, **SHOP)
        receipts = await asyncio.gather(*(running.submit() for _ in range(60)))
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(server.messages) == 60
        assert all(authors_of(one.content) == ["shop@example.net"] for one in server.messages)


async def test_the_null_return_path_stays_null(running: Running) -> None:
    async with BadServer() as server:
        await running.add_server("only", server.port, **SHOP, sender_rule=SenderRule.ALWAYS)
        await sent(running, return_path="")
        (message,) = server.messages
        assert (message.return_path, authors_of(message.content)) == ("", ["shop@example.net"])


async def test_a_default_sender_that_is_refused_itself_pauses_the_server_and_fails_nobody(
    running: Running,
) -> None:
    script = Script().on(Stage.MAIL, say(550, "5.7.1 not a sender of yours"))
    async with BadServer(script) as first, BadServer() as second:
        facts = {**SHOP, "sender_rule": SenderRule.ALWAYS}
        await running.add_server("first", first.port, priority=0, **facts)
        await running.add_server("second", second.port, priority=1)
        row = await sent(running)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert [message.return_path for message in second.messages] == ["ann@example.com"]
        (found, _) = await running.house.storage.directory.servers(running.app.id)
        assert found.errors == 1


async def test_long_content_is_given_the_default_sender_as_well(running: Running) -> None:
    long = b"From: ann@example.com\r\n\r\n" + b"All of it is read.\r\n" * 120_000
    async with BadServer(refusing("5.7.1 Sender address rejected")) as server:
        await running.add_server("only", server.port, **SHOP)
        assert (await sent(running, content=long)).state is State.HANDED_OVER
        (message,) = server.messages
        assert authors_of(message.content) == ["shop@example.net"]
        assert message.content.endswith(long.partition(b"\r\n\r\n")[2])
