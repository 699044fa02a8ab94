"""moving: mail that waits, sent another way than it was going to take"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from msgspec import Meta

from pillarbox.api.calls import Call
from pillarbox.api.v1.selecting import Meant
from pillarbox.policy.directory import App
from pillarbox.policy.lanes import lane_for, lane_of_way
from pillarbox.policy.routing import ACTIVE, first_route
from pillarbox.policy.server import Kind, Server
from pillarbox.storage.interface.queue import Change, LaneName
from pillarbox.terms.errors import InvalidId
from pillarbox.terms.ids import DeliveryId, ObjectId, parse_object_id

ORDER: Final = "order"
DIRECT: Final = "direct"

Target = Annotated[str, Meta(min_length=1, max_length=100)]
"""A server by name or id, or one of the two words."""


class Mover:
    """Finds for each app the way that a request names, and moves mail there."""

    def __init__(self, call: Call, to: str) -> None:
        """`to` names a server, or says ``direct`` or ``order``, the app's own."""
        self._call = call
        self._to = to
        self._ways: dict[ObjectId, tuple[App, Sequence[Server], Server | str | None]] = {}

    async def unfit(self, some: Sequence[Meant]) -> Mapping[DeliveryId, str]:
        """Those whose app has no such way, each with why."""
        found = {}
        for one in some:
            app, _, way = await self._way(one.app)
            if isinstance(way, str):
                found[one.delivery] = f"{app.name} {way}"
        return found

    async def move(self, call: Call, some: Sequence[Meant]) -> Change:
        """Each into the lane of its new way."""
        queue = call.rooms.storage.queue
        lanes: dict[DeliveryId, int] = {}
        for one in some:
            app, servers, way = await self._way(one.app)
            domain = one.recipient.rpartition("@")[2]
            if isinstance(way, Server):
                route, destination = lane_of_way(way, domain)
            else:
                route, destination = lane_for(app, first_route(servers, app.strategy), domain)
            lanes[one.delivery] = await queue.lane(LaneName(one.app, route, destination))
        return await queue.move(lanes, call.now_ms, call.caller.name, await self._reason(some))

    async def _reason(self, some: Sequence[Meant]) -> str:
        """Where to, for the history."""
        names = {
            way.label for one in some if isinstance(way := (await self._way(one.app))[2], Server)
        }
        return (
            f"moved it to {', '.join(sorted(names))}"
            if names
            else "moved it to the order of its app"
        )

    async def _way(self, app_id: ObjectId) -> tuple[App, Sequence[Server], Server | str | None]:
        """The way, None for the app's order, or the end of a sentence about what is missing."""
        known = self._ways.get(app_id)
        if known is None:
            directory = self._call.rooms.storage.directory
            app, servers = await directory.app(app_id), await directory.servers(app_id)
            known = self._ways[app_id] = app, servers, _find(servers, self._to)
        return known


def _find(servers: Sequence[Server], to: str) -> Server | str | None:
    if to == ORDER:
        return None
    straight = [server for server in servers if server.kind is Kind.DIRECT]
    if to == DIRECT:
        return straight[0] if straight else "has no direct way; add one, or name a server."
    try:
        wanted: ObjectId | None = parse_object_id("srv", to)
    except InvalidId:
        wanted = None
    for server in servers:
        if server.id == wanted or server.name.lower() == to.lower():
            return (
                server if server.status == ACTIVE else f"has {to}, but disabled; enable it first."
            )
    names = ", ".join(server.name for server in servers) or "none"
    return f"has no server {to!r}; its servers: {names}."
