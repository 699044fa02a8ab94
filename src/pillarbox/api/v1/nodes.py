"""nodes: who shares this store, and asking one of them to accept nothing more"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer, gone
from pillarbox.api.finding import nothing_like, sees_everything
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import NotPermitted
from pillarbox.storage.interface.nodes import NodeFacts
from pillarbox.terms.clock import format_instant


class NodeState(StrEnum):
    """How a node is, in a word."""

    WORKING = "working"
    DRAINING = "draining"
    """It accepts nothing more, or will not in a moment, and finishes what it has."""
    DRAINED = "drained"
    """It accepts nothing more and has nothing in memory: it can be stopped."""
    SILENT = "silent"
    """It gave no sign of life in time; others take over what it has."""
    STOPPED = "stopped"


def state_of(node: NodeFacts) -> NodeState:
    """A process without roles is a command that looks into the store: its node does not work."""
    if node.ended or not node.roles:
        return NodeState.STOPPED
    if not node.alive:
        return NodeState.SILENT
    if not node.draining:
        return NodeState.WORKING
    finished = node.load.draining and not node.load.messages
    return NodeState.DRAINED if finished else NodeState.DRAINING


def is_alive(node: NodeFacts) -> bool:
    """Whether it works, or finishes what it has."""
    return state_of(node) not in (NodeState.SILENT, NodeState.STOPPED)


def node_view(node: NodeFacts) -> dict[str, Any]:
    """A node as programs see it; of one that was only looked into it is not known when it ran."""
    known = bool(node.roles)
    return {
        "name": node.name,
        "number": node.number,
        "state": state_of(node),
        "alive": is_alive(node),
        "draining": node.draining,
        "roles": node.roles,
        "version": node.version,
        "started_at": format_instant(node.started_at) if known else None,
        "last_sign_of_life": format_instant(node.beat_at) if known else None,
        "load": {
            "messages": node.load.messages,
            "sessions": node.load.sessions,
            "accepted": node.load.accepted,
            "settled": node.load.settled,
        },
    }


async def list_nodes(call: Call) -> Response:
    """All nodes this store knows, by name."""
    read_query(call.request, "limit")
    await _check(call)
    return answer(page([node_view(node) for node in await call.rooms.storage.nodes.nodes()]))


async def drain_node(call: Call) -> Response:
    """It accepts nothing more, finishes what it has, and leaves the rest to the others."""
    return await _drain(call, draining=True)


async def resume_node(call: Call) -> Response:
    """It works again."""
    return await _drain(call, draining=False)


async def remove_node(call: Call) -> Response:
    """Strike one that is gone for good; refused while it lives, or what it had is not free."""
    read_query(call.request)
    await _check(call)
    await call.rooms.storage.nodes.forget(call.part("node"))
    return gone()


async def _drain(call: Call, *, draining: bool) -> Response:
    read_query(call.request)
    await _check(call)
    name, nodes = call.part("node"), call.rooms.storage.nodes
    await nodes.drain(name, draining=draining)
    for node in await nodes.nodes():
        if node.name == name:
            return answer(node_view(node))
    raise nothing_like("node", name)  # removed in the meantime


async def _check(call: Call) -> None:
    if not await sees_everything(call):
        raise NotPermitted(
            "Nodes serve all apps and accounts, and this key does not see all of them.",
            fix="Use a key that is good for all apps, or the command line on the machine of a node.",
        )


ENTRIES: Final = (
    Entry("GET", "/nodes", Verb.READ, list_nodes),
    Entry("POST", "/nodes/{node}/drain", Verb.MANAGE, drain_node),
    Entry("POST", "/nodes/{node}/resume", Verb.MANAGE, resume_node),
    Entry("DELETE", "/nodes/{node}", Verb.MANAGE, remove_node),
)
