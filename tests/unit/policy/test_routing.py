"""servers come in the order their priority, weight and the app's strategy ask for"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.directory import App, RouteRule, Strategy
from pillarbox.policy.routing import (
    Route,
    active_servers,
    first_route,
    possible_rules,
    rule_for,
    servers_in_order,
    ways_of_lane,
)
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId


def server(
    name: str, priority: int = 10, weight: int = 1, status: str = "A", created_at: int = 0
) -> Server:
    return Server(
        ObjectId(name.encode()),
        ObjectId(b"app"),
        name,
        "h",
        priority=priority,
        weight=weight,
        status=status,
        created_at=created_at,
    )


def names(servers: list[Server]) -> list[str]:
    return [each.name for each in servers]


def test_the_lowest_priority_number_comes_first() -> None:
    servers = [server("c", 20), server("a", 0), server("b", 10)]
    for draw in range(20):
        assert names(servers_in_order(servers, Strategy.PRIORITY, draw)) == ["a", "b", "c"]


def test_a_disabled_server_is_never_used() -> None:
    servers = [server("a", status="D"), server("b"), server("c", status="D")]
    for strategy in Strategy:
        assert names(servers_in_order(servers, strategy, 1)) == ["b"]
    assert active_servers([server("a", status="D")]) == []
    assert servers_in_order([], Strategy.PRIORITY, 0) == []


def test_equal_priorities_share_the_first_place_by_weight() -> None:
    servers = [server("a", 0, 3), server("b", 0, 1), server("z", 5)]
    first = Counter(servers_in_order(servers, Strategy.PRIORITY, n)[0].name for n in range(4000))
    assert 2850 < first["a"] < 3150
    assert first["a"] + first["b"] == 4000
    assert servers_in_order(servers, Strategy.PRIORITY, 1)[2].name == "z"


def test_random_ignores_priority_and_gives_every_order() -> None:
    servers = [server("a", 0), server("b", 10), server("c", 20)]
    orders = Counter(
        tuple(names(servers_in_order(servers, Strategy.RANDOM, n))) for n in range(6000)
    )
    assert len(orders) == 6
    assert min(orders.values()) > 850


def test_a_weight_of_nothing_comes_last_among_its_equals_the_older_first() -> None:
    servers = [server("young", 0, 0, created_at=2), server("old", 0, 0, created_at=1)]
    servers += [server("used", 0, 5), server("next", 1)]
    for draw in range(20):
        order = names(servers_in_order(servers, Strategy.PRIORITY, draw))
        assert order == ["used", "old", "young", "next"]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 4)), max_size=8),
    st.sampled_from(Strategy),
    st.integers(),
)
def test_every_active_server_comes_once_and_the_same_draw_gives_the_same_order(
    shapes: list[tuple[int, int]], strategy: Strategy, draw: int
) -> None:
    servers = [server(str(n), *shape) for n, shape in enumerate(shapes)]
    before = list(servers)
    order = servers_in_order(servers, strategy, draw)
    assert sorted(names(order)) == sorted(names(servers))
    assert order == servers_in_order(servers, strategy, draw)
    assert servers == before
    if strategy is Strategy.PRIORITY:
        priorities = [each.priority for each in order]
        assert priorities == sorted(priorities)


def test_routes_have_the_names_that_lanes_are_stored_under() -> None:
    assert [route.value for route in Route] == ["servers", "direct", "server"]


def app_with(*rules: RouteRule) -> App:
    return App(ObjectId(b"app"), ObjectId(b"acc"), "shop", routes=rules)


def rule(name: str, recipient_domain: str = "", sender: str = "") -> RouteRule:
    return RouteRule(ObjectId(name.encode()), recipient_domain, sender)


def chosen(app: App, sender: str, recipient: str) -> str:
    found = rule_for(app, sender, recipient)
    return found.server.decode() if found else ""


def test_without_a_rule_that_matches_the_order_of_the_app_holds() -> None:
    assert chosen(app_with(), "a@x.example", "b@y.example") == ""
    assert chosen(app_with(rule("1", "z.example")), "a@x.example", "b@y.example") == ""


def test_all_that_a_rule_gives_must_match() -> None:
    app = app_with(rule("1", "y.example", "x.example"))
    assert chosen(app, "a@x.example", "b@y.example") == "1"
    assert chosen(app, "a@other.example", "b@y.example") == ""
    assert chosen(app, "a@x.example", "b@other.example") == ""


def test_the_first_rule_that_matches_holds() -> None:
    app = app_with(rule("1", "y.example"), rule("2", "", "x.example"), rule("3"))
    assert chosen(app, "a@x.example", "b@y.example") == "1"
    assert chosen(app, "a@x.example", "b@z.example") == "2"
    assert chosen(app, "a@w.example", "b@z.example") == "3"


def test_a_domain_with_a_dot_before_it_stands_for_all_below_and_not_for_itself() -> None:
    app = app_with(rule("1", ".y.example"), rule("2", "", ".x.example"))
    assert chosen(app, "a@w.example", "b@deep.mx.y.example") == "1"
    assert chosen(app, "a@w.example", "b@y.example") == ""
    assert chosen(app, "a@w.example", "b@notmy.example") == ""
    assert chosen(app, "a@news.x.example", "b@z.example") == "2"


def test_rules_behind_one_that_holds_for_every_author_are_not_possible() -> None:
    by_author = RouteRule(ObjectId(b"one"), sender="example.com")
    for_all = RouteRule(ObjectId(b"two"), recipient_domain=".example.net")
    last = RouteRule(ObjectId(b"three"))
    app = app_with(by_author, for_all, last)
    assert possible_rules(app, "bob@mx.example.net") == [by_author, for_all]
    assert possible_rules(app, "bob@example.net") == [by_author, last]
    assert possible_rules(app_with(by_author), "b@a.test") == [by_author, None]
    for sender in ("a@example.com", "a@other.test"):
        for recipient in ("bob@mx.example.net", "bob@example.net"):
            assert rule_for(app, sender, recipient) in possible_rules(app, recipient)


def test_a_rule_for_one_author_is_for_nobody_else_and_case_does_not_matter() -> None:
    app = app_with(rule("1", "", "Billing@x.example"))
    assert chosen(app, "billing@X.example", "b@y.example") == "1"
    assert chosen(app, "news@x.example", "b@y.example") == ""
    assert chosen(app, "", "b@y.example") == ""


def test_new_mail_goes_straight_where_nothing_else_may_come_first() -> None:
    straight = replace(server("straight", 0), kind=Kind.DIRECT)
    assert first_route([], Strategy.PRIORITY) is Route.SERVERS
    assert first_route([server("a", 1), straight], Strategy.PRIORITY) is Route.DIRECT
    assert first_route([server("a", 0), straight], Strategy.PRIORITY) is Route.SERVERS
    assert first_route([server("a", 1), straight], Strategy.RANDOM) is Route.SERVERS
    assert first_route([straight], Strategy.RANDOM) is Route.DIRECT
    disabled = replace(straight, status="D")
    assert first_route([server("a", 1), disabled], Strategy.PRIORITY) is Route.SERVERS


def lane_ways(route: str, only: bytes | None, servers: list[Server]) -> tuple[list[str], str]:
    bound = ObjectId(only) if only else None
    ordered, barred = ways_of_lane(route, bound, servers, Strategy.PRIORITY, 1)
    return names(ordered), barred.name if barred else ""


def test_mail_bound_to_one_way_takes_that_and_no_other() -> None:
    servers = [server("a", 0), server("b", 1)]
    assert lane_ways(Route.SERVER, b"b", servers) == (["b"], "")


def test_mail_bound_to_a_disabled_way_waits_and_it_is_said_for_which() -> None:
    servers = [server("a", 0), server("b", 1, status="D")]
    assert lane_ways(Route.SERVER, b"b", servers) == ([], "b")


def test_mail_bound_to_a_way_that_is_gone_takes_the_order_of_the_app() -> None:
    servers = [server("a", 0), server("b", 1)]
    assert lane_ways(Route.SERVER, b"gone", servers) == (["a", "b"], "")


def test_direct_mail_tries_the_hosts_of_its_recipients_before_the_servers() -> None:
    direct = replace(server("mx", 7), kind=Kind.DIRECT)
    servers = [server("a", 0), direct, server("z", 9)]
    assert lane_ways(Route.DIRECT, None, servers) == (["mx", "a", "z"], "")
    assert lane_ways(Route.SERVERS, None, servers) == (["a", "mx", "z"], "")
