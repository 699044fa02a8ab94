"""message.keys: how keys are named"""

from __future__ import annotations

from pillarbox.message.keys import NO_KEYS, key_id, parse_key_id


def test_a_signing_key_is_named_by_its_domain_and_selector() -> None:
    assert key_id("example.com", "pb1") == "example.com/pb1"
    assert parse_key_id("example.com/pb1") == ("example.com", "pb1")


def test_no_keys_are_none_of_either_kind() -> None:
    assert not NO_KEYS.tokens
    assert not NO_KEYS.signing
