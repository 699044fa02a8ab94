"""users and their tokens: who signs in, and what they show afterwards"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.policy.user import User
from pillarbox.terms.ids import ObjectId

MOST_TOKENS: Final = 100
"""Of one user at a time; the oldest give way. Those of one millisecond count as one."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to be kept, by its SHA-256. Instants are in milliseconds."""

    token_hash: bytes
    opened_at: int
    expires_at: int


class UserStore(Protocol):
    """People who sign in. Nothing is answered from memory: what was revoked fails at once, on
    every node.
    """

    async def users(self) -> list[User]:
        """By e-mail address."""
        ...

    async def user(self, user: ObjectId) -> User:
        """Raises `NotFound`."""
        ...

    async def user_with_email(self, email: str) -> User | None:
        """In any letter case; None where nobody signs in with it."""
        ...

    async def save_user(self, user: User, *, sign_out: bool = False) -> None:
        """Insert or replace; with `sign_out` all their tokens end in the same transaction. Raises
        `Conflict` where another one signs in with that address.
        """
        ...

    async def remove_user(self, user: ObjectId) -> None:
        """With their tokens. Raises `NotFound`."""
        ...

    async def open_token(self, user: User, token: NewToken) -> bool:
        """Keep a token; False, and nothing is kept, where the user is gone or has another password
        than the one given, which was changed since it was compared.
        """
        ...

    async def user_with_token(self, token_hash: bytes, now_ms: int) -> User | None:
        """Whose token it is; None where there is none of that hash, or it is over. Its last use is
        noted, to the minute.
        """
        ...

    async def close_tokens(self, user: ObjectId) -> int:
        """End all tokens of a user; gives how many there were."""
        ...

    async def drop_tokens(self, before_ms: int) -> int:
        """Remove tokens that were over before an instant; gives how many."""
        ...
