"""why a way out: the rule that chose it, the ways that were left out and why; in words"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pillarbox.policy.directory import App, RouteRule, Strategy
from pillarbox.policy.explain import when
from pillarbox.policy.routing import ACTIVE, Route, active_servers
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.hostname import display_domain
from pillarbox.terms.ids import ObjectId


class WayStand(StrEnum):
    """How a way out stands to one delivery."""

    TOOK = "took"
    """It took it."""
    TRIED = "tried"
    """It was tried, and did not."""
    NEXT = "next"
    """The next attempt begins with it."""
    LATER = "later"
    """The next attempt comes to it where those before it do not take it."""
    PAUSED = "paused"
    DISABLED = "disabled"
    LEFT_OUT = "left_out"
    """The mail is bound to another way."""
    NOT_NEEDED = "not_needed"
    """The delivery is over without it."""


@dataclass(frozen=True, slots=True)
class WayFacts:
    """What is known of one way out of an app, for one delivery."""

    server: Server
    paused_until: int = 0
    """In milliseconds; 0 where it is in use."""
    pause_words: str = ""
    """Why it is paused, as the end of a sentence; failures, where nothing is given."""
    tries: int = 0
    words: str = ""
    """What it did the last time it was tried, as the end of a sentence."""
    supposed: bool = False
    """There is no delivery that could have been tried, only the question of where one would go."""
    took: bool = False


@dataclass(frozen=True, slots=True)
class WayTold:
    """One way out, and why it is or is not taken."""

    server: Server
    stand: WayStand
    words: str


def explain_ways(
    ways: Sequence[WayFacts], only: ObjectId | None, now_ms: int, *, waits: bool
) -> list[WayTold]:
    """Each way of the app, in the order in which an attempt comes to them, and its part in this
    delivery. With `only` the mail is bound to one way; it counts where that is still there.
    """
    bound = only is not None and any(way.server.id == only for way in ways)
    told = []
    first = waits
    for way in ways:
        server = way.server
        name, been = server.label, _been(way)
        if way.took:
            told.append(WayTold(server, WayStand.TOOK, f"{name} took it."))
        elif not waits and way.tries:
            told.append(WayTold(server, WayStand.TRIED, been))
        elif not waits:
            told.append(WayTold(server, WayStand.NOT_NEEDED, f"{name} was not tried."))
        elif bound and server.id != only:
            words = f"{name} is left out: this mail takes another way only."
            told.append(WayTold(server, WayStand.LEFT_OUT, words))
        elif server.status != ACTIVE:
            told.append(WayTold(server, WayStand.DISABLED, f"{name} is disabled. {been}".strip()))
        elif way.paused_until > now_ms:
            why = way.pause_words or "is left alone after failures"
            words = f"{name} {why}; it is used again {when(way.paused_until, now_ms)}. {been}"
            told.append(WayTold(server, WayStand.PAUSED, words.strip()))
        else:
            stand = WayStand.NEXT if first else WayStand.LATER
            place = "is tried first" if first else "is tried after those before it"
            told.append(WayTold(server, stand, f"{name} {place}. {been}".strip()))
            first = False
    return told


def _been(way: WayFacts) -> str:
    if way.supposed:
        return ""
    if not way.tries:
        return "It has not been tried yet."
    times = "once" if way.tries == 1 else f"{way.tries} times"
    return f"Tried {times}; the last time: {way.words or 'it did not take it'}."


@dataclass(frozen=True, slots=True)
class Choice:
    """What chose the way of one delivery. The first that is given counts."""

    moved_by: str = ""
    """Who moved it by hand."""
    moved_words: str = ""
    rule_number: int = 0
    """Of the app's rules, from 1."""
    rule: RouteRule | None = None


def explain_choice(choice: Choice, app: App, route: str, server: str) -> str:
    """Why it goes by the lane in which it waits: a person, a rule, or the app's order. `server` is
    the name of the way it is bound to; empty where there is none, or none any more.
    """
    if choice.moved_by:
        return f"{choice.moved_by} {choice.moved_words or 'moved it'}, so that way holds."
    if choice.rule is not None and server:
        return f"Rule {choice.rule_number} of {app.name} sends it by {server} only: {_if(choice.rule)}."
    if choice.rule is not None:
        return (
            f"Rule {choice.rule_number} of {app.name} names a way that is gone, so the order of "
            "the app holds."
        )
    if route == Route.SERVER and server:
        return f"It was bound to {server} when it came; a rule said so then."
    if app.routes:
        return f"None of the {len(app.routes)} rules of {app.name} fits, so its order holds."
    return f"{app.name} has no rules, so its order holds."


def describe_rule(rule: RouteRule, server: str) -> str:
    """A rule as a sentence without its full stop."""
    return f"mail {_if(rule)} goes by {server or 'a server that is gone'}"


def _if(rule: RouteRule) -> str:
    parts = []
    if rule.sender:
        parts.append(f"from {_shown(rule.sender)}")
    if rule.recipient_domain:
        parts.append(f"to {_shown(rule.recipient_domain)}")
    return " ".join(parts) or "of every kind"


def _shown(pattern: str) -> str:
    if pattern.startswith("."):
        return f"anything below {display_domain(pattern[1:])}"
    return pattern if "@" in pattern else display_domain(pattern)


def explain_route(servers: Sequence[Server], strategy: Strategy) -> str:
    """Which servers an app's mail goes through, and in which order."""
    usable = active_servers(servers)
    if not usable:
        if servers:
            return "All servers of this app are disabled, so its mail waits."
        return "This app has no server yet, so its mail waits."
    names = _listed([_named(server) for server in usable])
    if len(usable) == 1:
        return f"Mail of this app goes through {names}."
    if strategy is Strategy.RANDOM:
        return f"Mail of this app goes through one of {names}, drawn anew for each attempt."
    ordered = sorted(usable, key=lambda server: server.priority)
    names = _listed([_named(server) for server in ordered])
    shared = len({server.priority for server in usable}) < len(usable)
    share = " Servers of equal priority share by weight." if shared else ""
    return f"Mail of this app is offered to {names}, in this order.{share}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _named(server: Server) -> str:
    """A way in a sentence."""
    return f"{server.label} (direct)" if server.kind is Kind.DIRECT else server.label
