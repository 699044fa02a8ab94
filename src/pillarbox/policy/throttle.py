"""failed logins: whoever makes many is answered slowly, then sent away at the door, and is forgiven

The owner of a login is never locked out: a right password is accepted at once from everywhere, however
often others have failed with the same user name, except where the address itself has failed too often.
An address from which somebody has logged in lately is not sent away at the door, for it may be shared
by many; its wrong passwords are only answered slowly.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

from pillarbox.terms.setting import InvalidSetting, setting

_MOST_KEPT: Final = 20_000
_GOOD_SECONDS: Final = 86_400.0
_SLOW_SECONDS: Final = 5.0
_USERNAME_FAILURES: Final = 20.0
_SUBSCRIBER_BITS: Final = 64  # an IPv6 network is given to one customer as a whole


@dataclass(frozen=True, slots=True)
class ThrottleConfig:
    """What failed logins lead to."""

    failures: int = setting(
        10, "So many failed logins, and an address is sent away at the door for a while."
    )
    forgive_seconds: int = setting(60, "One failed login is forgotten after so long.")
    pause_seconds: int = setting(60, "How long an address is sent away; doubled each time.")
    longest_pause_seconds: int = setting(900, "The longest such pause.")

    def __post_init__(self) -> None:
        for name in ("failures", "forgive_seconds", "pause_seconds"):
            if getattr(self, name) < 1:
                raise InvalidSetting(f"{name} must be at least 1")


class _Standing:
    """What is known of an address or of a user name."""

    __slots__ = ("failures", "good_until", "paused_until", "pauses", "seen_at")

    def __init__(self, now: float) -> None:
        self.failures = 0.0
        self.seen_at = now
        self.paused_until = 0.0
        self.pauses = 0
        self.good_until = 0.0


class LoginThrottle:
    """Failed logins of one node, by network and by user name. Times are monotonic seconds."""

    def __init__(self, config: ThrottleConfig) -> None:
        """Nobody has failed yet."""
        self._config = config
        self._networks: OrderedDict[str, _Standing] = OrderedDict()
        self._usernames: OrderedDict[str, _Standing] = OrderedDict()

    def pause(self, address: str, now: float) -> float:
        """For how many seconds an address is sent away at the door; 0: it may come in."""
        standing = self._networks.get(_network(address))
        if standing is None or now >= standing.paused_until or now < standing.good_until:
            return 0.0
        return standing.paused_until - now

    def failed(self, address: str, username: str, now: float) -> float:
        """A login failed; after how many seconds it is to be answered."""
        standing = self._failed(self._networks, _network(address), now)
        others = self._failed(self._usernames, username, now)
        config = self._config
        # A failure that is forgotten in part still counts: the last of so many is the one too many.
        if standing.failures > config.failures - 1:
            doubled = config.pause_seconds * 2.0 ** min(standing.pauses, 16)
            standing.paused_until = now + min(doubled, config.longest_pause_seconds)
            standing.pauses += 1
            standing.failures = 0.0
            return _SLOW_SECONDS if now < standing.good_until else 0.0
        if others.failures > _USERNAME_FAILURES:
            return _SLOW_SECONDS
        return min(max(standing.failures - 2.0, 0.0), _SLOW_SECONDS)

    def succeeded(self, address: str, now: float) -> None:
        """Somebody logged in from there."""
        standing = self._standing(self._networks, _network(address), now)
        standing.good_until = now + _GOOD_SECONDS
        standing.pauses = 0

    def _failed(self, kept: OrderedDict[str, _Standing], key: str, now: float) -> _Standing:
        standing = self._standing(kept, key, now)
        forgiven = (now - standing.seen_at) / self._config.forgive_seconds
        standing.failures = max(standing.failures - forgiven, 0.0) + 1.0
        if forgiven > self._config.failures:
            standing.pauses = 0
        standing.seen_at = now
        return standing

    def _standing(self, kept: OrderedDict[str, _Standing], key: str, now: float) -> _Standing:
        standing = kept.get(key)
        if standing is None:
            standing = kept[key] = _Standing(now)
            if len(kept) > _MOST_KEPT:
                kept.popitem(last=False)
        else:
            kept.move_to_end(key)
        return standing


def _network(address: str) -> str:
    if ":" not in address:  # asked of every client; to read an address takes longer than the rest
        return address
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address) and not ip.is_loopback:
        return str(int(ip) >> (128 - _SUBSCRIBER_BITS))
    return address
