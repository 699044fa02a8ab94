from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.net.budget import STEP_BYTES, ContentBudget, ContentShare


def test_a_session_gets_memory_in_steps_and_asks_seldom():
    budget = ContentBudget(10 * STEP_BYTES)
    reserved = budget.reserve(1, 0)
    assert reserved == STEP_BYTES
    assert budget.reserve(STEP_BYTES, reserved) == STEP_BYTES
    assert budget.reserve(STEP_BYTES + 1, reserved) == 2 * STEP_BYTES


def test_who_asks_for_more_than_is_left_gets_nothing_and_keeps_what_it_has():
    budget = ContentBudget(3 * STEP_BYTES)
    first = budget.reserve(2 * STEP_BYTES, 0)
    second = budget.reserve(1, 0)
    assert (first, second) == (2 * STEP_BYTES, STEP_BYTES)
    assert budget.reserve(STEP_BYTES + 1, STEP_BYTES) is None
    assert budget.reserved_bytes == 3 * STEP_BYTES
    budget.release(2 * STEP_BYTES)
    assert budget.reserve(STEP_BYTES + 1, STEP_BYTES) == 2 * STEP_BYTES


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 300_000))))
def test_what_is_reserved_is_the_sum_of_what_sessions_have_and_never_too_much(asked):
    budget = ContentBudget(8 * STEP_BYTES)
    has = [0] * 5
    for session, held in asked:
        if held % 7 == 0:
            budget.release(has[session])
            has[session] = 0
        else:
            has[session] = budget.reserve(held, has[session]) or has[session]
        assert budget.reserved_bytes == sum(has) <= 8 * STEP_BYTES


def test_a_share_counts_what_is_collected_beside_the_block_the_handler_keeps():
    budget = ContentBudget(100 * STEP_BYTES)
    share = ContentShare(budget)
    assert share.keep(STEP_BYTES)
    assert share.hand_over(4 * STEP_BYTES)
    assert share.keep(STEP_BYTES)
    assert budget.reserved_bytes == 5 * STEP_BYTES
    assert share.hand_over(4 * STEP_BYTES)
    assert budget.reserved_bytes == 8 * STEP_BYTES
    share.release()
    share.release()
    assert budget.reserved_bytes == 0


def test_a_share_that_gets_no_more_keeps_what_it_has_until_it_is_released():
    budget = ContentBudget(2 * STEP_BYTES)
    share = ContentShare(budget)
    assert share.hand_over(2 * STEP_BYTES)
    assert not share.keep(1)
    assert budget.reserved_bytes == 2 * STEP_BYTES
