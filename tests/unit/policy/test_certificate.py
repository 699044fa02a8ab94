from __future__ import annotations

import pytest

from pillarbox.policy.certificate import Certificate, Standing, renewal_at, retry_at

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_790_000_000_000


@pytest.mark.parametrize(
    ("certificate", "standing"),
    [
        (Certificate("a.example"), Standing.ASKED),
        (Certificate("a.example", failures=2), Standing.FAILING),
        (Certificate("a.example", NOW - DAY, NOW + DAY), Standing.VALID),
        (Certificate("a.example", NOW - DAY, NOW + DAY, failures=1), Standing.OVERDUE),
        (Certificate("a.example", NOW - DAY, NOW), Standing.EXPIRED),
        (Certificate("a.example", NOW - DAY, NOW, failures=9), Standing.EXPIRED),
    ],
)
def test_a_certificate_is_called_what_matters_most(
    certificate: Certificate, standing: Standing
) -> None:
    assert certificate.standing(NOW) is standing


@pytest.mark.parametrize(("life_days", "left_days"), [(90, 30), (45, 15), (6, 2)])
def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(
    life_days: int, left_days: int
) -> None:
    until = NOW + life_days * DAY
    assert renewal_at(NOW, until) == until - left_days * DAY


def test_each_failure_doubles_the_pause_up_to_a_day() -> None:
    pauses = [(retry_at(failures, NOW) - NOW) / HOUR for failures in range(1, 9)]
    assert pauses == [1, 2, 4, 8, 16, 24, 24, 24]
    assert retry_at(10_000, NOW) == NOW + DAY


def test_what_the_authority_asks_for_is_kept_up_to_a_day() -> None:
    assert retry_at(1, NOW, 7200) == NOW + 2 * HOUR
    assert retry_at(1, NOW, 60) == NOW + HOUR
    assert retry_at(1, NOW, 1e9) == NOW + DAY
