"""how a lane does on this node"""

from __future__ import annotations

from pillarbox.policy.delivery import State
from pillarbox.services.delivery.report import Rate
from pillarbox.storage.interface.queue import LaneName
from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.fix_house import Running

NOW = 1_800_000_000_000
MINUTE = 60_000


def test_the_rate_is_that_of_the_last_minute() -> None:
    rate = Rate()
    for second in range(60):
        rate.count(NOW + second * 1000)
    assert rate.a_minute(NOW + 59_000) == 60
    assert 25 <= rate.a_minute(NOW + 59_000 + MINUTE // 2) <= 35
    assert rate.a_minute(NOW + 3 * MINUTE) == 0
    rate.count(NOW + 3 * MINUTE)
    assert rate.a_minute(NOW + 3 * MINUTE) == 1


def test_a_clock_that_steps_back_forgets_and_counts_on() -> None:
    rate = Rate()
    rate.count(NOW)
    rate.count(NOW - MINUTE)
    assert rate.a_minute(NOW - MINUTE) == 1


async def test_a_lane_tells_what_got_away_and_what_the_last_trouble_was(running: Running) -> None:
    async with BadServer() as good:
        dead = await running.add_server("dead", free_port(), priority=0)
        lane = await running.house.storage.queue.lane(LaneName(running.app.id, "servers", "*"))
        assert running.house.worker.report(lane) is None
        receipt = await running.submit()
        await running.until(receipt.message, lambda rows: rows[0].state is State.DEFERRED)
        report = running.house.worker.report(lane)
        assert report is not None and report.a_minute == 0
        assert report.last_words.startswith("dead could not be reached: ")
        assert report.last_category == "unreachable" and report.last_at
        await running.add_server("good", good.port, priority=1)
        await running.until(receipt.message)
        report = running.house.worker.report(lane)
        assert report is not None and report.a_minute >= 1
        assert report.window <= report.most
        assert running.house.circuits.peek(dead) is not None
