"""routes: an app's rules for mail that takes a way of its own, and where mail would go"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.bodies import Check, read_shape
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.fields import Names, address
from pillarbox.api.finding import find_app, find_server, nothing_like
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake, RequestError
from pillarbox.api.v1.resting import Rest, rests_of
from pillarbox.api.v1.selecting import domain_pattern
from pillarbox.policy.directory import App, RouteRule
from pillarbox.policy.explain_route import (
    Choice,
    WayFacts,
    describe_rule,
    explain_choice,
    explain_ways,
)
from pillarbox.policy.lanes import lane_for, lane_of_way, only_way
from pillarbox.policy.routing import first_route, rule_for, servers_in_order
from pillarbox.policy.server import Server
from pillarbox.terms.ids import ObjectId, format_object_id

MOST: Final = 100
_DIGITS: Final = 4


def _author(text: str) -> str:
    """An address or a domain. Raises `InvalidField`."""
    if not text:
        return ""
    return address(text) if "@" in text else domain_pattern(text)


def _domain(text: str) -> str:
    return domain_pattern(text) if text else ""


class NewRule(Struct):
    """A rule: mail of which all that is given fits takes that way and no other."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"recipient_domain": _domain, "sender": _author}

    server: Names
    recipient_domain: Names = ""
    sender: Names = ""
    at: Annotated[int, Meta(ge=1, le=MOST)] | UnsetType = UNSET
    """Its number afterwards; without it the last."""


class Rules(Struct):
    """All rules of an app, in their order."""

    items: Annotated[tuple[dict[str, Any], ...], Meta(max_length=MOST)]


class Letter(Struct):
    """Mail as far as rules look at it."""

    CHECKS: ClassVar[Mapping[str, Check]] = {"sender": address, "recipient": address}

    recipient: Names
    sender: Names = ""


async def list_rules(call: Call) -> Response:
    """In the order in which they are tried; the first that fits holds."""
    read_query(call.request, "limit")
    app = await find_app(call, call.part("app"))
    return await _answer_rules(call, app)


async def add_rule(call: Call) -> Response:
    """One more, as the last or at a place."""
    app = await find_app(call, call.part("app"))
    shape = await call.shape(NewRule)
    rules = list(app.routes)
    place = len(rules) if shape.at is UNSET else min(shape.at - 1, len(rules))
    rules.insert(place, await _rule(call, app, shape))
    return await _save(call, app, rules, 201)


async def replace_rules(call: Call) -> Response:
    """All of them at once."""
    app = await find_app(call, call.part("app"))
    shape = await call.shape(Rules)
    return await _save(
        call, app, [await _rule_of(call, app, n, each) for n, each in enumerate(shape.items)]
    )


async def _rule_of(call: Call, app: App, number: int, given: dict[str, Any]) -> RouteRule:
    """One of a list; what is wrong with it is said with its place."""
    try:
        return await _rule(call, app, read_shape(msgspec.json.encode(given), NewRule))
    except InvalidRequest as wrong:
        raise InvalidRequest(
            [replace(each, pointer=f"/items/{number}{each.pointer}") for each in wrong.mistakes]
        ) from None


async def remove_rule(call: Call) -> Response:
    """By its number; those behind it move up."""
    app = await find_app(call, call.part("app"))
    text = call.part("rule")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else 0
    if not 1 <= number <= len(app.routes):
        raise nothing_like("rule", text)
    return await _save(call, app, [*app.routes[: number - 1], *app.routes[number:]])


async def try_rules(call: Call) -> Response:
    """Where mail of a sender to a recipient would go, and why. Nothing is sent."""
    app = await find_app(call, call.part("app"))
    letter = await call.shape(Letter)
    if not letter.recipient:
        raise InvalidRequest([Mistake("/recipient", "is missing")])
    servers = await call.rooms.storage.directory.servers(app.id)
    rule = rule_for(app, letter.sender, letter.recipient)
    way = next((server for server in servers if rule and server.id == rule.server), None)
    domain = letter.recipient.rpartition("@")[2]
    if way is not None:
        route, destination = lane_of_way(way, domain)
    else:
        route, destination = lane_for(app, first_route(servers, app.strategy), domain)
    number = app.routes.index(rule) + 1 if rule is not None else 0
    choice = explain_choice(
        Choice(rule_number=number, rule=rule), app, route, way.label if way else ""
    )
    rests = await rests_of(call, servers)
    ways = explain_ways(
        [replace(way_facts(server, rests), supposed=True) for server in in_order(app, servers)],
        only_way(route, destination),
        call.now_ms,
        waits=True,
    )
    return answer(
        {
            "app": app.name,
            "rule": number or None,
            "why": choice,
            "ways": [
                {
                    "server": format_object_id("srv", each.server.id),
                    "name": each.server.label,
                    "stand": each.stand,
                    "words": each.words,
                }
                for each in ways
            ],
        }
    )


def in_order(app: App, servers: Sequence[Server], draw: int = 0) -> list[Server]:
    """The app's ways as an attempt comes to them, and those that are disabled behind them."""
    ordered = servers_in_order(servers, app.strategy, draw)
    return ordered + [server for server in servers if server not in ordered]


def way_facts(server: Server, rests: Mapping[ObjectId, Rest]) -> WayFacts:
    """A way of which nothing happened yet."""
    rest = rests.get(server.id, _AT_WORK)
    return WayFacts(server, paused_until=rest.until, pause_words=rest.words)


_AT_WORK: Final = Rest(0)


async def refuse_if_ruled(call: Call, server: Server) -> None:
    """A way that rules name is not taken away under them. Raises `RequestError`."""
    app = await call.rooms.storage.directory.app(server.app)
    numbers = [str(n) for n, rule in enumerate(app.routes, 1) if rule.server == server.id]
    if numbers:
        word = "Rule" if len(numbers) == 1 else "Rules"
        raise RequestError(
            f"{word} {', '.join(numbers)} of {app.name} {'sends' if len(numbers) == 1 else 'send'} "
            f"mail by {server.label} only.",
            code="wrong_state",
            status=409,
            fix=f"Remove them first: pillarbox route remove {numbers[-1]} --app {app.name}",
        )


async def _rule(call: Call, app: App, shape: NewRule) -> RouteRule:
    if not shape.recipient_domain and not shape.sender:
        raise InvalidRequest(
            [Mistake("", "a rule says for which recipient_domain, sender, or both it holds")]
        )
    _, server = await find_server(call, shape.server, app.name)
    return RouteRule(server.id, shape.recipient_domain, shape.sender)


async def _save(call: Call, app: App, rules: Sequence[RouteRule], status: int = 200) -> Response:
    if len(rules) > MOST:
        raise InvalidRequest([Mistake("", f"an app has {MOST} rules at most")])
    changed = replace(app, routes=tuple(rules))
    await call.rooms.storage.directory.save_app(changed)
    return await _answer_rules(call, changed, status)


async def _answer_rules(call: Call, app: App, status: int = 200) -> Response:
    servers = await call.rooms.storage.directory.servers(app.id)
    names = {server.id: server.label for server in servers}
    items = []
    for number, rule in enumerate(app.routes, 1):
        named = names.get(rule.server, "")
        items.append(
            {
                "number": number,
                "server": format_object_id("srv", rule.server),
                "server_name": named,
                "recipient_domain": rule.recipient_domain,
                "sender": rule.sender,
                "words": describe_rule(rule, named),
            }
        )
    return answer({**page(items), "app": app.name}, status)


ENTRIES: Final = (
    Entry("GET", "/apps/{app}/routes", Verb.READ, list_rules),
    Entry("POST", "/apps/{app}/routes", Verb.MANAGE, add_rule),
    Entry("PUT", "/apps/{app}/routes", Verb.MANAGE, replace_rules),
    Entry("POST", "/apps/{app}/routes/test", Verb.READ, try_rules),
    Entry("DELETE", "/apps/{app}/routes/{rule}", Verb.MANAGE, remove_rule),
)
