"""a message explained over the API: which way, why, what happened, what it waits for, what then"""

from __future__ import annotations

from typing import Any

import pytest

from pillarbox.policy.breaker import Breaker
from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.meaning import PHRASES, Category
from pillarbox.terms.ids import parse_message_id, parse_object_id
from tests.fix_api_face import Face

HELLO = {"to": ["a@example.com"], "subject": "Hi", "text": "x"}


async def add_servers(face: Face) -> dict[str, bytes]:
    found = {}
    for priority, name in enumerate(("first", "second", "third")):
        made = await face.own(
            "POST", "/apps/first-app/servers", {"name": name, "host": name, "priority": priority}
        )
        found[name] = parse_object_id("srv", made.json()["id"])
    return found


async def sent(face: Face, *outcomes: tuple[State, AttemptFacts]) -> str:
    await face.go_live()
    message = str((await face.own("POST", "/messages", HELLO)).json()["id"])
    for outcome in outcomes:
        await face.settle(face.door.receipts[-1], outcome)
    assert parse_message_id(message) == face.door.receipts[-1].message
    return message


async def explained(face: Face, message: str) -> dict[str, Any]:
    answer = await face.own("GET", f"/messages/{message}/explain")
    assert answer.status == 200
    (recipient,) = answer.json()["recipients"]
    return dict(recipient)


async def test_a_delivery_that_waits_tells_its_ways_its_reason_and_what_follows(
    face: Face,
) -> None:
    servers = await add_servers(face)
    words = "first could not be reached; second asks us to come back later (451 4.3.2 later)"
    facts = AttemptFacts(number=1, server=servers["second"], category="busy", code=451, words=words)
    message = await sent(face, (State.DEFERRED, facts))
    await face.own("POST", "/servers/third/disable")
    found = await explained(face, message)
    assert found["state"] == "deferred"
    assert found["way"] == "its servers"
    assert found["chosen"] == "first-app has no rules, so its order holds."
    assert [(way["name"], way["stand"]) for way in found["ways"]] == [
        ("first", "next"),
        ("second", "later"),
        ("third", "disabled"),
    ]
    assert found["ways"][0]["words"] == (
        "first is tried first. Tried once; the last time: could not be reached."
    )
    assert found["until"] is not None
    assert found["next"].startswith("Attempt 2 follows in ")
    assert found["after_that"].startswith("Should that fail as well, attempt 3 follows about ")
    assert [event["kind"] for event in found["history"]] == [
        "message.accepted",
        "delivery.deferred",
    ]
    assert found["text"].endswith(found["after_that"])


async def test_a_way_that_was_passed_by_does_not_count_as_tried(face: Face) -> None:
    servers = await add_servers(face)
    words = f"first {PHRASES[Category.PAUSED]}; second asks us to come back later"
    facts = AttemptFacts(number=1, server=servers["second"], category="busy", words=words)
    found = await explained(face, await sent(face, (State.DEFERRED, facts)))
    assert found["ways"][0]["words"] == "first is tried first. It has not been tried yet."
    assert "Tried once" in found["ways"][1]["words"]


async def test_a_server_that_is_paused_is_told_with_the_end_of_its_pause(face: Face) -> None:
    await add_servers(face)
    broken = Breaker()
    broken.failed(face.rooms.clock.now_ms(), at_once=True)
    object.__setattr__(
        face.rooms, "circuit", lambda server: broken if server.name == "first" else None
    )
    face.rebuild()
    found = await explained(face, await sent(face))
    assert [way["stand"] for way in found["ways"]] == ["paused", "next", "later"]
    assert "it is used again in " in found["ways"][0]["words"]


async def test_a_delivery_that_is_over_tells_who_took_it_and_waits_for_nothing(
    face: Face,
) -> None:
    servers = await add_servers(face)
    taken = AttemptFacts(number=1, server=servers["first"], code=250, words="took it")
    found = await explained(face, await sent(face, (State.HANDED_OVER, taken)))
    assert [(way["name"], way["stand"]) for way in found["ways"]] == [
        ("first", "took"),
        ("second", "not_needed"),
        ("third", "not_needed"),
    ]
    assert (found["waits_for"], found["until"], found["after_that"]) == ("", None, "")


async def test_what_a_person_moved_says_who_and_where(face: Face) -> None:
    await add_servers(face)
    message = await sent(face)
    await face.settle(
        face.door.receipts[-1], (State.DEFERRED, AttemptFacts(number=1, category="busy"))
    )
    moved = await face.own("POST", "/queue/move", {"message": message, "to": "third"})
    assert moved.json()["changed"] == 1
    found = await explained(face, message)
    assert found["chosen"] == "key everything moved it to third, so that way holds."
    assert found["way"] == "only by third"
    assert [way["stand"] for way in found["ways"]] == ["left_out", "left_out", "next"]


async def test_a_paused_lane_is_named_with_what_lets_it_go_on(face: Face) -> None:
    await add_servers(face)
    message = await sent(face)
    lane = (await face.own("GET", "/queue")).json()["items"][0]["lane"]
    await face.own("POST", f"/queue/lanes/{lane}/pause", {})
    found = await explained(face, message)
    assert found["waits_for"].endswith(f"pillarbox queue resume {lane}")
    assert found["waits_for"] in found["text"]


async def test_without_any_way_it_says_so(face: Face) -> None:
    found = await explained(face, await sent(face))
    assert found["ways"] == []
    await add_servers(face)
    for name in ("first", "second", "third"):
        await face.own("POST", f"/servers/{name}/disable")
    found = await explained(face, await sent(face))
    assert found["waits_for"] == "No way out can be used just now."


async def test_mail_kept_in_the_sandbox_has_no_way(face: Face) -> None:
    await add_servers(face)
    message = (await face.own("POST", "/messages", HELLO)).json()["id"]
    found = await explained(face, message)
    assert (found["state"], found["chosen"], found["way"]) == ("sandboxed", "", "")


async def test_a_message_of_another_app_is_not_explained(face: Face) -> None:
    message = await sent(face)
    key = await face.new_key(app=(await face.new_app("other")).id)
    answer = await face.own("GET", f"/messages/{message}/explain", key=key)
    assert answer.status == 404


@pytest.mark.parametrize("count", [3, 130])
async def test_of_many_recipients_the_first_are_explained(face: Face, count: int) -> None:
    await face.go_live()
    people = [f"u{n}@example.com" for n in range(count)]
    message = (await face.own("POST", "/messages", {**HELLO, "to": people})).json()["id"]
    answer = (await face.own("GET", f"/messages/{message}/explain")).json()
    assert (len(answer["recipients"]), answer["more"]) == (min(count, 100), max(0, count - 100))
