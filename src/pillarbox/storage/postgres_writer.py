"""the one session that writes for a node: made again when it is lost, and then it asks what it missed

It holds the node's lock. Whoever takes over from this node ends the session and takes the lock
first, so whatever is committed over it was committed by the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
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
from pillarbox.storage.postgres_errors import mapped
from pillarbox.storage.postgres_session import connected, ended, own
from pillarbox.storage.spending import Ledger
from pillarbox.storage.tenure import Tenure
from pillarbox.storage.waiting import Outcome
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import first_event_from

_PAUSE_SECONDS: Final = 0.5
"""Between two tries to reach a server that is away."""

_LIMITS_WITHIN: Final = "SET LOCAL lock_timeout = '5s'"
"""A node that hangs while it holds a limit is taken over only later, and the others must be able to
give their signs of life meanwhile.
"""


_GONE: Final = (pg.OperatorInterventionError, pg.PostgresConnectionError)
"""What the server says with its last breath."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A transaction whose COMMIT was said, and not answered."""

    group: int
    """Its number among those without events; 0 where it has some."""
    last_event: int
    """The number of its last event; 0 where it has none."""


class Writer:
    """The session, and what is in doubt about its last commit."""

    def __init__(
        self,
        url: str,
        sql: Mapping[str, str],
        tenure: Tenure,
        known: Callable[[Sequence[Outcome]], None],
    ) -> None:
        """`tenure` is renewed with every new connection; `known` hears of members that had to wait
        until it was known what became of them.
        """
        self._known = known
        self._url = url
        self._sql = sql
        self._tenure = tenure
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._away_until = 0.0
        self._highest_event = 0
        self._number = 0
        self._insists = False
        self._group = 0
        self._in_doubt: _Doubt | None = None
        self._doubts: list[tuple[_Doubt, Sequence[Outcome]]] = []
        self.incarnation = 0

    async def begin(self, number: int, who: NodeIdentity, *, known: bool) -> None:
        """Begin this process's life as the node of that number. Where it is `known`, nobody else
        can be that node; otherwise somebody may. Raises what connecting raises, `NodeRunning`.
        """
        self._number = number
        self._insists = known
        await self.connection()
        if not known and await self.execute("incarnation.lives", (number,)):
            raise NodeRunning(f"The node {who.name} has come back to life.")
        life = (who.name, number, LEASE_MS, SCHEMA, who.version, ",".join(who.roles))
        asked_at = Tenure.now()
        self.incarnation = as_int((await self.execute("incarnation.begin", life))[0][0])
        self._tenure.renewed(asked_at)

    @property
    def is_away(self) -> bool:
        """Whether there is no session now."""
        return self._connection is None or self._connection.is_closed()

    @property
    def doubts(self) -> bool:
        """Whether something waits to be known."""
        return bool(self._doubts)

    def give_up(self) -> list[Outcome]:
        """What is not known and will not be: this process is at its end."""
        left = [outcome for _, outcomes in self._doubts for outcome in outcomes]
        self._doubts.clear()
        return left

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
        if not member.refuses:
            member.resolve([await self.execute(step.name, step.parameters) for step in steps])
            return None
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

    async def commit(self, last_event: int, *, changed: bool) -> None:
        """Say COMMIT. What became of it is told later by the last of its events, or, where it has
        `changed` something without any, by a number noted in it.
        """
        assert self._connection is not None
        group = 0
        if changed and not last_event:
            self._group = group = self._group + 1
            await self.execute("commit.note", (self.incarnation, group))
        if group or last_event:
            self._in_doubt = _Doubt(group, last_event)
        await self._connection.execute("COMMIT")
        self._committed(last_event)

    async def write_at_once(
        self, sql: str, arguments: Sequence[Sequence[Value]], last_event: int
    ) -> None:
        """One statement that is a transaction of its own."""
        assert self._connection is not None
        self._in_doubt = _Doubt(0, last_event)
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

    def remember(self, error: Exception, outcomes: Sequence[Outcome]) -> bool:
        """Whether nobody knows what became of a group: then it is told as soon as the database can
        be asked, and nobody hears anything before. To say no to what may have been done would be a
        lie, and to do it again would be done twice.
        """
        doubt, self._in_doubt = self._in_doubt, None
        if doubt is None or (isinstance(error, pg.PostgresError) and not isinstance(error, _GONE)):
            return False  # the server itself has said that it did not
        self._doubts.append((doubt, outcomes))
        self.terminate()
        return True

    async def _happened(self, doubt: _Doubt) -> bool:
        if doubt.last_event:
            # This very event: another life of the same number may have written later ones.
            return bool(await self.execute("event.one", (doubt.last_event,)))
        noted = await self.execute("commit.noted", (self.incarnation,))
        return as_int(noted[0][0]) >= doubt.group

    async def _take_place(self, writer: asyncpg.Connection[asyncpg.Record]) -> None:
        """The lock, the sign of life, and what became of commits that were not answered."""
        if self.incarnation and (await self.execute("incarnation.one", (self.incarnation,)))[0][0]:
            # Whoever ended this life has ended its session before.
            await self._learn()
            raise LeaseLost
        try:
            insist = self._insists and not self.incarnation
            await own(writer, self._number, insist=insist, life=self.incarnation)
        except NodeRunning as running:
            if self.incarnation:
                raise StorageTrouble(detail=running.sentence) from running
            raise
        # Nothing of an earlier session is being committed any more; and to read is enough for this.
        await self._learn()
        if self.incarnation:
            asked_at = Tenure.now()
            renewed = await self.execute("incarnation.renew", (self.incarnation, LEASE_MS))
            if not renewed:
                raise LeaseLost
            self._tenure.renewed(asked_at)

    async def _learn(self) -> None:
        """What is there now, is all there will be."""
        highest = as_int((await self.execute("event.highest_of_node", (self._number,)))[0][0])
        self._highest_event = max(self._highest_event, highest)
        while self._doubts:
            doubt, outcomes = self._doubts[0]
            happened = await self._happened(doubt)
            self._doubts.pop(0)
            trouble = None if happened else StorageTrouble("The database lost the connection.")
            self._known(
                [(member, result, no if happened else trouble) for member, result, no in outcomes]
            )
