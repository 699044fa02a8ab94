"""keys that people do not hold: those that tokens are minted with, by number"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What tokens of tracked links and images are minted with. Instants are milliseconds."""

    number: int
    """From 1; 0 stands for none."""
    secret: bytes = field(repr=False)
    """`message.tokens.KEY_OCTETS` octets."""
    made_at: int
    revoked_at: int | None = None
    """Since then no token minted with it is followed; what was to be minted with it still is."""


class KeyStore(Protocol):
    """Every method raises `StorageTrouble` where the store does not answer.

    Answered from memory; a change by another node is seen within seconds.
    """

    async def token_keys(self) -> list[TokenKey]:
        """All there are, by number; the last one is current unless it is revoked. None is ever
        removed: what was minted with it may be read years later.
        """
        ...

    async def token_secrets(self) -> Mapping[int, bytes]:
        """The secrets of all keys, by number: what renders a message accepted long ago."""
        ...

    async def has_token_key(self, number: int) -> bool:
        """Whether there is one of that number. What another node made a moment ago is found, too:
        for a number above all that are known the store is asked, once a second at most.
        """
        ...

    async def current_token_key(self, now_ms: int) -> TokenKey:
        """The one that messages accepted now name; made where there is none."""
        ...

    async def rotate_token_key(self, now_ms: int) -> TokenKey:
        """A new one, current from now on; those before are read as ever. Raises `Conflict` where
        numbers are used up.
        """
        ...

    async def revoke_token_key(self, number: int, now_ms: int) -> TokenKey:
        """Its tokens are not followed any more. Where it was current, a new one is. Revoking one
        again changes nothing. Raises `NotFound`.
        """
        ...
