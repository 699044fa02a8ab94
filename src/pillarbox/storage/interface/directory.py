"""accounts, apps, servers, credentials, keys: kept, cached, versioned"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from pillarbox.policy.credential import Credential, LoginUse
from pillarbox.policy.directory import Account, App, Key
from pillarbox.policy.server import Server
from pillarbox.terms.ids import ObjectId


class DirectoryStore(Protocol):
    """What was configured by people. Reads are answered from a cache that `version` guards.

    Whoever keeps something of it compares `version`, a cheap attribute, before using it again:
    it moves with every change, also with one made on another node (within 5 s).
    """

    @property
    def version(self) -> int:
        """Grows with every change."""
        ...

    def forget(self) -> None:
        """Read everything anew."""
        ...

    async def account(self, account: ObjectId) -> Account:
        """Raises `NotFound`."""
        ...

    async def accounts(self) -> list[Account]:
        """All accounts, oldest first."""
        ...

    async def app(self, app: ObjectId) -> App:
        """Raises `NotFound`."""
        ...

    async def app_named(self, name: str) -> App:
        """By name, folded to lower case. Raises `NotFound`."""
        ...

    async def apps(self) -> list[App]:
        """All apps by name."""
        ...

    async def server(self, server: ObjectId) -> Server:
        """Raises `NotFound`."""
        ...

    async def servers(self, app: ObjectId) -> Sequence[Server]:
        """An app's servers, by priority, older first among equals."""
        ...

    async def credential(self, credential: ObjectId) -> Credential:
        """Raises `NotFound`."""
        ...

    async def credential_with_username(self, username: str) -> Credential | None:
        """None where nobody has that user name."""
        ...

    async def credentials(self, app: ObjectId | None = None) -> list[Credential]:
        """By name."""
        ...

    async def key(self, key: ObjectId) -> Key:
        """Raises `NotFound`."""
        ...

    async def key_with_hash(self, secret_hash: bytes) -> Key | None:
        """None where no key has that hash."""
        ...

    async def keys(self) -> list[Key]:
        """By name."""
        ...

    async def save_account(self, account: Account) -> None:
        """Insert or replace."""
        ...

    async def save_app(self, app: App) -> None:
        """Insert or replace. Raises `Conflict` where another app has the name."""
        ...

    async def save_server(self, server: Server) -> None:
        """Insert or replace; the password is encrypted at rest. Raises `Conflict`."""
        ...

    async def judge_server(
        self, server: Server, at: int, events: Sequence[tuple[str, Struct]]
    ) -> None:
        """Replace a server's facts, and append events about it in the same commit: kinds with
        their data. Where its `errors` are 0 those in storage become so. Its name and secrets stay.
        Raises `NotFound`.
        """
        ...

    async def save_credential(self, credential: Credential) -> None:
        """Insert or replace. Raises `Conflict` where the user name is taken."""
        ...

    async def save_key(self, key: Key) -> None:
        """Insert or replace. Raises `Conflict`."""
        ...

    async def remove_app(self, app: ObjectId) -> None:
        """Also its servers and credentials. Raises `Conflict` while its mail waits."""
        ...

    async def remove_server(self, server: ObjectId) -> None:
        """With the rules of its app that name it. Raises `NotFound`."""
        ...

    async def remove_credential(self, credential: ObjectId) -> None:
        """Raises `NotFound`."""
        ...

    async def remove_key(self, key: ObjectId) -> None:
        """Raises `NotFound`."""
        ...

    def note_use(self, who: ObjectId, use: LoginUse, *, former: bool = False) -> None:
        """Remember when and by whom a credential or key was last used; `former` where it was with
        what had been rotated away. Written some time later.
        """
        ...

    async def flush(self) -> None:
        """Write last uses now. Raises `StorageTrouble`."""
        ...
