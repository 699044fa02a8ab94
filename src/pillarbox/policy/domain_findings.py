"""what a look at a domain's records found: a verdict on each, in words a person can act on"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RecordKind(StrEnum):
    """What a record is for."""

    PROOF = "proof"
    DKIM = "dkim"
    SPF = "spf"
    DMARC = "dmarc"
    BOUNCES = "bounces"
    TRACKING = "tracking"
    AUTOCONFIG = "autoconfig"


class Verdict(StrEnum):
    """How a record stands."""

    OK = "ok"
    MISSING = "missing"
    WRONG = "wrong"
    SPREADING = "spreading"
    """Right at some of the name servers, or everywhere but in what is remembered."""
    UNKNOWN = "unknown"
    """Nobody could be asked."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record that a domain should have."""

    kind: RecordKind
    name: str
    type: str
    """``TXT``, ``CNAME`` or ``SRV``."""
    value: str
    why: str
    """What it is good for, in a sentence."""
    needed: bool = True
    """Whether mail is not sent well without it; otherwise it is recommended."""
    selector: str = ""
    """Of the key, for DKIM."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one authoritative name server answered."""

    server: str
    found: tuple[str, ...] = ()
    """Its records of the type that was asked for; the strings of a TXT record joined."""
    alias: str = ""
    """The target of a CNAME in its answer."""
    ttl_seconds: int = 0
    trouble: str = ""
    """Why it did not answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A wanted record beside what was found."""

    wanted: Wanted
    verdict: Verdict
    words: str
    """The diagnosis."""
    found: tuple[str, ...] = ()
    value: str = ""
    """What to publish: what was found is part of it where it has to be merged."""
    seen: tuple[Seen, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """All findings of one look, at an instant in milliseconds."""

    at: int
    findings: tuple[Finding, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether every record that is needed stands."""
        return all(one.verdict is Verdict.OK for one in self.findings if one.wanted.needed)
