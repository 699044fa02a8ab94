"""why a way out is taken or not, in words"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.directory import App, RouteRule, Strategy
from pillarbox.policy.explain_route import (
    Choice,
    WayFacts,
    WayStand,
    describe_rule,
    explain_choice,
    explain_route,
    explain_ways,
)
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId

NOW = 1_800_000_000_000
APP = App(ObjectId(b"a"), ObjectId(b"acc"), "shop")


def server(name: str, priority: int = 10, status: str = "A") -> Server:
    return Server(
        ObjectId(name.encode()), ObjectId(b"a"), name, f"{name}.test", priority=priority,
        status=status,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("servers", "strategy", "words"),
    [
        ([], Strategy.PRIORITY, "This app has no server yet, so its mail waits."),
        (
            [server("a", status="D")],
            Strategy.PRIORITY,
            "All servers of this app are disabled, so its mail waits.",
        ),
        ([server("a")], Strategy.RANDOM, "Mail of this app goes through a."),
        (
            [server("b", 5), server("a", 0), server("c", 9)],
            Strategy.PRIORITY,
            "Mail of this app is offered to a, b and c, in this order.",
        ),
        (
            [server("a", 0), server("b", 0)],
            Strategy.PRIORITY,
            "Mail of this app is offered to a and b, in this order."
            " Servers of equal priority share by weight.",
        ),
        (
            [server("a"), replace(server("b"), name="")],
            Strategy.RANDOM,
            "Mail of this app goes through one of a and b.test, drawn anew for each attempt.",
        ),
    ],
)
def test_a_route_is_told_in_one_sentence(
    servers: list[Server], strategy: Strategy, words: str
) -> None:
    assert explain_route(servers, strategy) == words


def test_a_direct_way_is_told_as_one() -> None:
    straight = replace(server("mx"), kind=Kind.DIRECT)
    assert (
        explain_route([straight], Strategy.PRIORITY) == "Mail of this app goes through mx (direct)."
    )


def told(
    *ways: WayFacts, only: str | None = None, waits: bool = True
) -> list[tuple[str, WayStand, str]]:
    bound = ObjectId(only.encode()) if only else None
    return [
        (way.server.name, way.stand, way.words)
        for way in explain_ways(ways, bound, NOW, waits=waits)
    ]


def test_each_way_of_a_waiting_delivery_is_told_with_its_part() -> None:
    ways = (
        WayFacts(server("a"), paused_until=NOW + 42_000, tries=2, words="could not be reached"),
        WayFacts(server("b", status="D")),
        WayFacts(server("c")),
        WayFacts(server("d"), tries=1, words="asks us to come back later"),
    )
    assert told(*ways) == [
        (
            "a",
            WayStand.PAUSED,
            "a is left alone after failures; it is used again in 42s (2027-01-15T08:00:42.000Z). "
            "Tried 2 times; the last time: could not be reached.",
        ),
        ("b", WayStand.DISABLED, "b is disabled. It has not been tried yet."),
        ("c", WayStand.NEXT, "c is tried first. It has not been tried yet."),
        (
            "d",
            WayStand.LATER,
            "d is tried after those before it. Tried once; the last time: asks us to come back "
            "later.",
        ),
    ]


def test_where_mail_would_go_nothing_is_said_of_tries() -> None:
    assert told(WayFacts(server("a"), supposed=True)) == [("a", WayStand.NEXT, "a is tried first.")]


def test_a_quota_is_told_with_its_own_words() -> None:
    way = WayFacts(server("a"), paused_until=NOW + 1000, pause_words="has used up its 500 a day")
    ((_, stand, words),) = told(way)
    assert stand is WayStand.PAUSED
    assert words.startswith("a has used up its 500 a day; it is used again in 1s")


def test_mail_bound_to_a_way_leaves_the_others_out_unless_it_is_gone() -> None:
    ways = (WayFacts(server("a")), WayFacts(server("b")))
    assert [stand for _, stand, _ in told(*ways, only="b")] == [WayStand.LEFT_OUT, WayStand.NEXT]
    assert [stand for _, stand, _ in told(*ways, only="gone")] == [WayStand.NEXT, WayStand.LATER]


def test_of_a_delivery_that_is_over_only_what_happened_is_told() -> None:
    ways = (
        WayFacts(server("a"), tries=1, words="could not be reached"),
        WayFacts(server("b"), tries=1, took=True),
        WayFacts(server("c")),
    )
    assert [(name, stand) for name, stand, _ in told(*ways, waits=False)] == [
        ("a", WayStand.TRIED),
        ("b", WayStand.TOOK),
        ("c", WayStand.NOT_NEEDED),
    ]


RULE = RouteRule(ObjectId(b"b"), ".example.org", "billing@x.example")


@pytest.mark.parametrize(
    ("choice", "routes", "route", "named", "words"),
    [
        (Choice(), (), "servers", "", "shop has no rules, so its order holds."),
        (
            Choice(),
            (RULE,),
            "servers",
            "",
            "None of the 1 rules of shop fits, so its order holds.",
        ),
        (
            Choice(rule_number=2, rule=RULE),
            (RULE, RULE),
            "server",
            "b",
            "Rule 2 of shop sends it by b only: from billing@x.example to anything below "
            "example.org.",
        ),
        (
            Choice(rule_number=1, rule=RULE),
            (RULE,),
            "servers",
            "",
            "Rule 1 of shop names a way that is gone, so the order of the app holds.",
        ),
        (
            Choice(moved_by="owner", moved_words="moved it to b"),
            (),
            "server",
            "b",
            "owner moved it to b, so that way holds.",
        ),
        (
            Choice(),
            (),
            "server",
            "b",
            "It was bound to b when it came; a rule said so then.",
        ),
    ],
)
def test_what_chose_the_way_is_told(
    choice: Choice, routes: tuple[RouteRule, ...], route: str, named: str, words: str
) -> None:
    assert explain_choice(choice, replace(APP, routes=routes), route, named) == words


def test_a_rule_is_told_as_a_sentence() -> None:
    assert describe_rule(RULE, "b") == (
        "mail from billing@x.example to anything below example.org goes by b"
    )
    assert describe_rule(replace(RULE, sender="", recipient_domain=""), "") == (
        "mail of every kind goes by a server that is gone"
    )
