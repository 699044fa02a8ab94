"""a failing server is left alone for growing pauses and tried again by itself"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.breaker import CIRCUIT_WORDS, Breaker, BreakerConfig, Circuit, circuit_key
from pillarbox.policy.server import Server
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


@pytest.mark.parametrize(
    "wrong",
    [{"failures": 0}, {"pause_seconds": 0.0}, {"pause_seconds": 1000.0}, {"factor": 0.9}],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting):
        BreakerConfig(**wrong)  # type: ignore[arg-type]


def test_servers_with_the_same_host_port_and_user_share_a_circuit() -> None:
    def key(host: str, port: int, user: str) -> tuple[str, int, str]:
        return circuit_key(Server(ObjectId(b"s"), ObjectId(b"a"), "n", host, port, username=user))

    assert key("Mail.Example.com", 587, "u") == key("mail.example.com", 587, "u")
    assert key("mail.example.com", 587, "u") != key("mail.example.com", 465, "u")
    assert key("mail.example.com", 587, "u") != key("mail.example.com", 587, "U")


def test_every_circuit_has_a_word() -> None:
    assert set(CIRCUIT_WORDS) == set(Circuit)
