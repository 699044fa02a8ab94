from __future__ import annotations

import pytest

from pillarbox.policy.throttle import LoginThrottle, ThrottleConfig
from pillarbox.terms.setting import InvalidSetting

CONFIG = ThrottleConfig(failures=5, forgive_seconds=60, pause_seconds=60, longest_pause_seconds=200)
STRANGER, OTHER = "192.0.2.7", "192.0.2.8"


def throttle_after(failures: int, address: str = STRANGER, now: float = 0.0) -> LoginThrottle:
    throttle = LoginThrottle(CONFIG)
    for _ in range(failures):
        throttle.failed(address, "web", now)
    return throttle


def test_somebody_who_mistypes_twice_is_answered_at_once():
    throttle = LoginThrottle(CONFIG)
    assert [throttle.failed(STRANGER, "web", 0.0) for _ in range(2)] == [0.0, 0.0]
    assert throttle.pause(STRANGER, 0.0) == 0.0


def test_the_more_fail_the_longer_the_answer_takes():
    throttle = throttle_after(2)
    assert [throttle.failed(STRANGER, "web", 0.0) for _ in range(2)] == [1.0, 2.0]


def test_whoever_fails_often_is_sent_away_at_the_door_for_a_while_and_nobody_else_is():
    throttle = throttle_after(5)
    assert throttle.pause(STRANGER, 1.0) == 59.0
    assert throttle.pause(OTHER, 1.0) == 0.0
    assert throttle.pause(STRANGER, 60.0) == 0.0


def test_each_pause_is_twice_the_last_up_to_the_longest():
    throttle = LoginThrottle(CONFIG)
    now, pauses = 0.0, []
    for _ in range(4):
        for _ in range(5):
            throttle.failed(STRANGER, "web", now)
        pauses.append(throttle.pause(STRANGER, now))
        now += pauses[-1]
    assert pauses == [60.0, 120.0, 200.0, 200.0]


def test_failures_far_apart_are_forgiven():
    throttle = LoginThrottle(CONFIG)
    for n in range(50):
        assert throttle.failed(STRANGER, "web", n * 61.0) == 0.0
    assert throttle.pause(STRANGER, 50 * 61.0) == 0.0


def test_an_address_somebody_logs_in_from_is_answered_slowly_and_never_sent_away():
    throttle = LoginThrottle(CONFIG)
    throttle.succeeded(STRANGER, 0.0)
    waits = [throttle.failed(STRANGER, "web", 1.0) for _ in range(5)]
    assert waits[-1] == 5.0
    assert throttle.pause(STRANGER, 1.0) == 0.0


def test_a_user_name_that_many_try_is_answered_slowly_to_all_of_them():
    throttle = LoginThrottle(CONFIG)
    waits = [throttle.failed(f"192.0.2.{n}", "web", 0.0) for n in range(30)]
    assert waits[0] == 0.0
    assert waits[-1] == 5.0
    assert throttle.failed("198.51.100.1", "other", 0.0) == 0.0


def test_an_ipv6_network_counts_as_one_client():
    throttle = LoginThrottle(CONFIG)
    for n in range(5):
        throttle.failed(f"2001:db8:0:1::{n}", "web", 0.0)
    assert throttle.pause("2001:db8:0:1:ffff::1", 1.0) > 0
    assert throttle.pause("2001:db8:0:2::1", 1.0) == 0.0


def test_what_is_remembered_is_bounded():
    throttle = LoginThrottle(CONFIG)
    for n in range(25_000):
        throttle.failed(f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", f"user{n}", 0.0)
    assert len(throttle._networks) == len(throttle._usernames) == 20_000


def test_a_client_without_an_address_is_one_client():
    throttle = throttle_after(5, "")
    assert throttle.pause("", 1.0) > 0


@pytest.mark.parametrize("name", ["failures", "forgive_seconds", "pause_seconds"])
def test_a_throttle_that_never_forgives_is_refused(name: str):
    with pytest.raises(InvalidSetting, match=name):
        ThrottleConfig(**{name: 0})


def test_the_last_of_so_many_failures_is_the_one_too_many_also_when_answers_were_slow():
    throttle, now = LoginThrottle(ThrottleConfig()), 0.0
    for n in range(10):
        assert throttle.pause(STRANGER, now) == 0.0, n
        now += throttle.failed(STRANGER, "web", now) + 0.1
    assert throttle.pause(STRANGER, now) > 0.0


def test_whoever_fails_again_after_a_long_time_begins_with_the_shortest_pause():
    throttle = throttle_after(5)
    for _ in range(5):
        throttle.failed(STRANGER, "web", 61.0)
    assert throttle.pause(STRANGER, 61.0) == 120.0
    for _ in range(5):
        throttle.failed(STRANGER, "web", 10_000.0)
    assert throttle.pause(STRANGER, 10_000.0) == 60.0
