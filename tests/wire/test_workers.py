"""children that work: bounded, replaced when they are lost, and no trouble to others"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from pillarbox.net.child import Child
from pillarbox.net.errors import WorkerLost
from pillarbox.net.workers import Workers, WorkersConfig
from pillarbox.terms.setting import InvalidSetting

CHILD = """
import os, sys, time
def serve():
    while head := sys.stdin.buffer.read(4):
        job = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        if job == b"die":
            os._exit(3)
        if job == b"loop":
            time.sleep(3600)
        while job.startswith(b"/") and not os.path.exists(job):
            time.sleep(0.002)
        if job == b"environment":
            job = " ".join(sorted(os.environ)).encode()
        if job == b"pid":
            job = str(os.getpid()).encode()
        sys.stdout.buffer.write(len(job).to_bytes(4, "big") + job)
        sys.stdout.buffer.flush()
serve()
"""


async def done(pool: Workers, job: bytes) -> bytes:
    return await pool.do(lambda: job)


@pytest.fixture
async def workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., Workers]]:
    """Makes them; all are closed at the end."""
    (tmp_path / "child_that_echoes.py").write_text(CHILD)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    made: list[Workers] = []

    def make(**values: float) -> Workers:
        made.append(Workers("child_that_echoes", WorkersConfig(**values)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for each in made:
        await each.close()
        assert not each.running


async def test_none_is_started_before_it_is_needed_and_one_serves_many_jobs(
    workers: Callable[..., Workers],
) -> None:
    pool = workers()
    assert pool.running == 0
    for size in (0, 1, 100_000, 3_000_000):
        assert await done(pool, b"x" * size) == b"x" * size
    assert pool.running == 1


async def test_there_are_never_more_than_the_setting_says(workers: Callable[..., Workers]) -> None:
    pool = workers(processes=2)
    pids = await asyncio.gather(*(done(pool, b"pid") for _ in range(20)))
    assert len(set(pids)) <= 2 >= pool.running


async def test_a_child_that_dies_is_one_job_lost_and_another_takes_its_place(
    workers: Callable[..., Workers],
) -> None:
    pool = workers(processes=1)
    first = await done(pool, b"pid")
    answers = await asyncio.gather(
        done(pool, b"one"), done(pool, b"die"), done(pool, b"two"), return_exceptions=True
    )
    assert answers[0] == b"one" and answers[2] == b"two"
    assert isinstance(answers[1], WorkerLost)
    assert "ended" in answers[1].sentence
    assert await done(pool, b"pid") != first


async def test_a_child_that_died_idle_costs_nobody_his_job(
    workers: Callable[..., Workers],
) -> None:
    pool = workers(processes=1)
    child = int(await done(pool, b"pid"))
    os.kill(child, signal.SIGKILL)
    async with asyncio.timeout(10):
        while pool.running:
            await asyncio.sleep(0.01)
    assert int(await done(pool, b"pid")) != child
    assert pool.running == 1


async def test_a_job_that_takes_too_long_is_ended(workers: Callable[..., Workers]) -> None:
    pool = workers(processes=1, seconds=0.5)
    assert await done(pool, b"x") == b"x"
    with pytest.raises(WorkerLost, match="more than 0.5 seconds"):
        await done(pool, b"loop")
    assert pool.running == 0


async def test_whoever_stops_waiting_leaves_no_child_behind(
    workers: Callable[..., Workers],
) -> None:
    pool = workers(processes=1)
    await done(pool, b"x")
    asked = asyncio.ensure_future(done(pool, b"loop"))
    await asyncio.sleep(0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert pool.running == 0
    assert await done(pool, b"y") == b"y"


async def test_a_child_hears_nothing_of_what_this_process_was_told(
    workers: Callable[..., Workers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILLARBOX_SECRET_KEY", "hidden")
    names = (await done(workers(), b"environment")).decode().split()
    assert not [name for name in names if name.startswith("PILLARBOX")]


@pytest.mark.parametrize(
    "values", [{"processes": 0}, {"seconds": 0.0}, {"cpu_seconds": 0}, {"memory_mb": 10}]
)
def test_bounds_that_leave_room_for_nothing_are_refused(values: dict[str, int]) -> None:
    with pytest.raises(InvalidSetting, match=next(iter(values))):
        WorkersConfig(**values)


async def test_there_is_room_until_all_are_at_work(workers: Callable[..., Workers]) -> None:
    pool = workers(processes=1)
    assert pool.has_room
    job = asyncio.ensure_future(done(pool, b"x"))
    await asyncio.sleep(0)
    assert not pool.has_room
    assert await job == b"x"
    assert pool.has_room
    await pool.close()
    assert not pool.has_room


async def test_small_jobs_share_a_child_and_each_gets_its_own_answer(
    workers: Callable[..., Workers],
) -> None:
    pool = workers(processes=2)
    shared = [
        asyncio.ensure_future(pool.share(lambda number=number: b"%d" % number))  # type: ignore[misc]
        for number in range(12)
        if pool.has_room
    ]
    assert await asyncio.gather(*shared) == [b"%d" % number for number in range(len(shared))]
    assert pool.running <= 2
    large = await asyncio.gather(*(pool.share(lambda: b"x" * 1_000_000) for _ in range(4)))
    assert {len(each) for each in large} == {1_000_000}
    assert await done(pool, b"alone") == b"alone"


async def test_a_child_takes_so_many_small_jobs_and_none_while_one_waits_for_it_alone(
    workers: Callable[..., Workers], tmp_path: Path
) -> None:
    pool = workers(processes=1)
    await done(pool, b"x")
    gate = str(tmp_path / "gate").encode()
    shared = []
    while pool.has_room:
        shared.append(asyncio.ensure_future(pool.share(lambda: gate)))
        await asyncio.sleep(0)
    assert len(shared) == 8
    alone = asyncio.ensure_future(done(pool, b"z"))
    (tmp_path / "gate").touch()
    await shared[0]
    assert not pool.has_room
    assert await asyncio.gather(*shared, alone) == [gate] * 8 + [b"z"]
    assert pool.has_room


async def test_of_those_that_a_lost_child_was_given_one_was_begun(
    workers: Callable[..., Workers],
) -> None:
    pool = workers(processes=1)
    await done(pool, b"x")
    jobs = (b"one", b"die", b"two", b"three")
    answers = await asyncio.gather(
        *(pool.share(lambda job=job: job) for job in jobs),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert answers[0] == b"one"
    lost = [answer for answer in answers if isinstance(answer, WorkerLost)]
    assert [each.begun for each in lost] == [True, False, False]
    assert await done(pool, b"x") == b"x" and pool.running == 1


async def test_a_small_job_that_takes_too_long_is_ended(workers: Callable[..., Workers]) -> None:
    pool = workers(processes=1, seconds=0.5)
    await done(pool, b"x")
    jobs = (b"x", b"loop", b"y")
    answers = await asyncio.gather(
        *(pool.share(lambda job=job: job) for job in jobs),  # type: ignore[misc]
        return_exceptions=True,
    )
    assert answers[0] == b"x"
    assert all("more than 0.5 seconds" in str(answer) for answer in answers[1:])
    assert pool.running == 0 and pool.has_room


async def test_whoever_stops_waiting_for_a_shared_child_leaves_it_to_the_others(
    workers: Callable[..., Workers],
) -> None:
    pool = workers(processes=1)
    await done(pool, b"x")
    gone, other = (asyncio.ensure_future(pool.share(lambda: b"y")) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    assert await other == b"y"
    assert await done(pool, b"z") == b"z"


async def test_children_that_are_ended_leave_no_word_in_the_log(
    workers: Callable[..., Workers], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        pool = workers(processes=2)
        await asyncio.gather(done(pool, b"x"), done(pool, b"y"))
        with pytest.raises(WorkerLost, match="ended"):
            await done(pool, b"die")
        await pool.close()
    assert not caplog.records


async def test_a_job_that_cannot_be_made_takes_no_room(workers: Callable[..., Workers]) -> None:
    def unmade() -> bytes:
        raise ValueError

    pool = workers(processes=1)
    for attempt in (pool.share, pool.do):
        with pytest.raises(ValueError):
            await attempt(unmade)
    assert await done(pool, b"x") == b"x"


async def test_who_asks_a_child_that_is_gone_hears_so(
    workers: Callable[..., Workers],
) -> None:
    workers()  # where its module is found
    child = await Child.start("child_that_echoes", (), 10)
    rested: list[Child] = []
    child.on_rest = rested.append
    child.kill()
    await child.ended()
    rested.clear()
    with pytest.raises(WorkerLost, match="ended"):
        await child.ask(b"x")
    assert rested == [child]
