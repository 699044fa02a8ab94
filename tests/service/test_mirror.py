"""room for fresh mail in memory: bounded, and shared by apps; and what finds none"""

from __future__ import annotations

import asyncio

from pillarbox.handover.config import DoorConfig
from pillarbox.handover.mirror import Mirror
from pillarbox.handover.receipt import Content
from pillarbox.message.facts import Origin
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.services.delivery.config import DeliveryConfig
from pillarbox.terms.ids import ObjectId
from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script
from tests.fix_house import SAMPLE, Houses

A, B, C = ObjectId(b"a"), ObjectId(b"b"), ObjectId(b"c")


def mirror(messages: int = 100, octets: int = 1000) -> Mirror:
    made = Mirror(most_messages=messages, most_bytes=octets, most_marked=0)
    made.listen(lambda lane: None)
    return made


def fill(room: Mirror, app: ObjectId, size: int = 1) -> int:
    """How many messages of an app find room."""
    count = 0
    while room.reserve(size, app):
        count += 1
    return count


def test_one_app_never_takes_all_of_the_room() -> None:
    room = mirror()
    assert fill(room, A) == 80
    assert fill(room, B) == 16
    assert fill(room, C) >= 1
    assert room.messages <= 100


def test_large_mail_of_one_app_leaves_room_for_others_too() -> None:
    room = mirror()
    assert fill(room, A, 100) == 8
    assert fill(room, B, 10) > 0
    assert room.bytes <= 1000


def test_room_that_is_given_up_is_free_again() -> None:
    room = mirror()
    taken = fill(room, A)
    for _ in range(taken):
        room.give_up(1, A, marked=False)
    assert (room.messages, room.bytes) == (0, 0)
    assert fill(room, A) == taken


def test_a_single_message_finds_room_however_large_it_is_below_the_bound() -> None:
    assert mirror().reserve(800, A)
    assert not mirror().reserve(1001, A)


async def test_mail_too_large_for_the_mirror_leaves_at_once_all_the_same(
    houses: Houses,
) -> None:
    async with BadServer(Script()) as sink:
        house = await houses.start(Mode.LIVE, delivery=DeliveryConfig(poll_seconds=3600))
        await house.add_server("sink", sink.port)
        (row,) = await house.until((await house.submit()).message)
        queue = house.house.storage.queue
        message = queue.next_message_id(house.house.clock.now_ms())
        await queue.store_block(message, 1, b"and the rest\r\n")
        receipt = await house.house.door.accept(
            Envelope("ann@example.com", (Recipient("bob@example.org"),)),
            Content(SAMPLE, message, 1, 14), house.submitter(), Origin("smtp"),
        )  # fmt: skip
        (row,) = await house.until(receipt.message)
        assert row.state is State.HANDED_OVER


async def test_mail_that_finds_no_room_in_the_mirror_leaves_at_once_all_the_same(
    houses: Houses,
) -> None:
    async with BadServer(Script()) as sink:
        house = await houses.start(
            Mode.LIVE,
            accept=DoorConfig(mirror_messages=1),
            delivery=DeliveryConfig(poll_seconds=3600),
        )
        await house.add_server("sink", sink.port)
        await house.until((await house.submit()).message)
        receipts = await asyncio.gather(*(house.submit() for _ in range(30)))
        assert sum(not one.mirrored for receipt in receipts for one in receipt.born) > 20
        for receipt in receipts:
            (row,) = await house.until(receipt.message)
            assert row.state is State.HANDED_OVER
