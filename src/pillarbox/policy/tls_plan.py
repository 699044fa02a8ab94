"""what is asked of the TLS of one MX host, and what follows where it is not had"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.policy.tlsa import Tlsa


class Demand(StrEnum):
    """Which rule decides about the TLS of a host."""

    NONE = "none"
    """TLS is not tried."""
    MAY = "may"
    """Opportunistic (RFC 7435): encrypted where the host can, and by whoever it is."""
    MUST = "must"
    """Encrypted by whoever it is, never in clear: TLSA records of which none is usable
    (RFC 7672 §2.2).
    """
    DANE = "dane"
    MTA_STS = "mta-sts"
    REQUIRETLS = "requiretls"


@dataclass(frozen=True, slots=True)
class ReportedPolicy:
    """What a session counts under, in the report to a domain that wants one (RFC 8460 §4.4)."""

    domain: str
    kind: str
    """``tlsa``, ``sts`` or ``no-policy-found``."""
    lines: tuple[str, ...] = ()
    """The policy as its domain publishes it."""
    mx: tuple[str, ...] = ()
    """The patterns of hosts in an MTA-STS policy."""


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """One verdict for one host: what is tried, what is verified, and whether clear will do."""

    demand: Demand
    verify: bool = False
    """By the authorities of this machine, for the name of the host."""
    ca_file: str = ""
    """PEM file of the authorities to `verify` by; empty for those of this machine."""
    tlsa: tuple[Tlsa, ...] = ()
    """With any, the certificate must match one of these, and no authority is asked."""
    names: tuple[str, ...] = ()
    """With `tlsa`: of which a certificate under a trust anchor must bear one (RFC 7672 §3.2.2)."""
    may_fall_back: bool = False
    """Whether mail may go in clear, where STARTTLS is not offered or fails."""
    testing: bool = False
    """Whether a certificate that does not pass is only counted (RFC 8461 §5)."""
    refusal: str = ""
    """Why nothing may be given to this host; empty where it may. Ends a sentence that begins with
    the host's name.
    """
    final: bool = False
    """Whether waiting will not help against the `refusal`."""
    reported: ReportedPolicy | None = None
    """Where the domain wants to know what became of sessions; None where it does not."""
    result: str = ""
    """What a refusal, or a host that only a policy in testing tolerates, is called in a report."""

    @property
    def tries_tls(self) -> bool:
        """Whether STARTTLS is said where it is offered."""
        return self.demand is not Demand.NONE

    @property
    def otherwise(self) -> TlsPlan | None:
        """What to go on with, on a new connection, after a handshake has failed; None for nothing:
        then the host is given up, and the mail waits.

        The failure was counted; so what follows is counted no more.
        """
        if self.refusal or not self.may_fall_back or not self.tries_tls:
            return None
        return _MAY if self.testing and self.verify else _NONE

    @property
    def insists(self) -> str:
        """Who will not have the mail go otherwise, as an addition to a sentence; empty where it may."""
        return "" if self.may_fall_back else _INSISTS[self.demand]

    @property
    def words(self) -> str:
        """What is asked of the host, for whoever wants to know why."""
        if self.refusal:
            return self.refusal
        text = _WORDS[self.demand]
        if self.testing:
            text += ", in testing: what does not pass is counted, and the mail delivered"
        return text


_MAY: Final = TlsPlan(Demand.MAY, may_fall_back=True)
_NONE: Final = TlsPlan(Demand.NONE, may_fall_back=True)
_INSISTS: Final = {
    Demand.NONE: "",
    Demand.MAY: "",
    Demand.MUST: "the host has TLSA records, which demand TLS",
    Demand.DANE: "the TLSA records of the host demand TLS with a certificate that matches (DANE)",
    Demand.MTA_STS: "the MTA-STS policy of the domain demands TLS with a valid certificate",
    Demand.REQUIRETLS: "the message demands TLS with a verified certificate (REQUIRETLS)",
}
_WORDS: Final = {
    Demand.NONE: "in clear, because TLS has failed and no policy demands it",
    Demand.MAY: "by TLS where the host offers it; no policy demands more",
    Demand.MUST: "by TLS, because the host has TLSA records, though none that can be used",
    Demand.DANE: "by TLS, with a certificate that matches the TLSA records of the host (DANE)",
    Demand.MTA_STS: "by TLS, with a valid certificate, as the MTA-STS policy of the domain demands",
    Demand.REQUIRETLS: "by TLS, with a verified certificate, as the message demands (REQUIRETLS)",
}
