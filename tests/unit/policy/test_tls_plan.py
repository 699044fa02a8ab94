from __future__ import annotations

import pytest

from pillarbox.policy.tls_plan import Demand, TlsPlan


def test_by_chance_means_tls_first_and_clear_after_a_failed_handshake() -> None:
    may = TlsPlan(Demand.MAY, may_fall_back=True)
    assert may.tries_tls and may.otherwise is not None
    clear = may.otherwise
    assert clear.demand is Demand.NONE and not clear.tries_tls
    assert clear.otherwise is None


def test_a_policy_in_testing_gives_up_verification_before_encryption() -> None:
    testing = TlsPlan(Demand.MTA_STS, verify=True, may_fall_back=True, testing=True)
    unverified = testing.otherwise
    assert unverified is not None and unverified.demand is Demand.MAY and not unverified.verify
    assert unverified.otherwise is not None and unverified.otherwise.demand is Demand.NONE


def test_a_host_that_only_testing_tolerates_falls_back_to_clear_at_once() -> None:
    unlisted = TlsPlan(Demand.MAY, may_fall_back=True, testing=True)
    assert unlisted.otherwise is not None and unlisted.otherwise.demand is Demand.NONE


@pytest.mark.parametrize("demand", [d for d in Demand if d not in (Demand.NONE, Demand.MAY)])
def test_what_is_demanded_is_had_or_nothing(demand: Demand) -> None:
    assert TlsPlan(demand).otherwise is None


def test_a_refused_host_is_not_asked_otherwise_either() -> None:
    assert TlsPlan(Demand.MAY, may_fall_back=True, refusal="no").otherwise is None


@pytest.mark.parametrize("demand", list(Demand))
def test_every_demand_has_words(demand: Demand) -> None:
    assert TlsPlan(demand).words
    assert "testing" in TlsPlan(demand, testing=True).words
    assert TlsPlan(demand, refusal="it is not listed").words == "it is not listed"
