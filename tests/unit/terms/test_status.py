"""enhanced status codes are read strictly and found leniently"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.terms.status import (
    INTERMEDIATE,
    PERMANENT,
    SUCCESS,
    TRANSIENT,
    EnhancedStatus,
    InvalidStatus,
    severity,
    split_status,
)


@given(st.sampled_from([2, 4, 5]), st.integers(0, 999), st.integers(0, 999))
def test_a_status_written_is_read_back(severity: int, subject: int, detail: int) -> None:
    status = EnhancedStatus(severity, subject, detail)
    assert EnhancedStatus.parse(status.format()) == status
    assert str(status) == status.format()


@pytest.mark.parametrize(
    "text", ["", "3.0.0", "5.1", "5.1.1.1", "5.1234.0", "5. 1.1", "5.1.1 ", "٥.1.1", "5.-1.1"]
)
def test_what_is_no_status_is_refused(text: str) -> None:
    with pytest.raises(InvalidStatus, match="three numbers"):
        EnhancedStatus.parse(text)


def test_the_class_of_a_code_is_its_first_digit() -> None:
    codes = {250: SUCCESS, 354: INTERMEDIATE, 421: TRANSIENT, 550: PERMANENT}
    assert {code: severity(code) for code in codes} == codes


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("5.7.1 Relay denied", ("5.7.1", "Relay denied")),
        ("2.0.0", ("2.0.0", "")),
        ("#5.1.0 Address rejected.", ("5.1.0", "Address rejected.")),
        ("4.7.28\tUnusual rate", ("4.7.28", "Unusual rate")),
        ("5.7.1: Relay denied", (None, "5.7.1: Relay denied")),
        ("Relay denied 5.7.1", (None, "Relay denied 5.7.1")),
        ("3.0.0 odd", (None, "3.0.0 odd")),
        ("5.7.1.2 odd", (None, "5.7.1.2 odd")),
        ("", (None, "")),
    ],
)
def test_a_status_is_split_from_the_text_it_begins(
    text: str, parts: tuple[str | None, str]
) -> None:
    assert split_status(text) == parts
