"""looking into the queue, and what a person may do there"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pillarbox.terms.ids import DeliveryId, format_delivery_id
from tests.fix_api_face import Face

HELLO = {"to": ["a@example.com", "b@example.com"], "subject": "Hi", "text": "x"}


async def held(face: Face, **more: Any) -> dict[str, Any]:
    """A message that waits for a person."""
    await face.own("PATCH", "/apps/first-app", {"mode": "hold"})
    answer = await face.own("POST", "/messages", {**HELLO, **more})
    return answer.json()


async def states(face: Face, message: str) -> list[str]:
    shown = (await face.own("GET", f"/messages/{message}")).json()
    return [delivery["state"] for delivery in shown["deliveries"]]


async def test_lanes_show_what_waits(face: Face) -> None:
    message = await held(face)
    answer = (await face.own("GET", "/queue")).json()
    assert answer["totals"]["held"] == 2
    lane = answer["items"][0]
    assert lane["app"] == "first-app"
    assert lane["held"] == 2
    assert lane["oldest"] == message["deliveries"][0]["id"]
    assert lane["oldest_at"].endswith("Z")
    assert (await face.own("GET", "/status")).json()["queue"]["held"] == 2


async def test_waiting_deliveries_are_paged(face: Face) -> None:
    first, second = await held(face), await held(face)
    page = (await face.own("GET", "/queue/deliveries?limit=3")).json()
    assert [item["id"] for item in page["items"]] == [
        *(each["id"] for each in first["deliveries"]), second["deliveries"][0]["id"],
    ]  # fmt: skip
    assert page["items"][0]["word"] == "Held"
    rest = (await face.own("GET", f"/queue/deliveries?after={page['next']}")).json()
    assert [item["id"] for item in rest["items"]] == [second["deliveries"][1]["id"]]
    assert rest["next"] is None
    none = await face.own("GET", "/queue/deliveries?state=deferred&app=first-app")
    assert none.json()["items"] == []


@pytest.mark.parametrize("how", ["message", "deliveries", "lane", "app", "state"])
async def test_everything_named_is_released(face: Face, how: str) -> None:
    message = await held(face)
    lane = (await face.own("GET", "/queue")).json()["items"][0]["lane"]
    wish = {
        "message": {"message": message["id"]},
        "deliveries": {"deliveries": [each["id"] for each in message["deliveries"]]},
        "lane": {"lane": lane},
        "app": {"app": "first-app", "state": "held"},
        "state": {"state": "held"},
    }[how]
    counted = (await face.own("POST", "/queue/release", {**wish, "dry_run": True})).json()
    assert (counted["matched"], counted["changed"]) == (2, 0)
    assert await states(face, message["id"]) == ["held", "held"]
    done = (await face.own("POST", "/queue/release", wish)).json()
    assert (done["matched"], done["changed"], done["refused"]) == (2, 2, 0)
    assert await states(face, message["id"]) == ["queued", "queued"]


async def test_what_a_person_did_stands_in_the_history_with_the_name(face: Face) -> None:
    message = await held(face)
    await face.own("POST", "/queue/cancel", {"message": message["id"]})
    shown = (await face.own("GET", f"/messages/{message['id']}")).json()
    last = shown["deliveries"][0]["history"][-1]
    assert last["kind"] == "delivery.cancelled"
    assert last["facts"]["by"] == "key everything"


async def test_what_does_not_fit_is_refused_in_words(face: Face) -> None:
    message = await held(face)
    await face.own("POST", "/queue/cancel", {"deliveries": [message["deliveries"][0]["id"]]})
    answer = (await face.own("POST", "/queue/release", {"message": message["id"]})).json()
    assert (answer["changed"], answer["refused"]) == (1, 1)
    refusal = answer["refusals"][0]
    assert refusal["id"] == message["deliveries"][0]["id"]
    assert refusal["state"] == "cancelled"
    assert "Cannot release" in refusal["why"]


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"dry_run": True},
        {"message": "msg_1", "lane": 1},
        {"deliveries": ["dlv_1"], "message": "msg_1"},
        {"lane": "one"},
        {"state": "delivered"},
        {"deliveries": ["dlv_1"] * 1001},
        {"lanes": 1},
        {"lane": 1 << 70},
        {"lane": -1},
    ],
)
async def test_a_wish_that_is_not_clear_changes_nothing(face: Face, wish: dict[str, Any]) -> None:
    message = await held(face)
    answer = await face.own("POST", "/queue/cancel", wish)
    assert answer.status == 422
    assert await states(face, message["id"]) == ["held", "held"]


async def test_what_is_not_there_is_not_found(face: Face) -> None:
    for wish in ({"message": "msg_1"}, {"deliveries": ["dlv_1"]}, {"app": "nope"}):
        assert (await face.own("POST", "/queue/hold", wish)).status == 404
    for number in (4097, (1 << 65) - 1):
        unknown = format_delivery_id(DeliveryId(number))
        assert (await face.own("POST", "/queue/hold", {"deliveries": [unknown]})).status == 404
        listed = await face.own("GET", f"/queue/deliveries?after={unknown}")
        assert listed.status in (200, 404)


async def test_a_narrowed_key_reaches_its_own_queue_only(face: Face) -> None:
    message = await held(face)
    lane = (await face.own("GET", "/queue")).json()["items"][0]["lane"]
    other = await face.new_app("other")
    key = await face.new_key(app=other.id)
    assert (await face.own("GET", "/queue", key=key)).json()["items"] == []
    assert (await face.own("GET", "/queue/deliveries", key=key)).json()["items"] == []
    for wish, status in (
        ({"message": message["id"]}, 404),
        ({"deliveries": [message["deliveries"][0]["id"]]}, 404),
        ({"app": "first-app"}, 404),
        ({"lane": lane}, 200),
        ({"state": "held"}, 200),
    ):
        answer = await face.own("POST", "/queue/cancel", wish, key=key)
        assert answer.status == status
        assert status == 404 or answer.json()["changed"] == 0
    assert await states(face, message["id"]) == ["held", "held"]


async def test_many_deliveries_are_taken_in_slices(face: Face) -> None:
    people = [f"u{number}@example.com" for number in range(600)]
    await held(face, to=people)
    await held(face, to=people)
    done = (await face.own("POST", "/queue/release", {"app": "first-app"})).json()
    assert (done["changed"], done["more"]) == (1200, False)
    await asyncio.sleep(0)
    again = (await face.own("POST", "/queue/release", {"app": "first-app"})).json()
    assert (again["matched"], again["changed"]) == (0, 0)
    assert len(again["refusals"]) <= 100


async def servers(face: Face, *names: str) -> None:
    for name in names:
        await face.own("POST", "/apps/first-app/servers", {"name": name, "host": name})


async def test_lanes_say_how_they_do_and_why(face: Face) -> None:
    await held(face)
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert (lane["state"], lane["word"]) == ("held", "Held")
    assert lane["way"] == "its servers"
    await face.own("POST", "/queue/release", {"app": "first-app"})
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert lane["state"] == "blocked"
    assert lane["why"] == "The app has no active server that could take it."
    await servers(face, "one")
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert lane["state"] == "flowing"
    assert lane["here"] == {
        "a_minute": 0, "attempts": 0, "in_memory": 0, "window": None, "window_most": None,
    }  # fmt: skip


async def test_a_lane_is_paused_and_resumed_and_says_whether_that_changed_anything(
    face: Face,
) -> None:
    await held(face)
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    place = f"/queue/lanes/{lane['lane']}"
    done = (await face.own("POST", f"{place}/pause", {})).json()
    assert (done["paused"], done["changed"], done["way"]) == (True, True, "its servers")
    assert (await face.own("POST", f"{place}/pause", {})).json()["changed"] is False
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert (lane["state"], lane["paused_at"] is not None) == ("paused", True)
    assert (await face.own("POST", f"{place}/resume", {})).json()["paused"] is False
    for unknown in ("0", "4711", "x", "9" * 30):
        assert (await face.own("POST", f"/queue/lanes/{unknown}/pause", {})).status == 404
    other = await face.new_key(app=(await face.new_app("other")).id)
    assert (await face.own("POST", f"{place}/pause", {}, key=other)).status == 404


async def test_lanes_are_paged(face: Face) -> None:
    for name in ("b", "c"):
        await face.new_app(name)
        await face.own("PATCH", f"/apps/{name}", {"mode": "hold"})
        await face.own("POST", "/messages", {**HELLO, "app": name, "from": "a@example.com"})
    first = (await face.own("GET", "/queue?limit=1")).json()
    assert (len(first["items"]), first["totals"]["held"]) == (1, 4)
    rest = (await face.own("GET", f"/queue?after={first['next']}")).json()
    assert [lane["app"] for lane in rest["items"]] == ["c"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("wish", "count"),
    [
        ({"recipient_domain": "example.com"}, 2),
        ({"recipient_domain": "example.net"}, 0),
        ({"older_than": "1h"}, 0),
        ({"older_than": "0s"}, 2),
        ({"sender": "shop@example.com"}, 2),
        ({"sender": "other.example"}, 0),
        ({"category": "busy"}, 0),
        ({"credential": "everything"}, 2),
        ({"route": "servers"}, 2),
        ({"route": "direct"}, 0),
        ({"destination": "*", "state": "held", "app": "first-app"}, 2),
    ],
)
async def test_deliveries_are_meant_by_what_they_have_in_common(
    face: Face, wish: dict[str, Any], count: int
) -> None:
    await held(face)
    await asyncio.sleep(0.002)  # the clock of ids has milliseconds: "older than now" needs one
    answer = (await face.own("POST", "/queue/release", {**wish, "dry_run": True})).json()
    assert (answer["count"], answer["changed"]) == (count, 0)
    query = "&".join(f"{name}={value}" for name, value in wish.items())
    listed = (await face.own("GET", f"/queue/deliveries?{query}")).json()
    assert len(listed["items"]) == count
    done = (await face.own("POST", "/queue/release", wish)).json()
    assert (done["count"], done["changed"]) == (count, count)


@pytest.mark.parametrize(
    "wish",
    [
        {"older_than": "soon"},
        {"category": "bad weather"},
        {"recipient_domain": "a b"},
        {"sender": "a@@b"},
        {"route": "carrier pigeon"},
    ],
)
async def test_what_cannot_be_meant_is_refused_with_its_place(
    face: Face, wish: dict[str, Any]
) -> None:
    answer = await face.own("POST", "/queue/hold", wish)
    assert answer.status == 422
    assert answer.json()["errors"][0]["pointer"] == f"/{next(iter(wish))}"


async def test_mail_is_moved_to_a_server_and_back_to_the_order_of_its_app(face: Face) -> None:
    message = await held(face)
    await servers(face, "one", "two")
    wish = {"message": message["id"], "to": "two"}
    counted = (await face.own("POST", "/queue/move", {**wish, "dry_run": True})).json()
    assert (counted["count"], counted["changed"]) == (2, 0)
    assert (await face.own("POST", "/queue/move", wish)).json()["changed"] == 2
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert (lane["way"], lane["held"]) == ("only by two", 2)
    await face.own("POST", "/servers/two/disable")
    await face.own("POST", "/queue/release", {"message": message["id"]})
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert lane["why"] == "Its mail takes two only, which is disabled."
    await face.own("POST", "/queue/move", {"lane": lane["lane"], "to": "order"})
    (lane,) = (await face.own("GET", "/queue")).json()["items"]
    assert lane["way"] == "its servers"


async def test_mail_is_not_moved_where_its_app_has_no_such_way(face: Face) -> None:
    message = await held(face)
    await servers(face, "one")
    await face.own("POST", "/servers/one/disable")
    for to, why in (
        ("direct", "first-app has no direct way; add one, or name a server."),
        ("nope", "first-app has no server 'nope'; its servers: one."),
        ("one", "first-app has one, but disabled; enable it first."),
    ):
        answer = (
            await face.own("POST", "/queue/move", {"message": message["id"], "to": to})
        ).json()
        assert (answer["count"], answer["refused"]) == (0, 2)
        assert answer["refusals"][0]["why"] == why
    assert (await face.own("POST", "/queue/move", {"app": "first-app"})).status == 422
