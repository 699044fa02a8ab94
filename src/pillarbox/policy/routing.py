"""which next hops, in which order: an app's servers by strategy, or the MX hosts"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Final

from pillarbox.policy.directory import App, RouteRule, Strategy
from pillarbox.policy.draw import below
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId

ACTIVE: Final = "A"
DISABLED: Final = "D"
BARRED: Final = "is disabled, and this mail takes no other way"
"""What is said of a disabled way that mail is bound to, behind its name."""


class Route(StrEnum):
    """The kinds of way out."""

    SERVERS = "servers"
    """Through the app's servers first."""
    DIRECT = "direct"
    """To the recipient's own MX hosts first."""
    SERVER = "server"
    """By one way only: a rule of the app says so, or somebody moved it there."""


def active_servers(servers: Iterable[Server]) -> list[Server]:
    """Those that may be used; what a failed check or a person disabled is never used."""
    return [server for server in servers if server.status == ACTIVE]


def first_route(servers: Iterable[Server], strategy: Strategy) -> Route:
    """What new mail is offered to first, and so which lanes it waits in; by whatever lane it comes,
    an attempt goes along all of the app's ways.
    """
    usable = active_servers(servers)
    if strategy is Strategy.PRIORITY:
        best = min((server.priority for server in usable), default=0)
        usable = [server for server in usable if server.priority == best]
    direct = bool(usable) and all(server.kind is Kind.DIRECT for server in usable)
    return Route.DIRECT if direct else Route.SERVERS


def servers_in_order(servers: Sequence[Server], strategy: Strategy, draw: int) -> list[Server]:
    """The active servers in the order in which they are tried.

    ``PRIORITY``: the lowest number first; among equals the first place falls to each in proportion
    to its weight. ``RANDOM``: the same draw among all of them. A weight of 0 comes last among its
    equals, the older first. The same `draw` gives the same order.
    """
    usable = active_servers(servers)
    if len(usable) < 2:
        return usable
    if strategy is Strategy.RANDOM:
        return _drawn(usable, draw)
    usable.sort(key=attrgetter("priority"))
    ordered: list[Server] = []
    for _, equals in groupby(usable, key=attrgetter("priority")):
        ordered += _drawn(list(equals), draw)
    return ordered


def ways_of_lane(
    route: str, only: ObjectId | None, servers: Sequence[Server], strategy: Strategy, draw: int
) -> tuple[list[Server], Server | None]:
    """The ways out for mail of a lane, in the order in which they are tried; and the one that such
    mail is bound to (`only`, see `policy.lanes.only_way`), where that is disabled: then there is
    no other.

    Mail bound to a way that is gone takes the app's order. Direct mail tries the recipients' own
    hosts first, and then what else the app has.
    """
    if only is not None:
        for server in servers:
            if server.id == only:
                return ([server], None) if server.status == ACTIVE else ([], server)
    ordered = servers_in_order(servers, strategy, draw)
    if route == Route.DIRECT:
        ordered.sort(key=lambda server: server.kind is not Kind.DIRECT)
    return ordered, None


def rule_for(app: App, sender: str, recipient: str) -> RouteRule | None:
    """The rule that says which way mail from `sender` (the author's address) to `recipient` takes;
    None where the app's order holds. The first rule of which all that is given matches.

    Local parts are compared without regard to letter case, as those of allowed senders are.
    """
    if not app.routes:
        return None
    author, host, domain = sender.lower(), _domain_of(sender), _domain_of(recipient)
    for rule in app.routes:
        if rule.recipient_domain and not _below(rule.recipient_domain, domain):
            continue
        if "@" in rule.sender:
            if rule.sender.lower() != author:
                continue
        elif rule.sender and not _below(rule.sender, host):
            continue
        return rule
    return None


def possible_rules(app: App, recipient: str) -> list[RouteRule | None]:
    """What `rule_for` may give for mail to `recipient`, whoever its author is."""
    domain = _domain_of(recipient)
    found: list[RouteRule | None] = []
    for rule in app.routes:
        if rule.recipient_domain and not _below(rule.recipient_domain, domain):
            continue
        found.append(rule)
        if not rule.sender:
            return found
    found.append(None)
    return found


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower().removesuffix(".")


def _below(pattern: str, domain: str) -> bool:
    """A pattern that begins with a dot covers all below it, and not the domain itself."""
    return domain.endswith(pattern) if pattern.startswith(".") else domain == pattern


def _drawn(equals: list[Server], draw: int) -> list[Server]:
    left = [server for server in equals if server.weight > 0]
    ordered: list[Server] = []
    while len(left) > 1:
        point = below(sum(server.weight for server in left), draw, len(ordered))
        place = 0
        while point >= left[place].weight:
            point -= left[place].weight
            place += 1
        ordered.append(left.pop(place))
    weightless = [server for server in equals if server.weight <= 0]
    return ordered + left + sorted(weightless, key=attrgetter("created_at"))
