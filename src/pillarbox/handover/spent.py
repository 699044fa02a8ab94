"""limits known to be used up: what MAIL is refused by early, and nothing is ever permitted by"""

from __future__ import annotations

from typing import Final

from pillarbox.policy.credential import OverLimit
from pillarbox.policy.errors import Refusal
from pillarbox.policy.limits import Rate, limit_passed
from pillarbox.policy.submitter import Submitter
from pillarbox.terms.ids import ObjectId

_MOST_KEPT: Final = 10_000


class Spent:
    """What the store has said of limits that have nothing left, until their period ends."""

    __slots__ = ("_by_submitter",)

    def __init__(self) -> None:
        self._by_submitter: dict[ObjectId, tuple[Submitter, Rate, int]] = {}

    def note(self, submitter: Submitter, rate: Rate, ends_at: int) -> None:
        """Nothing is left of a rate for a submitter until `ends_at` (milliseconds). Kept where more
        is only put off: a refusal for good might meet what was taken before, and is handed in again.
        """
        if submitter.over_limit is not OverLimit.DEFER:
            return
        if len(self._by_submitter) >= _MOST_KEPT:
            self._by_submitter.clear()
        self._by_submitter[submitter.id] = (submitter, rate, ends_at)

    def refusal(self, submitter: Submitter, now_ms: int) -> Refusal | None:
        """What to say to a submitter of whom it is known. Where rates, or what follows from them,
        were changed, the store is asked anew.
        """
        found = self._by_submitter.get(submitter.id)
        if found is None:
            return None
        noted, rate, ends_at = found
        same = (noted.rates, noted.over_limit) == (submitter.rates, submitter.over_limit)
        if now_ms >= ends_at or not same:
            del self._by_submitter[submitter.id]
            return None
        return limit_passed(rate, 1, ends_at, now_ms, submitter.over_limit)
