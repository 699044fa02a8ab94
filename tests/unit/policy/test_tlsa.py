from __future__ import annotations

import hashlib

import pytest

from pillarbox.policy.tlsa import MAX_RECORDS, Tlsa, usable_records

CERTIFICATE, KEY = b"certificate", b"key"


@pytest.mark.parametrize("usage", [2, 3])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize(("matching", "data"), [(0, b"x"), (1, bytes(32)), (2, bytes(64))])
def test_usages_two_and_three_can_be_used(
    usage: int, selector: int, matching: int, data: bytes
) -> None:
    assert Tlsa(usage, selector, matching, data).usable


@pytest.mark.parametrize(
    "record",
    [
        Tlsa(0, 1, 1, bytes(32)),
        Tlsa(1, 1, 1, bytes(32)),
        Tlsa(4, 1, 1, bytes(32)),
        Tlsa(255, 1, 1, bytes(32)),
        Tlsa(3, 2, 1, bytes(32)),
        Tlsa(3, 1, 3, bytes(32)),
        Tlsa(3, 1, 1, bytes(31)),
        Tlsa(3, 1, 1, bytes(64)),
        Tlsa(3, 1, 2, bytes(32)),
        Tlsa(3, 1, 0, b""),
        Tlsa(3, 1, 0, bytes(20_000)),
    ],
    ids=lambda record: record.text[:12],
)
def test_everything_else_cannot_be_used(record: Tlsa) -> None:
    assert not record.usable


@pytest.mark.parametrize(("selector", "chosen"), [(0, CERTIFICATE), (1, KEY)])
def test_the_selector_says_what_is_compared_and_the_matching_type_how(
    selector: int, chosen: bytes
) -> None:
    for matching, data in (
        (0, chosen),
        (1, hashlib.sha256(chosen).digest()),
        (2, hashlib.sha512(chosen).digest()),
    ):
        assert Tlsa(3, selector, matching, data).matches(CERTIFICATE, KEY)
        assert not Tlsa(3, 1 - selector, matching, data).matches(CERTIFICATE, KEY)
        assert not Tlsa(3, selector, matching, data[:-1] + b"\0").matches(CERTIFICATE, KEY)


def test_records_are_in_one_order_whatever_the_name_server_makes_of_it() -> None:
    one, other, useless = Tlsa(3, 1, 1, bytes(32)), Tlsa(2, 1, 2, bytes(64)), Tlsa(0, 0, 0, b"x")
    assert usable_records([one, other, useless, one]) == usable_records([other, one])


def test_a_flood_of_records_is_cut_off() -> None:
    flood = [Tlsa(3, 1, 1, number.to_bytes(32)) for number in range(1000)]
    assert len(usable_records(flood)) == MAX_RECORDS
