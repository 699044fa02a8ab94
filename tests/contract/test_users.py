"""the user store's promises"""

from __future__ import annotations

from dataclasses import replace

import pytest

from pillarbox.policy.user import User, UserRole
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.interface.users import MOST_TOKENS, NewToken
from pillarbox.terms.ids import new_object_id
from tests.contract.conftest import Place
from tests.contract.post import HOUR, NOW, Post


def user(post: Post, email: str = "Ann@example.com", **facts: object) -> User:
    values: dict[str, object] = {"password_hash": f"hash of {email}", "created_at": NOW} | facts
    return User(new_object_id(), post.account.id, email, **values)  # type: ignore[arg-type]


def token(number: int = 1, opened_at: int = NOW, expires_at: int = NOW + HOUR) -> NewToken:
    return NewToken(number.to_bytes(32, "big"), opened_at, expires_at)


async def saved(storage: Storage, post: Post, email: str = "Ann@example.com") -> User:
    made = user(post, email)
    await storage.users.save_user(made)
    return made


async def test_a_user_is_found_in_any_letter_case_and_comes_back_whole(
    place: Place, storage: Storage, post: Post
) -> None:
    made = user(post, name="Ann", role=UserRole.ADMIN, active=False)
    await storage.users.save_user(made)
    again = await place.open()
    assert await again.users.user_with_email("ANN@EXAMPLE.COM ") == made
    assert await again.users.user(made.id) == made
    assert await again.users.user_with_email("bob@example.com") is None
    with pytest.raises(NotFound):
        await again.users.user(new_object_id())


async def test_users_are_listed_by_address(storage: Storage, post: Post) -> None:
    for email in ("c@example.com", "A@example.com", "b@example.com"):
        await saved(storage, post, email)
    assert [each.email[0] for each in await storage.users.users()] == ["A", "b", "c"]


async def test_two_users_cannot_sign_in_with_one_address(storage: Storage, post: Post) -> None:
    first = await saved(storage, post)
    with pytest.raises(Conflict):
        await saved(storage, post, "ann@EXAMPLE.com")
    other = await saved(storage, post, "bob@example.com")
    with pytest.raises(Conflict):
        await storage.users.save_user(replace(other, email="ann@example.com"))
    assert await storage.users.users() == [first, other]


async def test_a_token_leads_to_its_user_until_it_is_over(storage: Storage, post: Post) -> None:
    made = await saved(storage, post)
    assert await storage.users.open_token(made, token())
    found = await storage.users.user_with_token(token().token_hash, NOW + HOUR - 1)
    assert found == replace(made, used_at=NOW)
    assert await storage.users.user_with_token(token().token_hash, NOW + HOUR) is None
    assert await storage.users.user_with_token(token(2).token_hash, NOW) is None


async def test_no_token_is_opened_for_a_password_that_was_changed_meanwhile(
    storage: Storage, post: Post
) -> None:
    made = await saved(storage, post)
    await storage.users.save_user(replace(made, password_hash="another"), sign_out=True)
    assert not await storage.users.open_token(made, token())
    assert await storage.users.user_with_token(token().token_hash, NOW) is None
    assert (await storage.users.user(made.id)).used_at is None


async def test_changes_leave_tokens_alone_unless_they_sign_out(
    storage: Storage, post: Post
) -> None:
    made = await saved(storage, post)
    await storage.users.open_token(made, token())
    await storage.users.save_user(replace(made, name="Ann"))
    found = await storage.users.user_with_token(token().token_hash, NOW)
    assert found is not None and found.name == "Ann"
    await storage.users.save_user(replace(made, active=False), sign_out=True)
    assert await storage.users.user_with_token(token().token_hash, NOW) is None


async def test_all_tokens_of_a_user_end_and_those_of_others_do_not(
    storage: Storage, post: Post
) -> None:
    ann, bob = await saved(storage, post), await saved(storage, post, "bob@example.com")
    for number in (1, 2):
        await storage.users.open_token(ann, token(number))
    await storage.users.open_token(bob, token(3))
    assert await storage.users.close_tokens(ann.id) == 2
    assert await storage.users.close_tokens(ann.id) == 0
    assert await storage.users.user_with_token(token(1).token_hash, NOW) is None
    assert await storage.users.user_with_token(token(3).token_hash, NOW) is not None


async def test_a_user_goes_with_their_tokens(storage: Storage, post: Post) -> None:
    made = await saved(storage, post)
    await storage.users.open_token(made, token())
    await storage.users.remove_user(made.id)
    assert await storage.users.user_with_token(token().token_hash, NOW) is None
    assert await storage.users.users() == []
    with pytest.raises(NotFound):
        await storage.users.remove_user(made.id)


async def test_the_oldest_tokens_of_a_user_give_way(storage: Storage, post: Post) -> None:
    made = await saved(storage, post)
    for number in range(MOST_TOKENS + 2):
        await storage.users.open_token(made, token(number, opened_at=NOW + number))
    gone = [
        number
        for number in range(MOST_TOKENS + 2)
        if await storage.users.user_with_token(token(number).token_hash, NOW) is None
    ]
    assert gone == [0, 1]


async def test_tokens_that_are_over_are_removed_and_no_others(storage: Storage, post: Post) -> None:
    made = await saved(storage, post)
    for number in range(5):
        await storage.users.open_token(made, token(number, expires_at=NOW + number))
    assert await storage.users.drop_tokens(NOW + 3) == 3
    assert await storage.users.drop_tokens(NOW + 3) == 0
    assert await storage.users.close_tokens(made.id) == 2


async def test_the_last_use_of_a_token_is_noted_to_the_minute(storage: Storage, post: Post) -> None:
    made = await saved(storage, post)
    await storage.users.open_token(made, token())

    async def noted() -> int:
        """Behind everything that was asked for before."""
        await storage._engine.change()  # type: ignore[attr-defined]
        rows = await storage._engine.read("token.one", token().token_hash)  # type: ignore[attr-defined]
        return int(rows[0][2])

    await storage.users.user_with_token(token().token_hash, NOW + 59_999)
    assert await noted() == NOW
    await storage.users.user_with_token(token().token_hash, NOW + 60_000)
    assert await noted() == NOW + 60_000
