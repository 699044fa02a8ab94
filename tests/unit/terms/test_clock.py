"""instants, spans and the clock"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.terms.clock import (
    SystemClock,
    format_duration,
    format_instant,
    from_ms,
    parse_duration,
)
from pillarbox.terms.errors import InvalidDuration


def test_the_wall_clock_counts_milliseconds_since_1970() -> None:
    before = int(time.time() * 1000)
    assert before - 1 <= SystemClock().now_ms() <= before + 60_000


def test_the_monotonic_clock_never_runs_backwards() -> None:
    clock = SystemClock()
    seen = [clock.monotonic() for _ in range(100)]
    assert seen == sorted(seen)


def test_an_instant_is_written_in_utc_with_milliseconds() -> None:
    assert format_instant(1_750_000_000_123) == "2025-06-15T15:06:40.123Z"
    assert format_instant(0) == "1970-01-01T00:00:00.000Z"


@given(st.integers(0, 4_000_000_000_000))
def test_an_instant_read_back_is_the_same_millisecond(at_ms: int) -> None:
    written = datetime.fromisoformat(format_instant(at_ms))
    assert written == from_ms(at_ms)
    assert round(written.timestamp() * 1000) == at_ms
    assert written.tzinfo is UTC or written.utcoffset() == datetime.now(UTC).utcoffset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("1.5h", 5400),
        ("30", 30),
        (" 0.5 ", 0.5),
        ("48H", 172_800),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "m", "5x", "5m-", "-5m", "1e3m", "5mm", "1h,30m", "five minutes", "s" * 5000]
)
def test_what_is_no_duration_is_refused_with_examples(text: str) -> None:
    with pytest.raises(InvalidDuration, match="5m, 48h or 7d") as raised:
        parse_duration(text)
    assert len(raised.value.sentence) < 120


@pytest.mark.parametrize(
    "text", ["-5", "nan", "inf", "1e400", "1e9", "1_000", "٣", "٣s", "1.", ".5", "1" * 5000]
)
def test_a_bare_number_is_an_ordinary_count_of_seconds(text: str) -> None:
    with pytest.raises(InvalidDuration):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.25, "250ms"),
        (1, "1s"),
        (59.6, "1m"),
        (90, "1m 30s"),
        (5400, "1h 30m"),
        (5401, "1h 30m"),
        (90_000, "1d 1h"),
    ],
)
def test_a_duration_is_shown_in_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [0.9999, 0.99951])
def test_a_duration_just_below_a_second_is_a_second(seconds: float) -> None:
    assert format_duration(seconds) in ("1s", "1000ms")
