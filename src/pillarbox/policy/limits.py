"""rates: so many recipients in a minute, an hour, a day, and what to say when none is left

A rate is spent of in the transaction that takes the message, one for each recipient; what is looked
at before that may only refuse (docs/limits.md).
"""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple

from pillarbox.policy.credential import Credential, OverLimit
from pillarbox.policy.errors import Refusal

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

_WORDS: Final = {MINUTE_MS: "a minute", HOUR_MS: "an hour", DAY_MS: "a day"}


class Rate(NamedTuple):
    """So many recipients in a period."""

    name: bytes
    """Under which it is counted."""
    period_ms: int
    most: int

    def __str__(self) -> str:
        return f"{self.most} recipients {_WORDS.get(self.period_ms, 'a period')}"


class LimitPassed(Refusal):
    """This login has used up what it may send in this period."""

    code: ClassVar[str] = "rate_limited"


class LimitPassedForGood(Refusal):
    """This login may not send so much."""

    code: ClassVar[str] = "over_limit"


def rates_of(credential: Credential) -> tuple[Rate, ...]:
    """What is spent of for every recipient of a credential's mail, the shortest period first."""
    periods = (
        (MINUTE_MS, credential.per_minute),
        (HOUR_MS, credential.per_hour),
        (DAY_MS, credential.per_day),
    )
    return tuple(
        Rate(b"crd:%b:%d" % (credential.id, period_ms), period_ms, most)
        for period_ms, most in periods
        if most
    )


def limit_passed(
    rate: Rate, wanted: int, ends_at: int, now_ms: int, over_limit: OverLimit
) -> Refusal:
    """The refusal of a message whose recipients do not fit any more; the period ends at `ends_at`.

    A message with more recipients than the rate ever permits is told so.
    """
    if wanted > rate.most:
        return LimitPassedForGood(
            f"The message has {wanted} recipients; this login may send to {rate}.",
            fix="Put fewer recipients into one message, or ask for a higher limit.",
        )
    words = f"The limit of {rate} is reached for this login; it is free again in {_span(ends_at - now_ms)}."
    if over_limit is OverLimit.REJECT:
        return LimitPassedForGood(words)
    return LimitPassed(words)


def _span(span_ms: int) -> str:
    seconds = max(-(-span_ms // 1000), 1)
    if seconds < 120:
        return f"{seconds} s"
    minutes = -(-seconds // 60)
    return f"{minutes} min" if minutes < 120 else f"{-(-minutes // 60)} h"
