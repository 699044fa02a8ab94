"""users and their tokens, over an engine"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pillarbox.policy.user import User, sign_in_name
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes, as_instant, as_int, as_text
from pillarbox.storage.engine import Change, Engine, Row, Step
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.users import MOST_TOKENS, NewToken
from pillarbox.terms.ids import ObjectId

_NOTED_AFTER_MS: Final = 60_000


class SqlUserStore:
    """See `storage.interface.users.UserStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def users(self) -> list[User]:
        """By e-mail address."""
        return [_user(row) for row in await self._engine.read("person.all")]

    async def user(self, user: ObjectId) -> User:
        """Raises `NotFound`."""
        rows = await self._engine.read("person.one", user)
        if not rows:
            raise _nobody()
        return _user(rows[0])

    async def user_with_email(self, email: str) -> User | None:
        """By what stands in the column for it."""
        rows = await self._engine.read("person.by_email", sign_in_name(email))
        return _user(rows[0]) if rows else None

    async def save_user(self, user: User, *, sign_out: bool = False) -> None:
        """Raises `Conflict`."""
        facts = encode(replace(user, password_hash="", used_at=None))
        row = (user.id, user.account, sign_in_name(user.email), user.password_hash, facts)
        steps = [Step("person.save", row)]
        if sign_out:
            steps.append(Step("token.delete_of_person", (user.id,)))
        try:
            await self._engine.change(*steps)
        except Conflict as error:
            taken = f"There is a user who signs in as {user.email}."
            raise Conflict(taken, detail=error.detail) from error

    async def remove_user(self, user: ObjectId) -> None:
        """Raises `NotFound`."""
        results = await self._engine.change(
            Step("token.delete_of_person", (user,)), Step("person.delete", (user,))
        )
        if not results[1]:
            raise _nobody()

    async def open_token(self, user: User, token: NewToken) -> bool:
        """The hash that was compared is compared again, by the transaction that keeps it."""
        secret = user.password_hash
        results = await self._engine.change(
            Step("person.used", (user.id, secret, token.opened_at)),
            Step(
                "token.save",
                (token.token_hash, user.id, token.opened_at, token.expires_at, secret),
            ),
            Step("token.trim", (user.id, MOST_TOKENS - 1)),
        )
        return bool(results[0])

    async def user_with_token(self, token_hash: bytes, now_ms: int) -> User | None:
        """Nobody waits for the last use to be written."""
        tokens = await self._engine.read("token.one", token_hash)
        if not tokens or as_int(tokens[0][1]) <= now_ms:
            return None
        rows = await self._engine.read("person.one", as_bytes(tokens[0][0]))
        if now_ms - as_int(tokens[0][2]) >= _NOTED_AFTER_MS:
            step = Step("token.used", (token_hash, now_ms))
            self._engine.submit_soon(Change([step]), _let_go)
        return _user(rows[0]) if rows else None

    async def close_tokens(self, user: ObjectId) -> int:
        """All of them."""
        return len((await self._engine.change(Step("token.delete_of_person", (user,))))[0])

    async def drop_tokens(self, before_ms: int) -> int:
        """All at once: there are few."""
        return len((await self._engine.change(Step("token.drop", (before_ms,))))[0])


def _user(row: Row) -> User:
    user = decode(as_bytes(row[0]), User)
    return replace(user, password_hash=as_text(row[1]), used_at=as_instant(row[2]))


def _nobody() -> NotFound:
    return NotFound("There is no such user.", fix="List them: pillarbox user list")


def _let_go(error: BaseException | None) -> None:
    """When a token was used last is not worth a failed request."""
