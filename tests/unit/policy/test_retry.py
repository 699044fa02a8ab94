"""waits grow, differ between messages, and end only when age and attempts are both used up"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.retry import RetryConfig, RetryPolicy
from pillarbox.terms.setting import InvalidSetting

EVEN = RetryPolicy(RetryConfig(jitter=0.0))
HOUR_MS = 3_600_000


def test_waits_double_from_a_minute_to_an_hour() -> None:
    waits = [EVEN.wait_ms(attempts, 1) // 1000 for attempts in range(1, 10)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


@given(st.integers(1, 10_000), st.integers())
def test_a_wait_stays_within_a_fifth_of_the_even_one(attempts: int, seed: int) -> None:
    even = EVEN.wait_ms(attempts, 0)
    assert 0.8 * even <= RetryPolicy().wait_ms(attempts, seed) <= 1.2 * even


@given(st.integers(1, 100), st.integers(0, 1 << 62), st.integers(0, 1 << 42))
def test_the_same_facts_give_the_same_instant(attempts: int, seed: int, now_ms: int) -> None:
    policy = RetryPolicy()
    due = policy.next_due(attempts, now_ms, seed)
    assert due == RetryPolicy().next_due(attempts, now_ms, seed)
    assert due > now_ms


def test_messages_deferred_together_do_not_come_back_together() -> None:
    policy = RetryPolicy()
    assert len({policy.next_due(1, 0, seed) for seed in range(100)}) > 90
    assert policy.next_due(3, 0, 5) != policy.next_due(3, 0, 6)


@pytest.mark.parametrize(
    ("attempts", "age_ms", "gives_up"),
    [(2, HOUR_MS, False), (3, HOUR_MS, True), (3, -1, False), (3, 0, True), (99, -1, False)],
)
def test_giving_up_needs_both_age_and_three_attempts(
    attempts: int, age_ms: int, gives_up: bool
) -> None:
    expires_at = 1_800_000_000_000
    assert RetryPolicy().gives_up(attempts, expires_at + age_ms, expires_at) is gives_up


def test_a_factor_of_one_waits_evenly_for_ever() -> None:
    policy = RetryPolicy(RetryConfig(factor=1.0, jitter=0.0))
    assert policy.wait_ms(1_000_000, 1) == 60_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_seconds": 0.0},
        {"first_seconds": 7200.0},
        {"factor": 0.5},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"min_attempts": 0},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting):
        RetryConfig(**wrong)  # type: ignore[arg-type]


def test_a_tiny_wait_is_still_a_wait() -> None:
    assert RetryPolicy(RetryConfig(first_seconds=0.0001)).next_due(1, 10, 3) == 11
