"""rules of an app over the API, and what mail would do by them"""

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_api_face import Face

PLACE = "/apps/first-app/routes"


@pytest.fixture
async def ways(face: Face) -> dict[str, str]:
    """Two servers of the app, by name."""
    found = {}
    for priority, name in enumerate(("usual", "special")):
        made = await face.own(
            "POST", "/apps/first-app/servers", {"name": name, "host": "h", "priority": priority}
        )
        found[name] = made.json()["id"]
    return found


async def test_rules_are_added_in_order_and_taken_away(face: Face, ways: dict[str, str]) -> None:
    first = await face.own("POST", PLACE, {"server": "special", "recipient_domain": "Example.ORG"})
    assert first.status == 201
    (rule,) = first.json()["items"]
    assert rule == {
        "number": 1,
        "server": ways["special"],
        "server_name": "special",
        "recipient_domain": "example.org",
        "sender": "",
        "words": "mail to example.org goes by special",
    }
    await face.own("POST", PLACE, {"server": ways["usual"], "sender": ".shop.example", "at": 1})
    items = (await face.own("GET", PLACE)).json()["items"]
    assert [each["server_name"] for each in items] == ["usual", "special"]
    left = await face.own("DELETE", f"{PLACE}/1")
    assert [each["server_name"] for each in left.json()["items"]] == ["special"]
    assert (await face.own("DELETE", f"{PLACE}/2")).status == 404
    assert (await face.own("DELETE", f"{PLACE}/x")).status == 404


async def test_all_rules_are_replaced_at_once(face: Face, ways: dict[str, str]) -> None:
    await face.own("POST", PLACE, {"server": "special", "recipient_domain": "a.example"})
    rules = [
        {"server": "usual", "recipient_domain": "b.example"},
        {"server": "special", "sender": "ann@c.example"},
    ]
    answer = await face.own("PUT", PLACE, {"items": rules})
    assert [each["words"] for each in answer.json()["items"]] == [
        "mail to b.example goes by usual",
        "mail from ann@c.example goes by special",
    ]
    assert (await face.own("PUT", PLACE, {"items": []})).json()["items"] == []


@pytest.mark.parametrize(
    ("rule", "status", "pointer"),
    [
        ({"server": "special"}, 422, ""),
        ({"server": "nope", "recipient_domain": "a.example"}, 404, None),
        ({"recipient_domain": "a.example"}, 422, "/server"),
        ({"server": "special", "recipient_domain": "not a domain"}, 422, "/recipient_domain"),
        ({"server": "special", "sender": "a@@b"}, 422, "/sender"),
        ({"server": "special", "recipient_domain": "a.example", "at": 0}, 422, "/at"),
        ({"server": "special", "recipient_domain": "a.example", "tag": "x"}, 422, "/tag"),
    ],
)
async def test_a_rule_that_cannot_hold_is_refused(
    face: Face, ways: dict[str, str], rule: dict[str, Any], status: int, pointer: str | None
) -> None:
    answer = await face.own("POST", PLACE, rule)
    assert answer.status == status
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
        listed = await face.own("PUT", PLACE, {"items": [rule]})
        assert listed.json()["errors"][0]["pointer"] == f"/items/0{pointer}"
    assert (await face.own("GET", PLACE)).json()["items"] == []


async def test_an_app_has_a_hundred_rules_and_no_more(face: Face, ways: dict[str, str]) -> None:
    rules = [{"server": "special", "recipient_domain": f"d{n}.example"} for n in range(100)]
    assert (await face.own("PUT", PLACE, {"items": rules})).status == 200
    more = await face.own("POST", PLACE, {"server": "special", "recipient_domain": "x.example"})
    assert more.status == 422
    assert (await face.own("PUT", PLACE, {"items": [*rules, rules[0]]})).status == 422


async def test_a_server_of_another_app_cannot_be_named(face: Face, ways: dict[str, str]) -> None:
    await face.new_app("other")
    rule = {"server": ways["special"], "recipient_domain": "a.example"}
    assert (await face.own("POST", "/apps/other/routes", rule)).status == 404


async def test_a_server_that_rules_name_is_not_removed_under_them(
    face: Face, ways: dict[str, str]
) -> None:
    await face.own("POST", PLACE, {"server": "special", "recipient_domain": "a.example"})
    refused = await face.own("DELETE", "/servers/special")
    assert refused.status == 409
    assert refused.json()["detail"].startswith("Rule 1 of first-app sends mail by special only.")
    await face.own("DELETE", f"{PLACE}/1")
    assert (await face.own("DELETE", "/servers/special")).status == 204


async def test_where_mail_would_go_is_told_with_the_rule_and_every_way(
    face: Face, ways: dict[str, str]
) -> None:
    await face.own("POST", PLACE, {"server": "special", "sender": "shop.example"})
    letter = {"sender": "ann@shop.example", "recipient": "bob@y.example"}
    found = (await face.own("POST", f"{PLACE}/test", letter)).json()
    assert found["rule"] == 1
    assert found["why"] == "Rule 1 of first-app sends it by special only: from shop.example."
    assert [(each["name"], each["stand"]) for each in found["ways"]] == [
        ("usual", "left_out"),
        ("special", "next"),
    ]
    other = (await face.own("POST", f"{PLACE}/test", {"recipient": "bob@y.example"})).json()
    assert other["rule"] is None
    assert [each["stand"] for each in other["ways"]] == ["next", "later"]
    assert (await face.own("POST", f"{PLACE}/test", {"sender": "a@b.example"})).status == 422


async def test_a_key_that_may_only_read_changes_no_rule(face: Face, ways: dict[str, str]) -> None:
    key = await face.new_key(verbs=("read",))
    rule = {"server": "special", "recipient_domain": "a.example"}
    assert (await face.own("POST", PLACE, rule, key=key)).status == 403
    assert (await face.own("PUT", PLACE, {"items": []}, key=key)).status == 403
    assert (await face.own("GET", PLACE, key=key)).status == 200
    narrowed = await face.new_key(app=(await face.new_app("other")).id)
    assert (await face.own("GET", PLACE, key=narrowed)).status == 404
