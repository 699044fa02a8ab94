from __future__ import annotations

import pytest

from pillarbox.policy.networks import InvalidNetwork, is_within, parse_network


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.0/24 ", "192.0.2.0/24"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
    ],
)
def test_addresses_and_networks_are_stored_in_one_form(text: str, stored: str):
    assert parse_network(text) == stored


@pytest.mark.parametrize(
    "text", ["", "192.0.2.7/24", "192.0.2", "a.example", "1.2.3.4/33", "x" * 9000, "::1%lo"]
)
def test_anything_else_is_refused_and_shown_shortened(text: str):
    with pytest.raises(InvalidNetwork) as caught:
        parse_network(text)
    assert len(caught.value.sentence) < 100
    assert "192.0.2.0/24" in (caught.value.fix or "")


def test_an_address_lies_in_one_of_the_networks_or_in_none():
    networks = ("192.0.2.0/24", "2001:db8::/32")
    assert is_within(networks, "192.0.2.255")
    assert is_within(networks, "2001:db8:1::2")
    assert not is_within(networks, "192.0.3.0")
    assert not is_within(networks, "::1")
    assert not is_within((), "192.0.2.1")


@pytest.mark.parametrize("address", ["", "unix", "192.0.2.1 ", "192.0.2.1/24"])
def test_what_is_no_address_lies_in_no_network(address: str):
    assert not is_within(("0.0.0.0/0", "::/0"), address)
