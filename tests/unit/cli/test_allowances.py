from __future__ import annotations

from typing import Any

import pytest

from pillarbox.cli.allowances import parse_end, parse_limit, parse_size, take_allowances
from pillarbox.cli.errors import WrongUsage
from pillarbox.policy.networks import InvalidNetwork

NOW = 1_800_000_000_000
SILENT: dict[str, Any] = {
    "allow_address": (), "disallow_address": (), "any_address": False, "fix_option": (),
    "free_option": (), "limit": (), "over_limit": None, "max_message": None, "expires": None,
    "forward_to": None, "once": None,
}  # fmt: skip


def taken(current: dict[str, Any] | None = None, **said: Any) -> dict[str, Any]:
    values = {**SILENT, **said, "kind": "relay"}
    fields = take_allowances(values, current)
    assert values == {"kind": "relay"}, "what was read is taken out"
    return fields


def test_what_was_not_said_changes_nothing() -> None:
    assert taken() == {}
    assert taken({"allowed_addresses": ["192.0.2.7/32"], "fixed_options": ["tags"]}) == {}


def test_everything_becomes_the_field_it_stands_for() -> None:
    assert taken(
        allow_address=("192.0.2.7",), fix_option=("X-SMTPeter-Tags",), limit=("5/minute", "9/day"),
        over_limit="hold", max_message="10MB", expires="never", forward_to="b@example.com",
        once="message-id",
    ) == {
        "allowed_addresses": ["192.0.2.7/32"], "fixed_options": ["tags"], "per_minute": 5,
        "per_day": 9, "over_limit": "hold", "max_message_bytes": 10 << 20, "expires_at": None,
        "forward_address": "b@example.com", "once": "message-id",
    }  # fmt: skip
    assert taken(forward_to="none") == {"forward_address": ""}


def test_lists_grow_shrink_and_are_emptied() -> None:
    current = {"allowed_addresses": ["192.0.2.7/32", "10.0.0.0/8"], "fixed_options": ["tags"]}
    assert taken(current, allow_address=("10.0.0.0/8", "::1")) == {
        "allowed_addresses": ["192.0.2.7/32", "10.0.0.0/8", "::1/128"]
    }
    assert taken(current, disallow_address=("192.0.2.7",)) == {"allowed_addresses": ["10.0.0.0/8"]}
    assert taken(current, any_address=True) == {"allowed_addresses": []}
    assert taken(current, free_option=("tags",)) == {"fixed_options": []}
    with pytest.raises(WrongUsage, match=r"192\.0\.2\.8/32 is not in the list"):
        taken(current, disallow_address=("192.0.2.8",))
    with pytest.raises(WrongUsage, match="images is not in the list"):
        taken(current, free_option=("images",))


def test_what_is_no_network_and_no_option_is_refused() -> None:
    with pytest.raises(InvalidNetwork):
        taken(allow_address=("192.0.2.7/24",))
    with pytest.raises(WrongUsage, match="trackclick is no mail option"):
        taken(fix_option=("trackclick",))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("500/hour", {"per_hour": 500}),
        ("5 / minute", {"per_minute": 5}),
        ("0/day", {"per_day": 0}),
        ("none", {"per_minute": 0, "per_hour": 0, "per_day": 0}),
    ],
)
def test_a_limit_is_so_many_in_a_period(text: str, fields: dict[str, int]) -> None:
    assert parse_limit(text) == fields


@pytest.mark.parametrize("text", ["", "500", "500/week", "-1/hour", "1.5/hour", "/hour"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="is no limit"):
        parse_limit(text)


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("10MB", 10 << 20),
        ("10 mb", 10 << 20),
        ("500KB", 500 << 10),
        ("1.5GB", 3 << 29),
        ("none", 0),
    ],
)
def test_a_size_is_said_in_units(text: str, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize("text", ["", "10", "MB", "-1MB", "0MB", "10TB"])
def test_a_size_without_a_unit_is_refused(text: str) -> None:
    with pytest.raises(WrongUsage, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("never", None),
        ("none", None),
        ("2027-01-31", "2027-01-31T00:00:00.000Z"),
        ("90d", "2027-04-15T08:00:00.000Z"),
        ("1h30m", "2027-01-15T09:30:00.000Z"),
        ("2027-01-31T12:00:00+02:00", "2027-01-31T12:00:00+02:00"),
    ],
)
def test_an_end_is_a_day_a_span_or_an_instant(text: str, end: str | None) -> None:
    assert parse_end(text, NOW) == end


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tomorrow", "is no end"),
        ("99999999d", "is no end"),
        ("2027-01-15", "has passed"),
        ("2026-12-31", "has passed"),
        ("0s", "has passed"),
    ],
)
def test_an_end_lies_ahead(text: str, words: str) -> None:
    with pytest.raises(WrongUsage, match=words):
        parse_end(text, NOW)


def test_an_end_is_counted_from_now() -> None:
    assert (parse_end("1d") or "") > "2026"
