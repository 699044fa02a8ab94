from __future__ import annotations

from pillarbox.net import arrivals
from pillarbox.net.arrivals import Arrivals


def admitted(counted: Arrivals, crowd: str, now: float, tries: int) -> int:
    return sum(not counted.too_many(crowd, now) for _ in range(tries))


def test_a_minutes_worth_may_come_at_once_and_then_at_the_permitted_pace() -> None:
    counted = Arrivals(60)
    assert admitted(counted, "192.0.2.1", 1000.0, 100) == 60
    assert admitted(counted, "192.0.2.1", 1000.5, 100) == 0
    assert admitted(counted, "192.0.2.1", 1010.0, 100) == 10
    assert admitted(counted, "192.0.2.1", 1400.0, 100) == 60, "no more than a minute is saved up"


def test_one_address_is_not_counted_against_another() -> None:
    counted = Arrivals(2)
    assert admitted(counted, "192.0.2.1", 5.0, 5) == 2
    assert admitted(counted, "192.0.2.2", 5.0, 5) == 2


def test_whoever_is_refused_and_waits_is_let_in_again() -> None:
    """What is refused does not count, or a client that tries again and again never gets in."""
    counted = Arrivals(60)
    assert admitted(counted, "192.0.2.1", 0.0, 60) == 60
    assert admitted(counted, "192.0.2.1", 0.5, 1000) == 0
    assert admitted(counted, "192.0.2.1", 1.0, 1) == 1


def test_without_a_limit_nothing_is_kept() -> None:
    counted = Arrivals(0)
    assert admitted(counted, "192.0.2.1", 0.0, 10_000) == 10_000
    assert len(counted) == 0


def test_the_addresses_that_were_away_longest_are_forgotten() -> None:
    counted = Arrivals(1)
    assert not counted.too_many("first", 0.0)
    for number in range(arrivals._MOST_ADDRESSES - 1):
        counted.too_many(f"other {number}", 0.0)
    assert counted.too_many("first", 0.0), "still known, and now the youngest"
    for number in range(arrivals._MOST_ADDRESSES):
        counted.too_many(f"another {number}", 0.0)
    assert len(counted) == arrivals._MOST_ADDRESSES
    assert not counted.too_many("first", 0.0)
