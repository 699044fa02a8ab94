"""one recipient's life: every pair of state and trigger is either listed or refused"""

from __future__ import annotations

from itertools import product

import pytest

from pillarbox.policy.delivery import (
    BIRTH,
    FINAL,
    STATE_WORDS,
    TAKEN,
    TRANSITIONS,
    WAITING,
    State,
    Trigger,
    may,
    transition,
)
from pillarbox.policy.errors import WrongState

# The life cycle as the design has it, written down a second time and in another order, so that a
# slip in the table shows.
LISTED = """
scheduled due -> queued
scheduled, queued, held, deferred too_old -> expired
queued, deferred suppressed -> suppressed
active put_back, lease_expired -> queued
active lease_expired_hold, lost_after_dot_hold -> held
queued, deferred claimed -> active
active taken_by_server -> handed_over
active taken_by_mx -> delivered
active later, lost_after_dot -> deferred
active never -> failed
queued, deferred hold -> held
queued, deferred, held, scheduled cancel -> cancelled
held release -> queued
scheduled, queued retry -> queued
deferred retry -> deferred
scheduled move -> scheduled
queued move -> queued
deferred move -> deferred
held move -> held
scheduled, queued, active, deferred, held caller_told -> failed
failed late_failure -> failed
expired late_failure -> expired
bounced late_failure -> bounced
handed_over, delivered late_failure -> bounced
handed_over late_success, complaint -> handed_over
delivered complaint -> delivered
"""


def listed() -> dict[tuple[State, Trigger], State]:
    table = {}
    for line in LISTED.strip().splitlines():
        left, _, to = line.partition(" -> ")
        words = left.replace(", ", ",").split(" ")
        states, triggers = words[0].split(","), words[1].split(",")
        for state, trigger in product(states, triggers):
            table[State(state), Trigger(trigger)] = State(to)
    return table


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("trigger", Trigger)
def test_every_pair_is_either_listed_or_refused(state: State, trigger: Trigger) -> None:
    to = listed().get((state, trigger))
    assert may(state, trigger) is (to is not None)
    if to is not None:
        assert transition(state, trigger) is to
    else:
        with pytest.raises(WrongState):
            transition(state, trigger)


def test_a_final_state_is_left_only_by_a_late_report() -> None:
    moved = {
        (state, to) for (state, _), to in TRANSITIONS.items() if state in FINAL and to != state
    }
    assert moved == {(State.HANDED_OVER, State.BOUNCED), (State.DELIVERED, State.BOUNCED)}


def test_waiting_and_final_divide_the_states() -> None:
    assert set(State) == WAITING | FINAL
    assert not WAITING & FINAL
    assert TAKEN < FINAL
    assert State.ACTIVE not in BIRTH


def test_from_every_waiting_state_an_end_can_be_reached() -> None:
    for start in WAITING:
        seen, front = {start}, {start}
        while front:
            front = {to for (state, _), to in TRANSITIONS.items() if state in front} - seen
            seen |= front
        assert seen & FINAL


def test_what_is_being_sent_cannot_be_cancelled_and_is_told_so() -> None:
    with pytest.raises(WrongState, match="Cannot cancel this delivery: it is being sent now"):
        transition(State.ACTIVE, Trigger.CANCEL)


def test_a_step_that_is_refused_names_the_state_in_the_words_people_see() -> None:
    with pytest.raises(WrongState, match="Cannot release this delivery in the state Retrying"):
        transition(State.DEFERRED, Trigger.RELEASE)
    with pytest.raises(WrongState, match="Cannot take the step 'due' in the state Failed"):
        transition(State.FAILED, Trigger.DUE)


def test_a_refused_step_is_a_conflict_over_http() -> None:
    with pytest.raises(WrongState) as caught:
        transition(State.CANCELLED, Trigger.RELEASE)
    assert caught.value.http_status == 409


def test_every_state_has_a_word_of_its_own_and_a_sentence() -> None:
    words = [STATE_WORDS[state].word for state in State]
    assert len(set(words)) == len(State)
    assert all(STATE_WORDS[state].about.endswith(".") for state in State)
    assert STATE_WORDS[State.ACTIVE].word == "Sending"
    assert STATE_WORDS[State.DEFERRED].word == "Retrying"
    assert STATE_WORDS[State.SANDBOXED].word == "Kept"
