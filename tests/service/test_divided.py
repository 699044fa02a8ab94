"""a message that goes to one server in several portions: each recipient once, each told what is true"""

from __future__ import annotations

import asyncio
from collections import Counter

from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode, Uncertain
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.retry import RetryConfig
from pillarbox.services.delivery.config import DeliveryConfig
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Gate, Script, Stage, drop, stall, usual
from tests.fix_house import Houses, Running

PAIRS = DeliveryConfig(recipients_per_transaction=2)
THREE = ("r0@example.org", "r1@example.org", "r2@example.org")


async def last(running: Running, row: DeliveryRow) -> AttemptFacts:
    events = await running.house.storage.events.history(row.last_event)
    return next(e.data for e in reversed(events) if isinstance(e.data, AttemptFacts))


async def test_content_reaches_nobody_who_was_named_ahead_and_is_not_meant_by_it(
    houses: Houses,
) -> None:
    """An envelope said ahead names everybody, and a portion is for some of them."""
    running = await houses.start(delivery=PAIRS)
    async with BadServer() as server:
        await running.add_server("only", server.port, max_connections=1)
        letters = [
            (b"From: a@example.com\r\n\r\nnumber %d\r\n" % number, THREE[: 1 + 2 * (number % 2)])
            for number in range(20)
        ]
        receipts = await asyncio.gather(
            *(running.submit(*recipients, content=content) for content, recipients in letters)
        )
        for receipt in receipts:
            rows = await running.until(receipt.message)
            assert {row.state for row in rows} == {State.HANDED_OVER}
        copies = Counter(
            (message.content.partition(b"\r\n\r\n")[2], address)
            for message in server.messages
            for address in message.accepted_recipients
        )
        assert set(copies.values()) == {1}
        assert len(copies) == sum(len(recipients) for _, recipients in letters)


async def test_who_was_still_to_be_named_is_not_uncertain_when_the_verdict_is_lost(
    houses: Houses,
) -> None:
    later = RetryConfig(first_seconds=600.0)
    running = await houses.start(delivery=PAIRS, retry=later)
    async with BadServer(Script().on(Stage.DOT, drop())) as server:
        await running.add_server("only", server.port)
        receipt = await running.submit(*THREE, uncertain=Uncertain.HOLD)
        rows = await running.until(
            receipt.message, lambda rows: all(row.attempts == 1 for row in rows)
        )
        found = [(row.state, row.uncertain) for row in rows]
        assert found == [(State.HELD, True), (State.HELD, True), (State.DEFERRED, False)]
        assert (await last(running, rows[2])).category == "connection_lost"


async def test_whom_a_limit_kept_back_is_told_of_the_server_that_broke_off(
    houses: Houses,
) -> None:
    running = await houses.start(retry=RetryConfig(first_seconds=600.0))
    async with BadServer(Script().on(Stage.RCPT, drop())) as server:
        await running.add_server("only", server.port, max_per_day=2)
        receipt = await running.submit(*THREE)
        rows = await running.until(
            receipt.message, lambda rows: all(row.attempts == 1 for row in rows)
        )
        told = {(await last(running, row)).category for row in rows}
        assert told == {"connection_lost"}


async def test_who_is_held_while_a_message_is_on_its_way_keeps_no_other_recipient_back(
    running: Running,
) -> None:
    gate = Gate()
    queue, clock = running.house.storage.queue, running.house.clock
    await running.set_mode(Mode.HOLD)
    receipt = await running.submit(*THREE)
    ids = [row.delivery for row in await running.deliveries(receipt.message)]
    async with BadServer(Script().on(Stage.BANNER, stall(gate), usual())) as server:
        await running.add_server("only", server.port)
        await queue.release(ids, clock.now_ms(), "ann")
        running.house.worker.look_now()
        await gate.reached()
        assert (await queue.hold(ids[1:2], clock.now_ms(), "ann")).changed == tuple(ids[1:2])
        gate.release()
        rows = await running.until(
            receipt.message, lambda rows: all(row.attempts == 1 for row in (rows[0], rows[2]))
        )
        assert [row.state for row in rows] == [State.HANDED_OVER, State.HELD, State.HANDED_OVER]
        (message,) = [one for one in server.messages if one.code == 250]
        assert list(message.accepted_recipients) == [THREE[0], THREE[2]]
