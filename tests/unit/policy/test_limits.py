from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.credential import OverLimit
from pillarbox.policy.limits import DAY_MS, HOUR_MS, MINUTE_MS, Rate, limit_passed, rates_of
from tests.unit.policy.test_credential import NOW, PLAIN

HOURLY = Rate(b"r", HOUR_MS, 500)


def test_a_credential_without_limits_has_no_rates():
    assert rates_of(PLAIN) == ()


def test_each_period_is_counted_under_a_name_of_its_own():
    rates = rates_of(replace(PLAIN, per_minute=5, per_hour=50, per_day=100))
    assert [(rate.period_ms, rate.most) for rate in rates] == [
        (MINUTE_MS, 5), (HOUR_MS, 50), (DAY_MS, 100),
    ]  # fmt: skip
    assert len({rate.name for rate in rates}) == 3
    assert all(PLAIN.id in rate.name for rate in rates)


def test_a_limit_that_is_reached_is_said_with_its_number_and_its_end():
    refusal = limit_passed(HOURLY, 1, NOW + 12 * MINUTE_MS, NOW, OverLimit.DEFER)
    assert str(refusal.reply).startswith("451")
    assert "500 recipients an hour" in refusal.sentence
    assert "12 min" in refusal.sentence


@pytest.mark.parametrize(
    ("left_ms", "words"), [(1, "1 s"), (119_000, "119 s"), (119_001, "2 min"), (8 * HOUR_MS, "8 h")]
)
def test_the_wait_is_said_in_words(left_ms: int, words: str):
    refusal = limit_passed(HOURLY, 1, NOW + left_ms, NOW, OverLimit.DEFER)
    assert refusal.sentence.endswith(f"in {words}.")


def test_where_it_is_to_be_rejected_it_is_refused_for_good():
    refusal = limit_passed(HOURLY, 1, NOW + 1, NOW, OverLimit.REJECT)
    assert refusal.reply.code == 550


def test_a_message_that_will_never_fit_is_not_asked_to_come_back():
    refusal = limit_passed(HOURLY, 501, NOW + 1, NOW, OverLimit.DEFER)
    assert refusal.reply.code == 550
    assert "501 recipients" in refusal.sentence
