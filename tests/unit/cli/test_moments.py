from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pillarbox.cli.moments import ago, at, since

NOON = 1_795_176_000_000  # 2026-11-20T12:00:00Z


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC-1")  # in POSIX: an hour east of Greenwich
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_an_instant_is_shown_in_the_zone_of_the_reader() -> None:
    assert at("2026-11-20T11:30:15.250Z", now_ms=NOON) == "12:30:15"


def test_another_day_is_shown_with_its_date() -> None:
    assert at("2026-11-19T11:30:15Z", now_ms=NOON) == "2026-11-19 12:30"
    assert at("2026-11-19T23:30:00Z", now_ms=NOON) == "00:30:00", "today, where the reader is"


@pytest.mark.parametrize(
    ("instant", "age", "sentence"),
    [
        ("2026-11-20T11:59:59.500Z", "now", "just now"),
        ("2026-11-20T12:00:05Z", "now", "just now"),
        ("2026-11-20T11:58:58Z", "1m 2s", "1m 2s ago"),
        ("2026-11-18T11:00:00Z", "2d 1h", "2d 1h ago"),
    ],
)
def test_an_age_is_told_in_words(instant: str, age: str, sentence: str) -> None:
    assert ago(instant, now_ms=NOON) == age
    assert since(instant, now_ms=NOON) == sentence


@pytest.mark.parametrize(("given", "shown"), [(None, ""), ("", ""), ("soon\x07", "soon�")])
def test_what_is_no_instant_is_shown_as_it_is(given: str | None, shown: str) -> None:
    assert at(given) == shown
    assert ago(given) == shown
