"""which lane a delivery waits in, and whose turn it is"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from itertools import zip_longest
from typing import Final, Generic, TypeVar

from pillarbox.policy.directory import App
from pillarbox.policy.routing import Route
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId

LaneT = TypeVar("LaneT", bound=Hashable)

ANY_DESTINATION = "*"
_HEX: Final = re.compile("(?:[0-9a-f]{2})+")


def lane_for(app: App, route: str, recipient_domain: str) -> tuple[str, str]:
    """Route and destination of the lane, which together with the app is its name.

    All that leaves through an app's servers shares one lane, since one next hop takes it whatever
    its destination; direct mail has a lane for each destination, folded to lower case.
    """
    if route == Route.DIRECT:
        return route, recipient_domain.rstrip(".").lower() or ANY_DESTINATION
    return route, ANY_DESTINATION


def lane_of_way(server: Server, recipient_domain: str) -> tuple[str, str]:
    """Route and destination of the lane of mail that takes this way only, by a rule or because
    somebody moved it there. Direct mail is parted by destination there too.
    """
    named = server.id.hex()
    if server.kind is Kind.DIRECT:
        named += f"/{recipient_domain.rstrip('.').lower()}"
    return Route.SERVER, named


def only_way(route: str, destination: str) -> ObjectId | None:
    """The way that mail of such a lane takes; None where its app's order holds."""
    if route != Route.SERVER:
        return None
    named = destination.partition("/")[0]
    return ObjectId(bytes.fromhex(named)) if _HEX.fullmatch(named) else None


def through_servers(route: str, destination: str) -> bool:
    """Whether the mail of such a lane goes through servers, none of it straight to recipients."""
    return route == Route.SERVERS or (route == Route.SERVER and "/" not in destination)


def by_turns(lanes: Iterable[tuple[LaneT, Hashable]]) -> list[LaneT]:
    """Lanes, each given with its app, in an order in which apps take turns."""
    of_app: dict[Hashable, list[LaneT]] = {}
    for lane, app in lanes:
        of_app.setdefault(app, []).append(lane)
    if len(of_app) == 1:
        return next(iter(of_app.values()))
    rounds = zip_longest(*of_app.values(), fillvalue=None)
    return [lane for some in rounds for lane in some if lane is not None]


class FairTurn(Generic[LaneT]):
    """Whose turn it is. First the apps take turns, then the lanes of the app whose turn it is.

    An app with ten thousand destinations has as many turns as one with a single lane, and a lane
    with a million deliveries as many as one with a single delivery.
    """

    __slots__ = ("_app_of", "_lanes")

    def __init__(self) -> None:
        self._app_of: dict[LaneT, Hashable] = {}
        self._lanes: OrderedDict[Hashable, OrderedDict[LaneT, None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._app_of)

    def __contains__(self, lane: object) -> bool:
        return lane in self._app_of

    def add(self, lane: LaneT, app: Hashable = None) -> None:
        """The lane has something to send; it comes last. Adding it again changes nothing."""
        if lane in self._app_of:
            return
        self._app_of[lane] = app
        self._lanes.setdefault(app, OrderedDict())[lane] = None

    def remove(self, lane: LaneT) -> None:
        """The lane has nothing more to send. Removing what is not there changes nothing."""
        if lane not in self._app_of:
            return
        app = self._app_of.pop(lane)
        lanes = self._lanes[app]
        del lanes[lane]
        if not lanes:
            del self._lanes[app]

    def others(self, app: Hashable) -> bool:
        """Whether any app but this one has something to send."""
        return len(self._lanes) > (app in self._lanes)

    def next(self, may: Callable[[LaneT], bool] | None = None) -> LaneT | None:
        """The lane whose turn it is, which then comes last; None where there is none.

        A lane that `may` refuses, its window being full, is passed over and keeps its place.
        """
        for app, lanes in self._lanes.items():
            for lane in lanes:
                if may is None or may(lane):
                    lanes.move_to_end(lane)
                    self._lanes.move_to_end(app)
                    return lane
        return None
