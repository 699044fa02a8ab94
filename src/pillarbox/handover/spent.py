"""limits known to be used up: what MAIL is refused by early, and nothing is ever permitted by"""

from __future__ import annotations

from typing import Final

from pillarbox.policy.errors import Refusal
from pillarbox.policy.limits import Rate
from pillarbox.policy.submitter import Submitter
from pillarbox.terms.ids import ObjectId

_MOST_KEPT: Final = 10_000


class Spent:
    """What the store has said of limits that have nothing left, until their period ends."""

    __slots__ = ("_by_submitter",)

    def __init__(self) -> None:
        self._by_submitter: dict[ObjectId, tuple[tuple[Rate, ...], int, Refusal]] = {}

    def note(self, submitter: Submitter, refusal: Refusal, ends_at: int) -> None:
        """Nothing is left for a submitter until `ends_at` (milliseconds)."""
        if len(self._by_submitter) >= _MOST_KEPT:
            self._by_submitter.clear()
        self._by_submitter[submitter.id] = (submitter.rates, ends_at, refusal)

    def refusal(self, submitter: Submitter, now_ms: int) -> Refusal | None:
        """What to say to a submitter of whom it is known. Rates that were changed are asked anew."""
        found = self._by_submitter.get(submitter.id)
        if found is None:
            return None
        rates, ends_at, refusal = found
        if now_ms >= ends_at or rates != submitter.rates:
            del self._by_submitter[submitter.id]
            return None
        return refusal
