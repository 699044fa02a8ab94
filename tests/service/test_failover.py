"""what a server's misbehaviour does to mail: the next one takes it, and nobody is bounced for it

With ``--engine postgres`` all of it on PostgreSQL; some of it always on both engines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Uncertain
from pillarbox.policy.server import Encryption
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.doubles.script import Gate, Script, Stage, drop, say, stall, usual
from tests.fix_house import QUICK, Houses, HousesOverDatabase, Running


@pytest.fixture
async def houses(tmp_path: Path, new_database: Callable[[], str]) -> AsyncIterator[Houses]:
    found = HousesOverDatabase(tmp_path / "data", new_database())
    yield found
    await found.stop()


async def both(running: Running, first: BadServer, second: BadServer, **facts: object) -> None:
    await running.add_server("first", first.port, priority=0, **facts)
    await running.add_server("second", second.port, priority=1)


@pytest.mark.both_engines
async def test_the_first_by_priority_takes_it(running: Running) -> None:
    async with BadServer() as first, BadServer() as second:
        await both(running, first, second)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert (len(first.messages), len(second.messages)) == (1, 0)


async def test_the_authority_of_the_first_cannot_be_read(running: Running) -> None:
    async with BadServer() as first, BadServer() as second:
        await running.add_server(
            "first", first.port, priority=0, encryption=Encryption.STARTTLS,
            ca_file="/nowhere/ca.pem",
        )  # fmt: skip
        await running.add_server("second", second.port, priority=1)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(second.messages) == 1
        (server, _) = await running.house.storage.directory.servers(running.app.id)
        assert server.errors == 1


async def test_nobody_listens_at_the_first(running: Running) -> None:
    async with BadServer() as second:
        await running.add_server("first", free_port(), priority=0)
        await running.add_server("second", second.port, priority=1)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(second.messages) == 1


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        (Stage.BANNER, (554, "no service for you")),
        (Stage.BANNER, (421, "4.3.2 too busy")),
        (Stage.EHLO, (554, "5.7.1 go away")),
        (Stage.MAIL, (421, "4.3.2 shutting down")),
        (Stage.MAIL, (451, "4.3.0 try later")),
        (Stage.MAIL, (452, "4.3.1 no room")),
        (Stage.RCPT, (554, "5.7.1 <bob@example.org>: Relay access denied")),
        (Stage.RCPT, (451, "4.3.0 try later")),
        (Stage.DATA, (451, "4.3.0 try later")),
        (Stage.DOT, (451, "4.3.0 try later")),
        (Stage.DOT, (421, "4.3.2 shutting down")),
    ],
)
async def test_a_refusal_that_is_not_about_the_recipient_moves_mail_to_the_second(
    running: Running, stage: Stage, reply: tuple[int, str]
) -> None:
    steps = [say(*reply)] if reply[0] != 421 else [say(*reply), drop()]
    async with BadServer(Script().on(stage, *steps)) as first, BadServer() as second:
        await both(running, first, second)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(second.messages) == 1
        assert not [m for m in first.messages if m.code == 250]


@pytest.mark.parametrize("code", [535, 454, 530])
async def test_a_refused_login_is_the_operators_trouble_and_the_second_takes_it(
    running: Running, code: int
) -> None:
    script = Script().on(Stage.AUTH, say(code, "5.7.8 no" if code > 500 else "4.7.0 later"))
    bad = BadServer(script, credentials={"relay": "right"}, auth_in_clear=True)
    async with bad as first, BadServer() as second:
        await both(running, first, second, username="relay", password=Secret("right"))
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER
        assert len(second.messages) == 1 and not first.messages


@pytest.mark.parametrize(
    "stage",
    [Stage.BANNER, Stage.EHLO, Stage.MAIL, Stage.RCPT, Stage.DATA],
)
@pytest.mark.parametrize("how", ["stall", "drop"])
async def test_a_server_that_stalls_or_hangs_up_costs_seconds_not_mail(
    running: Running, stage: Stage, how: str
) -> None:
    gate = Gate()
    step = stall(gate) if how == "stall" else drop()
    async with BadServer(Script().on(stage, step)) as first, BadServer() as second:
        await both(running, first, second)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        gate.release()
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(second.messages) == 1


@pytest.mark.both_engines
@pytest.mark.parametrize("how", ["stall", "drop"])
async def test_a_line_lost_after_the_dot_is_deferred_not_failed_and_not_given_to_the_second(
    running: Running, how: str
) -> None:
    gate = Gate()
    step = stall(gate) if how == "stall" else drop()
    async with BadServer(Script().on(Stage.DOT, step, times=1)) as first, BadServer() as second:
        await both(running, first, second)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        gate.release()
        assert (row.state, row.attempts) == (State.HANDED_OVER, 2)
        assert "delivery.uncertain" in await running.kinds(row)
        assert len(first.messages) == 2 and not second.messages


async def test_tls_that_was_asked_for_is_had_or_nothing_is_said(running: Running) -> None:
    async with BadServer() as first, BadServer() as second:
        await both(running, first, second, encryption=Encryption.STARTTLS)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER and len(second.messages) == 1
        said = [command.stage for session in first.sessions for command in session.commands]
        assert Stage.MAIL not in said


async def test_one_unknown_recipient_of_three_fails_alone_and_its_submitter_hears_of_it(
    running: Running,
) -> None:
    script = Script().on(
        Stage.RCPT, say(550, "5.1.1 no such user here"), recipient="nobody@example.org"
    )
    async with BadServer(script) as first, BadServer() as second:
        await both(running, first, second)
        receipt = await running.submit("a@example.org", "nobody@example.org", "c@example.org")
        rows = await running.until(receipt.message)
        assert [row.state for row in rows] == [State.HANDED_OVER, State.FAILED, State.HANDED_OVER]
        await first.until(lambda: len(first.messages) == 2)
        sent, notice = first.messages
        assert sent.accepted_recipients == ("a@example.org", "c@example.org")
        assert (notice.return_path, notice.accepted_recipients) == ("", ("ann@example.com",))
        assert b"nobody@example.org" in notice.content and b"5.1.1" in notice.content
        assert not second.messages


@pytest.mark.both_engines
async def test_no_start_mark_is_left_of_who_was_settled_before_it_was_written(
    running: Running,
) -> None:
    script = Script().on(Stage.RCPT, say(550, "5.1.1 no such user"), nth=1)
    script.on(Stage.RCPT, say(451, "4.3.0 try later"), nth=2)
    async with BadServer(script) as first, BadServer() as second:
        await both(running, first, second)
        receipt = await running.submit(
            "nobody@example.org", "bob@example.org", uncertain=Uncertain.HOLD
        )
        rows = await running.until(receipt.message)
        assert [row.state for row in rows] == [State.FAILED, State.HANDED_OVER]
        assert len(second.messages) == 1
        queue = running.house.storage.queue
        assert not [row for row in rows if queue._marks.covers(row.delivery)]  # type: ignore[attr-defined]


async def test_no_notice_goes_to_a_null_return_path(running: Running) -> None:
    script = Script().on(Stage.RCPT, say(550, "5.1.1 no such user here"))
    async with BadServer(script) as first:
        await running.add_server("first", first.port)
        receipt = await running.submit("nobody@example.org", return_path="")
        (row,) = await running.until(receipt.message)
        assert row.state is State.FAILED
        assert await running.house.storage.queue.obligations(0, 1 << 60, 10) == []


@pytest.mark.both_engines
async def test_all_servers_down_defers_with_growing_waits_and_mail_goes_when_one_is_back(
    running: Running,
) -> None:
    port = free_port()
    await running.add_server("only", port)
    receipt = await running.submit()
    await running.until(receipt.message, lambda rows: rows[0].attempts >= 2)
    async with BadServer(port=port) as server:
        (row,) = await running.until(receipt.message)
        assert row.state is State.HANDED_OVER and len(server.messages) == 1
    kinds = await running.kinds(row)
    assert kinds.count("delivery.deferred") == row.attempts - 1


async def test_mail_of_an_app_without_servers_waits_and_says_why(running: Running) -> None:
    receipt = await running.submit()
    (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
    assert row.state is State.DEFERRED
    last = (await running.house.storage.events.history(row.last_event))[-1]
    assert last.data.category == "no_route"


@pytest.mark.both_engines
async def test_many_messages_share_kept_connections(running: Running) -> None:
    async with BadServer() as server:
        await running.add_server("only", server.port)
        receipts = [await running.submit(f"r{n}@example.org") for n in range(100)]
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert row.state is State.HANDED_OVER
        assert len(server.messages) == 100
        assert len(server.sessions) <= 20


async def test_what_leaves_is_what_came_and_a_trace(running: Running) -> None:
    body = b"a\r\n.\r\n..\r\n...b\r\n\tlast\xff\r\n"
    async with BadServer() as server:
        await running.add_server("only", server.port)
        receipt = await running.submit(content=b"From: a@example.com\r\n\r\n" + body)
        await running.until(receipt.message)
        (sent,) = server.messages
        head, _, left = sent.content.partition(b"\r\n\r\n")
        assert left == body
        assert head.startswith(b"Received: ")


async def test_who_keeps_a_slot_for_the_next_message_does_not_wait_for_it_himself(
    running: Running,
) -> None:
    enough = Script().on(Stage.RCPT, say(452, "4.5.3 enough recipients"), nth=3)
    async with BadServer(enough) as server:
        await running.add_server("only", server.port, max_connections=1)
        # All at once, so that there is a next one whose envelope is said ahead.
        several = [f"r{n}@example.org" for n in range(3)]
        receipts = await asyncio.gather(*(running.submit(*several) for _ in range(8)))
        for receipt in receipts:
            for row in await running.until(receipt.message):
                assert row.state is State.HANDED_OVER
        assert len(server.sessions) >= 1


async def test_traffic_returns_to_the_best_server_when_it_is_back(running: Running) -> None:
    """The trial is made with mail, so it is mail that finds out; the second has the rest meanwhile."""
    port = free_port()
    await running.add_server("best", port, priority=0)
    async with BadServer() as second:
        await running.add_server("second", second.port, priority=1)
        for number in range(4):
            receipt = await running.submit(f"away-{number}@example.org")
            (row,) = await running.until(receipt.message)
            assert row.state is State.HANDED_OVER
        assert len(second.messages) == 4
        async with BadServer(port=port) as best:
            while not best.messages:
                receipt = await running.submit()
                (row,) = await running.until(receipt.message)
                assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
            by_second = len(second.messages)
            for number in range(10):
                receipt = await running.submit(f"back-{number}@example.org")
                await running.until(receipt.message)
            assert (len(best.messages), len(second.messages)) == (11, by_second)
            events = await running.house.storage.events.recent(200, app=running.app.id)
            assert [e.kind for e in events if e.kind == "server.recovered"] == ["server.recovered"]


@pytest.mark.parametrize("stage", [Stage.BANNER, Stage.MAIL])
async def test_a_stalled_server_costs_some_messages_its_timeout_and_the_others_nothing(
    running: Running, stage: Stage
) -> None:
    """Once it is paused nobody waits for it: it is called by those under way, and then no more."""
    gate = Gate()
    async with BadServer(Script().on(stage, stall(gate))) as first, BadServer() as second:
        await both(running, first, second)
        receipts = [await running.submit(f"r{n}@example.org") for n in range(60)]
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        gate.release()
        assert len(second.messages) == 60
        # As many as the lane's window lets out at first, and one trial or a few.
        assert len(first.sessions) < 20


async def test_a_server_that_stalls_at_mail_is_borne_for_less_where_another_is_there(
    houses: Houses,
) -> None:
    """A server may take five minutes for an answer (RFC 5321 §4.5.3.2), but the others wait as well."""
    timeouts = replace(QUICK, envelope_seconds=60.0, elsewhere_seconds=0.2)
    running = await houses.start(timeouts=timeouts)
    gate = Gate()
    async with (
        BadServer(Script().on(Stage.MAIL, stall(gate), usual())) as first,
        BadServer() as second,
    ):
        await running.add_server("first", first.port, priority=0)
        only = await running.submit("patient@example.org")
        await gate.reached()
        await running.add_server("second", second.port, priority=1)
        receipt = await running.submit()
        (row,) = await running.until(receipt.message)
        assert (row.state, row.attempts) == (State.HANDED_OVER, 1)
        assert len(second.messages) == 1
        (row,) = await running.deliveries(only.message)
        assert (row.state, row.attempts) == (State.QUEUED, 0)
        gate.release()
        await running.until(only.message)
        assert [m.accepted_recipients for m in first.delivered] == [("patient@example.org",)]
