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
