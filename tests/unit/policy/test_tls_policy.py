from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.delivery import State
from pillarbox.policy.outcome import Stage, from_broken
from pillarbox.policy.tls_policy import (
    MAY,
    Demand,
    TlsaState,
    TlsFacts,
    Wish,
    insisting,
    plan,
    refused,
)
from pillarbox.policy.tlsa import Tlsa

HOST = "mx.example.test"
GOOD = Tlsa(3, 1, 1, bytes(32))
USELESS = Tlsa(0, 0, 1, bytes(32))

NOTHING = TlsFacts(domain="example.test")
SIGNED = replace(NOTHING, mx_secure=True)
DANE = replace(SIGNED, tlsa_state=TlsaState.SECURE, tlsa=(GOOD,), names=(HOST,))
USELESS_DANE = replace(DANE, tlsa=(USELESS,))
BOGUS = replace(SIGNED, tlsa_state=TlsaState.FAILED)
ENFORCE = replace(NOTHING, sts_mode="enforce", sts_lists=True)
UNLISTED = replace(NOTHING, sts_mode="enforce", sts_lists=False)
TESTING = replace(NOTHING, sts_mode="testing", sts_lists=True)
TESTING_UNLISTED = replace(NOTHING, sts_mode="testing", sts_lists=False)
SWITCHED_OFF = replace(NOTHING, sts_mode="none")


def both(dane: TlsFacts, sts: TlsFacts) -> TlsFacts:
    return replace(dane, sts_mode=sts.sts_mode, sts_lists=sts.sts_lists)


# facts, demand, authority asked, records, clear will do, refused
TABLE = {
    "nothing known": (NOTHING, Demand.MAY, False, 0, True, False),
    "a policy that is none": (SWITCHED_OFF, Demand.MAY, False, 0, True, False),
    "signed, without records": (SIGNED, Demand.MAY, False, 0, True, False),
    "DANE": (DANE, Demand.DANE, False, 1, False, False),
    "useless records": (USELESS_DANE, Demand.MUST, False, 0, False, False),
    "bogus": (BOGUS, Demand.DANE, False, 0, False, True),
    "enforce": (ENFORCE, Demand.MTA_STS, True, 0, False, False),
    "enforce, not listed": (UNLISTED, Demand.MTA_STS, False, 0, False, True),
    "testing": (TESTING, Demand.MTA_STS, True, 0, True, False),
    "testing, not listed": (TESTING_UNLISTED, Demand.MAY, False, 0, True, False),
    "DANE beats enforce": (both(DANE, ENFORCE), Demand.DANE, False, 1, False, False),
    "DANE beats not listed": (both(DANE, UNLISTED), Demand.DANE, False, 1, False, False),
    "bogus beats testing": (both(BOGUS, TESTING), Demand.DANE, False, 0, False, True),
    "useless beside enforce": (both(USELESS_DANE, ENFORCE), Demand.MTA_STS, True, 0, False, False),
    "useless beside testing": (both(USELESS_DANE, TESTING), Demand.MUST, False, 0, False, False),
}


@pytest.mark.parametrize("case", TABLE, ids=TABLE.keys())
def test_each_case_has_its_verdict(case: str) -> None:
    facts, demand, verify, records, clear, refuses = TABLE[case]
    verdict = plan(HOST, facts)
    assert verdict.demand is demand
    assert verdict.verify is verify
    assert len(verdict.tlsa) == records
    assert verdict.may_fall_back is clear
    assert bool(verdict.refusal) is refuses
    assert not verdict.final


def test_without_facts_it_is_by_chance() -> None:
    assert plan(HOST) == MAY


# facts, authority asked, records, refused for good
REQUIRED = {
    "nothing known": (NOTHING, False, 0, True),
    "signed": (SIGNED, True, 0, False),
    "DANE": (DANE, False, 1, False),
    "useless records": (USELESS_DANE, True, 0, False),
    "enforce": (ENFORCE, True, 0, False),
    "testing": (TESTING, True, 0, False),
    "testing, not listed": (TESTING_UNLISTED, False, 0, True),
}


@pytest.mark.parametrize("case", REQUIRED, ids=REQUIRED.keys())
def test_a_message_that_requires_tls_goes_to_hosts_that_are_who_they_say(case: str) -> None:
    facts, verify, records, never = REQUIRED[case]
    verdict = plan(HOST, replace(facts, wish=Wish.REQUIRED))
    assert verdict.demand is Demand.REQUIRETLS
    assert (verdict.verify, len(verdict.tlsa), verdict.final) == (verify, records, never)
    assert not verdict.may_fall_back and not verdict.testing
    if never:
        outcome = refused(verdict)
        assert (outcome.state, outcome.status, outcome.next_host) == (State.FAILED, "5.7.30", True)


@pytest.mark.parametrize("facts", [UNLISTED, BOGUS], ids=["not listed", "bogus"])
def test_what_waiting_may_cure_makes_a_message_that_requires_tls_wait(facts: TlsFacts) -> None:
    verdict = plan(HOST, replace(facts, wish=Wish.REQUIRED))
    assert verdict.refusal and not verdict.final


@pytest.mark.parametrize("facts", [DANE, BOGUS, ENFORCE, UNLISTED, TESTING, NOTHING])
def test_a_message_that_does_not_require_tls_goes_by_chance_whatever_a_domain_says(
    facts: TlsFacts,
) -> None:
    assert plan(HOST, replace(facts, wish=Wish.OPTIONAL)) == MAY


def test_a_refusal_defers_and_names_the_policy_that_demanded_it() -> None:
    for facts, words in ((UNLISTED, "MTA-STS policy of example.test"), (BOGUS, "DANE")):
        outcome = refused(plan(HOST, facts))
        assert outcome.state is State.DEFERRED and outcome.next_host
        assert outcome.stage is Stage.STARTTLS
        assert words in outcome.words


def test_a_failure_of_tls_says_who_demanded_it_where_somebody_did() -> None:
    failed = from_broken(Stage.STARTTLS, "the certificate has expired")
    for facts, words in (
        (ENFORCE, "MTA-STS policy"),
        (DANE, "(DANE)"),
        (USELESS_DANE, "TLSA records"),
        (replace(ENFORCE, wish=Wish.REQUIRED), "REQUIRETLS"),
    ):
        told = insisting(failed, plan(HOST, facts)).words
        assert told.startswith(failed.words) and words in told
    for facts in (NOTHING, TESTING):
        assert insisting(failed, plan(HOST, facts)) == failed


def test_sessions_count_under_the_policy_that_holds_where_the_domain_asks_for_it() -> None:
    cases = [(NOTHING, "no-policy-found"), (DANE, "tlsa"), (both(DANE, ENFORCE), "tlsa"),
             (BOGUS, "tlsa"), (ENFORCE, "sts"), (TESTING, "sts")]  # fmt: skip
    for facts, kind in cases:
        assert plan(HOST, facts).reported is None
        reported = plan(HOST, replace(facts, wants_report=True)).reported
        assert reported is not None and (reported.domain, reported.kind) == ("example.test", kind)
    dane = plan(HOST, replace(DANE, wants_report=True)).reported
    assert dane is not None and dane.lines == ("3 1 1 " + "00" * 32,)
