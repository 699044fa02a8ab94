"""passwords that people choose, hashed and compared off the event loop

Argon2id with the second recommended option of RFC 9106 §4: three passes over 64 MB. That takes about
a tenth of a second of several cores, so two at a time are computed and a bounded number waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from pillarbox.terms.errors import Trouble
from pillarbox.terms.secret import Secret

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

NOBODY: Final = (
    "$argon2id$v=19$m=65536,t=3,p=4$Eyx0rBu0UorUnd6JnZE50Q"
    "$rGCzpTVEvV2lexbjzwi1+GGY7Ih10FrzW8DDlR+XMow"
)
"""Stands in for the hash of a user who does not exist, so that they cost the same time. What it was
made from was forgotten at once.
"""

_AT_ONCE: Final = 2
_MOST_WAITING: Final = 100
_BUSY_SECONDS: Final = 5


class Passwords:
    """Hashes and compares; every method raises `Trouble` where too many wait already."""

    def __init__(self) -> None:
        """Nothing is computed yet."""
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def hash(self, password: Secret) -> str:
        """What is stored of a password."""
        return await self._in_turn(lambda: _hasher().hash(_bytes(password)))

    async def matches(self, stored: str, password: Secret) -> bool:
        """Whether a password is the one that was hashed."""
        return await self._in_turn(lambda: _verify(stored, password))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise Trouble(
                "Too many people are signing in just now.", retry_after_seconds=_BUSY_SECONDS
            )
        self._waiting += 1
        try:
            async with self._turns:
                # Left to itself where the caller goes away: the turn is over when the thread is.
                task = asyncio.ensure_future(asyncio.to_thread(work))
                try:
                    return await asyncio.shield(task)
                except asyncio.CancelledError:
                    await asyncio.wait([task])
                    raise
        finally:
            self._waiting -= 1


@cache
def _hasher() -> PasswordHasher:
    # Imported where somebody signs in; all others are spared its time.
    from argon2 import PasswordHasher
    from argon2.profiles import RFC_9106_LOW_MEMORY

    return PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


def _verify(stored: str, password: Secret) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(stored, _bytes(password))
    except (VerificationError, InvalidHashError):
        return False


def _bytes(password: Secret) -> bytes:
    return password.reveal().encode("utf-8", "surrogatepass")
