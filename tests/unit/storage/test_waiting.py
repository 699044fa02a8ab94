"""what one commit takes: settlements first, and beside them little content"""

from __future__ import annotations

import pytest

from pillarbox.storage.engine import Change, Member
from pillarbox.storage.settlement import MarkMember
from pillarbox.storage.waiting import Waiting

KILOBYTE = 1024


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def fill(waiting: Waiting, *, settling: int, content: list[int]) -> None:
    for number in range(settling):
        waiting.add(MarkMember(number, 1, [number], verify=False))
    for size in content:
        waiting.add(Change([], size))


def drawn(waiting: Waiting) -> tuple[int, int]:
    """Settlements and others of the next group."""
    group: list[Member] = waiting.draw()
    settling = sum(member.settles for member in group)
    assert all(member.settles for member in group[:settling]), "settlements go first"
    return settling, len(group) - settling


def test_small_mail_gets_half_of_a_group_beside_settlements(waiting: Waiting) -> None:
    fill(waiting, settling=20, content=[KILOBYTE] * 200)
    assert drawn(waiting) == (20, 20)
    assert drawn(waiting) == (0, 180)


def test_large_mail_gets_little_beside_settlements(waiting: Waiting) -> None:
    fill(waiting, settling=20, content=[100 * KILOBYTE] * 50)
    assert drawn(waiting) == (20, 3)


def test_even_the_largest_message_gets_its_turn(waiting: Waiting) -> None:
    fill(waiting, settling=20, content=[5000 * KILOBYTE] * 3)
    assert drawn(waiting) == (20, 1)
    assert drawn(waiting) == (0, 1)
    assert drawn(waiting) == (0, 1)


def test_a_group_takes_no_more_content_than_others_can_wait_for(waiting: Waiting) -> None:
    fill(waiting, settling=0, content=[100 * KILOBYTE] * 50)
    assert drawn(waiting) == (0, 11)


def test_blocks_of_long_content_count_as_content(waiting: Waiting) -> None:
    fill(waiting, settling=4, content=[256 * KILOBYTE] * 20)
    assert drawn(waiting) == (4, 1)
    assert drawn(waiting) == (0, 4)
