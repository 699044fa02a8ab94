from __future__ import annotations

from typing import cast

import pytest

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.message.facts import MessageFacts, Origin
from pillarbox.net.pool import Pool
from pillarbox.policy.server import Server
from pillarbox.services.delivery.ahead import Ahead
from pillarbox.services.delivery.carrier import Carrier
from pillarbox.services.delivery.slots import Slots
from pillarbox.terms.clock import SystemClock
from pillarbox.terms.ids import MessageId, ObjectId, delivery_id

SERVER = Server(ObjectId(b"s" * 12), ObjectId(b"a" * 12), "one", "smtp.example.net")
MESSAGE = MessageId(7)


class Line:
    """A connection on which an envelope was said ahead."""

    usable, transactions, ahead, closed = True, 1, True, False

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = self

    async def quit(self) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


def outgoing(lane: int, *ordinals: int) -> Outgoing:
    """Some recipients of one and the same message."""
    some = [Addressee(delivery_id(MESSAGE, n), f"r{n}@example.org", 0, 0) for n in ordinals]
    facts = MessageFacts("", (), Origin("smtp"), "credential", "one")
    return Outgoing(MESSAGE, SERVER.app, lane, 1, b"x", facts, some, 0, None, True)


@pytest.fixture
def pool() -> Pool[Server, Carrier]:
    async def opened(server: Server) -> Carrier:
        return cast("Carrier", Line(server))

    return Pool(opened, SystemClock())


async def test_what_was_said_for_some_recipients_of_a_message_serves_no_others_of_it(
    pool: Pool[Server, Carrier],
) -> None:
    ahead, slots = Ahead(pool), Slots(1)
    mine, others = outgoing(1, 1), outgoing(2, 2)
    carrier, _ = await pool.take(SERVER)
    assert slots.take_now()
    ahead.keep(mine, carrier, slots)
    assert not ahead.take_slot(others, slots)
    assert ahead.claim(others, SERVER, others.addressees) is None
    ahead.forget(others)
    assert ahead.take_slot(mine, slots)
    assert ahead.claim(mine, SERVER, mine.addressees) is carrier


async def test_what_was_said_for_everybody_does_not_serve_a_portion(
    pool: Pool[Server, Carrier],
) -> None:
    ahead, slots = Ahead(pool), Slots(1)
    both = outgoing(1, 1, 2)
    carrier, _ = await pool.take(SERVER)
    ahead.keep(both, carrier, slots)
    assert ahead.claim(both, SERVER, both.addressees[:1]) is None
    assert cast("Line", carrier).closed and pool.open == 0
