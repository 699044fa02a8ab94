"""what limits come to: buckets, blocks, and how long a used-up quota rests"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.quota import (
    HOUR_MS,
    block_of,
    comes_near,
    is_limited,
    paces_of,
    rest_ms,
)
from pillarbox.policy.server import Server
from pillarbox.terms.ids import ObjectId

PLAIN = Server(ObjectId(b"s" * 12), ObjectId(b"a" * 12), "one", "smtp.example.net", username="u")


def test_a_server_without_limits_has_nothing_to_count() -> None:
    assert not is_limited(PLAIN)
    assert paces_of(PLAIN) == ()
    for limit in ("max_per_second", "max_per_minute", "max_per_day"):
        assert is_limited(replace(PLAIN, **{limit: 1}))


def test_servers_with_the_same_host_port_and_user_share_what_is_counted() -> None:
    limited = replace(PLAIN, max_per_second=5, max_per_minute=100)
    other = replace(limited, id=ObjectId(b"o" * 12), name="two", host="SMTP.example.net")
    assert paces_of(other) == paces_of(limited)
    assert paces_of(replace(limited, username="v")) != paces_of(limited)


@given(st.integers(2, 1_000_000))
def test_no_minute_has_more_than_it_may(most: int) -> None:
    (pace,) = paces_of(replace(PLAIN, max_per_minute=most))
    in_a_minute = pace.per_second * 60 + max(pace.per_second, 1.0)
    assert most / 2 <= in_a_minute <= most + 1e-6


def test_one_a_minute_is_one_a_minute() -> None:
    (pace,) = paces_of(replace(PLAIN, max_per_minute=1))
    assert 0 < pace.per_second <= 1 / 60
    assert pace.portion == 1


def test_recipients_of_a_message_go_in_portions_of_a_second() -> None:
    (pace,) = paces_of(replace(PLAIN, max_per_second=14))
    assert (pace.per_second, pace.portion) == (14, 14)
    (slow,) = paces_of(replace(PLAIN, max_per_second=0.2))
    assert slow.portion == 1


@given(st.integers(1, 10_000_000))
def test_a_block_of_a_day_is_a_small_part_of_it(most: int) -> None:
    assert 1 <= block_of(most) <= max(most // 100, 1)
    assert block_of(most) <= 100


@given(st.integers(1, 1000), st.lists(st.integers(1, 50), max_size=60))
def test_a_quota_comes_near_its_end_once_on_its_way(most: int, grants: list[int]) -> None:
    used, near = 0, 0
    for wanted in grants:
        granted = min(wanted, most - used)
        used += granted
        near += comes_near(used, granted, most)
    assert near == (used >= most * 0.8)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Daily user sending limit exceeded", 1.0),
        ("Throttling failure: Daily message quota exceeded", 1.0),
        ("User has exceeded its 24-hour sending limit", 1.0),
        ("exceeded hour limit", 1 / 6),
        ("Peak SMTP relay limit exceeded for customer", 1 / 12),
    ],
)
def test_a_server_rests_as_long_as_its_words_ask_for(text: str, hours: float) -> None:
    assert rest_ms(text) == round(hours * HOUR_MS)
