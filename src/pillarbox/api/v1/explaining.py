"""explaining: each recipient's way and wait, from the rule that chose it to what comes after next"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import find_message
from pillarbox.api.paging import read_query
from pillarbox.api.v1.events import ServerNames
from pillarbox.api.v1.resting import Rest, rests_of
from pillarbox.api.v1.routes import in_order, way_facts
from pillarbox.api.v1.standing import last_attempt, standing_of
from pillarbox.message.words import decode_words
from pillarbox.policy.delivery import STATE_WORDS, TAKEN, WAITING, State
from pillarbox.policy.directory import App
from pillarbox.policy.events import ActionFacts, AttemptFacts
from pillarbox.policy.explain import after_that, explain
from pillarbox.policy.explain_route import (
    Choice,
    WayFacts,
    WayStand,
    WayTold,
    explain_choice,
    explain_ways,
)
from pillarbox.policy.lane_state import way_words
from pillarbox.policy.lanes import only_way
from pillarbox.policy.meaning import PHRASES, Category
from pillarbox.policy.routing import BARRED, Route, rule_for
from pillarbox.policy.server import Server
from pillarbox.storage.interface.events import StoredEvent
from pillarbox.storage.interface.messages import StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import ObjectId, format_delivery_id, format_message_id, format_object_id

_NOT_ASKED: Final = frozenset({"", PHRASES[Category.PAUSED], BARRED})
"""What is said of a way that an attempt passed by."""
_MOST: Final = 100
"""Recipients of one message that are explained; the others stand as some of these do."""


async def explain_message(call: Call) -> Response:
    """Each recipient: the ways considered, what chose, what happened, what it waits for."""
    read_query(call.request)
    app, message = await find_message(call, call.part("message"))
    rooms = call.rooms
    rows = await rooms.storage.messages.deliveries(message.id)
    names = await ServerNames.of_apps(call, {app.id: app})
    servers = await rooms.storage.directory.servers(app.id)
    paused = await rooms.storage.queue.paused_lanes()
    rests = await rests_of(call, servers)
    explained = [
        await _explained(call, app, message, row, servers, names, paused, rests)
        for row in rows[:_MOST]
    ]
    return answer(
        {
            "message": format_message_id(message.id),
            "app": app.name,
            "mode": message.mode,
            "from": message.author,
            "subject": decode_words(message.subject.encode("utf-8", "replace")),
            "recipients": explained,
            "more": max(0, len(rows) - _MOST),
        }
    )


async def _explained(
    call: Call,
    app: App,
    message: StoredMessage,
    row: DeliveryRow,
    servers: Sequence[Server],
    names: ServerNames,
    paused: dict[int, int],
    rests: Mapping[ObjectId, Rest],
) -> dict[str, Any]:
    history = await call.rooms.storage.events.history(row.last_event)
    waiting = await call.rooms.storage.queue.one(row.delivery)
    lane = None
    if waiting is not None:
        lane = (await call.rooms.storage.queue.lane_names([waiting.lane])).get(waiting.lane)
    waits = waiting is not None and row.state in WAITING
    only = only_way(lane.route, lane.destination) if lane is not None else None
    bound = next((server.label for server in servers if server.id == only), "")
    standing = standing_of(message, row, last_attempt(history), names)
    told = explain(standing, call.now_ms)
    wait_ms = call.rooms.retry.wait_ms(row.attempts + 1, row.delivery)
    ways = explain_ways(
        [_way(way_facts(server, rests), history, row) for server in in_order(app, servers, message.id)],
        only, call.now_ms, waits=waits,
    )  # fmt: skip
    why = ""
    if row.state is not State.SANDBOXED:
        choice = _choice(app, message, row, history)
        why = explain_choice(choice, app, lane.route if lane else Route.SERVERS, bound)
    held_up = ""
    if waiting is not None and waiting.lane in paused:
        since = format_instant(paused[waiting.lane])
        held_up = f"Its lane was paused {since}: pillarbox queue resume {waiting.lane}"
    attempts = [
        {"at": format_instant(event.at), "kind": event.kind, "words": _attempt_words(event, names)}
        for event in history
    ]
    following = after_that(standing, call.now_ms, wait_ms) if waits else ""
    lines = [told.text, held_up, following]
    return {
        "delivery": format_delivery_id(row.delivery),
        "recipient": row.recipient,
        "state": row.state,
        "word": STATE_WORDS[row.state].word,
        "about": told.about,
        "lane": waiting.lane if waiting is not None else None,
        "way": way_words(lane.route, lane.destination, bound) if lane is not None else "",
        "chosen": why,
        "ways": [_way_view(way) for way in ways],
        "history": attempts,
        "waits_for": held_up or _waits_for(told.why, ways, waits=waits),
        "until": format_instant(row.at) if waits and row.state is not State.HELD else None,
        "next": told.what_next,
        "after_that": following,
        "advice": told.advice,
        "text": " ".join(filter(None, lines)),
    }


def _waits_for(why: str, ways: Sequence[WayTold], *, waits: bool) -> str:
    if not waits:
        return ""
    usable = [way for way in ways if way.stand in (WayStand.NEXT, WayStand.LATER)]
    if not usable and ways:
        return "No way out can be used just now."
    return why


def _choice(
    app: App, message: StoredMessage, row: DeliveryRow, history: Sequence[StoredEvent]
) -> Choice:
    for event in reversed(history):
        if event.kind == "delivery.moved" and isinstance(event.data, ActionFacts):
            return Choice(moved_by=event.data.by, moved_words=event.data.reason)
    rule = rule_for(app, message.author, row.recipient)
    return Choice(rule_number=app.routes.index(rule) + 1 if rule else 0, rule=rule)


def _way(way: WayFacts, history: Sequence[StoredEvent], row: DeliveryRow) -> WayFacts:
    """What the history says of a way: the outcome of an attempt that more than one was asked in is
    noted for the last of them, and the others stand in its words.
    """
    server = way.server
    tries, words, took = 0, "", False
    for event in history:
        facts = event.data
        if not isinstance(facts, AttemptFacts):
            continue
        named = facts.server == server.id
        said = _part_of(facts.words, server.label) or (facts.words if named else "")
        if said in _NOT_ASKED:
            continue
        tries += 1
        took = named and row.state in TAKEN and event.seq == row.last_event
        words = said
    return replace(way, tries=tries, words=words, took=took)


def _part_of(words: str, name: str) -> str:
    """What words about several ways say of one; empty where they do not name it."""
    for part in words.split("; "):
        if part.startswith(f"{name} "):
            return part.removeprefix(f"{name} ")
    return ""


def _attempt_words(event: StoredEvent, names: ServerNames) -> str:
    facts = event.data
    words = names.words_of(event)
    if isinstance(facts, AttemptFacts) and facts.number:
        return f"Attempt {facts.number}: {words}"
    if isinstance(facts, ActionFacts) and facts.by:
        return f"{words[:1].upper()}{words[1:].rstrip('.')}, by {facts.by}."
    return words


def _way_view(way: WayTold) -> dict[str, Any]:
    return {
        "server": format_object_id("srv", way.server.id),
        "name": way.server.label,
        "priority": way.server.priority,
        "stand": way.stand,
        "words": way.words,
    }


ENTRIES: Final = (Entry("GET", "/messages/{message}/explain", Verb.READ, explain_message),)
