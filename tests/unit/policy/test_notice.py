"""who hears what about a delivery, and who never hears anything"""

from __future__ import annotations

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.envelope import DEFAULT_NOTIFY, Notify
from pillarbox.policy.notice import NoticeKind, format_notify, notice_owed, read_notify

PATH = "shop@example.com"
EVERYTHING = frozenset({Notify.SUCCESS, Notify.FAILURE, Notify.DELAY})


@pytest.mark.parametrize("state", [State.FAILED, State.EXPIRED, State.SUPPRESSED])
def test_by_default_a_failure_is_told(state: State) -> None:
    assert notice_owed(state, DEFAULT_NOTIFY, PATH, None) is NoticeKind.FAILED


@pytest.mark.parametrize("state", State)
def test_a_null_return_path_never_hears_anything(state: State) -> None:
    assert notice_owed(state, EVERYTHING, "", None, late=True) is None


@pytest.mark.parametrize("state", State)
def test_never_means_never(state: State) -> None:
    assert notice_owed(state, {Notify.NEVER}, PATH, None, late=True) is None
    assert notice_owed(state, {Notify.NEVER, Notify.FAILURE}, PATH, None, late=True) is None


@pytest.mark.parametrize("state", State)
def test_a_caller_who_waited_for_the_answer_gets_no_mail_about_it(state: State) -> None:
    assert notice_owed(state, EVERYTHING, PATH, 1_800_000_000_000, late=True) is None


def test_success_is_told_only_if_asked_for_and_by_the_kind_of_next_hop() -> None:
    wish = {Notify.SUCCESS}
    assert notice_owed(State.DELIVERED, wish, PATH, None) is NoticeKind.DELIVERED
    assert notice_owed(State.HANDED_OVER, wish, PATH, None) is NoticeKind.RELAYED
    assert notice_owed(State.HANDED_OVER, wish, PATH, None, passed_on=True) is None
    assert notice_owed(State.DELIVERED, DEFAULT_NOTIFY, PATH, None) is None
    assert notice_owed(State.FAILED, wish, PATH, None) is None


def test_a_delay_is_told_only_if_asked_for_and_only_when_it_is_late() -> None:
    wish = {Notify.DELAY}
    assert notice_owed(State.DEFERRED, wish, PATH, None) is None
    assert notice_owed(State.DEFERRED, wish, PATH, None, late=True) is NoticeKind.DELAYED
    assert notice_owed(State.DEFERRED, DEFAULT_NOTIFY, PATH, None, late=True) is None


@pytest.mark.parametrize(
    "state", [State.QUEUED, State.ACTIVE, State.HELD, State.SANDBOXED, State.CANCELLED]
)
def test_what_is_not_decided_or_was_decided_by_a_person_is_not_told(state: State) -> None:
    assert notice_owed(state, EVERYTHING, PATH, None, late=True) is None


def test_wishes_survive_being_stored() -> None:
    assert format_notify(EVERYTHING) == "SUCCESS,FAILURE,DELAY"
    assert read_notify(format_notify(EVERYTHING)) == EVERYTHING
    assert read_notify(" failure , DELAY,WHATEVER") == {Notify.FAILURE, Notify.DELAY}
    assert read_notify("") == frozenset()
