"""the one session that writes for a node: made again when it is lost, and then it asks what it missed

It holds the node's lock. Whoever takes over from this node ends the session and takes the lock
first, so whatever is committed over it was committed by the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg
from asyncpg import exceptions as pg

from pillarbox.storage.columns import as_int
from pillarbox.storage.engine import Member, Row, Step, Value
from pillarbox.storage.interface.errors import LeaseLost, NodeRunning, StorageTrouble
from pillarbox.storage.interface.nodes import NodeIdentity
from pillarbox.storage.membership import LEASE_MS
from pillarbox.storage.migrate import SCHEMA
from pillarbox.storage.postgres_errors import mapped, speaks_of_all
from pillarbox.storage.postgres_session import connected, ended, own
from pillarbox.storage.spending import Ledger
from pillarbox.storage.tenure import Tenure
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import first_event_from

_PAUSE_SECONDS: Final = 0.5
"""Between two tries to reach a server that is away."""

_ASK_SECONDS: Final = 0.2
_COMMITTED: Final = "committed"
_LIMITS_WITHIN: Final = "SET LOCAL lock_timeout = '5s'"
"""A node that hangs while it holds a limit is taken over only later, and the others must be able to
give their signs of life meanwhile.
"""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A transaction whose COMMIT was said, and not answered."""

    transaction: str | None
    last_event: int
    """The number of its last event; 0 where it has none."""


class Writer:
    """The session, and what is in doubt about its last commit."""

    def __init__(self, url: str, sql: Mapping[str, str], tenure: Tenure) -> None:
        """`tenure` is renewed with every new connection."""
        self._url = url
        self._sql = sql
        self._tenure = tenure
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._away_until = 0.0
        self._highest_event = 0
        self._number = 0
        self._in_doubt: _Doubt | None = None
        self._untold: list[tuple[_Doubt, Sequence[Member]]] = []
        self.incarnation = 0

    async def begin(self, number: int, who: NodeIdentity) -> None:
        """Begin this process's life as the node of that number. Raises what connecting raises."""
        self._number = number
        await self.connection()
        life = (who.name, number, LEASE_MS, SCHEMA, who.version, ",".join(who.roles))
        asked_at = Tenure.now()
        self.incarnation = as_int((await self.execute("incarnation.begin", life))[0][0])
        self._tenure.renewed(asked_at)

    @property
    def is_away(self) -> bool:
        """Whether there is no session now."""
        return self._connection is None or self._connection.is_closed()

    def is_in_doubt(self, error: Exception) -> bool:
        """Whether a COMMIT was said, and `error` is no answer to it."""
        return self._in_doubt is not None and not (
            isinstance(error, pg.PostgresError) and not speaks_of_all(error)
        )

    def first_event(self) -> int:
        """Where the events of the next group begin."""
        return first_event_from(self._highest_event, self._number)

    def terminate(self) -> None:
        """Without a word; the server undoes what was not committed."""
        if self._connection is not None:
            self._connection.terminate()

    async def close(self) -> None:
        """In order."""
        await ended(self._connection)

    async def connection(self) -> asyncpg.Connection[asyncpg.Record]:
        """The session, made again where it was lost.

        Raises what connecting raises, and `LeaseLost` where another node has taken over meanwhile.
        """
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        loop = asyncio.get_running_loop()
        if loop.time() < self._away_until:
            raise StorageTrouble("The database cannot be reached.")
        try:
            writer = self._connection = await connected(self._url)
        except BaseException:
            self._away_until = loop.time() + _PAUSE_SECONDS
            raise
        try:
            await self._take_place(writer)
        except BaseException:
            # What does not own the node's place must not be found here and written with.
            writer.terminate()
            raise
        return writer

    async def execute(self, name: str, parameters: Row) -> list[Row]:
        """Run one statement in this session."""
        assert self._connection is not None
        return [tuple(row) for row in await self._connection.fetch(self._sql[name], *parameters)]

    async def lock(self, ledger: Ledger) -> None:
        """Read the limits a group spends of, and keep them until it is committed.

        Before anything else and in the order of their names: so no two nodes wait for each other.
        """
        assert self._connection is not None
        await self._connection.execute(_LIMITS_WITHIN)
        rows = await self._connection.fetch(self._sql["spending.lock"], ledger.limits)
        ledger.stands([tuple(row) for row in rows])

    async def guard(
        self, member: Member, steps: Sequence[Step], ledger: Ledger
    ) -> PillarboxError | None:
        """Run a member's own statements; undone where it is refused for what they gave, or because
        a limit has not enough left for it.
        """
        if not steps:
            return ledger.refusal(member)
        assert self._connection is not None
        await self._connection.execute("SAVEPOINT member")
        try:
            member.resolve([await self.execute(step.name, step.parameters) for step in steps])
            ledger.spend(member)
        except PillarboxError as refusal:
            await self._connection.execute("ROLLBACK TO member; RELEASE member")
            return refusal
        await self._connection.execute("RELEASE member")
        return None

    async def commit(self, transaction: str | None, last_event: int) -> None:
        """Say COMMIT. What became of it is told later by the last of its events, or, without any,
        by the number under which the server knows the transaction.
        """
        assert self._connection is not None
        self._in_doubt = _Doubt(transaction, last_event)
        await self._connection.execute("COMMIT")
        self._committed(last_event)

    async def write_at_once(
        self, sql: str, arguments: Sequence[Sequence[Value]], last_event: int
    ) -> None:
        """One statement that is a transaction of its own."""
        assert self._connection is not None
        self._in_doubt = _Doubt(None, last_event)
        await self._connection.fetchval(sql, *arguments)
        self._committed(last_event)

    def _committed(self, last_event: int) -> None:
        self._in_doubt = None
        self._highest_event = max(self._highest_event, last_event)

    async def roll_back(self, error: Exception) -> PillarboxError:
        """Undo what is open; gives the error as it is told."""
        self._in_doubt = None
        writer = self._connection
        if writer is not None and not writer.is_closed():
            try:
                if isinstance(error, OSError):
                    # Too slow, or gone: to ask it once more would only take as long again.
                    writer.terminate()
                elif writer.is_in_transaction():
                    await writer.execute("ROLLBACK")
            except Exception:
                # In doubt about the connection, a new one: the server ends what was open on it.
                writer.terminate()
                return StorageTrouble(detail=f"rollback after: {error}")
        return mapped(error)

    async def learn(self, members: Sequence[Member], seconds: float) -> bool:
        """Whether the commit in doubt has happened; waits so long for the database to say it.

        Afterwards the members count as refused. If it turns out later that they were committed,
        what they left is freed (`Member.disowned`), so that it is found and not done twice.
        """
        doubt, self._in_doubt = self._in_doubt, None
        if doubt is None:
            return False
        self.terminate()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            try:
                await self.connection()
                happened = await self._happened(doubt)
            except (LeaseLost, NodeRunning):
                return False
            except Exception:
                await asyncio.sleep(_ASK_SECONDS)
                continue
            return happened
        self._untold.append((doubt, members))
        return False

    async def _happened(self, doubt: _Doubt) -> bool:
        if doubt.last_event:
            return self._highest_event >= doubt.last_event
        if doubt.transaction is None:
            return False
        return (await self.execute("commit.status", (doubt.transaction,)))[0][0] == _COMMITTED

    async def _take_place(self, writer: asyncpg.Connection[asyncpg.Record]) -> None:
        """The lock, the sign of life, and what was told as refused though it was committed."""
        if self.incarnation and (await self.execute("incarnation.one", (self.incarnation,)))[0][0]:
            raise LeaseLost
        await own(writer, self._number, insist=not self.incarnation)
        if self.incarnation:
            asked_at = Tenure.now()
            renewed = await self.execute("incarnation.renew", (self.incarnation, LEASE_MS))
            if not renewed:
                raise LeaseLost
            self._tenure.renewed(asked_at)
        highest = as_int((await self.execute("event.highest_of_node", (self._number,)))[0][0])
        self._highest_event = max(self._highest_event, highest)
        while self._untold:
            doubt, members = self._untold[-1]
            if await self._happened(doubt):
                async with writer.transaction():
                    for member in members:
                        for step in member.disowned():
                            await self.execute(step.name, step.parameters)
            self._untold.pop()
