"""token keys, sealed, over an engine"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from pillarbox.message.tokens import KEY_OCTETS, MAX_KEY_NUMBER
from pillarbox.storage.columns import as_bytes, as_instant, as_int
from pillarbox.storage.engine import Engine, Row, Step
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.interface.keys import TokenKey
from pillarbox.storage.vault import Vault
from pillarbox.terms.secret import Secret

_OWNER: Final = b"token key"
_TOPIC: Final = "keys"
_LOOK_SECONDS: Final = 1.0
"""Whoever makes tokens up must not make us ask for each."""


class SqlKeyStore:
    """See `storage.interface.keys.KeyStore` for what is promised."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._known: list[TokenKey] | None = None
        self._secrets: dict[int, bytes] = {}
        self._version = 0
        self._looked_at = float("-inf")
        engine.listen(_TOPIC, self.forget)

    def forget(self) -> None:
        """Another node has changed something, or may have."""
        self._version += 1
        self._known = None

    async def token_keys(self) -> list[TokenKey]:
        """From memory once they were read."""
        return list(await self._keys())

    async def token_secrets(self) -> Mapping[int, bytes]:
        """Of all, revoked ones too."""
        keys = await self._keys()
        if keys is self._known:
            return self._secrets
        return {key.number: key.secret for key in keys}

    async def has_token_key(self, number: int) -> bool:
        """A node that was told nothing yet asks; where all numbers are ours, nobody need be asked."""
        keys = await self._keys()
        last = keys[-1].number if keys else 0
        if number > last and self._engine.shared:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at >= _LOOK_SECONDS:
                self._looked_at = now
                self.forget()
                keys = await self._keys()
        return any(key.number == number for key in keys)

    async def current_token_key(self, now_ms: int) -> TokenKey:
        """Of several nodes that find none, one makes it."""
        keys = await self._keys()
        if not keys or keys[-1].revoked_at is not None:
            await self._engine.change(Step("token_key.first", (self._fresh(), now_ms)))
            self._tell()
            keys = await self._keys()
        return keys[-1]

    async def rotate_token_key(self, now_ms: int) -> TokenKey:
        """Raises `Conflict`."""
        keys = await self._keys()
        if keys and keys[-1].number >= MAX_KEY_NUMBER:
            raise Conflict("There are no more numbers for keys of tracked links.")
        await self._engine.change(Step("token_key.next", (self._fresh(), now_ms)))
        self._tell()
        return (await self._keys())[-1]

    async def revoke_token_key(self, number: int, now_ms: int) -> TokenKey:
        """Raises `NotFound`."""
        if number not in {key.number for key in await self._keys()}:
            raise NotFound(
                f"There is no key of tracked links with the number {number}.",
                fix="List them: pillarbox tracking keys list",
            )
        await self._engine.change(
            Step("token_key.revoke", (number, now_ms)),
            Step("token_key.first", (self._fresh(), now_ms)),
        )
        self._tell()
        return next(key for key in await self._keys() if key.number == number)

    async def _keys(self) -> list[TokenKey]:
        if self._known is not None:
            return self._known
        # What changes while it is being read would stay hidden behind what was read.
        before = self._version
        keys = [self._opened(row) for row in await self._engine.read("token_key.all")]
        if before == self._version:
            self._known = keys
            self._secrets = {key.number: key.secret for key in keys}
        return keys

    def _tell(self) -> None:
        self.forget()
        self._engine.tell(_TOPIC)

    def _fresh(self) -> bytes:
        return self._vault.seal(Secret(os.urandom(KEY_OCTETS).hex()), _OWNER)

    def _opened(self, row: Row) -> TokenKey:
        secret = self._vault.open_sealed(as_bytes(row[1]), _OWNER)
        return TokenKey(
            as_int(row[0]), bytes.fromhex(secret.reveal()), as_int(row[2]), as_instant(row[3])
        )
