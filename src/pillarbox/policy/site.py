"""a site: the MX hosts that one provider has for many domains, and how much it takes from us

A site is asked for mail by many lanes at once. How many connections it gets widens while it takes
mail and narrows when it asks for less; the messages it gets in a minute may be limited; and after it
has said that we are too fast it is left alone for a moment. Who comes sooner waits: mail faster than
a site's rate is delayed, not refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Blame, Outcome
from pillarbox.policy.window import Window
from pillarbox.terms.setting import InvalidSetting, setting

_LONGEST_PAUSE_SECONDS: Final = 300.0
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """What the providers of recipients take from us."""

    connections: int = setting(
        10, "Connections to one site at most; it starts with one and gets more while it takes mail."
    )
    connections_of: Mapping[str, int] = setting(
        dict, 'The same for single sites, by the domain of their MX hosts, as "google.com" = 20.'
    )
    per_minute_of: Mapping[str, float] = setting(
        dict, 'Messages that single sites get in a minute at most, as "example.org" = 30; '
        "more of them are delayed.",
    )  # fmt: skip

    pause_seconds: float = setting(
        5.0,
        "How long a site is left alone after it has said that we are too fast; doubled each time "
        "until it takes mail again.",
    )

    def __post_init__(self) -> None:
        if self.connections < 1 or any(count < 1 for count in self.connections_of.values()):
            raise InvalidSetting("connections must be at least 1")
        for name in (*self.connections_of, *self.per_minute_of):
            if name != name.lower():
                raise InvalidSetting(f"sites are written in lower case: {name.lower()!r}")
        if any(rate <= 0 for rate in self.per_minute_of.values()):
            raise InvalidSetting("per_minute_of must be above 0 for each site")


def site_of(host: str, registrable: Callable[[str], str]) -> str:
    """The site of an MX host: the domain that its owner has registered, so that all hosts of a
    provider are one. A literal address is a site of its own.

    `registrable` gives the domain under which a name was registered; empty where there is none.
    """
    name = host.rstrip(".").lower()
    return registrable(name) or name


def pains(outcome: Outcome) -> bool:
    """Whether it says that there is too much of us: 421, 4xx about the host, a line that broke.

    A host that cannot be reached says nothing of the kind, nor does greylisting.
    """
    if outcome.blame is Blame.LINK:
        return outcome.stage is not Stage.CONNECT
    return outcome.blame is Blame.SERVER and 400 <= outcome.code < 500


@dataclass(slots=True)
class Site:
    """What is known of one site. A plain object with one owner; instants are monotonic seconds."""

    name: str
    window: Window
    interval_seconds: float = 0.0
    """Between the beginnings of two messages; 0 where nothing limits them."""
    active: int = 0
    """Messages on their way there."""
    next_at: float = 0.0
    """When the next message may begin, by rate and pause."""
    first_pause_seconds: float = 5.0
    _pause_seconds: float = field(default=0.0)

    def may_begin(self, now: float) -> bool:
        """Whether a message may begin now."""
        return self.active < self.window.limit and now >= self.next_at

    def begin(self, now: float) -> None:
        """A message begins."""
        self.active += 1
        if self.interval_seconds:
            self.next_at = max(now, self.next_at) + self.interval_seconds

    def end(self) -> None:
        """A message has ended, whatever came of it."""
        self.active -= 1

    def took(self) -> None:
        """It took mail."""
        self._pause_seconds = 0.0
        self.window.succeeded()

    def pained(self, outcome: Outcome, now: float) -> None:
        """It asked for less, or broke down under what it had."""
        self.window.pained()
        if (
            outcome.category == Category.RATE_LIMITED
            and now >= self.next_at - self.interval_seconds
        ):
            grown = self._pause_seconds * 2 or self.first_pause_seconds
            self._pause_seconds = min(_LONGEST_PAUSE_SECONDS, grown)
            self.next_at = max(self.next_at, now + self._pause_seconds)


def new_site(name: str, config: SiteConfig) -> Site:
    """A site nobody has sent to yet."""
    rate = config.per_minute_of.get(name, 0.0)
    return Site(
        name,
        Window(1, config.connections_of.get(name, config.connections)),
        _MINUTE / rate if rate else 0.0,
        first_pause_seconds=config.pause_seconds,
    )
