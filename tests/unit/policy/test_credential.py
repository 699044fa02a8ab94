from __future__ import annotations

from dataclasses import replace

from pillarbox.policy.credential import (
    Credential,
    CredentialKind,
    Former,
    LoginUse,
    Once,
    OverLimit,
    Uses,
)
from pillarbox.terms.ids import new_object_id

NOW = 1_800_000_000_000
PLAIN = Credential(new_object_id(), new_object_id(), "web", "web", b"h" * 32)


def test_a_login_is_a_program_s_without_limits_unless_somebody_says_otherwise():
    assert PLAIN.kind is CredentialKind.PROGRAM
    assert (PLAIN.per_minute, PLAIN.per_hour, PLAIN.per_day) == (0, 0, 0)
    assert PLAIN.over_limit is OverLimit.DEFER
    assert PLAIN.once is Once.KEY
    assert PLAIN.expires_at is None


def test_what_was_rotated_away_holds_until_its_end_and_not_at_it():
    rotated = replace(PLAIN, former=Former("web", b"o" * 32, NOW))
    assert rotated.holds_former(NOW - 1)
    assert not rotated.holds_former(NOW)
    assert not PLAIN.holds_former(NOW)


def test_a_login_ends_at_its_end_and_not_before():
    assert not PLAIN.has_expired(NOW)
    ended = replace(PLAIN, expires_at=NOW)
    assert ended.has_expired(NOW) and not ended.has_expired(NOW - 1)


def test_only_a_login_since_the_rotation_was_one_with_the_former_password():
    rotated = replace(PLAIN, former=Former("web", b"o" * 32, NOW + 10, NOW))
    before, after = LoginUse(NOW - 1, "192.0.2.7"), LoginUse(NOW, "192.0.2.8")
    assert rotated.former_use() is None
    assert replace(rotated, uses=Uses(after)).former_use() is None
    assert replace(rotated, uses=Uses(after, before)).former_use() is None
    assert replace(rotated, uses=Uses(after, after)).former_use() == after
    assert replace(PLAIN, uses=Uses(after, after)).former_use() is None
