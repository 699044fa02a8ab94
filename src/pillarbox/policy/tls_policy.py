"""none, may, must, DANE, MTA-STS: one verdict per host

DANE goes before MTA-STS where a host has both (RFC 8461 §2), and what the author says of a message
goes before either (RFC 8689).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from msgspec.structs import replace as changed

from pillarbox.policy.meaning import Stage
from pillarbox.policy.outcome import Outcome, from_broken, from_unsuitable
from pillarbox.policy.tls_plan import Demand, ReportedPolicy, TlsPlan
from pillarbox.policy.tlsa import Tlsa, usable_records

__all__ = [
    "MAY",
    "NONE",
    "Demand",
    "TlsFacts",
    "TlsPlan",
    "Tlsa",
    "TlsaState",
    "Wish",
    "insisting",
    "plan",
    "refused",
]

NONE: Final = TlsPlan(Demand.NONE, may_fall_back=True)
MAY: Final = TlsPlan(Demand.MAY, may_fall_back=True)

ENFORCE: Final = "enforce"
TESTING: Final = "testing"


class Wish(StrEnum):
    """What the author of a message wants of TLS (RFC 8689)."""

    NOTHING = ""
    REQUIRED = "required"
    """REQUIRETLS: by TLS with a verified server all the way, or not at all."""
    OPTIONAL = "optional"
    """``TLS-Required: No``: rather in clear than late."""


class TlsaState(StrEnum):
    """What asking for the TLSA records of a host came to."""

    ABSENT = "absent"
    """There are none, or the zone is not signed, or our resolver does not validate."""
    SECURE = "secure"
    FAILED = "failed"
    """The answer does not hold, or none came although the zone of the host is signed."""


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What is known when the plan for a host is made."""

    domain: str = ""
    """The recipients', for sentences and reports."""
    wish: Wish = Wish.NOTHING
    tlsa_state: TlsaState = TlsaState.ABSENT
    tlsa: Sequence[Tlsa] = ()
    names: tuple[str, ...] = ()
    """See `TlsPlan.names`."""
    mx_secure: bool = False
    """Whether the name of the host was found by DNSSEC."""
    sts_mode: str = ""
    """``enforce``, ``testing``, or anything else where no policy holds."""
    sts_lists: bool = False
    """Whether the MTA-STS policy of the domain lists the host."""
    sts_lines: tuple[str, ...] = ()
    sts_mx: tuple[str, ...] = ()
    wants_report: bool = False
    """Whether the domain asks for reports (RFC 8460 §3)."""


def plan(host: str, facts: TlsFacts | None = None) -> TlsPlan:
    """The verdict on an MX host."""
    if facts is None:
        return MAY
    verdict = _verdict(host, facts)
    if not facts.wants_report:
        return verdict
    return replace(verdict, reported=_reported(facts))


def refused(verdict: TlsPlan) -> Outcome:
    """What the refusal of a plan means for every recipient; the next host may be asked."""
    if verdict.final:
        return from_unsuitable(verdict.refusal, detail="7.30")
    return from_broken(Stage.STARTTLS, verdict.refusal)


def insisting(outcome: Outcome, verdict: TlsPlan) -> Outcome:
    """What a failure of TLS comes to, with words about who demanded it, if anybody did."""
    if not verdict.insists:
        return outcome
    return changed(outcome, words=f"{outcome.words}; {verdict.insists}")


def _verdict(host: str, facts: TlsFacts) -> TlsPlan:
    # RFC 8689 §3: whoever says so would rather be read by strangers than not be read.
    if facts.wish is Wish.OPTIONAL:
        return MAY
    verdict = _of_host(facts)
    if facts.wish is Wish.REQUIRED and not verdict.refusal:
        return _required(verdict, facts)
    return verdict


def _of_host(facts: TlsFacts) -> TlsPlan:
    if facts.tlsa_state is TlsaState.FAILED:
        return TlsPlan(
            Demand.DANE,
            refusal="its TLSA records could not be looked up, or their signatures do not hold, "
            "and DANE forbids to go on without them",
            result="dnssec-invalid",
        )
    if facts.tlsa_state is TlsaState.SECURE and facts.tlsa:
        records = usable_records(facts.tlsa)
        if records:
            return TlsPlan(Demand.DANE, tlsa=records, names=facts.names)
        if facts.sts_mode != ENFORCE:
            return TlsPlan(Demand.MUST)
    return _of_domain(facts)


def _of_domain(facts: TlsFacts) -> TlsPlan:
    if facts.sts_mode == ENFORCE:
        if facts.sts_lists:
            return TlsPlan(Demand.MTA_STS, verify=True)
        return TlsPlan(
            Demand.MTA_STS,
            refusal=f"it is not among the hosts that the MTA-STS policy of {facts.domain} lists",
            result="validation-failure",
        )
    if facts.sts_mode == TESTING:
        if facts.sts_lists:
            return TlsPlan(Demand.MTA_STS, verify=True, may_fall_back=True, testing=True)
        return replace(MAY, testing=True, result="validation-failure")
    return MAY


def _required(verdict: TlsPlan, facts: TlsFacts) -> TlsPlan:
    """RFC 8689 §4.2.1: neither the host's name nor its certificate may be anybody's invention."""
    if verdict.tlsa:
        return replace(verdict, demand=Demand.REQUIRETLS)
    if facts.mx_secure or (facts.sts_lists and facts.sts_mode in (ENFORCE, TESTING)):
        return TlsPlan(Demand.REQUIRETLS, verify=True)
    return TlsPlan(
        Demand.REQUIRETLS,
        refusal="the message demands TLS all the way (REQUIRETLS), and neither DNSSEC nor MTA-STS "
        "shows that this host takes mail for the domain",
        final=True,
    )


def _reported(facts: TlsFacts) -> ReportedPolicy:
    if facts.tlsa_state is not TlsaState.ABSENT:
        lines = tuple(record.text for record in facts.tlsa[:8])
        return ReportedPolicy(facts.domain, "tlsa", lines)
    if facts.sts_mode in (ENFORCE, TESTING):
        return ReportedPolicy(facts.domain, "sts", facts.sts_lines, facts.sts_mx)
    return ReportedPolicy(facts.domain, "no-policy-found")
