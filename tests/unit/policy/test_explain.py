"""why a delivery stands where it stands, and what comes next, in words"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.delivery import FINAL, STATE_WORDS, State
from pillarbox.policy.explain import Standing, explain
from pillarbox.policy.routing import BARRED

NOW = 1_800_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DEFERRED = Standing(
    State.DEFERRED,
    attempts=2,
    due_at=NOW + 12 * MINUTE,
    expires_at=NOW + 40 * HOUR,
    category="busy",
    words="asks us to come back later",
    server="ses-eu",
    code=451,
    status="4.3.2",
    text="Try again",
)


def test_a_deferral_says_why_until_when_and_what_follows() -> None:
    told = explain(DEFERRED, NOW)
    assert told.word == "Retrying"
    assert told.why == "ses-eu asks us to come back later. The server said: 451 4.3.2 Try again"
    assert told.what_next == (
        "Attempt 3 follows in 12m (2027-01-15T08:12:00.000Z). "
        "We give up in 1d 16h (2027-01-17T00:00:00.000Z) at the earliest."
    )
    assert told.advice == "Nothing; we try again."
    assert told.text.startswith("Retrying: the last attempt was put off; it will be tried again. ")
    assert told.text.endswith("we try again.")


def test_what_the_server_said_is_not_said_twice() -> None:
    words = "first is busy (451 4.3.2 Try again); second could not be reached."
    told = explain(replace(DEFERRED, server="", words=words), NOW)
    assert told.why == words


@pytest.mark.parametrize(
    ("changes", "ending"),
    [
        ({"expires_at": 0}, "(2027-01-15T08:12:00.000Z)."),
        ({"expires_at": NOW - 1, "attempts": 1}, "We give up after 3 attempts."),
        ({"expires_at": NOW - 1, "attempts": 2}, "It is the last one."),
        ({"expires_at": NOW - 1, "due_at": NOW}, "Attempt 3 follows now. It is the last one."),
    ],
)
def test_giving_up_is_announced_as_it_will_happen(changes: dict[str, int], ending: str) -> None:
    assert explain(replace(DEFERRED, **changes), NOW).what_next.endswith(ending)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("standing", "what_next"),
    [
        (
            Standing(State.SCHEDULED, due_at=NOW + HOUR),
            "It is queued in 1h (2027-01-15T09:00:00.000Z).",
        ),
        (Standing(State.QUEUED), "It is tried as soon as there is room in its lane."),
        (
            Standing(State.QUEUED, due_at=NOW + 1500),
            "It is tried in 2s (2027-01-15T08:00:01.500Z).",
        ),
        (Standing(State.ACTIVE), "The attempt ends within minutes; look again then."),
        (Standing(State.HELD), "Release it to send it, or cancel it."),
        (
            Standing(State.HELD, uncertain=True),
            "Release it to send it again, perhaps a second time, or cancel it.",
        ),
        (
            Standing(State.HANDED_OVER),
            "If that server cannot deliver it, a report is expected by mail.",
        ),
        (Standing(State.FAILED), ""),
    ],
)
def test_each_state_says_what_comes_next(standing: Standing, what_next: str) -> None:
    assert explain(standing, NOW).what_next == what_next


@pytest.mark.parametrize("state", State)
def test_every_state_is_explained_without_any_facts(state: State) -> None:
    told = explain(Standing(state), NOW)
    assert (told.word, told.about) == STATE_WORDS[state]
    assert told.why == ""
    assert told.advice == ""
    assert told.text


@pytest.mark.parametrize("state", State)
def test_a_doubt_about_delivery_is_told_while_it_matters(state: State) -> None:
    told = explain(Standing(state, uncertain=True), NOW)
    assert told.why == ("" if state in FINAL else "It may have been delivered already.")


def test_a_reply_without_words_is_still_shown() -> None:
    told = explain(Standing(State.FAILED, code=550, text="No"), NOW)
    assert told.why == "The server said: 550 No"


def test_our_own_sentence_begins_like_one() -> None:
    standing = Standing(State.DEFERRED, words="the app has no active server", category="no_route")
    told = explain(standing, NOW)
    assert told.why == "The app has no active server."
    assert told.advice == "Add a server to the app, or enable one."


def test_a_way_that_is_disabled_wants_somebody_to_act() -> None:
    standing = Standing(State.DEFERRED, category="paused", words=BARRED, server="good")
    assert explain(standing, NOW).advice.startswith("Enable it")


def test_what_a_person_cancelled_needs_no_advice() -> None:
    assert explain(Standing(State.CANCELLED, category="busy"), NOW).advice == ""
    assert explain(Standing(State.DEFERRED, category="unheard_of"), NOW).advice == ""
