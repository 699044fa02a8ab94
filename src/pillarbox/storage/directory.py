"""accounts, apps, servers, credentials, keys, over an engine, behind a versioned cache"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from msgspec import Struct

from pillarbox.policy.credential import Credential, LoginUse, Uses
from pillarbox.policy.directory import Account, App, Key
from pillarbox.policy.server import Server
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes, as_instant, as_int
from pillarbox.storage.engine import Batch, Engine, Member, Row, Step
from pillarbox.storage.gathering import Gathering
from pillarbox.storage.interface.errors import Conflict, NotFound
from pillarbox.storage.judgement import JudgementMember
from pillarbox.storage.server_facts import joined, parted, server_facts
from pillarbox.storage.vault import Vault
from pillarbox.terms.ids import ObjectId

T = TypeVar("T")

_CACHED: Final = 20_000


class UseMember(Member):
    """When credentials and keys were last used, and by whom."""

    __slots__ = ("_used",)

    def __init__(self, used: dict[ObjectId, Uses]) -> None:
        super().__init__()
        self._used = used

    def write(self, batch: Batch) -> None:
        """An id is a credential's or a key's; the other statement finds no row."""
        for who, uses in self._used.items():
            last = encode(uses.last) if uses.last.address else None
            former = encode(uses.former) if uses.former is not None else None
            batch.add("credential.used", (who, uses.last.at, last, former))
            batch.add("key.used", (who, uses.last.at))


class SqlDirectoryStore:
    """See `storage.interface.directory.DirectoryStore` for what is promised."""

    def __init__(self, engine: Engine, vault: Vault) -> None:
        self._engine = engine
        self._vault = vault
        self._cache: dict[tuple[object, ...], object] = {}
        self._used: Gathering[ObjectId, Uses] = Gathering(engine, UseMember)
        self._heard = (0, 0)
        self._servers_moved = 0
        """How often error counts were."""
        self.version = 1

    # --- accounts and apps --------------------------------------------------------------------

    async def account(self, account: ObjectId) -> Account:
        """Raises `NotFound`."""
        return _only(a for a in await self.accounts() if a.id == account)

    async def accounts(self) -> list[Account]:
        """Oldest first."""
        return await self._cached(("accounts",), self._read_accounts)

    async def app(self, app: ObjectId) -> App:
        """Raises `NotFound`."""
        return await self._cached(("app", app), lambda: self._find_app(app))

    async def app_named(self, name: str) -> App:
        """Raises `NotFound`."""
        folded = name.lower()
        return _only(a for a in await self.apps() if a.name == folded)

    async def apps(self) -> list[App]:
        """By name."""
        return await self._cached(("apps",), self._read_apps)

    async def save_account(self, account: Account) -> None:
        """Insert or replace."""
        step = Step("account.save", (account.id, account.name, encode(account)))
        await self._change([step], f"There is an account named {account.name}.")

    async def save_app(self, app: App) -> None:
        """Raises `Conflict`."""
        step = Step("app.save", (app.id, app.account, app.name, encode(app)))
        await self._change([step], f"There is an app named {app.name}.")

    async def remove_app(self, app: ObjectId) -> None:
        """Raises `NotFound`, `Conflict`."""
        found = await self.app(app)
        if await self._engine.read("app.waiting", app):
            raise Conflict(
                f"Mail of {found.name} still waits.",
                code="wrong_state",
                fix=f"Cancel it first: pillarbox queue cancel --app {found.name}",
            )
        steps = ("server.delete_of_app", "credential.delete_of_app", "app.delete")
        await self._change([Step(name, (app,)) for name in steps], "")

    # --- servers ------------------------------------------------------------------------------

    async def server(self, server: ObjectId) -> Server:
        """Raises `NotFound`."""
        return _only(s for s in await self._servers() if s.id == server)

    async def servers(self, app: ObjectId) -> Sequence[Server]:
        """By priority, then age."""
        return await self._cached(("servers", app), lambda: self._servers_of(app))

    async def save_server(self, server: Server) -> None:
        """Raises `Conflict`."""
        secrets = joined(server)
        sealed = self._vault.seal(secrets, server.id) if secrets else None
        row = (server.id, server.app, server.name, server.errors, sealed, server_facts(server))
        await self._change(
            [Step("server.save", row)], f"This app has a server named {server.name}."
        )

    async def judge_server(
        self, server: Server, at: int, events: Sequence[tuple[str, Struct]]
    ) -> None:
        """Raises `NotFound`."""
        try:
            await self._engine.submit(JudgementMember(server, server_facts(server), at, events))
            self._engine.tell("directory")
        finally:
            self.forget()

    async def remove_server(self, server: ObjectId) -> None:
        """With the rules that name it. Raises `NotFound`."""
        found = await self.server(server)
        app = await self.app(found.app)
        left = tuple(rule for rule in app.routes if rule.server != server)
        steps = [Step("server.delete", (server,))]
        if left != app.routes:
            without = replace(app, routes=left)
            steps.append(Step("app.save", (app.id, app.account, app.name, encode(without))))
        await self._change(steps, "")

    def heard(self, version: int, errors: int) -> None:
        """What the database says of itself, and how many errors its servers have together: where
        it differs from the last time, a node changed something.
        """
        if version != self._heard[0]:
            self.forget()
        elif errors != self._heard[1]:
            self.forget_servers()
        self._heard = (version, errors)

    def forget(self) -> None:
        """Another node has changed something, or may have."""
        self.version += 1
        self._cache.clear()

    def forget_servers(self) -> None:
        """Their error counts were moved by a settlement; nothing else has changed."""
        self._servers_moved += 1
        for key in [key for key in self._cache if key[0] == "servers"]:
            del self._cache[key]

    # --- credentials and keys -----------------------------------------------------------------

    async def credential(self, credential: ObjectId) -> Credential:
        """Raises `NotFound`."""
        return _found(
            await self._cached(
                ("credential", credential),
                lambda: self._read_credential("credential.one", credential),
            )
        )

    async def credential_with_username(self, username: str) -> Credential | None:
        """Answered from memory once it was asked, also where there is none."""
        return await self._cached(
            ("username", username),
            lambda: self._read_credential("credential.by_username", username),
        )

    async def credentials(self, app: ObjectId | None = None) -> list[Credential]:
        """By name, with their last use."""
        rows = [_credential(row) for row in await self._engine.read("credential.all")]
        return [credential for credential in rows if app is None or credential.app == app]

    async def save_credential(self, credential: Credential) -> None:
        """Raises `Conflict`."""
        taken = f"There is a credential named {credential.name} or a login {credential.username}."
        other = await self.credential_with_username(credential.username)
        if other is not None and other.id != credential.id:
            raise Conflict(taken)
        former = credential.former.username if credential.former is not None else None
        if former == credential.username:
            former = None
        row = (credential.id, credential.app, credential.name, credential.username, former,
               credential.used_at, encode(replace(credential, uses=None)))  # fmt: skip
        await self._change([Step("credential.save", row)], taken)

    async def remove_credential(self, credential: ObjectId) -> None:
        """Raises `NotFound`."""
        await self._remove("credential.delete", credential)

    async def key(self, key: ObjectId) -> Key:
        """Raises `NotFound`."""
        return _found(await self._cached(("key", key), lambda: self._read_key("key.one", key)))

    async def key_with_hash(self, secret_hash: bytes) -> Key | None:
        """Answered from memory once it was asked, also where there is none."""
        return await self._cached(
            ("hash", secret_hash), lambda: self._read_key("key.by_hash", secret_hash)
        )

    async def keys(self) -> list[Key]:
        """By name, with their last use."""
        return [_key(row) for row in await self._engine.read("key.all")]

    async def save_key(self, key: Key) -> None:
        """Raises `Conflict`."""
        row = (key.id, key.account, key.name, key.secret_hash, key.used_at, encode(key))
        await self._change([Step("key.save", row)], f"There is a key named {key.name}.")

    async def remove_key(self, key: ObjectId) -> None:
        """Raises `NotFound`."""
        await self._remove("key.delete", key)

    def note_use(self, who: ObjectId, use: LoginUse, *, former: bool = False) -> None:
        """Gathered, and written a few seconds later in one go."""
        before = self._used.things.get(who)
        kept = before.former if before is not None else None
        self._used.put(who, Uses(use, use if former else kept))

    async def flush(self) -> None:
        """Write last uses now."""
        await self._used.flush()

    # --- reading ------------------------------------------------------------------------------

    async def _cached(self, key: tuple[object, ...], read: Callable[[], Awaitable[T]]) -> T:
        if key in self._cache:
            return self._cache[key]  # type: ignore[return-value]
        # What changes while it is being read would stay hidden behind what was read.
        before = (self.version, self._servers_moved)
        value = await read()
        if before == (self.version, self._servers_moved):
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            self._cache[key] = value
        return value

    async def _read_accounts(self) -> list[Account]:
        rows = await self._engine.read("account.all")
        return [decode(as_bytes(row[0]), Account) for row in rows]

    async def _find_app(self, app: ObjectId) -> App:
        return _only(a for a in await self.apps() if a.id == app)

    async def _read_apps(self) -> list[App]:
        return [decode(as_bytes(row[0]), App) for row in await self._engine.read("app.all")]

    async def _servers(self) -> list[Server]:
        return await self._cached(("servers",), self._read_servers)

    async def _servers_of(self, app: ObjectId) -> list[Server]:
        mine = [server for server in await self._servers() if server.app == app]
        return sorted(mine, key=lambda server: (server.priority, server.created_at, server.id))

    async def _read_servers(self) -> list[Server]:
        servers = []
        rows = await self._engine.read("server.all")
        accounts = {app.id: app.account for app in await self.apps()}
        for row in rows:
            server = decode(as_bytes(row[3]), Server)
            sealed = as_bytes(row[2])
            secrets = parted(self._vault.open_sealed(sealed, server.id)) if sealed else {}
            servers.append(
                replace(
                    server, errors=as_int(row[1]), password=secrets.get("password"),
                    client_secret=secrets.get("client_secret"),
                    refresh_token=secrets.get("refresh_token"),
                    account=accounts.get(server.app, ObjectId(b"")),
                )
            )  # fmt: skip
        return servers

    async def _read_credential(self, statement: str, key: str | bytes) -> Credential | None:
        rows = await self._engine.read(statement, key)
        return _credential(rows[0]) if rows else None

    async def _read_key(self, statement: str, key: bytes) -> Key | None:
        rows = await self._engine.read(statement, key)
        return _key(rows[0]) if rows else None

    # --- changing -----------------------------------------------------------------------------

    async def _change(self, steps: Sequence[Step], conflict: str) -> list[list[Row]]:
        try:
            done = await self._engine.change(*steps, Step("directory.moved"))
            self._engine.tell("directory")
            return done
        except Conflict as error:
            raise Conflict(conflict, detail=error.detail) from error
        finally:
            self.version += 1
            self._cache.clear()

    async def _remove(self, statement: str, key: ObjectId) -> None:
        results = await self._change([Step(statement, (key,))], "")
        if not results[0]:
            raise NotFound("It is not there, or it was removed before.")


def _only(found: Iterable[T]) -> T:
    for thing in found:
        return thing
    raise NotFound("There is no such thing.")


def _found(value: T | None) -> T:
    if value is None:
        raise NotFound("There is no such thing.")
    return value


def _credential(row: Row) -> Credential:
    facts, used_at, last, former = row
    credential = decode(as_bytes(facts), Credential)
    uses = None
    if last:
        uses = Uses(
            decode(as_bytes(last), LoginUse), decode(as_bytes(former), LoginUse) if former else None
        )
    return replace(credential, used_at=as_instant(used_at), uses=uses)


def _key(row: Row) -> Key:
    key = decode(as_bytes(row[0]), Key)
    return replace(key, used_at=as_instant(row[1]))
