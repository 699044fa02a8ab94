"""what the DNS said about a name: found, nothing there, no such name, or no answer at all

Only an answer may end a delivery. That nobody answered, or answered that he could not tell, says
something about the resolvers and nothing about the name (RFC 5321 §5.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from pillarbox.policy.tlsa import Tlsa

__all__ = ["Answer", "Mx", "Record", "Status", "Tlsa"]


class Status(StrEnum):
    """How a question was answered."""

    FOUND = "found"
    """There are records of the type that was asked for."""
    NO_DATA = "no data"
    """The name exists and has no such records."""
    NO_NAME = "no name"
    """There is no such name (NXDOMAIN)."""
    TROUBLE = "trouble"
    """Nobody answered in time, or none of those asked could tell: ask again later."""


@dataclass(frozen=True, slots=True)
class Mx:
    """An MX record (RFC 1035 §3.3.9). `host` is in lower case and has no dot at its end; it is
    empty where the domain says that it takes no mail (RFC 7505).
    """

    preference: int
    host: str


Record: TypeAlias = str | Mx | Tlsa
"""Addresses and names as text; TXT as text too, its strings joined and read as Latin-1."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question."""

    status: Status
    records: tuple[Record, ...] = ()
    secure: bool = False
    """A resolver that we trust has validated it (the AD bit, RFC 4035 §3.2.3)."""
    name: str = ""
    """The name that has the records, behind all aliases; in lower case, without the last dot."""
    words: str = ""
    """Why there is no answer; ends a sentence that begins with the question."""

    @property
    def texts(self) -> tuple[str, ...]:
        """The records that are text: addresses, names, TXT."""
        return tuple(record for record in self.records if isinstance(record, str))

    @property
    def exchangers(self) -> tuple[Mx, ...]:
        """The MX records, in the order in which they came."""
        return tuple(record for record in self.records if isinstance(record, Mx))

    @property
    def associations(self) -> tuple[Tlsa, ...]:
        """The TLSA records."""
        return tuple(record for record in self.records if isinstance(record, Tlsa))
