"""what is asked of the TLS of one MX host, and what follows where it is not had"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


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


class Tlsa(NamedTuple):
    """One TLSA record (RFC 6698 §2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TlsPlan:
    """One verdict for one host: what is tried, what is verified, and whether clear will do."""

    demand: Demand
    verify: bool = False
    """By the authorities of this machine, for the name of the host."""
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

    @property
    def tries_tls(self) -> bool:
        """Whether STARTTLS is said where it is offered."""
        return self.demand is not Demand.NONE

    @property
    def otherwise(self) -> TlsPlan | None:
        """What to go on with, on a new connection, after a handshake has failed; None for nothing:
        then the host is given up, and the mail waits.
        """
        if self.testing:
            return _MAY
        return _NONE if self.may_fall_back and self.tries_tls else None


_MAY = TlsPlan(Demand.MAY, may_fall_back=True)
_NONE = TlsPlan(Demand.NONE, may_fall_back=True)
