"""the status: what runs here, and whether mail flows"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import sees_everything, visible_apps
from pillarbox.api.paging import read_query
from pillarbox.api.rooms import ListenerFact
from pillarbox.api.v1.lanes import paused_lanes_of, totals_of
from pillarbox.api.v1.nodes import is_alive, state_of
from pillarbox.api.v1.server_standing import standings
from pillarbox.message.words import decode_words
from pillarbox.policy.breaker import Circuit
from pillarbox.policy.directory import App
from pillarbox.policy.explain_route import explain_route
from pillarbox.policy.routing import active_servers
from pillarbox.policy.server import Server
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import format_message_id, message_time_ms


async def show_status(call: Call) -> Response:
    """Version, ports, node, apps with their modes, queue, last message, storage."""
    read_query(call.request)
    rooms = call.rooms
    apps = await visible_apps(call)
    seen = {app.id for app in apps}
    facts, tracking = rooms.smtp_facts(), rooms.tracking_facts()
    health = await rooms.storage.health()
    depths = [depth for depth in await rooms.storage.queue.depths() if depth.name.app in seen]
    return answer(
        {
            "version": rooms.version,
            "hostname": rooms.hostname,
            "started_at": format_instant(rooms.started_at),
            "uptime_seconds": max(0, (call.now_ms - rooms.started_at) // 1000),
            "listeners": [_listener(each) for each in facts.listeners],
            "bounce_listeners": [_listener(each) for each in facts.bounces],
            "tracking_host": {
                "host": tracking.host,
                "listeners": [_listener(each) for each in tracking.listeners],
            },
            "ca_path": facts.ca_path,
            "node": await _node(call),
            "apps": [await _app_line(call, app) for app in apps],
            "queue": totals_of(depths) | {"paused_lanes": await paused_lanes_of(call, seen)},
            "last_message": await _last_message(call),
            "storage": {
                "writable": health.writable,
                "engine": health.engine,
                "schema": health.schema,
                "free_bytes": health.free_bytes,
                "trouble": health.trouble,
            },
        }
    )


def _listener(fact: ListenerFact) -> dict[str, Any]:
    return {
        "host": fact.host,
        "port": fact.port,
        "security": fact.security,
        "note": fact.note,
    }


async def _node(call: Call) -> dict[str, Any] | None:
    """Which node answers; None for whoever does not see nodes."""
    if not await sees_everything(call):
        return None
    nodes = call.rooms.storage.nodes
    known = await nodes.nodes()
    for node in known:
        if node.number == nodes.number:
            return {
                "name": node.name,
                "state": state_of(node),
                "roles": node.roles,
                "draining": node.draining,
                "nodes_alive": sum(map(is_alive, known)),
            }
    return None


async def _app_line(call: Call, app: App) -> dict[str, Any]:
    servers = await call.rooms.storage.directory.servers(app.id)
    alone = await _left_alone(call, active_servers(servers))
    route = explain_route(servers, app.strategy)
    return {
        "name": app.name,
        "active": app.active,
        "mode": app.mode,
        "servers": len(servers),
        "servers_enabled": len(active_servers(servers)),
        "servers_left_alone": alone,
        "route": f"{route} Left alone just now: {', '.join(alone)}." if alone else route,
    }


async def _left_alone(call: Call, servers: Sequence[Server]) -> list[str]:
    """Those that are paused, or may be given no more at present."""
    stand = await standings(call, servers)
    return [
        server.label
        for server, how in zip(servers, stand, strict=True)
        if how["circuit"]["state"] is not Circuit.CLOSED or how["used"]["rests_until"]
    ]


async def _last_message(call: Call) -> dict[str, Any] | None:
    wanted = MessageFilter(app=call.caller.app)
    newest = await call.rooms.storage.messages.newest(wanted, 1)
    for message in newest.messages:
        return {
            "id": format_message_id(message.id),
            "at": format_instant(message_time_ms(message.id)),
            "subject": decode_words(message.subject.encode("utf-8", "replace")),
        }
    return None


ENTRIES: Final = (Entry("GET", "/status", Verb.READ, show_status),)
