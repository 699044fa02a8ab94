"""a URL becomes a Storage"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pillarbox.storage.certificates import SqlCertificateStore
from pillarbox.storage.columns import as_int
from pillarbox.storage.directory import SqlDirectoryStore
from pillarbox.storage.domains import SqlDomainStore
from pillarbox.storage.engine import Committed, Engine
from pillarbox.storage.events import SqlEventStore
from pillarbox.storage.images import SqlImageStore
from pillarbox.storage.interface.errors import StorageBroken, StorageTrouble
from pillarbox.storage.interface.nodes import NodeIdentity
from pillarbox.storage.interface.store import Health, Storage
from pillarbox.storage.interface.store_url import DATABASE_NAME
from pillarbox.storage.keys import SqlKeyStore
from pillarbox.storage.limits import SqlLimitStore
from pillarbox.storage.lock import OwnerLock
from pillarbox.storage.marks import check_marks
from pillarbox.storage.membership import place_of
from pillarbox.storage.messages import SqlMessageStore
from pillarbox.storage.migrate import SCHEMA
from pillarbox.storage.nodes import SqlNodeStore
from pillarbox.storage.problems import SqlProblemStore
from pillarbox.storage.queue import SqlQueueStore
from pillarbox.storage.retention import SqlRetention
from pillarbox.storage.sqlite import SqliteEngine
from pillarbox.storage.tls import SqlTlsStore
from pillarbox.storage.users import SqlUserStore
from pillarbox.storage.vault import Vault
from pillarbox.storage.visits import SqlVisitStore
from pillarbox.terms.ids import MessageId


class SqlStorage:
    """The stores of one place, over one engine."""

    def __init__(
        self,
        engine: Engine,
        vault: Vault,
        lock: OwnerLock,
        highest_message: MessageId,
        highest_session: int,
    ) -> None:
        self._engine = engine
        self._lock = lock
        self._closed = False
        self.directory = SqlDirectoryStore(engine, vault)
        self.domains = SqlDomainStore(engine, vault, self.directory)
        self.problems = SqlProblemStore(engine)
        self.nodes = SqlNodeStore(engine, self.directory.heard)
        self.queue = SqlQueueStore(engine, highest_message, self._servers_moved)
        self.messages = SqlMessageStore(engine)
        self.retention = SqlRetention(engine)
        self.events = SqlEventStore(engine, highest_session)
        self.limits = SqlLimitStore(engine)
        self.tls = SqlTlsStore(engine)
        self.users = SqlUserStore(engine)
        self.keys = SqlKeyStore(engine, vault)
        self.images = SqlImageStore(engine)
        self.visits = SqlVisitStore(engine)
        self.certificates = SqlCertificateStore(engine, vault)

        engine.listen("directory", self.directory.forget)
        engine.listen("servers", self.directory.forget_servers)

    def _servers_moved(self) -> None:
        self.directory.forget_servers()
        self._engine.tell("servers")

    async def health(self) -> Health:
        """An empty transaction through the writer shows whether it can still commit."""
        try:
            await self._engine.change()
            trouble = ""
        except StorageTrouble as error:
            trouble = str(error)
        return Health(
            writable=not trouble,
            free_bytes=await self._engine.room(),
            schema=SCHEMA,
            engine=self._engine.kind,
            trouble=trouble,
        )

    async def close(self) -> None:
        """Commit what waits, close, let go of the data directory; again is no harm."""
        if self._closed:
            return
        self._closed = True
        try:
            with suppress(StorageTrouble):  # when who was last seen is not worth a broken end
                await self.directory.flush()
                await self.problems.flush()
                await self.tls.flush()
                await self.images.flush()
            await self._engine.close()
        finally:
            self._lock.release()


def _unheard(members: int, seconds: float) -> None:
    """Nobody counts."""


async def open_engine(
    data_dir: Path,
    database: str,
    *,
    who: NodeIdentity,
    now_ms: int,
    on_broken: Callable[[StorageBroken], None],
    on_commit: Committed = _unheard,
) -> Engine:
    """What lies under the stores, for whoever has seen to it that nobody else uses the directory.

    Raises `NodeRunning`, `SchemaTooNew`, `StorageTrouble`.
    """
    if database:
        # Its driver costs whoever has no PostgreSQL time and memory.
        from pillarbox.storage.postgres import PostgresEngine

        return await PostgresEngine.open(
            database, who=who, now_ms=now_ms, on_broken=on_broken, on_commit=on_commit
        )
    return await SqliteEngine.open(
        data_dir / DATABASE_NAME, who=who, on_broken=on_broken, on_commit=on_commit
    )


async def open_storage(
    data_dir: Path,
    *,
    now_ms: int,
    on_broken: Callable[[StorageBroken], None],
    on_commit: Committed = _unheard,
    database: str = "",
    secret_key: str = "",
    node: str = "",
    version: str = "",
    roles: tuple[str, ...] = (),
) -> Storage:
    """Open what lies in a data directory, making it on first use. `on_commit` hears of each group
    commit: its members, and the seconds it took. With `database`, the URL of a PostgreSQL, mail
    rests there; the directory keeps the key of the secrets, where none is given as `secret_key`.

    Raises `DataDirLocked` where another process owns it, `NodeRunning`, `SchemaTooNew`,
    `WrongSecretKey`, `StoreMoved`, `StorageTrouble`.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = OwnerLock.take(data_dir)
    engine: Engine | None = None
    try:
        vault = Vault.of(secret_key) if secret_key else Vault.at(data_dir / "secret.key")
        who = NodeIdentity(node or os.uname().nodename, place_of(data_dir), version, roles)
        engine = await open_engine(
            data_dir, database, who=who, now_ms=now_ms, on_broken=on_broken, on_commit=on_commit
        )
        await check_marks(engine, vault)
        message = as_int((await engine.read("message.highest"))[0][0])
        session = as_int((await engine.read("session.highest"))[0][0])
    except BaseException:
        if engine is not None:
            await engine.close()
        lock.release()
        raise
    return SqlStorage(engine, vault, lock, MessageId(message), session)
