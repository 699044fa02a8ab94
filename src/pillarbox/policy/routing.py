"""which next hops, in which order: an app's servers by strategy, or the MX hosts"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby
from operator import attrgetter
from typing import Final

from pillarbox.policy.directory import Strategy
from pillarbox.policy.draw import below
from pillarbox.policy.server import Server

ACTIVE: Final = "A"
DISABLED: Final = "D"


class Route(StrEnum):
    """The kinds of way out."""

    SERVERS = "servers"
    """Through the app's servers."""
    DIRECT = "direct"
    """To the recipient's own MX hosts."""


def active_servers(servers: Iterable[Server]) -> list[Server]:
    """Those that may be used; what a failed check or a person disabled is never used."""
    return [server for server in servers if server.status == ACTIVE]


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
