"""a server's quota: what it may be given in a second, a minute and a day, and when it is near its end"""

from __future__ import annotations

from typing import Final, NamedTuple

from pillarbox.policy.breaker import shared_name
from pillarbox.policy.server import Server

HOUR_MS: Final = 3_600_000
RESTS: Final = b"rests:"
"""Before the name of a server that has said itself that it takes no more, as all nodes hear it."""
_MINUTE_MS: Final = 60_000
_NEAR: Final = 0.8
_SHARE_OF_BLOCK: Final = 100
_MOST_IN_BLOCK: Final = 100
_DAY_WORDS: Final = ("day", "daily", "24-hour", "24 hour", "quota", "credits", "tenant")
_HOUR_WORDS: Final = ("hour",)


class Pace(NamedTuple):
    """A limit of a rate, as a bucket that runs full evenly."""

    name: bytes
    """Under which all nodes share it."""
    per_second: float
    portion: int
    """So many recipients of one message go together, if it has so many: fewer would repeat its
    content more often, more would come too fast.
    """


def is_limited(server: Server) -> bool:
    """Whether any limit but that of connections is set for it."""
    return bool(server.max_per_second or server.max_per_minute or server.max_per_day)


def paces_of(server: Server) -> tuple[Pace, ...]:
    """Its limits of a second and a minute.

    A bucket gives what runs into it in a minute, and what it holds on top. So that no minute has
    more than it may, the one of a minute is filled more slowly by what it can hold.
    """
    paces = []
    name = shared_name(server)
    if server.max_per_second > 0:
        paces.append(_pace(b"sec:" + name, server.max_per_second, seconds=1))
    if most := server.max_per_minute:
        held = max(most / 60, 1.0)
        paces.append(_pace(b"min:" + name, max(most - held, most / 2) / 60, seconds=10))
    return tuple(paces)


def _pace(name: bytes, per_second: float, *, seconds: int) -> Pace:
    return Pace(name, per_second, max(int(per_second * seconds), 1))


def block_of(most: int) -> int:
    """How much of a day's quota is taken ahead: a hundredth, so that no more is lost with a node."""
    return min(max(most // _SHARE_OF_BLOCK, 1), _MOST_IN_BLOCK)


def comes_near(used: int, granted: int, most: int) -> bool:
    """Whether what was granted just now brought a quota to four fifths."""
    return used - granted < most * _NEAR <= used


def rest_ms(text: str) -> int:
    """How long to leave a server alone that says, in these words, that a quota is used up.

    Providers count the last 24 hours, so that quota comes back little by little: it is asked for
    again after an hour, or sooner where the quota is of an hour or nobody says of what.
    """
    lower = text.lower()
    if any(word in lower for word in _HOUR_WORDS) and "24" not in lower:
        return 10 * _MINUTE_MS
    if any(word in lower for word in _DAY_WORDS):
        return HOUR_MS
    return 5 * _MINUTE_MS
