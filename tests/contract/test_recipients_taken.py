"""recipients are taken once under a scope and a key, whatever else happens to their message"""

from __future__ import annotations

import asyncio

import pytest

from pillarbox.storage import limits as limits_module
from pillarbox.storage.interface.companions import (
    MARK_BYTES,
    RecordCall,
    RecordRecipients,
    SpendLimit,
    recipient_mark,
)
from pillarbox.storage.interface.errors import (
    LimitReached,
    RecipientsTaken,
    Repeated,
    Unstorable,
)
from pillarbox.storage.interface.store import Storage
from tests.contract.cluster import Cluster
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW, Post
from tests.waited import accept

ANN, BOB, EVE = "ann@example.org", "bob@example.org", "eve@example.org"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was spent is asked for every time."""
    monkeypatch.setattr(limits_module, "_FRESH_SECONDS", 0.0)


def record(*recipients: str, key: bytes = b"key", scope: bytes = b"scope") -> RecordRecipients:
    return RecordRecipients(scope, tuple(recipient_mark(key, each) for each in recipients))


async def taking(post: Post, *recipients: str, **more: object) -> object:
    """The message that takes them, or what is said instead."""
    companions = (record(*recipients), *more.pop("companions", ()))  # type: ignore[misc]
    acceptance = post.acceptance(*recipients, companions=companions, **more)  # type: ignore[arg-type]
    try:
        await accept(post.storage.queue, acceptance)
    except (RecipientsTaken, LimitReached, Repeated, Unstorable) as error:
        return error
    return acceptance.message.id


def names(error: object, key: bytes = b"key") -> dict[str, int]:
    """Who was taken before, and by which message."""
    assert isinstance(error, RecipientsTaken), error
    by_mark = {recipient_mark(key, each): each for each in (ANN, BOB, EVE)}
    return {by_mark[mark]: message for mark, message in error.taken.items()}


async def waiting(storage: Storage) -> list[str]:
    return sorted(row.recipient for row in await storage.queue.waiting())


def test_a_mark_is_short_and_stands_for_one_recipient_under_one_key() -> None:
    marks = {
        recipient_mark(key, name)
        for key in (b"k", b"k2", b"")
        for name in (ANN, BOB, "k\0ann@example.org", "\ud800")
    }
    assert len(marks) == 12 and {len(mark) for mark in marks} == {MARK_BYTES}


async def test_the_same_recipients_are_taken_once_and_the_first_message_is_named(
    storage: Storage, post: Post
) -> None:
    first = await taking(post, ANN, BOB)
    assert names(await taking(post, ANN, BOB)) == {ANN: first, BOB: first}
    assert names(await taking(post, BOB)) == {BOB: first}
    assert await waiting(storage) == [ANN, BOB]


async def test_of_recipients_taken_in_part_those_are_named_and_nothing_is_stored(
    storage: Storage, post: Post
) -> None:
    first = await taking(post, ANN)
    second = await taking(post, BOB)
    assert names(await taking(post, ANN, BOB, EVE)) == {ANN: first, BOB: second}
    assert await waiting(storage) == [ANN, BOB]
    assert isinstance(await taking(post, EVE), int), "who was not taken then is not marked either"


async def test_another_key_and_another_scope_know_nothing_of_it(
    storage: Storage, post: Post
) -> None:
    for key in (b"one", b"other"):
        for scope in (b"one", b"other"):
            companions = (record(ANN, key=key, scope=scope),)
            await post.accept(ANN, companions=companions)
    assert await waiting(storage) == [ANN] * 4


async def test_of_messages_that_come_at_once_each_recipient_is_taken_by_one(
    storage: Storage, post: Post
) -> None:
    results = await asyncio.gather(
        *(taking(post, *who) for who in ((ANN, BOB), (BOB, EVE), (ANN, BOB), (EVE,), (ANN,)))
    )
    first, second, third, fourth, fifth = results
    assert names(second) == {BOB: first}
    assert names(third) == {ANN: first, BOB: first}
    assert isinstance(fourth, int), "the second was refused and left nothing behind"
    assert names(fifth) == {ANN: first}
    assert await waiting(storage) == [ANN, BOB, EVE]


async def test_a_member_that_takes_its_group_down_leaves_no_mark_of_its_own_and_keeps_theirs(
    storage: Storage, post: Post
) -> None:
    members = [post.acceptance(who, companions=(record(who),)) for who in (ANN, BOB, EVE)]
    members[1].message.expires_at = 1 << 63
    results = await asyncio.gather(
        *(accept(storage.queue, one) for one in members), return_exceptions=True
    )
    assert isinstance(results[1], Unstorable)
    assert await waiting(storage) == [ANN, EVE]
    assert names(await taking(post, ANN, EVE)).keys() == {ANN, EVE}
    assert isinstance(await taking(post, BOB), int)


async def test_who_was_refused_for_a_limit_is_not_marked(storage: Storage, post: Post) -> None:
    limit = SpendLimit(b"r", HOUR, 2, 2)
    await taking(post, ANN, companions=(limit,))
    assert isinstance(await taking(post, BOB, companions=(limit,)), LimitReached)
    assert isinstance(await taking(post, BOB), int)


async def test_who_was_taken_before_spends_nothing_of_a_limit(storage: Storage, post: Post) -> None:
    limit = SpendLimit(b"r", HOUR, 2)
    await taking(post, ANN, companions=(limit,))
    for _ in range(3):
        assert names(await taking(post, ANN, companions=(limit,))).keys() == {ANN}
        assert names(await taking(post, ANN, BOB, companions=(limit,))).keys() == {ANN}
    assert await storage.limits.spent(b"r", HOUR, NOW) == 1
    await taking(post, BOB, companions=(limit,))
    assert isinstance(await taking(post, EVE, companions=(limit,)), LimitReached)
    assert names(await taking(post, ANN, companions=(limit,))).keys() == {ANN}, "not the limit"


async def test_a_call_that_is_refused_for_its_recipients_is_not_remembered(
    storage: Storage, post: Post
) -> None:
    call = RecordCall(b"route", b"key", b"digest")
    await taking(post, ANN)
    assert names(await taking(post, ANN, companions=(call,))).keys() == {ANN}
    assert isinstance(await taking(post, BOB, companions=(call,)), int)
    assert isinstance(await taking(post, EVE, companions=(call,)), Repeated)
    assert isinstance(await taking(post, EVE), int), "nor the recipients of a call that came twice"


async def test_marks_survive_a_restart(place: Place, storage: Storage, post: Post) -> None:
    first = await taking(post, ANN)
    again = post.onto(await place.open())
    assert names(await taking(again, ANN, BOB)) == {ANN: first}


async def test_a_thousand_recipients_are_marked_and_found_together(
    storage: Storage, post: Post
) -> None:
    everybody = [f"bob-{n}@example.org" for n in range(1000)]
    first = await taking(post, *everybody)
    for some in (everybody, everybody[::-1], everybody[999:], everybody[:1]):
        refused = await taking(post, *some)
        assert isinstance(refused, RecipientsTaken)
        assert set(refused.taken.values()) == {first} and len(refused.taken) == len(some)


@pytest.mark.needs("postgres")
async def test_two_nodes_take_each_recipient_once_in_whatever_order_they_name_them(
    cluster: Cluster,
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    first = await Post.into(one)
    second = first.onto(two)
    people = [f"bob-{n}@example.org" for n in range(40)]
    for n in range(5):
        some = people[n * 8 : n * 8 + 8]
        results = await asyncio.gather(taking(first, *some), taking(second, *some[::-1]))
        assert sorted(isinstance(each, int) for each in results) == [False, True], results
    assert await waiting(one) == sorted(people)
