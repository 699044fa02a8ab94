"""users: who may do what, and which passwords nobody should choose"""

from __future__ import annotations

import pytest

from pillarbox.policy.user import (
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    PasswordTooWeak,
    User,
    UserRole,
    check_password,
    sign_in_name,
)
from pillarbox.terms.ids import new_object_id

EMAIL = "Annabel.Lee@example.com"


@pytest.mark.parametrize(
    ("role", "edits"), [(UserRole.OWNER, True), (UserRole.ADMIN, True), (UserRole.MEMBER, False)]
)
def test_members_look_and_the_others_change(role: UserRole, edits: bool) -> None:
    assert User(new_object_id(), new_object_id(), EMAIL, role=role).may_edit is edits


def test_letter_case_and_blanks_around_do_not_tell_users_apart() -> None:
    assert sign_in_name(" Annabel.LEE@Example.com\t") == sign_in_name(EMAIL)


@pytest.mark.parametrize(
    "password",
    ["correct horse", "x" * (SHORTEST_PASSWORD - 1) + "y", "y" + "x" * (LONGEST_PASSWORD - 1)],
)
def test_a_long_password_is_taken_as_it_is(password: str) -> None:
    assert check_password(password, EMAIL) == password


@pytest.mark.parametrize(
    "password",
    ["", "short one", "x" * SHORTEST_PASSWORD, "ab" * LONGEST_PASSWORD, EMAIL, EMAIL.upper(),
     "annabel.lee", " annabel.lee "],
)  # fmt: skip
def test_what_is_guessed_first_is_refused_in_words(password: str) -> None:
    with pytest.raises(PasswordTooWeak) as refused:
        check_password(password, EMAIL)
    assert not password.strip() or password not in refused.value.sentence
