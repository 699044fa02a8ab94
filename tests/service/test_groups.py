"""what one commit takes: settlements first, and beside them little content"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.storage.engine import Change, Member
from pillarbox.storage.settlement import MarkMember
from pillarbox.storage.sqlite import SqliteEngine

KILOBYTE = 1024


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[SqliteEngine]:
    made = SqliteEngine(tmp_path / "test.db", lambda _: None, lambda *_: None)
    yield made
    made._writer.close()


def fill(engine: SqliteEngine, *, settling: int, content: list[int]) -> None:
    for number in range(settling):
        engine._sort(MarkMember(number, 1, [number], verify=False))
    for size in content:
        engine._sort(Change([], size))


def drawn(engine: SqliteEngine) -> tuple[int, int]:
    """Settlements and others of the next group."""
    group: list[Member] = engine._draw()
    settling = sum(member.settles for member in group)
    assert all(member.settles for member in group[:settling]), "settlements go first"
    return settling, len(group) - settling


async def test_small_mail_gets_half_of_a_group_beside_settlements(engine: SqliteEngine) -> None:
    fill(engine, settling=20, content=[KILOBYTE] * 200)
    assert drawn(engine) == (20, 20)
    assert drawn(engine) == (0, 180)


async def test_large_mail_gets_little_beside_settlements(engine: SqliteEngine) -> None:
    fill(engine, settling=20, content=[100 * KILOBYTE] * 50)
    assert drawn(engine) == (20, 3)


async def test_even_the_largest_message_gets_its_turn(engine: SqliteEngine) -> None:
    fill(engine, settling=20, content=[5000 * KILOBYTE] * 3)
    assert drawn(engine) == (20, 1)
    assert drawn(engine) == (0, 1)
    assert drawn(engine) == (0, 1)


async def test_a_group_takes_no_more_content_than_others_can_wait_for(engine: SqliteEngine) -> None:
    fill(engine, settling=0, content=[100 * KILOBYTE] * 50)
    assert drawn(engine) == (0, 11)


async def test_blocks_of_long_content_count_as_content(engine: SqliteEngine) -> None:
    fill(engine, settling=4, content=[256 * KILOBYTE] * 20)
    assert drawn(engine) == (4, 1)
    assert drawn(engine) == (0, 4)
