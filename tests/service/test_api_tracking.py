"""keys of tracked links over the API: seen without their secrets, made anew, withdrawn"""

from __future__ import annotations

import pytest

from pillarbox.policy.directory import Account
from pillarbox.terms.ids import new_object_id
from tests.fix_api_face import CLOCK, Face


async def told(face: Face) -> list[tuple[int, str]]:
    items = (await face.own("GET", "/tracking/keys")).json()["items"]
    return [(each["number"], each["state"]) for each in items]


async def test_before_anything_was_tracked_there_is_no_key(face: Face) -> None:
    assert await told(face) == []


async def test_keys_are_told_without_their_secrets(face: Face) -> None:
    key = await face.storage.keys.current_token_key(CLOCK.now_ms())
    answer = await face.own("GET", "/tracking/keys")
    (item,) = answer.json()["items"]
    assert item.keys() == {"number", "state", "made_at", "revoked_at"}
    assert key.secret.hex().encode() not in answer.body and key.secret not in answer.body


async def test_a_new_key_is_current_and_the_one_before_is_old(face: Face) -> None:
    for number in (1, 2):
        answer = await face.own("POST", "/tracking/keys")
        assert (answer.status, answer.json()["number"]) == (201, number)
        assert answer.json()["state"] == "current"
    assert await told(face) == [(1, "old"), (2, "current")]


async def test_a_revoked_key_stays_known_and_another_takes_its_place(face: Face) -> None:
    await face.storage.keys.current_token_key(CLOCK.now_ms())
    answer = await face.own("POST", "/tracking/keys/1/revoke")
    assert (answer.status, answer.json()["state"]) == (200, "revoked")
    assert answer.json()["revoked_at"] is not None
    assert await told(face) == [(1, "revoked"), (2, "current")]


@pytest.mark.parametrize("number", ["7", "x", "-1", "99999999999", "%D9%A1"])
async def test_what_is_no_key_cannot_be_revoked(face: Face, number: str) -> None:
    answer = await face.own("POST", f"/tracking/keys/{number}/revoke")
    assert answer.status == 404


async def test_who_does_not_see_everything_is_told_nothing(face: Face) -> None:
    await face.storage.directory.save_account(Account(new_object_id(), "second"))
    for method, path in (("GET", ""), ("POST", ""), ("POST", "/1/revoke")):
        assert (await face.own(method, f"/tracking/keys{path}")).status == 403
    assert (await face.own("GET", "/tracking/keys", owner=True)).status == 200
