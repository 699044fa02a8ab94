"""User: a person who signs in with a password, and what their role lets them do"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.policy.errors import Refusal
from pillarbox.terms.ids import ObjectId

SHORTEST_PASSWORD: Final = 10
LONGEST_PASSWORD: Final = 1000


class UserRole(StrEnum):
    """What a person may do in their account."""

    OWNER = "owner"
    """All that an admin may; made and changed by whoever runs this place, and by nobody else."""
    ADMIN = "admin"
    """May change apps and servers, and sees the passwords of servers where anybody does."""
    MEMBER = "member"
    """May look."""


class PasswordTooWeak(Refusal):
    """This password would be guessed too easily."""

    code = "invalid_value"


@dataclass(frozen=True, slots=True)
class User:
    """A person of an account. They sign in with their e-mail address, in any letter case."""

    id: ObjectId
    account: ObjectId
    email: str
    name: str = ""
    role: UserRole = UserRole.MEMBER
    active: bool = True
    password_hash: str = ""
    """Argon2id, with its parameters and salt, in the form of the reference implementation."""
    created_at: int = 0
    used_at: int | None = None
    """When they last signed in, in milliseconds."""

    @property
    def may_edit(self) -> bool:
        """Whether apps and servers are theirs to change."""
        return self.role is not UserRole.MEMBER


def sign_in_name(text: str) -> str:
    """An e-mail address as it is looked for; nobody has two that differ in letter case alone."""
    return text.strip().lower()


def check_password(password: str, email: str) -> str:
    """A password somebody chose. Raises `PasswordTooWeak`."""
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooWeak(
            f"A password has at least {SHORTEST_PASSWORD} characters.",
            fix="Several words with blanks between them are easy to remember.",
        )
    if len(password) > LONGEST_PASSWORD:
        raise PasswordTooWeak(f"A password has at most {LONGEST_PASSWORD} characters.")
    folded = password.strip().lower()
    if folded in (email.lower(), email.lower().partition("@")[0]) or len(set(folded)) == 1:
        raise PasswordTooWeak("This password is the first that anybody would try.")
    return password
