from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.credential import Former, LoginUse, Uses
from pillarbox.policy.flags import FLAG_WORDS, Flag, flags_of
from tests.unit.policy.test_credential import NOW, PLAIN

DAY = 86_400_000
USED = replace(PLAIN, used_at=NOW - DAY)


def test_a_login_in_daily_use_is_worth_no_look():
    assert flags_of(USED, NOW) == []


@pytest.mark.parametrize(
    ("facts", "flag"),
    [
        ({"used_at": None}, Flag.NEVER_USED),
        ({"used_at": NOW - 90 * DAY}, Flag.UNUSED),
        ({"expires_at": NOW}, Flag.EXPIRED),
        ({"former": Former("web", b"o" * 32, NOW + 1)}, Flag.ROTATION_OPEN),
        ({"uses": Uses(LoginUse(NOW, "127.0.0.1", ""))}, Flag.IN_CLEAR),
    ],
)
def test_each_thing_worth_a_look_is_flagged_by_itself(facts: dict, flag: Flag):
    assert flags_of(replace(USED, **facts), NOW) == [flag]


@pytest.mark.parametrize(
    "facts",
    [
        {"used_at": NOW - 90 * DAY + 1},
        {"expires_at": NOW + 1},
        {"former": Former("web", b"o" * 32, NOW)},
        {"uses": Uses(LoginUse(NOW, "192.0.2.7", "TLSv1.3"))},
    ],
)
def test_what_is_just_not_there_yet_is_not_flagged(facts: dict):
    assert flags_of(replace(USED, **facts), NOW) == []


def test_every_flag_has_words():
    assert set(FLAG_WORDS) == set(Flag)
