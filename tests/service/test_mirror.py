"""room for fresh mail in memory: bounded, and shared by apps"""

from __future__ import annotations

from pillarbox.handover.mirror import Mirror
from pillarbox.terms.ids import ObjectId

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
