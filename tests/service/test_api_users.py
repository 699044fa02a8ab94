"""users over the API: made, changed, signed out, removed; and what a key may not do with them"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pillarbox.policy.directory import Account
from pillarbox.policy.user import User, UserRole
from pillarbox.services.people.sign_in import SignedIn, SignInRefused
from pillarbox.terms.ids import ObjectId, new_object_id
from pillarbox.terms.secret import Secret
from tests.fix_api_face import Face

EMAIL, PASSWORD = "ann@example.com", "open sesame, says Ann"


async def add(face: Face, email: str = EMAIL, *, owner: bool = True, **more: Any) -> Any:
    document = {"email": email, "password": PASSWORD, **more}
    answer = await face.own("POST", "/users", document, owner=owner)
    assert answer.status == 201, answer.body
    return answer.json()


async def sign_in(face: Face, email: str = EMAIL, password: str = PASSWORD) -> SignedIn:
    return await face.rooms.sign_in.open(email, Secret(password), "192.0.2.7")


async def test_the_first_user_is_an_owner_and_the_next_a_member(face: Face) -> None:
    first, second = await add(face), await add(face, "bob@example.com")
    assert (first["role"], second["role"]) == ("owner", "member")
    assert first["account"] == "default" and first["used_at"] is None
    listed = (await face.own("GET", "/users")).json()["items"]
    assert listed == [first, second]
    assert (await face.own("GET", f"/users/{first['id']}")).json() == first
    assert (await face.own("GET", "/users/ANN@example.com")).json() == first


async def test_nothing_of_a_password_is_ever_answered(face: Face) -> None:
    await add(face)
    answers = [await face.own("GET", path) for path in ("/users", f"/users/{EMAIL}")]
    answers.append(await face.own("PATCH", f"/users/{EMAIL}", {"name": "Ann"}, owner=True))
    for answer in answers:
        assert b"argon2" not in answer.body and b"password" not in answer.body
        assert b"hash" not in answer.body


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"email": "nobody"}, "/email"),
        ({"email": ""}, "/email"),
        ({"email": "a@example.com", "role": "king"}, "/role"),
        ({"email": "a@example.com", "name": "a\nb"}, "/name"),
        ({"email": "a@example.com", "password": 7}, "/password"),
        ({"email": "a@example.com", "password": "x" * 1001}, "/password"),
        ({"email": "a@example.com", "rank": 1}, "/rank"),
    ],
)
async def test_what_cannot_be_used_is_named(face: Face, given: Any, pointer: str) -> None:
    answer = await face.own("POST", "/users", {"password": PASSWORD, **given}, owner=True)
    assert answer.status == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert (await face.own("GET", "/users")).json()["items"] == []


async def test_a_weak_password_and_a_taken_address_are_refused_in_words(face: Face) -> None:
    weak = await face.own("POST", "/users", {"email": EMAIL, "password": "secret"}, owner=True)
    assert (weak.status, weak.json()["code"]) == (422, "invalid_value")
    assert "10 characters" in weak.json()["detail"]
    await add(face)
    taken = await face.own(
        "POST", "/users", {"email": "ANN@example.com", "password": PASSWORD}, owner=True
    )
    assert (taken.status, taken.json()["code"]) == (409, "already_exists")


async def test_a_new_password_replaces_the_old_one_and_signs_out(face: Face) -> None:
    await add(face)
    opened = await sign_in(face)
    changed = await face.own(
        "POST", f"/users/{EMAIL}/password", {"password": "another good one"}, owner=True
    )
    assert changed.status == 200
    assert await face.rooms.sign_in.user_of(opened.token.reveal()) is None
    with pytest.raises(SignInRefused):
        await sign_in(face)
    assert (await sign_in(face, password="another good one")).user.email == EMAIL


async def test_logout_ends_every_token_and_lets_sign_in_again(face: Face) -> None:
    await add(face)
    tokens = [(await sign_in(face)).token.reveal() for _ in range(2)]
    answer = await face.own("POST", f"/users/{EMAIL}/logout", owner=True)
    assert answer.json() == {"signed_out": 2}
    assert [await face.rooms.sign_in.user_of(token) for token in tokens] == [None, None]
    assert (await sign_in(face)).user.email == EMAIL


async def test_whoever_is_switched_off_is_signed_out_and_not_let_in(face: Face) -> None:
    await add(face)
    opened = await sign_in(face)
    answer = await face.own("PATCH", f"/users/{EMAIL}", {"active": False}, owner=True)
    assert answer.json()["active"] is False
    assert await face.rooms.sign_in.user_of(opened.token.reveal()) is None
    with pytest.raises(SignInRefused):
        await sign_in(face)
    await face.own("PATCH", f"/users/{EMAIL}", {"active": True}, owner=True)
    assert await face.rooms.sign_in.user_of(opened.token.reveal()) is None
    assert (await sign_in(face)).user.active


async def test_a_removed_user_is_gone(face: Face) -> None:
    await add(face)
    opened = await sign_in(face)
    assert (await face.own("DELETE", f"/users/{EMAIL}", owner=True)).status == 204
    assert (await face.own("GET", f"/users/{EMAIL}")).status == 404
    assert await face.rooms.sign_in.user_of(opened.token.reveal()) is None


async def test_a_key_makes_members_and_admins_and_never_touches_an_owner(face: Face) -> None:
    owner = await add(face)
    admin = await add(face, "bob@example.com", owner=False, role="admin")
    assert (admin["role"], (await add(face, "eve@example.com", owner=False))["role"]) == (
        "admin", "member",
    )  # fmt: skip
    there = f"/users/{owner['id']}"
    for answer in (
        await face.own("POST", "/users", {"email": "x@example.com", "password": PASSWORD,
                                          "role": "owner"}),
        await face.own("PATCH", f"/users/{admin['id']}", {"role": "owner"}),
        await face.own("PATCH", there, {"role": "member"}),
        await face.own("POST", f"{there}/password", {"password": PASSWORD}),
        await face.own("POST", f"{there}/logout"),
        await face.own("DELETE", there),
    ):  # fmt: skip
        assert (answer.status, answer.json()["code"]) == (403, "permission_denied")
    assert (await face.own("GET", there)).json() == owner


async def test_a_key_of_one_app_or_without_the_verb_sees_no_users(face: Face) -> None:
    await add(face)
    narrow = await face.new_key(app=face.app.id)
    reader = await face.new_key(verbs=("read",))
    for path in ("/users", f"/users/{EMAIL}"):
        assert (await face.own("GET", path, key=narrow)).status == 403
        assert (await face.own("GET", path, key=reader)).status == 200
    answer = await face.own(
        "POST", "/users", {"email": "x@example.com", "password": PASSWORD}, key=reader
    )
    assert answer.status == 403


async def test_users_of_other_accounts_are_not_there(face: Face) -> None:
    other = Account(ObjectId(b"\xff" * 12), "other")  # not the oldest
    await face.storage.directory.save_account(other)
    nat = User(new_object_id(), other.id, "nat@example.org", role=UserRole.ADMIN)
    await face.storage.users.save_user(nat)
    await add(face)
    listed = (await face.own("GET", "/users")).json()["items"]
    assert [each["email"] for each in listed] == [EMAIL]
    for answer in (
        await face.own("GET", "/users/nat@example.org"),
        await face.own("DELETE", "/users/nat@example.org"),
        await face.own("POST", "/users/nat@example.org/logout"),
        await face.own("PATCH", "/users/nat@example.org", {"name": "x"}),
    ):
        assert answer.status == 404
    assert await face.storage.users.user(nat.id) == replace(nat)
