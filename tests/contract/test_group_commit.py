"""a group's members do not disturb each other, and its events have no gaps"""

from __future__ import annotations

import asyncio
import gc
import sys

import pytest
from msgspec.structs import replace

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.acceptance import Acceptance, NewDelivery
from pillarbox.storage.interface.companions import RecordCall
from pillarbox.storage.interface.errors import Conflict, Repeated, Unstorable
from pillarbox.storage.interface.events import LogPosition, advanced
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import delivery_id
from tests.contract.post import Post
from tests.waited import accept, settle


def _too_large(acceptance: Acceptance) -> Acceptance:
    acceptance.message.expires_at = 1 << 63
    return acceptance


def _lone_surrogate(acceptance: Acceptance) -> Acceptance:
    acceptance.message.mode = "live\ud800"
    return acceptance


def _nul_in_text(acceptance: Acceptance) -> Acceptance:
    acceptance.message.mode = "li\x00ve"
    return acceptance


def _too_long(acceptance: Acceptance) -> Acceptance:
    acceptance.blocks = [bytes(5_000_000)]
    return acceptance


def _no_document(acceptance: Acceptance) -> Acceptance:
    message = acceptance.message
    message.facts = replace(message.facts, tags=(object(),))
    return acceptance


@pytest.mark.parametrize(
    "spoil", [_too_large, _lone_surrogate, _nul_in_text, _no_document, _too_long]
)
async def test_a_member_that_cannot_be_stored_is_refused_alone(
    storage: Storage, post: Post, spoil: object
) -> None:
    good = [post.acceptance() for _ in range(20)]
    bad = spoil(post.acceptance())  # type: ignore[operator]
    everybody = [*good[:10], bad, *good[10:]]
    results = await asyncio.gather(
        *(accept(storage.queue, one) for one in everybody), return_exceptions=True
    )
    refused = results.pop(10)
    assert isinstance(refused, Unstorable)
    assert all(isinstance(result, int) for result in results)
    assert len(await storage.queue.waiting()) == 20


async def test_a_duplicate_key_is_refused_alone(storage: Storage, post: Post) -> None:
    first = post.acceptance()
    twin = post.acceptance(message=first.message.id)
    others = [post.acceptance() for _ in range(6)]
    results = await asyncio.gather(
        *(accept(storage.queue, one) for one in (first, *others, twin)), return_exceptions=True
    )
    assert isinstance(results[-1], Conflict)
    assert all(isinstance(result, int) for result in results[:-1])
    assert len(await storage.queue.waiting()) == 7


async def test_nul_and_every_other_byte_from_outside_are_kept(storage: Storage, post: Post) -> None:
    odd = bytes(range(256))
    acceptance = post.acceptance(body=odd, return_path=b"a\x00b@example.com")
    acceptance.message.subject = odd
    await accept(storage.queue, acceptance)
    assert await storage.messages.content(acceptance.message.id) == odd
    assert (await storage.messages.get(acceptance.message.id)).return_path == "a\x00b@example.com"


async def test_a_refused_companion_undoes_its_member_only(storage: Storage, post: Post) -> None:
    call = RecordCall(b"scope", b"key", b"digest")
    members = [post.acceptance(companions=(call,)) for _ in range(8)]
    results = await asyncio.gather(
        *(accept(storage.queue, one) for one in members), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Repeated) for result in results) == 7


async def test_events_are_numbered_upwards_whoever_was_refused(
    storage: Storage, post: Post
) -> None:
    members = [post.acceptance() for _ in range(30)]
    members[7] = _too_large(members[7])
    members[19] = _lone_surrogate(members[19])
    await asyncio.gather(*(accept(storage.queue, m) for m in members), return_exceptions=True)
    numbers = [event.seq for event in await storage.events.read({}, 100)]
    assert len(set(numbers)) == 28
    assert numbers == sorted(numbers)


async def test_a_reader_that_polls_meanwhile_skips_no_event(storage: Storage, post: Post) -> None:
    seen: list[int] = []
    position: LogPosition = {}

    async def read() -> None:
        nonlocal position
        while len(seen) < 400:
            events = await storage.events.read(position, 50)
            position = advanced(position, events)
            seen.extend(event.seq for event in events)
            await asyncio.sleep(0)

    async def write() -> None:
        for _ in range(20):
            message = await post.accept()
            await post.settle(delivery_id(message, 1))

    await asyncio.wait_for(asyncio.gather(read(), *(write() for _ in range(10))), 60)
    assert len(set(seen)) == 400
    assert seen == sorted(seen)


async def test_settlements_are_not_held_up_by_acceptances(storage: Storage, post: Post) -> None:
    """Both come to their end however many of the other kind keep coming."""
    messages = [await post.accept() for _ in range(40)]
    flood = [accept(storage.queue, post.acceptance()) for _ in range(2000)]
    verdicts = [await post.verdict(delivery_id(m, 1), State.HANDED_OVER) for m in messages]
    await asyncio.gather(*(settle(storage.queue, post.settlement(v)) for v in verdicts))
    await asyncio.gather(*flood)
    assert len(await storage.queue.waiting(limit=3000)) == 2000


async def test_a_closed_store_says_so(storage: Storage, post: Post) -> None:
    acceptance = post.acceptance()
    await storage.close()
    with pytest.raises(PillarboxError):
        await accept(storage.queue, acceptance)


async def test_what_waits_is_committed_before_the_store_closes(
    storage: Storage, post: Post
) -> None:
    waiting = [asyncio.ensure_future(accept(storage.queue, post.acceptance())) for _ in range(50)]
    await storage.close()
    assert all(isinstance(result, int) for result in await asyncio.gather(*waiting))


async def test_the_same_recipient_may_be_named_twice(storage: Storage, post: Post) -> None:
    acceptance = post.acceptance("a@example.org", "a@example.org")
    acceptance.deliveries = [
        NewDelivery(d.id, b"a@example.org", d.state, d.lane, d.due_at)
        for d in acceptance.deliveries
    ]
    await accept(storage.queue, acceptance)
    assert len(await storage.queue.waiting()) == 2


async def test_what_is_committed_is_let_go_of_at_once(storage: Storage, post: Post) -> None:
    body = bytes(100_000)
    held = sys.getrefcount(body)
    gc.disable()
    try:
        acceptance = post.acceptance()
        acceptance.blocks = [body]
        await accept(storage.queue, acceptance)
        del acceptance
        # The collector would find it in the end; a whole message must not wait for that.
        assert sys.getrefcount(body) == held
    finally:
        gc.enable()
