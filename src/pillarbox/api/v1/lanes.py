"""lanes: what waits by the way it takes, how each does and why, and stopping one"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import nothing_like, visible_apps
from pillarbox.api.paging import MOST, limit_of, number_of, page, read_query
from pillarbox.api.v1.events import ServerNames
from pillarbox.api.v1.resting import Rest, rests_of
from pillarbox.policy.directory import App
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.lane_state import LANE_WORDS, LaneView, lane_state, way_words, why_lane
from pillarbox.policy.lanes import only_way
from pillarbox.policy.routing import ways_of_lane
from pillarbox.policy.server import Server
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.queue import LaneDepth, LaneName
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import (
    DeliveryId,
    ObjectId,
    format_delivery_id,
    message_of,
    message_time_ms,
)


async def show_lanes(call: Call) -> Response:
    """Lanes in which something waits, and the totals of all of them."""
    query = read_query(call.request, "limit", "after")
    limit = limit_of(query) if "limit" in query else MOST
    after = number_of(query, "after", 0)
    apps = {app.id: app for app in await visible_apps(call)}
    queue = call.rooms.storage.queue
    depths = [depth for depth in await queue.depths() if depth.name.app in apps]
    behind = [depth for depth in depths if depth.lane > after]
    paused = await queue.paused_lanes()
    servers = await ServerNames.of_apps(call, apps)
    rests = await rests_of(call, servers.all)
    lanes = [
        await _lane_view(
            call, depth, apps[depth.name.app], servers, paused.get(depth.lane, 0), rests
        )
        for depth in behind[:limit]
    ]
    following = behind[limit - 1].lane if len(behind) > limit else None
    return answer({**page(lanes, following), "totals": totals_of(depths)})


def totals_of(depths: Sequence[LaneDepth]) -> dict[str, Any]:
    """All lanes together."""
    oldest = min((depth.oldest for depth in depths if depth.oldest is not None), default=None)
    return {
        "waiting": sum(depth.waiting for depth in depths),
        "held": sum(depth.held for depth in depths),
        "active": sum(depth.active for depth in depths),
        "oldest": None if oldest is None else format_delivery_id(oldest),
        "oldest_at": None if oldest is None else accepted_at(oldest),
    }


async def paused_lanes_of(call: Call, apps: Collection[ObjectId]) -> list[int]:
    """The lanes of some apps that somebody paused."""
    queue = call.rooms.storage.queue
    paused = await queue.paused_lanes()
    if not paused:
        return []
    names = await queue.lane_names(list(paused))
    return [lane for lane in paused if lane in names and names[lane].app in apps]


@dataclass(frozen=True, slots=True)
class _Last:
    """What went wrong the last time."""

    at: int = 0
    words: str = ""
    category: str = ""


async def _lane_view(
    call: Call,
    depth: LaneDepth,
    app: App,
    servers: ServerNames,
    paused_at: int,
    rests: Mapping[ObjectId, Rest],
) -> dict[str, Any]:
    report = call.rooms.lane_report(depth.lane)
    last = _Last()
    if report is not None and report.last_at:
        last = _Last(report.last_at, report.last_words, report.last_category)
    elif depth.oldest is not None:
        last = await _last_of(call, depth.oldest, servers)
    ways, barred = await ways_of(call, app, depth.name)
    view = LaneView(
        depth.waiting, depth.held, depth.active, depth.first_due_at or 0, paused_at,
        ways=len(ways), barred=barred.label if barred else "",
        left_alone_until=_left_alone_until(ways, rests), last_words=last.words,
    )  # fmt: skip
    state = lane_state(view, call.now_ms)
    only = only_way(depth.name.route, depth.name.destination)
    return {
        "lane": depth.lane,
        "app": app.name,
        "route": depth.name.route,
        "destination": depth.name.destination,
        "way": way_words(
            depth.name.route, depth.name.destination, servers.name_of(only) if only else ""
        ),
        "state": state,
        "word": LANE_WORDS[state],
        "why": why_lane(view, call.now_ms),
        "waiting": depth.waiting,
        "held": depth.held,
        "active": depth.active,
        "oldest": None if depth.oldest is None else format_delivery_id(depth.oldest),
        "oldest_at": None if depth.oldest is None else accepted_at(depth.oldest),
        "first_due_at": _instant(depth.first_due_at),
        "paused_at": _instant(paused_at),
        "last": {"at": _instant(last.at), "words": last.words, "category": last.category},
        # Of the node that answers: others that share the store send from the lane too.
        "here": {
            "a_minute": report.a_minute if report else 0,
            "attempts": report.attempts if report else 0,
            "in_memory": report.in_memory if report else 0,
            "window": report.window if report else None,
            "window_most": report.most if report else None,
        },
    }


async def ways_of(
    call: Call, app: App, name: LaneName, draw: int = 0
) -> tuple[list[Server], Server | None]:
    """What mail of a lane may go by, and the disabled way that it is bound to."""
    servers = await call.rooms.storage.directory.servers(app.id)
    only = only_way(name.route, name.destination)
    return ways_of_lane(name.route, only, servers, app.strategy, draw)


def _left_alone_until(ways: Sequence[Server], rests: Mapping[ObjectId, Rest]) -> int:
    """When the first is tried again; 0 where any may be used now."""
    if not ways or any(server.id not in rests for server in ways):
        return 0
    return min(rests[server.id].until for server in ways)


async def _last_of(call: Call, delivery: DeliveryId, servers: ServerNames) -> _Last:
    try:
        row = await call.rooms.storage.messages.delivery(delivery)
    except NotFound:  # it left while we looked
        return _Last()
    for event in reversed(await call.rooms.storage.events.history(row.last_event)):
        if isinstance(event.data, AttemptFacts):
            return _Last(event.at, servers.words_of(event).rstrip("."), event.data.category)
    return _Last()


async def pause_lane(call: Call) -> Response:
    """Nothing leaves from it any more, and what comes new waits; what is on its way ends."""
    return await _switch(call, pause=True)


async def resume_lane(call: Call) -> Response:
    """It goes on."""
    return await _switch(call, pause=False)


async def _switch(call: Call, *, pause: bool) -> Response:
    text = call.part("lane")
    apps = {app.id: app for app in await visible_apps(call)}
    queue = call.rooms.storage.queue
    number = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0
    name = (await queue.lane_names([number])).get(number)
    if name is None or name.app not in apps:
        raise nothing_like("lane", text)
    act = queue.pause_lane if pause else queue.resume_lane
    changed = await act(number, call.now_ms, call.caller.name)
    return answer(
        {
            "lane": number,
            "app": apps[name.app].name,
            "way": await lane_words(call, name),
            "paused": pause,
            "changed": changed,
        }
    )


async def lane_words(call: Call, name: LaneName) -> str:
    """Where a lane leads, as people say it."""
    only = only_way(name.route, name.destination)
    servers = await call.rooms.storage.directory.servers(name.app)
    named = next((server.label for server in servers if server.id == only), "")
    return way_words(name.route, name.destination, named)


_DIGITS: Final = 19


def accepted_at(delivery: DeliveryId) -> str:
    """When the message of a delivery was taken."""
    return format_instant(message_time_ms(message_of(delivery)))


def _instant(at: int | None) -> str | None:
    return format_instant(at) if at else None


ENTRIES: Final = (
    Entry("GET", "/queue", Verb.READ, show_lanes),
    Entry("POST", "/queue/lanes/{lane}/pause", Verb.MANAGE, pause_lane),
    Entry("POST", "/queue/lanes/{lane}/resume", Verb.MANAGE, resume_lane),
)
