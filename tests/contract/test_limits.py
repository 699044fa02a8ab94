"""limits are spent once and never passed; tokens, circuits and trials are shared"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest

from pillarbox.storage import limits as limits_module
from pillarbox.storage import postgres_writer as writer_module
from pillarbox.storage.interface.companions import RecordCall, SpendLimit
from pillarbox.storage.interface.errors import (
    LimitReached,
    Repeated,
    StorageTrouble,
    Unstorable,
)
from pillarbox.storage.interface.limits import FailureCounted, LimitStore, QuotaTaken, SharedCircuit
from pillarbox.storage.interface.nodes import NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.ids import MessageId, delivery_id
from tests.contract.cluster import Cluster
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW, Post
from tests.waited import accept

DAY = 24 * HOUR
MIDNIGHT = NOW - NOW % DAY
LEASE = 30_000


def limit(name: bytes = b"app", most: int = 10, amount: int = 1, period: int = DAY) -> SpendLimit:
    return SpendLimit(name, period, most, amount)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was spent is asked for every time, but in the test of that."""
    monkeypatch.setattr(limits_module, "_FRESH_SECONDS", 0.0)


async def spent(storage: Storage, name: bytes = b"app", at: int = NOW, period: int = DAY) -> int:
    return await storage.limits.spent(name, period, at)


async def all_of(post: Post, *companions: tuple[object, ...], at: int = NOW) -> list[object]:
    """What becomes of acceptances that come at once, each with its companions."""
    members = [post.acceptance(companions=some, at=at) for some in companions]  # type: ignore[arg-type]
    return await asyncio.gather(
        *(accept(post.storage.queue, one) for one in members), return_exceptions=True
    )


def count(results: list[object]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


# --- spending ---------------------------------------------------------------------------------


async def test_a_limit_is_spent_to_the_last_and_who_is_over_it_is_refused_alone(
    storage: Storage, post: Post
) -> None:
    wishes = [(limit(),), ()] * 15
    results = await all_of(post, *wishes)
    assert count(results[::2]) == {"int": 10, "LimitReached": 5}
    assert count(results[1::2]) == {"int": 15}
    assert all(isinstance(result, int) for result in results[:20]), "first come, first served"
    assert len(await storage.queue.waiting()) == 25
    assert await spent(storage) == 10
    refused = results[-2]
    assert isinstance(refused, LimitReached)
    assert (refused.limit, refused.most, refused.spent) == (b"app", 10, 10)
    assert refused.ends_at == MIDNIGHT + DAY
    assert refused.error_code == "quota_exceeded"


async def test_a_smaller_amount_may_fit_where_a_larger_one_did_not(
    storage: Storage, post: Post
) -> None:
    results = await all_of(post, *((limit(amount=amount),) for amount in (6, 6, 4, 1)))
    assert count(results) == {"int": 2, "LimitReached": 2}
    assert isinstance(results[0], int) and isinstance(results[2], int)
    assert await spent(storage) == 10


async def test_who_was_refused_leaves_no_idempotency_record(storage: Storage, post: Post) -> None:
    call = RecordCall(b"scope", b"key", b"digest")
    results = await all_of(post, (limit(amount=10),), (call, limit()), (limit(b"other"), call))
    assert count(results) == {"int": 2, "LimitReached": 1}
    assert isinstance(results[1], LimitReached)
    assert len(await storage.queue.waiting()) == 2
    assert await spent(storage, b"other") == 1


async def test_a_repeated_call_spends_nothing(storage: Storage, post: Post) -> None:
    call = RecordCall(b"scope", b"key", b"digest")
    results = await all_of(post, *[(limit(), call)] * 20)
    assert count(results) == {"int": 1, "Repeated": 19}
    assert isinstance((await all_of(post, (call, limit(most=1))))[0], Repeated)
    assert await spent(storage) == 1


async def test_of_several_limits_all_are_spent_or_none(storage: Storage, post: Post) -> None:
    results = await all_of(post, *[(limit(b"a", 50), limit(b"b", 3), limit(b"c", 50))] * 8)
    assert count(results) == {"int": 3, "LimitReached": 5}
    assert [await spent(storage, name) for name in (b"a", b"b", b"c")] == [3, 3, 3]


async def test_a_limit_named_twice_is_spent_twice(storage: Storage, post: Post) -> None:
    results = await all_of(post, *[(limit(amount=3), limit(amount=2))] * 3)
    assert count(results) == {"int": 2, "LimitReached": 1}
    assert await spent(storage) == 10


async def test_a_group_that_is_committed_one_by_one_spends_once(
    storage: Storage, post: Post
) -> None:
    members = [post.acceptance(companions=(limit(most=100),)) for _ in range(20)]
    members[7].message.expires_at = 1 << 63
    members[13].blocks = [bytes(5_000_000)]
    results = await asyncio.gather(
        *(accept(storage.queue, one) for one in members), return_exceptions=True
    )
    assert count(results) == {"int": 18, "Unstorable": 2}
    assert isinstance(results[7], Unstorable) and isinstance(results[13], Unstorable)
    assert await spent(storage) == 18


async def test_limits_of_very_different_sizes_may_share_a_group(
    storage: Storage, post: Post
) -> None:
    huge = (1 << 63) - 1
    results = await all_of(post, (limit(most=huge, amount=huge),), (limit(most=huge),), ())
    assert count(results) == {"int": 2, "LimitReached": 1}
    results = await all_of(post, (limit(b"b", 1 << 70, 1 << 65),), (limit(b"c"),), ())
    assert count(results) == {"Unstorable": 1, "int": 2}


async def test_a_period_begins_at_a_multiple_of_its_length(storage: Storage, post: Post) -> None:
    assert count(await all_of(post, *[(limit(),)] * 11)) == {"int": 10, "LimitReached": 1}
    last = MIDNIGHT + DAY - 1
    assert count(await all_of(post, (limit(),), at=last)) == {"LimitReached": 1}
    assert await spent(storage, at=last + 1) == 0
    assert count(await all_of(post, *[(limit(),)] * 11, at=last + 1)) == {
        "int": 10, "LimitReached": 1,
    }  # fmt: skip


async def test_who_comes_late_spends_in_the_period_that_has_begun(
    storage: Storage, post: Post
) -> None:
    await all_of(post, (limit(amount=7),))
    results = await all_of(post, (limit(amount=4),), at=MIDNIGHT + DAY)
    results += await all_of(post, (limit(amount=7),), (limit(amount=4),))
    assert count(results) == {"int": 2, "LimitReached": 1}
    assert await spent(storage) == 8
    (refused,) = await all_of(post, (limit(amount=4),))
    assert isinstance(refused, LimitReached)
    assert refused.ends_at == MIDNIGHT + 2 * DAY


async def test_a_clock_that_was_wrong_by_years_blocks_nobody(storage: Storage, post: Post) -> None:
    await all_of(post, (limit(amount=10),), at=NOW + 3 * 365 * DAY)
    assert count(await all_of(post, (limit(),))) == {"int": 1}
    assert await spent(storage) == 1


async def test_what_was_spent_is_known_after_a_restart(
    place: Place, storage: Storage, post: Post
) -> None:
    await all_of(post, (limit(amount=9),))
    again = post.onto(await place.open())
    assert await spent(again.storage) == 9
    assert count(await all_of(again, *[(limit(),)] * 2)) == {"int": 1, "LimitReached": 1}


async def test_a_value_to_refuse_early_is_asked_for_once_a_second(
    storage: Storage, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits_module, "_FRESH_SECONDS", 1000.0)
    assert await spent(storage) == 0
    await all_of(post, (limit(amount=4),))
    assert await spent(storage) == 0
    monkeypatch.setattr(limits_module, "_FRESH_SECONDS", 0.0)
    assert await spent(storage) == 4
    assert await spent(storage, at=NOW + DAY) == 0, "a period that is over counts for nothing"


@contextmanager
def said(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the writer says to the database meanwhile."""
    statements: list[str] = []
    engine = storage._engine  # type: ignore[attr-defined]
    if engine.shared:
        with monkeypatch.context() as patch:
            for name in ("fetch", "fetchval", "execute", "executemany"):
                call = getattr(asyncpg.Connection, name)

                def noting(
                    self: object, query: str, *more: object, call: object = call, **options: object
                ) -> object:
                    statements.append(query)
                    return call(self, query, *more, **options)  # type: ignore[operator]

                patch.setattr(asyncpg.Connection, name, noting)
            yield statements
        return
    engine._writer.exec_trace = lambda _, sql, __: not statements.append(sql)
    yield statements
    engine._writer.exec_trace = None


async def test_a_group_asks_and_writes_once_for_each_limit(
    storage: Storage, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = (limit(b"a", 1000), limit(b"b", 1000), limit(b"c", 1000))
    await all_of(post, wish)
    with said(storage, monkeypatch) as statements:
        results = await all_of(post, *[wish] * 60)
    assert count(results) == {"int": 60}
    groups = sum(statement.startswith("BEGIN") for statement in statements)
    assert groups < 20
    asked = [one for one in statements if "spending" in one and "SELECT name" in one]
    assert groups <= len(asked) <= 3 * groups
    written = [one for one in statements if "spending" in one and one not in asked]
    assert len(written) <= 2 * groups, "three rows are two portions"
    assert not any("SAVEPOINT" in statement for statement in statements)


async def test_a_group_without_limits_says_nothing_of_them(
    storage: Storage, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    with said(storage, monkeypatch) as statements:
        await all_of(post, *[()] * 20)
    assert statements
    assert not any("spending" in one or "lock_timeout" in one for one in statements)


# --- tokens -----------------------------------------------------------------------------------


async def drained(limits: LimitStore, name: bytes, per_second: float) -> int:
    """How many there are in a bucket."""
    found = 0
    while taken := await limits.take_tokens(name, per_second, 1000):
        found += taken
    return found


async def test_a_bucket_is_full_at_first_and_gives_a_tenth_of_it_at_once(storage: Storage) -> None:
    limits = storage.limits
    assert await limits.take_tokens(b"lane", 0.05, 1000) == 1
    assert await limits.take_tokens(b"lane", 0.05, 1) == 0
    assert await limits.take_tokens(b"other", 400, 1000) == 40
    assert await limits.take_tokens(b"other", 400, 7) == 7
    assert await limits.take_tokens(b"other", 400, 0) == 0
    assert await limits.take_tokens(b"other", 0, 10) == 0


async def test_a_bucket_fills_as_time_passes_and_no_further_than_a_second(
    place: Place, storage: Storage
) -> None:
    limits = storage.limits
    began = time.monotonic()
    assert await limits.take_tokens(b"lane", 20, 1000) == 2
    found = 2 + await drained(limits, b"lane", 20)
    assert 20 <= found <= 20 + 20 * (time.monotonic() - began) + 1
    await place.say("UPDATE bucket SET at = at - 300")
    again = await drained(limits, b"lane", 20)
    assert 6 <= again <= 26 + 20 * (time.monotonic() - began) + 1 - found
    began = time.monotonic()
    await place.say("UPDATE bucket SET at = at - 60000")
    assert 20 <= await drained(limits, b"lane", 20) <= 20 + 20 * (time.monotonic() - began) + 1


async def within_bound(stores: list[Storage], per_second: float, seconds: float) -> int:
    """Everybody takes what there is; no span of time may have more than its tokens."""
    taken: list[tuple[float, float, int]] = []
    end = time.monotonic() + seconds

    async def take(limits: LimitStore, wanted: int) -> None:
        while (asked := time.monotonic()) < end:
            got = await limits.take_tokens(b"lane", per_second, wanted)
            taken.append((asked, time.monotonic(), got))

    await asyncio.gather(*(take(store.limits, wanted) for store in stores for wanted in (1, 7, 99)))
    got = sorted(one for one in taken if one[2])
    for place, (since, _, _) in enumerate(got):
        number, until = 0, since
        for _, heard, some in got[place:]:
            number, until = number + some, max(until, heard)
            # The database counts milliseconds.
            assert number <= per_second * (until - since + 0.001) + max(per_second, 1)
    return sum(some for _, _, some in got)


async def test_no_span_of_time_has_more_tokens_than_it_may(storage: Storage) -> None:
    assert await within_bound([storage], 50, 1.0) >= 75


# --- quotas of a day --------------------------------------------------------------------------


async def test_a_quota_is_granted_to_the_last_and_not_beyond(storage: Storage) -> None:
    limits = storage.limits
    assert await limits.take_quota(b"one", 10, 6, NOW) == QuotaTaken(6, 6, 0)
    taken = await limits.take_quota(b"one", 10, 6, NOW)
    assert (taken.granted, taken.used) == (4, 10)
    assert taken.free_at == NOW - NOW % HOUR + 25 * HOUR
    assert (await limits.take_quota(b"one", 10, 1, NOW)).granted == 0
    assert (await limits.take_quota(b"another", 10, 1, NOW)).granted == 1
    assert (await limits.quota_used(b"one", NOW)).used == 10
    assert (await limits.quota_used(b"never", NOW)) == QuotaTaken(0, 0, 0)


async def test_what_was_taken_of_a_quota_is_free_again_after_a_day_hour_by_hour(
    storage: Storage,
) -> None:
    limits, begin = storage.limits, NOW - NOW % HOUR
    for hour in range(3):
        assert (await limits.take_quota(b"one", 6, 2, begin + hour * HOUR)).granted == 2
    for later in (3 * HOUR, 24 * HOUR, 25 * HOUR - 1):
        assert (await limits.take_quota(b"one", 6, 9, begin + later)).granted == 0
    assert await limits.take_quota(b"one", 6, 9, begin + 25 * HOUR) == QuotaTaken(
        2, 6, begin + 26 * HOUR
    )
    assert (await limits.take_quota(b"one", 6, 9, begin + 26 * HOUR)).granted == 2
    assert (await limits.take_quota(b"one", 6, 9, begin + 80 * HOUR)).granted == 6


async def test_a_quota_that_was_lowered_grants_nothing_until_it_fits_again(
    storage: Storage,
) -> None:
    limits = storage.limits
    await limits.take_quota(b"one", 10, 8, NOW)
    assert (await limits.take_quota(b"one", 5, 1, NOW)).granted == 0
    assert (await limits.quota_used(b"one", NOW)).used == 8
    assert (await limits.take_quota(b"one", 9, 5, NOW)).granted == 1


async def test_who_asks_for_a_quota_at_once_gets_no_more_than_it_holds(storage: Storage) -> None:
    asked = (storage.limits.take_quota(b"one", 50, 7, NOW) for _ in range(20))
    assert sum(taken.granted for taken in await asyncio.gather(*asked)) == 50


# --- circuits ---------------------------------------------------------------------------------


async def failed(
    limits: LimitStore, at: int = NOW, *, after: int = 3, pause: int = 30_000, words: str = "no"
) -> FailureCounted:
    return await limits.report_failure(b"server", at, after, pause, words)


async def test_so_many_failures_in_a_row_begin_a_pause(storage: Storage) -> None:
    limits = storage.limits
    assert await limits.circuits() == []
    assert await failed(limits) == FailureCounted(1, 0, False)
    assert await failed(limits) == FailureCounted(2, 0, False)
    assert not await limits.report_success(b"server")
    assert await limits.circuits() == []
    assert not await limits.try_trial(b"server", NOW, LEASE)
    found = [await failed(limits, NOW + n, words=f"refused {n}") for n in range(3)]
    assert found[-1] == FailureCounted(3, NOW + 2 + 30_000, True)
    assert await limits.circuits() == [
        SharedCircuit(b"server", 3, 1, NOW + 2 + 30_000, False, "refused 2", NOW + 2)
    ]
    assert await limits.report_success(b"server")
    assert not await limits.report_success(b"server")
    assert await limits.circuits() == []


async def test_what_does_not_mend_itself_begins_a_pause_at_once(storage: Storage) -> None:
    assert await failed(storage.limits, after=1) == FailureCounted(1, NOW + 30_000, True)


async def test_a_failure_during_a_pause_makes_it_no_longer(storage: Storage) -> None:
    limits = storage.limits
    await failed(limits, after=1)
    for number in (2, 3):
        assert await failed(limits, after=1) == FailureCounted(number, NOW + 30_000, False)
    assert await failed(limits, NOW + 40_000, after=1) == FailureCounted(4, NOW + 30_000, False)
    ((circuit),) = await limits.circuits()
    assert (circuit.errors, circuit.pauses) == (4, 1)


@pytest.mark.parametrize("stragglers", [0, 2])
async def test_after_a_pause_one_tries_and_nobody_else(storage: Storage, stragglers: int) -> None:
    limits = storage.limits
    await failed(limits, after=1)
    for _ in range(stragglers):
        await failed(limits, after=1)
    over = NOW + 30_000
    assert not await limits.try_trial(b"server", over - 1, LEASE)
    tries = [limits.try_trial(b"server", over, LEASE) for _ in range(5)]
    assert sorted(await asyncio.gather(*tries)) == [False] * 4 + [True]
    ((circuit),) = await limits.circuits()
    assert circuit.trying
    worse = await failed(limits, over + 5, after=3, pause=60_000)
    assert worse == FailureCounted(2 + stragglers, over + 5 + 60_000, True)
    ((circuit),) = await limits.circuits()
    assert (circuit.pauses, circuit.trying) == (2, False)
    assert not await limits.try_trial(b"server", over + 5, LEASE)
    assert await limits.try_trial(b"server", over + 60_005, LEASE)
    assert await limits.report_success(b"server")
    assert not await limits.try_trial(b"server", over + 60_005, LEASE)


async def test_a_trial_that_nobody_reports_on_is_somebody_elses_in_the_end(
    place: Place, storage: Storage
) -> None:
    limits = storage.limits
    await failed(limits, after=1)
    assert await limits.try_trial(b"server", NOW + 30_000, LEASE)
    assert not await limits.try_trial(b"server", NOW + DAY, LEASE)
    await place.say(f"UPDATE circuit SET trial = trial - {LEASE}")
    assert not (await limits.circuits())[0].trying
    assert await limits.try_trial(b"server", NOW + 30_000, LEASE)
    assert not await limits.try_trial(b"server", NOW + 30_000, LEASE)


async def test_whatever_a_server_says_can_be_noted(storage: Storage) -> None:
    await failed(storage.limits, words="550 \0 \ud800 nö")
    ((circuit),) = await storage.limits.circuits()
    assert circuit.words == "550 \ufffd ? nö"


# --- several nodes ----------------------------------------------------------------------------


@pytest.fixture
def rolled_back(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Why groups were rolled back, on any node."""
    reasons: list[Exception] = []
    roll_back = writer_module.Writer.roll_back

    def noting(self: writer_module.Writer, error: Exception) -> object:
        reasons.append(error)
        return roll_back(self, error)

    monkeypatch.setattr(writer_module.Writer, "roll_back", noting)
    return reasons


@pytest.mark.needs("postgres")
async def test_two_nodes_that_hammer_one_limit_spend_exactly_all_of_it(
    cluster: Cluster, rolled_back: list[Exception]
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    taken = 0

    async def hammer(store: Storage, amount: int) -> None:
        nonlocal taken
        here = post.onto(store)
        for _ in range(30):
            results = await all_of(here, *[(limit(most=500, amount=amount),)] * 10)
            assert set(count(results)) <= {"int", "LimitReached"}
            taken += amount * count(results)["int"]

    await asyncio.gather(*(hammer(store, amount) for store in (one, two) for amount in (1, 3)))
    assert taken == await spent(one) == await spent(two) == 500
    assert not rolled_back


@pytest.mark.needs("postgres")
async def test_nodes_that_name_their_limits_in_crossed_order_never_wait_in_a_ring(
    cluster: Cluster, rolled_back: list[Exception]
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    names = [b"a", b"b", b"c"]
    await all_of(post, tuple(limit(name) for name in names))
    # Both have begun, and neither has the middle one.
    middle = await asyncpg.connect(cluster.url)
    transaction = middle.transaction()
    await transaction.start()
    await middle.execute("UPDATE spending SET spent = spent WHERE name = 'b'")
    both = [
        asyncio.ensure_future(all_of(post.onto(store), tuple(limit(name) for name in order)))
        for store, order in ((one, names), (two, names[::-1]))
    ]
    async with asyncio.timeout(10):
        while len(await cluster.say("SELECT 1 FROM pg_locks WHERE NOT granted")) < 2:
            await asyncio.sleep(0.01)
    await transaction.rollback()
    await middle.close()
    assert [count(results) for results in await asyncio.gather(*both)] == [{"int": 1}] * 2
    assert [await spent(one, name) for name in names] == [3] * 3
    assert not rolled_back


@pytest.mark.needs("postgres")
async def test_two_nodes_with_many_limits_in_crossed_order_lose_nothing(
    cluster: Cluster, rolled_back: list[Exception]
) -> None:
    one, two = await cluster.open("one"), await cluster.open("two")
    post = await Post.into(one)
    names = [b"%d" % number for number in range(60)]

    async def hammer(store: Storage, order: list[bytes], scope: bytes) -> Counter[str]:
        here, found = post.onto(store), Counter[str]()
        for turn in range(25):
            call = RecordCall(scope, b"%d" % turn, b"")
            wishes = [(call, *(limit(name, 10_000) for name in order), limit(b"last"))]
            wishes += [(limit(name, 10_000),) for name in order[:5]]
            found += count(await all_of(here, *wishes))
        return found

    found = await asyncio.gather(
        *(hammer(one, names, b"%d" % way) for way in range(2)),
        *(hammer(two, names[::-1], b"%d" % way) for way in range(2, 4)),
    )
    assert sum(found, Counter()) == {"int": 10 + 4 * 25 * 5, "LimitReached": 4 * 25 - 10}
    together = sum([await spent(one, name) for name in names])
    assert together == 10 * 60 + 4 * 25 * 5
    assert not rolled_back


@pytest.mark.needs("postgres")
async def test_a_node_that_hangs_with_a_limit_does_not_take_the_others_with_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_LIMITS_WITHIN", "SET LOCAL lock_timeout = '200ms'")
    one = await cluster.open("one")
    post = await Post.into(one)
    message = await post.accept(mirrored=True)
    await all_of(post, (limit(),))
    hung = await asyncpg.connect(cluster.url)
    try:
        transaction = hung.transaction()
        await transaction.start()
        await hung.execute("UPDATE spending SET spent = spent + 1")
        began = time.monotonic()
        results, _, _ = await asyncio.gather(
            all_of(post, *[(limit(),), ()] * 30),
            one.nodes.beat(NodeLoad()),
            post.settle(delivery_id(MessageId(message), 1)),
        )
        assert time.monotonic() - began < 4.0, "not one after the other"
        assert all(isinstance(result, StorageTrouble) for result in results[::2])
        assert count(results[1::2]) == {"int": 30}
        await transaction.rollback()
    finally:
        await hung.close()
    assert count(await all_of(post, (limit(),))) == {"int": 1}
    assert await spent(one) == 2


@pytest.mark.needs("postgres")
async def test_two_nodes_together_get_no_more_tokens_than_one(cluster: Cluster) -> None:
    stores = [await cluster.open(name) for name in ("one", "two")]
    assert await within_bound(stores, 100, 1.5) >= 200


@pytest.mark.needs("postgres")
async def test_one_of_three_nodes_tries_a_server_whose_pause_is_over(cluster: Cluster) -> None:
    stores = [await cluster.open(name) for name in ("one", "two", "three")]
    await asyncio.gather(*(failed(store.limits, after=3) for store in stores))
    for at in range(NOW + 30_000, NOW + 30_000 + 20 * 60_000, 60_000):
        tries = [store.limits.try_trial(b"server", at, LEASE) for store in stores for _ in range(4)]
        assert sum(await asyncio.gather(*tries)) == 1
        reports = await asyncio.gather(*(failed(s.limits, at, after=3) for s in stores))
        assert sum(report.paused for report in reports) == 1
    ((circuit),) = await stores[2].limits.circuits()
    assert (circuit.errors, circuit.pauses) == (3 + 20 * 3, 21)
    ended = await asyncio.gather(*(store.limits.report_success(b"server") for store in stores))
    assert sum(ended) == 1
