"""connection problems: kept for a while, counted, bounded"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.policy.problems import Problem

MOST_KEPT: Final = 1000
"""The oldest go first."""


@dataclass(frozen=True, slots=True)
class KeptProblem:
    """A problem, and how often it was met between two instants (milliseconds)."""

    problem: Problem
    count: int
    first_at: int
    last_at: int


class ProblemStore(Protocol):
    """Why clients could not hand in mail. The newest 1,000 are kept, as long as history is."""

    def note(self, problem: Problem, now_ms: int) -> None:
        """Remember it, or count it once more. Written some seconds later; a flood of different
        ones is cut off.
        """
        ...

    async def newest(self, limit: int) -> list[KeptProblem]:
        """Those met last, newest first."""
        ...

    async def with_reference(self, reference: str) -> list[KeptProblem]:
        """Those of one reference, newest first."""
        ...
