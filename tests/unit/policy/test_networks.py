from __future__ import annotations

import pytest

from pillarbox.policy.networks import (
    InvalidNetwork,
    is_address,
    is_public,
    is_within,
    parse_network,
)


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


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "fec0::1",
        "192.88.99.1",
        "::ffff:192.88.99.1",
        "2001:20::1",
        "2001:2f:ffff::1",
        "3fff::1",
        "3fff:fff:ffff::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "mail.example",
        "",
    ],
)
def test_addresses_of_this_machine_and_of_networks_inside_are_not(address: str):
    assert not is_public(address)


@pytest.mark.parametrize("text", ["192.0.2.1", "::1", "2001:db8::1", "::ffff:192.0.2.1"])
def test_an_address_is_known_as_one(text: str):
    assert is_address(text)


@pytest.mark.parametrize(
    "text", ["mail.example", "", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "192.0.2.1/32"]
)
def test_what_only_some_programs_take_for_an_address_is_none(text: str):
    assert not is_address(text)
