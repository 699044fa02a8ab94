"""lanes by route and destination; turns that are fair to apps and to lanes"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.directory import App
from pillarbox.policy.lanes import (
    FairTurn,
    by_turns,
    lane_for,
    lane_of_way,
    only_way,
    through_servers,
)
from pillarbox.policy.routing import Route
from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId

APP = App(ObjectId(b"app"), ObjectId(b"acc"), "first-app")


def test_mail_through_the_apps_servers_shares_one_lane() -> None:
    assert lane_for(APP, Route.SERVERS, "example.com") == ("servers", "*")
    assert lane_for(APP, "servers", "other.test") == ("servers", "*")


def test_mail_goes_through_servers_unless_its_way_is_the_direct_one() -> None:
    server = Server(ObjectId(b"srv"), APP.id, "one", "smtp.example.net")
    direct = replace(server, kind=Kind.DIRECT)
    assert through_servers(*lane_for(APP, Route.SERVERS, "example.com"))
    assert through_servers(*lane_of_way(server, "example.com"))
    assert not through_servers(*lane_for(APP, Route.DIRECT, "example.com"))
    assert not through_servers(*lane_of_way(direct, "example.com"))


def test_direct_mail_has_a_lane_for_each_destination() -> None:
    assert lane_for(APP, Route.DIRECT, "Example.COM.") == ("direct", "example.com")
    assert lane_for(APP, Route.DIRECT, "") == ("direct", "*")


def test_mail_that_takes_one_way_only_has_a_lane_of_that_way() -> None:
    server = Server(ObjectId(b"\x01\xab"), APP.id, "one", "mail.example.com")
    assert lane_of_way(server, "example.com") == ("server", "01ab")
    straight = replace(server, kind=Kind.DIRECT)
    assert lane_of_way(straight, "Example.COM.") == ("server", "01ab/example.com")
    for way in (server, straight):
        assert only_way(*lane_of_way(way, "example.com")) == server.id


def test_other_lanes_follow_the_apps_order() -> None:
    for name in (("servers", "*"), ("direct", "example.com"), ("server", "*"), ("server", "")):
        assert only_way(*name) is None


def test_lanes_take_turns() -> None:
    turns: FairTurn[str] = FairTurn()
    for lane in ("a", "b", "c"):
        turns.add(lane)
    assert [turns.next() for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_an_app_with_many_lanes_has_no_more_turns_than_one_with_a_single_lane() -> None:
    turns: FairTurn[str] = FairTurn()
    for n in range(100):
        turns.add(f"big-{n}", "big")
    turns.add("small-0", "small")
    given_out = Counter((turns.next() or "").partition("-")[0] for _ in range(100))
    assert given_out == {"big": 50, "small": 50}


def test_a_lane_that_may_not_go_is_passed_over_and_keeps_its_place() -> None:
    turns: FairTurn[str] = FairTurn()
    for lane, app in (("a", 1), ("b", 1), ("c", 2)):
        turns.add(lane, app)
    assert turns.next(lambda lane: lane != "a") == "b"
    assert turns.next(lambda lane: lane != "a") == "c"
    assert turns.next() == "a"
    assert turns.next(lambda lane: False) is None


def test_nobody_waiting_means_nobodys_turn() -> None:
    turns: FairTurn[str] = FairTurn()
    assert turns.next() is None
    turns.add("a")
    turns.add("a")
    assert len(turns) == 1
    assert "a" in turns
    turns.remove("a")
    turns.remove("a")
    assert len(turns) == 0
    assert turns.next() is None


def test_a_lane_removed_leaves_its_app_the_others() -> None:
    turns: FairTurn[str] = FairTurn()
    turns.add("a", 1)
    turns.add("b", 1)
    turns.remove("a")
    assert [turns.next(), turns.next()] == ["b", "b"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, unique=True))
def test_within_one_round_no_lane_waits_longer_than_its_share(lanes: list[tuple[int, int]]) -> None:
    turns: FairTurn[tuple[int, int]] = FairTurn()
    for lane in lanes:
        turns.add(lane, lane[0])
    apps = Counter(app for app, _ in lanes)
    rounds = [turns.next() for _ in range(len(apps) * max(apps.values()))]
    assert set(rounds) == set(lanes)


def test_lanes_of_several_apps_are_put_in_an_order_in_which_the_apps_take_turns() -> None:
    lanes = [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("c2", "c")]
    assert by_turns(lanes) == ["a1", "b1", "c1", "a2", "c2", "a3"]
    assert by_turns(lanes[:3]) == ["a1", "a2", "a3"]
    assert by_turns([]) == []
