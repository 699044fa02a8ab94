"""what domains demand of TLS, and what became of sessions: kept, counted, shared by all nodes"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.policy.mta_sts import StsPolicy
from pillarbox.policy.tls_report import Counted

MOST_GATHERED: Final = 2000
"""Kinds of sessions between two writes; a flood of different ones is cut off."""


@dataclass(frozen=True, slots=True)
class KeptPolicy:
    """The MTA-STS policy of a domain, as it was fetched. Instants are milliseconds."""

    domain: str
    identity: str
    """The id in its TXT record: another one asks for another fetch."""
    policy: StsPolicy
    fetched_at: int

    @property
    def expires_at(self) -> int:
        """Until then it holds, whatever can be fetched meanwhile."""
        return self.fetched_at + self.policy.max_age_seconds * 1000


class TlsStore(Protocol):
    """Every method raises `StorageTrouble` where the store does not answer."""

    async def policy(self, domain: str, now_ms: int) -> KeptPolicy | None:
        """The policy that holds at `now_ms`."""
        ...

    async def keep_policy(self, kept: KeptPolicy) -> None:
        """In place of the one before."""
        ...

    def count(self, day_ms: int, one: Counted) -> None:
        """Sessions of the day that begins at `day_ms`. Written some seconds later."""
        ...

    async def counted(self, day_ms: int, domain: str = "") -> list[Counted]:
        """What was counted on a day, for one domain or for all, with what is not written yet."""
        ...

    async def unreported(self, before_ms: int, limit: int) -> list[tuple[int, str]]:
        """Days that begin before `before_ms`, with a domain each, on which no report was sent."""
        ...

    async def set_reported(self, day_ms: int, domain: str) -> None:
        """The report was sent, or never will be."""
        ...

    async def trim(self, before_day_ms: int, now_ms: int) -> None:
        """Forget what was counted before a day, and policies that do not hold any more."""
        ...
