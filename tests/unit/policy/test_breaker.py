"""a failing server is left alone for growing pauses and tried again by itself"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.breaker import (
    CIRCUIT_WORDS,
    Breaker,
    BreakerConfig,
    Circuit,
    circuit_key,
    shared_name,
)
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.setting import InvalidSetting

S = 1000  # milliseconds


def opened(now_ms: int = 0) -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        breaker.failed(now_ms)
    return breaker


def test_a_few_failures_do_not_pause_a_server() -> None:
    breaker = Breaker()
    assert not breaker.failed(0)
    assert not breaker.failed(0)
    assert breaker.circuit is Circuit.CLOSED
    assert breaker.may_use(0)
    assert not breaker.paused(0)


def test_failures_in_a_row_pause_it_and_the_pause_is_told_once() -> None:
    breaker = Breaker()
    assert [breaker.failed(0) for _ in range(5)] == [False, False, True, False, False]
    assert breaker.circuit is Circuit.OPEN
    assert breaker.errors == 5
    assert breaker.until_at == 30 * S
    assert not breaker.may_use(29_999)


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker()
    breaker.failed(0)
    breaker.failed(0)
    assert not breaker.succeeded()
    assert breaker.errors == 0
    assert not breaker.failed(0)


def test_a_refused_login_pauses_at_once() -> None:
    breaker = Breaker()
    assert breaker.failed(0, at_once=True)
    assert not breaker.may_use(1)


def test_after_the_pause_one_attempt_finds_out() -> None:
    breaker = opened()
    assert breaker.may_use(30 * S)
    assert breaker.circuit is Circuit.TRIAL
    assert not breaker.may_use(31 * S)
    assert breaker.succeeded()
    assert breaker.circuit is Circuit.CLOSED
    assert breaker.until_at == 0
    assert breaker.may_use(31 * S)


def test_each_failed_trial_makes_the_pause_longer_up_to_a_ceiling() -> None:
    breaker = opened()
    now, pauses = breaker.until_at, []
    for _ in range(8):
        assert breaker.may_use(now)
        assert breaker.failed(now)
        pauses.append((breaker.until_at - now) // S)
        now = breaker.until_at
    assert pauses == [60, 120, 240, 480, 900, 900, 900, 900]


def test_a_recovered_server_begins_with_a_short_pause_again() -> None:
    breaker = opened()
    assert breaker.may_use(30 * S)
    breaker.failed(30 * S)
    breaker.succeeded()
    for _ in range(3):
        breaker.failed(100 * S)
    assert breaker.until_at == 130 * S


def test_a_trial_nobody_reported_on_does_not_block_the_server_for_good() -> None:
    breaker = opened()
    assert breaker.may_use(30 * S)
    assert not breaker.may_use(59 * S)
    assert breaker.may_use(60 * S)


def test_a_late_success_of_an_attempt_under_way_ends_the_pause() -> None:
    breaker = opened()
    assert breaker.succeeded()
    assert breaker.may_use(1)


@given(st.integers(-(10**13), 10**13))
def test_a_clock_that_jumps_makes_no_pause_longer_than_it_was(jump_ms: int) -> None:
    breaker = opened(0)
    breaker.paused(jump_ms)
    assert breaker.until_at - jump_ms <= 30 * S
    assert breaker.may_use(jump_ms + 30 * S)


def test_a_pause_that_others_began_holds_here_as_well_and_grows_from_there() -> None:
    breaker = Breaker()
    assert breaker.adopt(5, 3, 100 * S, 0)
    assert (breaker.circuit, breaker.errors, breaker.until_at) == (Circuit.OPEN, 5, 100 * S)
    assert breaker.pause_ms == 120 * S
    assert not breaker.adopt(5, 3, 100 * S, 0), "it is known"
    assert not breaker.adopt(6, 4, 200 * S, 0), "it goes on, and did not begin here"
    assert breaker.until_at == 200 * S
    assert breaker.may_use(200 * S)
    assert breaker.failed(200 * S)
    assert breaker.pause_ms == 480 * S


def test_failures_elsewhere_are_counted_without_a_pause() -> None:
    breaker = Breaker()
    assert not breaker.adopt(2, 0, 0, 0)
    assert (breaker.circuit, breaker.errors) == (Circuit.CLOSED, 2)
    assert breaker.failed(0), "the third in a row"


def test_what_is_heard_late_of_the_pause_before_a_trial_does_not_end_the_trial() -> None:
    breaker = opened()
    assert breaker.may_use(30 * S)
    assert not breaker.adopt(3, 1, 30 * S, 31 * S)
    assert breaker.circuit is Circuit.TRIAL
    assert not breaker.adopt(4, 2, 90 * S, 31 * S)
    assert breaker.circuit is Circuit.OPEN, "somebody else tried as well, and failed"


def test_no_pause_that_is_heard_of_is_longer_than_the_longest() -> None:
    breaker = Breaker()
    breaker.adopt(9, 60, 10**15, 0)
    assert breaker.until_at == breaker.pause_ms == 900 * S


def test_a_trial_that_somebody_else_makes_is_waited_for() -> None:
    breaker = opened()
    assert breaker.may_use(30 * S)
    breaker.put_off(34 * S)
    assert not breaker.may_use(33 * S)
    assert breaker.may_use(34 * S)


def test_it_is_known_whether_a_server_has_taken_something_since_it_was_paused() -> None:
    breaker = Breaker()
    assert not breaker.worked
    breaker.succeeded()
    assert breaker.worked
    breaker.failed(0, at_once=True)
    assert not breaker.worked


@pytest.mark.parametrize(
    "wrong",
    [{"failures": 0}, {"pause_seconds": 0.0}, {"pause_seconds": 1000.0}, {"factor": 0.9}],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting):
        BreakerConfig(**wrong)  # type: ignore[arg-type]


def test_servers_with_the_same_host_port_and_user_share_a_circuit() -> None:
    def key(host: str, port: int, user: str) -> tuple[ObjectId, str, int, str]:
        return circuit_key(Server(ObjectId(b"s"), ObjectId(b"a"), "n", host, port, username=user))

    assert key("Mail.Example.com", 587, "u") == key("mail.example.com", 587, "u")
    assert key("mail.example.com", 587, "u") != key("mail.example.com", 465, "u")
    assert key("mail.example.com", 587, "u") != key("mail.example.com", 587, "U")


def test_servers_of_different_accounts_share_nothing() -> None:
    one = Server(ObjectId(b"1"), ObjectId(b"a"), "n", "smtp.b.test", account=ObjectId(b"x"))
    other = replace(one, account=ObjectId(b"y"))
    assert circuit_key(one) != circuit_key(other)
    assert shared_name(one) != shared_name(other)


def test_a_direct_way_shares_with_none_whatever_host_it_leads_to() -> None:
    one = Server(ObjectId(b"1" * 12), ObjectId(b"a"), "direct", "", 25, kind=Kind.DIRECT)
    host = replace(one, host="mx.example.org", port=26)
    other = replace(one, id=ObjectId(b"2" * 12))
    assert circuit_key(one) == circuit_key(host) != circuit_key(other)
    assert shared_name(one) == shared_name(host) != shared_name(other)


def test_every_circuit_has_a_word() -> None:
    assert set(CIRCUIT_WORDS) == set(Circuit)


def test_the_name_that_nodes_share_is_as_long_for_every_server() -> None:
    server = Server(ObjectId(b"1"), ObjectId(b"2"), "a", "SMTP.b.test", 25, username="u" * 5000)
    assert len(shared_name(server)) == 16
    assert shared_name(server) == shared_name(replace(server, host="smtp.B.test", name="other"))
    assert shared_name(server) != shared_name(replace(server, port=26))
