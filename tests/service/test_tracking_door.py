"""what new mail is told at the door of how it is tracked"""

from __future__ import annotations

import pytest

from pillarbox.handover.config import TrackingConfig
from pillarbox.handover.tracking import Tracked, Tracking
from pillarbox.terms.clock import SystemClock
from pillarbox.terms.setting import InvalidSetting
from tests.fix_house import Running


class Slow(SystemClock):
    """Seconds pass when a test says so."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


async def test_the_current_key_is_looked_up_again_every_few_seconds(running: Running) -> None:
    clock, keys = Slow(), running.house.storage.keys
    config = TrackingConfig("clicks.test", exceptions=("example.com",))
    tracking = Tracking(config, keys, clock)
    assert not tracking.known
    await tracking.learn()
    assert tracking.known
    first = tracking.of()
    assert first == Tracked("clicks.test", True, first.key, ("example.com",))
    made = await keys.rotate_token_key(clock.now_ms())
    assert tracking.of().key == first.key
    clock.seconds += 60
    assert not tracking.known
    await tracking.learn()
    assert tracking.of().key == made.number == first.key + 1


async def test_a_sending_domain_with_a_host_of_its_own_is_tracked_by_that(running: Running) -> None:
    tracking = Tracking(TrackingConfig("clicks.test"), running.house.storage.keys, Slow())
    await tracking.learn()
    assert tracking.of("clicks.shop.test").host == "clicks.shop.test"
    nowhere = Tracking(TrackingConfig(), running.house.storage.keys, Slow())
    await nowhere.learn()
    assert nowhere.of() == Tracked()
    assert nowhere.of("clicks.shop.test").host == "clicks.shop.test"


@pytest.mark.parametrize("host", ["clicks.example.com", "clicks.example.com:8443", ""])
def test_a_tracking_host_is_a_name_with_or_without_a_port(host: str) -> None:
    assert TrackingConfig(host).host == host


@pytest.mark.parametrize("host", ["https://clicks.example.com", "a/b", "x y", ":80", "[::1]"])
def test_anything_else_is_refused_with_what_to_write(host: str) -> None:
    with pytest.raises(InvalidSetting, match=r"clicks\.example\.com"):
        TrackingConfig(host)


def test_an_empty_exception_is_refused() -> None:
    with pytest.raises(InvalidSetting, match="exceptions"):
        TrackingConfig("clicks.test", exceptions=("",))
