"""none, may, must, DANE, MTA-STS: one verdict per host

DANE goes before MTA-STS where a host has both (RFC 8461 §2), and what the author says of a message
goes before either (RFC 8689).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.policy.tls_plan import Demand, Tlsa, TlsPlan

__all__ = ["MAY", "NONE", "Demand", "Tlsa", "TlsFacts", "TlsPlan", "TlsaState", "Wish", "plan"]

NONE: Final = TlsPlan(Demand.NONE, may_fall_back=True)
MAY: Final = TlsPlan(Demand.MAY, may_fall_back=True)


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


def plan(host: str, facts: TlsFacts | None = None) -> TlsPlan:
    """The verdict on an MX host."""
    return MAY
