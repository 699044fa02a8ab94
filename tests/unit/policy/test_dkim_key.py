"""a key's life: it signs once its record is everywhere, and goes on for what named it"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.message.dkim import Algorithm
from pillarbox.policy.dkim_key import (
    KEY_LIFE,
    DkimKey,
    KeyAct,
    KeyState,
    activated,
    find_key,
    ripe,
)
from pillarbox.policy.errors import Refusal, WrongState

NOW, DAY = 1_800_000_000_000, 86_400_000
RSA, ED = Algorithm.RSA, Algorithm.ED25519
PENDING = DkimKey("new", RSA, "v=DKIM1; k=rsa; p=QUJD", created_at=NOW)
ACTIVE = replace(PENDING, selector="old", state=KeyState.ACTIVE, created_at=NOW - DAY)


@pytest.mark.parametrize("state", KeyState)
@pytest.mark.parametrize("act", KeyAct)
def test_a_key_does_what_the_table_says_and_nothing_else(state: KeyState, act: KeyAct) -> None:
    key = replace(PENDING, state=state)
    if (state, act) not in KEY_LIFE:
        with pytest.raises(WrongState, match="new cannot be used so"):
            key.after(act, NOW)
        return
    after = key.after(act, NOW)
    assert (None if after is None else after.state) == KEY_LIFE[state, act]


def test_what_was_revoked_never_signs_again() -> None:
    assert [act for state, act in KEY_LIFE if state is KeyState.REVOKED] == [KeyAct.REMOVE]


def test_each_act_leaves_its_instant() -> None:
    active = PENDING.after(KeyAct.ACTIVATE, NOW)
    assert active is not None and active.active_at == NOW
    retired = active.after(KeyAct.RETIRE, NOW + 1)
    assert retired is not None and retired.retired_at == NOW + 1
    again = retired.after(KeyAct.ACTIVATE, NOW + 2)
    assert again is not None and (again.active_at, again.retired_at) == (NOW + 2, 0)
    revoked = again.after(KeyAct.REVOKE, NOW + 3)
    assert revoked is not None and revoked.revoked_at == NOW + 3


def test_the_record_of_a_revoked_key_is_emptied() -> None:
    assert PENDING.wanted_record == PENDING.record
    assert replace(PENDING, state=KeyState.REVOKED).wanted_record == "v=DKIM1; k=rsa; p="


def test_an_activated_key_retires_those_of_its_kind_alone() -> None:
    other = replace(ACTIVE, selector="ed", algorithm=ED)
    changed = activated([PENDING, ACTIVE, other], "new", NOW)
    assert {key.selector: key.state for key in changed} == {
        "new": KeyState.ACTIVE,
        "old": KeyState.RETIRED,
    }


def test_a_successor_waits_until_its_record_was_there_long_enough() -> None:
    found = replace(PENDING, found_at=NOW)
    assert ripe([found, ACTIVE], NOW + DAY - 1, DAY) == []
    assert ripe([found, ACTIVE], NOW + DAY, DAY) == ["new"]
    assert ripe([PENDING, ACTIVE], NOW + 9 * DAY, DAY) == []


def test_the_first_key_of_a_kind_waits_for_its_record_alone() -> None:
    ed = replace(PENDING, selector="ed", algorithm=ED, found_at=NOW)
    assert ripe([ed, ACTIVE], NOW, DAY) == ["ed"]


def test_of_several_successors_the_newest_takes_over() -> None:
    first = replace(PENDING, found_at=NOW)
    second = replace(first, selector="newer", created_at=NOW + 5)
    assert ripe([second, first], NOW, DAY) == ["newer"]
    assert ripe([first, second], NOW, DAY) == ["newer"]


def test_a_selector_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refusal, match="no key with the selector 'x'"):
        find_key([ACTIVE], "x")
