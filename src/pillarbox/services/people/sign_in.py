"""signing in: a password becomes a token, and a token becomes a user again

Tokens have 256 random bits, so a plain SHA-256 keeps them. Somebody who does not exist, a wrong
password and a user who was switched off are answered alike, after the same work.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass
from typing import ClassVar, Final

from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.problems import shown
from pillarbox.policy.throttle import LoginThrottle
from pillarbox.policy.user import LONGEST_PASSWORD, User, sign_in_name
from pillarbox.services.people.passwords import NOBODY, Passwords
from pillarbox.storage.interface.users import NewToken, UserStore
from pillarbox.terms.clock import Clock
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.secret import Secret

_log = logger("people")

TOKEN_MS: Final = 24 * 3_600_000
"""How long a token is good."""

_TOKEN_BYTES: Final = 32
_LONGEST_TOKEN: Final = 256
_LONGEST_NAME: Final = 320


class SignInRefused(PillarboxError):
    """The user name or the password is wrong."""

    code: ClassVar[str] = "auth_failed"

    def __init__(self, sentence: str | None = None, *, retry_after_seconds: int = 0) -> None:
        """`retry_after_seconds` where an address is sent away for a while."""
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What whoever signed in is given, once."""

    user: User
    token: Secret
    expires_at: int


@dataclass(slots=True)
class SignIn:
    """The door for people. An address that failed often waits longer and longer, as with SMTP."""

    users: UserStore
    passwords: Passwords
    throttle: LoginThrottle
    clock: Clock
    metrics: Metrics
    news: News

    async def open(self, username: str, password: Secret, address: str) -> SignedIn:
        """A new token, good for a day. Raises `SignInRefused` and `Trouble`."""
        self._turn_away(address)
        user = None
        if len(username) <= _LONGEST_NAME and username.isprintable():
            user = await self.users.user_with_email(username)
        right = await self._is_right(user, password)
        if user is None or not right or not user.active:
            await self._failed(username, address)
            raise SignInRefused
        # Of many guesses that were sent at once, those behind the one too many tell nothing.
        self._turn_away(address)
        opened = await self._opened(user)
        if opened is None:
            raise SignInRefused
        self.throttle.succeeded(address, self.clock.monotonic())
        self.metrics.logins["http", "accepted"] += 1
        _log.info("sign_in.accepted", user=user.email, peer=address)
        self.news.tell(self.clock.now_ms(), "login", user.email, f"over HTTP from {address}")
        return opened

    async def user_of(self, token: str) -> User | None:
        """Whose token this is; None where it is not good, or its user was switched off."""
        if not token or len(token) > _LONGEST_TOKEN:
            return None
        user = await self.users.user_with_token(_hash(token), self.clock.now_ms())
        return user if user is not None and user.active else None

    async def _is_right(self, user: User | None, password: Secret) -> bool:
        stored = user.password_hash if user is not None else ""
        given = password
        if len(password.reveal()) > LONGEST_PASSWORD:
            stored, given = "", Secret("")
        return await self.passwords.matches(stored or NOBODY, given) and bool(stored)

    async def _opened(self, user: User) -> SignedIn | None:
        token, now_ms = Secret(secrets.token_urlsafe(_TOKEN_BYTES)), self.clock.now_ms()
        kept = NewToken(_hash(token.reveal()), now_ms, now_ms + TOKEN_MS)
        if not await self.users.open_token(user, kept):
            return None
        return SignedIn(user, token, kept.expires_at)

    def _turn_away(self, address: str) -> None:
        seconds = self.throttle.pause(address, self.clock.monotonic())
        if not seconds:
            return
        self.metrics.logins["http", "throttled"] += 1
        whole = int(seconds) + 1
        raise SignInRefused(
            f"Signing in has failed too often from this address; it is possible again in {whole} s.",
            retry_after_seconds=whole,
        )

    async def _failed(self, username: str, address: str) -> None:
        """Only a wrong answer waits: nobody is kept from signing in by what others try."""
        self.metrics.logins["http", "refused"] += 1
        _log.warning("sign_in.refused", user=shown(username), peer=address)
        self.news.tell(
            self.clock.now_ms(), "refused", shown(username), f"signing in over HTTP from {address}"
        )
        name = sign_in_name(username[:_LONGEST_NAME])
        pause = self.throttle.failed(address, name, self.clock.monotonic())
        if pause:
            await asyncio.sleep(pause)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
