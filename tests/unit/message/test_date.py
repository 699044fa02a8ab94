from __future__ import annotations

from email.utils import parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.message.date import format_date


def test_a_date_is_written_as_mail_has_it_in_utc():
    assert format_date(1_795_191_000_999) == "Fri, 20 Nov 2026 16:10:00 +0000"


def test_a_day_of_one_digit_has_two():
    assert format_date(0) == "Thu, 01 Jan 1970 00:00:00 +0000"


@given(st.integers(0, 4_000_000_000_000))
def test_a_date_is_read_back_to_the_second(at_ms: int):
    assert parsedate_to_datetime(format_date(at_ms)).timestamp() == at_ms // 1000
