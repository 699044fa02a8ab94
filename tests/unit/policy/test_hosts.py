"""the walk along the servers: who is settled where, who goes on, what is left at the end"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pillarbox.policy.delivery import State
from pillarbox.policy.hosts import HostWalk, describe
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import (
    Blame,
    Outcome,
    from_broken,
    from_recipients,
    from_reply,
    from_unsuitable,
)
from pillarbox.policy.server import Server
from pillarbox.protocol.reply import Reply
from pillarbox.terms.ids import ObjectId


def server(name: str) -> Server:
    return Server(ObjectId(name.encode().ljust(12)), ObjectId(b"app"), name, f"{name}.example.com")


FIRST, SECOND, THIRD = server("first"), server("second"), server("third")
OK = from_reply(Stage.VERDICT, Reply.of(250, "2.0.0", "Ok"))
REFUSED = from_broken(Stage.CONNECT, "connection refused")
UNKNOWN = from_reply(Stage.RCPT, Reply.of(550, "5.1.1", "User unknown"))
LOST = from_broken(Stage.VERDICT, "reset")
PEOPLE = ("ann@example.com", "bob@example.com", "cat@example.com")


def walked(
    servers: Sequence[Server],
    answers: dict[str, Outcome],
    people: Sequence[str] = PEOPLE,
) -> tuple[HostWalk[str], list[str]]:
    """A walk in which each server answers everybody alike."""
    walk = HostWalk(servers, people)
    visited = []
    while (current := walk.next_host()) is not None:
        visited.append(current.name)
        walk.record(current, answers[current.name])
    return walk, visited


# Everything a first server can do wrong while the recipients are not to blame.
FAULTS: dict[str, Outcome] = {
    "tcp refused": REFUSED,
    "banner 554": from_reply(Stage.BANNER, Reply.of(554, None, "No SMTP service here")),
    "stall before the banner": from_broken(Stage.BANNER, "timed out"),
    "stall at ehlo": from_broken(Stage.EHLO, "timed out"),
    "stall at starttls": from_broken(Stage.STARTTLS, "timed out"),
    "stall at auth": from_broken(Stage.AUTH, "timed out"),
    "stall at mail": from_broken(Stage.MAIL, "timed out"),
    "stall at rcpt": from_broken(Stage.RCPT, "timed out"),
    "stall at data": from_broken(Stage.DATA, "timed out"),
    "421 at mail": from_reply(Stage.MAIL, Reply.of(421, "4.3.2", "Closing")),
    "4xx at mail": from_reply(Stage.MAIL, Reply.of(451, "4.7.1", "Later")),
    "535 at auth": from_reply(Stage.AUTH, Reply.of(535, "5.7.8", "Bad credentials")),
    "530 at mail": from_reply(Stage.MAIL, Reply.of(530, "5.7.0", "Authentication required")),
    "451 at the verdict": from_reply(Stage.VERDICT, Reply.of(451, "4.3.0", "Try again")),
}


def test_a_walk_goes_on_as_long_as_there_are_servers_behind_the_one_to_try() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE)
    goes_on = []
    while (current := walk.next_host()) is not None:
        goes_on.append(walk.goes_on)
        walk.record(current, REFUSED)
    assert goes_on == [True, False]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_first_server_lets_the_second_take_it(fault: str) -> None:
    walk, visited = walked([FIRST, SECOND], {"first": FAULTS[fault], "second": OK})
    assert visited == ["first", "second"]
    for ending in walk.endings().values():
        assert ending.outcome.state is State.HANDED_OVER
        assert ending.server is SECOND
        assert ending.tried == 2


def test_relay_denied_to_everybody_lets_the_second_server_take_it() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE)
    current = walk.next_host()
    assert current is FIRST
    denied = Reply.of(554, "5.7.1", "Relay access denied")
    for person, outcome in zip(PEOPLE, from_recipients([denied] * 3), strict=True):
        assert outcome is not None
        walk.record(FIRST, outcome, [person])
    assert walk.open == PEOPLE
    assert walk.next_host() is SECOND
    walk.record(SECOND, OK)
    assert walk.next_host() is None
    assert {ending.outcome.state for ending in walk.endings().values()} == {State.HANDED_OVER}


def test_one_refused_recipient_fails_alone_and_asks_no_other_server() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE)
    walk.next_host()
    walk.record(FIRST, UNKNOWN, ["bob@example.com"])
    walk.record(FIRST, OK, ["ann@example.com", "cat@example.com"])
    assert walk.open == ()
    assert walk.next_host() is None
    states = [ending.outcome.state for ending in walk.endings().values()]
    assert states == [State.HANDED_OVER, State.FAILED, State.HANDED_OVER]


def test_a_line_lost_after_the_dot_is_never_tried_on_another_server() -> None:
    walk, visited = walked([FIRST, SECOND], {"first": LOST, "second": OK})
    assert visited == ["first"]
    for ending in walk.endings().values():
        assert ending.outcome.state is State.DEFERRED
        assert ending.outcome.maybe_delivered


def test_a_doubt_about_delivery_stops_the_walk_whatever_else_an_outcome_says() -> None:
    doubtful = replace(REFUSED, maybe_delivered=True)
    assert doubtful.next_host
    _, visited = walked([FIRST, SECOND], {"first": doubtful, "second": OK})
    assert visited == ["first"]


def test_a_fault_of_every_server_defers_and_names_each_of_them() -> None:
    banner = FAULTS["banner 554"]
    walk, visited = walked(
        [FIRST, SECOND, THIRD],
        {"first": REFUSED, "second": FAULTS["535 at auth"], "third": banner},
    )
    assert visited == ["first", "second", "third"]
    ending = walk.endings()["ann@example.com"]
    assert ending.outcome.state is State.DEFERRED
    assert not ending.outcome.next_host
    assert ending.tried == 3
    for words in (
        "first could not be reached: connection refused",
        "second did not accept our user name and password (535 5.7.8 Bad credentials)",
        "third does not accept mail from our address (554 4.7.0 No SMTP service here)",
    ):
        assert words in ending.outcome.words
    # A reply says more than a line that is dead.
    assert ending.server is SECOND
    assert ending.outcome.category == Category.LOGIN_REFUSED


def test_a_recipients_own_deferral_is_told_before_a_servers_trouble() -> None:
    grey = from_reply(Stage.RCPT, Reply.of(450, "4.2.0", "Greylisted"))
    walk, _ = walked([FIRST, SECOND], {"first": grey, "second": REFUSED})
    ending = walk.endings()["ann@example.com"]
    assert ending.outcome.category == Category.GREYLISTED
    assert ending.server is FIRST


def test_it_fails_only_where_every_server_said_no_for_good() -> None:
    sender = from_reply(Stage.MAIL, Reply.of(550, "5.1.8", "No such domain"), failover=True)
    both, _ = walked([FIRST, SECOND], {"first": sender, "second": sender})
    assert both.endings()["ann@example.com"].outcome.state is State.FAILED
    doubt, _ = walked([FIRST, SECOND], {"first": sender, "second": REFUSED})
    assert doubt.endings()["ann@example.com"].outcome.state is State.DEFERRED
    unsuitable, _ = walked([FIRST], {"first": from_unsuitable("no SMTPUTF8")})
    assert unsuitable.endings()["ann@example.com"].outcome.state is State.FAILED


def test_no_server_at_all_is_a_deferral_with_a_reason() -> None:
    walk, visited = walked([], {})
    ending = walk.endings()["ann@example.com"]
    assert visited == []
    assert (ending.outcome.state, ending.outcome.blame) == (State.DEFERRED, Blame.US)
    assert ending.outcome.category == Category.NO_ROUTE
    assert ending.outcome.status == "4.4.4"
    assert (ending.server, ending.tried) == (None, 0)


def test_a_paused_server_is_named_though_it_was_not_asked() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE[:1])
    for current in iter(walk.next_host, None):
        walk.pass_by(current, "is paused until noon" if current is FIRST else "")
    ending = walk.endings()["ann@example.com"]
    assert ending.outcome.state is State.DEFERRED
    assert ending.outcome.category == Category.PAUSED
    assert "first is paused until noon; second is left alone" in ending.outcome.words
    assert (ending.server, ending.tried) == (None, 0)


def test_a_paused_server_that_might_take_it_turns_a_no_into_a_wait() -> None:
    sender = from_reply(Stage.MAIL, Reply.of(550, "5.1.8", "No such domain"), failover=True)
    walk = HostWalk([FIRST, SECOND], PEOPLE[:1])
    walk.pass_by(FIRST)
    walk.next_host()
    walk.next_host()
    walk.record(SECOND, sender)
    ending = walk.endings()["ann@example.com"]
    assert ending.outcome.state is State.DEFERRED
    assert (ending.server, ending.tried) == (None, 1)


def test_a_server_asked_is_told_before_one_left_out() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE[:1])
    walk.next_host()
    walk.pass_by(FIRST)
    walk.next_host()
    walk.record(SECOND, REFUSED)
    ending = walk.endings()["ann@example.com"]
    assert ending.server is SECOND
    assert ending.outcome.words.startswith("first is left alone")


# --- too many recipients at once ------------------------------------------------------------------

TOO_MANY = from_reply(Stage.RCPT, Reply.of(452, "4.5.3", "Too many recipients"))


def test_the_rest_of_too_many_recipients_goes_to_the_same_server_again() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE)
    visited = []
    while (current := walk.next_host()) is not None:
        visited.append(current.name)
        taken, *rest = walk.open
        walk.record(current, TOO_MANY, rest)
        walk.record(current, OK, [taken])
    assert visited == ["first", "first", "first"]
    assert {ending.tried for ending in walk.endings().values()} == {1}


def test_a_server_that_takes_nobody_is_not_asked_again() -> None:
    walk, visited = walked([FIRST, SECOND], {"first": TOO_MANY, "second": TOO_MANY})
    assert visited == ["first", "second"]
    outcome = walk.endings()["ann@example.com"].outcome
    assert (outcome.state, outcome.same_host) == (State.DEFERRED, False)


def test_too_many_followed_by_a_failed_verdict_goes_to_the_next_server() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE)
    walk.next_host()
    walk.record(FIRST, TOO_MANY, PEOPLE[1:])
    walk.record(FIRST, FAULTS["451 at the verdict"], PEOPLE[:1])
    assert walk.next_host() is SECOND
    assert walk.open == PEOPLE


# --- keeping count ----------------------------------------------------------------------------------


def test_who_is_settled_stays_settled() -> None:
    walk = HostWalk([FIRST, SECOND], PEOPLE[:1])
    walk.next_host()
    walk.record(FIRST, OK, PEOPLE[:1])
    walk.record(FIRST, LOST, PEOPLE[:1])
    assert walk.endings()["ann@example.com"].outcome is OK


def test_recipients_may_be_named_while_walking() -> None:
    walk: HostWalk[int] = HostWalk([FIRST, SECOND])
    assert walk.next_host() is FIRST
    walk.record(FIRST, REFUSED, [7])
    assert walk.open == (7,)
    assert walk.next_host() is SECOND
    walk.record(SECOND, OK, [7])
    assert walk.next_host() is None
    assert walk.endings()[7].server is SECOND


def test_asking_on_after_the_end_gives_nothing() -> None:
    walk, _ = walked([FIRST], {"first": REFUSED})
    assert walk.next_host() is None
    assert walk.next_host() is None


def test_a_description_is_short_and_harmless() -> None:
    outcome = from_reply(Stage.BANNER, Reply.of(554, None, "no\x1b[2J" + "x" * 4000))
    words = describe(server(""), outcome)
    assert words.startswith(".example.com does not accept mail")
    assert words.isprintable()
    assert len(words) < 250


def test_words_about_many_servers_stay_short() -> None:
    many = [server(f"s{n}") for n in range(100)]
    walk, _ = walked(many, {each.name: REFUSED for each in many})
    assert len(walk.endings()["ann@example.com"].outcome.words) < 650


OUTCOMES: list[Callable[[], Outcome]] = [
    lambda: OK,
    lambda: UNKNOWN,
    lambda: LOST,
    lambda: REFUSED,
    lambda: TOO_MANY,
    lambda: from_unsuitable("x"),
]


@given(st.lists(st.lists(st.sampled_from(OUTCOMES), min_size=3, max_size=3), max_size=12))
def test_every_walk_ends_and_settles_everybody_exactly_once(
    script: list[list[Callable[[], Outcome]]],
) -> None:
    walk = HostWalk([FIRST, SECOND, THIRD], PEOPLE)
    answers = iter(script)
    rounds = 0
    takes = dict.fromkeys(PEOPLE, 0)
    while (current := walk.next_host()) is not None:
        rounds += 1
        given_now = next(answers, [lambda: REFUSED] * 3)
        open_now = walk.open
        for person, make in zip(PEOPLE, given_now, strict=True):
            if person in open_now:
                outcome = make()
                takes[person] += outcome.taken or outcome.maybe_delivered
                walk.record(current, outcome, [person])
    assert rounds <= 3 + len(PEOPLE)
    endings = walk.endings()
    assert list(endings) == list(PEOPLE)
    for person, ending in endings.items():
        # Nobody is offered to another server after one that took it or may have.
        assert takes[person] <= 1
        assert ending.outcome.taken == (takes[person] == 1 and not ending.outcome.maybe_delivered)
