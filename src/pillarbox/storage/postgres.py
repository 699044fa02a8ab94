"""PostgreSQL through asyncpg: one writing connection with group commit, readers in a pool

When a member's future is done, the server has written it down: see `storage.postgres_session`. A
connection that was lost is made again; until then nothing is taken, and whoever asks hears that
storage does not answer. What another node has taken over is not written here any more.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import asyncpg

from pillarbox.observe.crash import crash_point
from pillarbox.storage.engine import Batch, Committed, Member, Row, Value
from pillarbox.storage.intake import Intake
from pillarbox.storage.interface.errors import LeaseLost, StorageBroken, StorageTrouble
from pillarbox.storage.interface.nodes import NodeIdentity
from pillarbox.storage.interface.store_url import StoreUrl, parse_store_url
from pillarbox.storage.membership import join
from pillarbox.storage.migrate import migrate_postgres
from pillarbox.storage.partitions import (
    drop_partitions,
    make_partitions,
    week_start_ms,
    with_tables,
)
from pillarbox.storage.postgres_bell import Bell
from pillarbox.storage.postgres_errors import mapped, speaks_of_all
from pillarbox.storage.postgres_group import Groups
from pillarbox.storage.postgres_opening import ensure_new_enough, unopened
from pillarbox.storage.postgres_session import COMMAND_SECONDS, connected, ended, pooled
from pillarbox.storage.postgres_writer import Writer
from pillarbox.storage.queries import load_queries
from pillarbox.storage.spending import Ledger
from pillarbox.storage.tenure import Tenure
from pillarbox.storage.waiting import Outcome, Waiting, report

_LOCKS_IN_VAIN: Final = 2
_ASK_SECONDS: Final = 0.25  # between two questions what became of a commit

_log = logging.getLogger(__name__)


class PostgresEngine:
    """One database. See `storage.engine.Engine` for what is promised."""

    shared = True

    def __init__(
        self, url: str, on_broken: Callable[[StorageBroken], None], on_commit: Committed
    ) -> None:
        """Use `open`. `on_broken` hears of it when another node has taken over."""
        self._url, self._on_broken, self._on_commit = url, on_broken, on_commit
        self._loop = asyncio.get_running_loop()
        self._sql = load_queries("postgres")
        self._groups = Groups(self._sql)
        self._waiting = Waiting()
        self._intake = Intake(self._put)
        self.submit, self.submit_soon = self._intake.submit, self._intake.submit_soon
        self.change = self._intake.change
        self._wanted = asyncio.Event()
        self.tenure = Tenure(ends=True)
        self._writer = Writer(url, self._sql, self.tenure, report)
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._bell: Bell | None = None
        self._writing: asyncio.Task[None] | None = None
        self._version = ""
        self.node = 0

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        who: NodeIdentity,
        now_ms: int,
        on_broken: Callable[[StorageBroken], None],
        on_commit: Committed,
    ) -> PostgresEngine:
        """Connect, bring the schema up to date, take this node's place, begin an incarnation.

        Raises `BadStoreUrl`, `SchemaTooNew`, `NodeRunning`, `StorageTrouble`.
        """
        engine = cls(url, on_broken, on_commit)
        place = parse_store_url(url)
        try:
            await engine._prepare(who, now_ms, place)
        except BaseException as error:
            engine._writer.terminate()
            if engine._bell is not None:
                await engine._bell.close()
            await asyncio.sleep(0)  # a connection that was cut is closed with the loop's next turn
            if isinstance(
                error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError | ValueError
            ):
                raise unopened(error, place) from error
            raise
        engine._writing = asyncio.create_task(engine._run(), name="pillarbox-write")
        engine._writing.add_done_callback(engine._ended)
        return engine

    @property
    def incarnation(self) -> int:
        """Of this process."""
        return self._writer.incarnation

    @property
    def kind(self) -> str:
        """The engine and its version."""
        return f"PostgreSQL {self._version}"

    async def read(self, name: str, *parameters: Value) -> list[Row]:
        """Run one reading statement on committed data, on a connection of the pool."""
        assert self._pool is not None
        try:
            async with self._pool.acquire(timeout=COMMAND_SECONDS) as connection:
                rows = await connection.fetch(self._sql[name], *parameters)
        except Exception as error:
            raise mapped(error) from error
        return [tuple(row) for row in rows]

    async def apart(self, name: str, *parameters: Value) -> list[Row]:
        """On a connection of the pool."""
        return await self.read(name, *parameters)

    def _put(self, member: Member) -> None:
        self._waiting.add(member)
        self._wanted.set()

    def whole_weeks(self, before_ms: int) -> int:
        """The week in which it lies is kept to its end."""
        return week_start_ms(before_ms)

    async def make_weeks(self, now_ms: int) -> None:
        """With a connection of its own: it waits for whoever uses the tables."""
        await with_tables(self._url, lambda connection: make_partitions(connection, now_ms))

    async def drop_weeks(self, tables: Sequence[str], before_ms: int) -> int:
        """A table dropped is a file removed, whatever was in it."""
        return await with_tables(
            self._url, lambda connection: drop_partitions(connection, tables, before_ms)
        )

    async def room(self) -> int | None:
        """A client is not told."""
        return None

    def abandon(self, broken: StorageBroken) -> None:
        """Commit nothing more."""
        if self._intake.broken is None:
            self._intake.broken = broken
            self.tenure.lost = True
            self._wanted.set()
            self._loop.call_soon(self._on_broken, broken)

    def tell(self, topic: str) -> None:
        """By the bell."""
        if self._bell is not None:
            self._bell.ring(topic)

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Hear of what others tell."""
        if self._bell is not None:
            self._bell.listen(topic, heard)

    async def try_duty(self, name: str) -> bool:
        """By a lock of the bell's connection."""
        return self._bell is not None and await self._bell.try_duty(name)

    async def close(self) -> None:
        """Commit what waits, then close every connection."""
        if self._intake.closing:
            return
        self._intake.closing = True
        self._wanted.set()
        if self._writing is not None:
            await asyncio.wait([self._writing])
        trouble = StorageTrouble("The store is being closed.")
        report([(member, None, trouble) for member, _, _ in self._writer.give_up()])
        if self._bell is not None:
            await self._bell.close()
        await ended(self._pool)
        await self._writer.close()

    async def _prepare(self, who: NodeIdentity, now_ms: int, place: StoreUrl) -> None:
        # A migration may take longer than any statement of everyday.
        setup = await connected(self._url, command_seconds=None)
        try:
            ensure_new_enough(setup, place)
            await migrate_postgres(setup)
            await make_partitions(setup, now_ms)
            self.node, known = await join(setup, who)
        finally:
            await ended(setup)
        await self._writer.begin(self.node, who, known=known)
        connection = await self._writer.connection()
        await self._groups.prepare(connection)
        version = connection.get_server_version()
        self._version = f"{version.major}.{version.minor}"
        self._pool = await pooled(self._url)
        self._bell = Bell(self._url, self.incarnation)

    async def _run(self) -> None:
        while True:
            if self._waiting:
                await self._commit_next()
            elif self._intake.closing:
                return
            elif self._writer.doubts and self._intake.broken is None:
                await self._ask()
            else:
                self._wanted.clear()
                await self._wanted.wait()

    async def _ask(self) -> None:
        """A connection learns what became of the commits that were not answered."""
        try:
            await self._writer.connection()
        except LeaseLost as lost:
            self.abandon(lost)
        except Exception:
            self._wanted.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_ASK_SECONDS):
                    await self._wanted.wait()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("the writer broke", exc_info=error)
        self.abandon(StorageBroken(detail=f"the writer broke: {error!r}"))
        while self._waiting:
            report([(member, None, self._intake.broken) for member in self._waiting.draw()])

    async def _commit_next(self) -> None:
        """One group."""
        outcomes: list[Outcome] = []
        began_at = self._loop.time()
        await self._commit(self._waiting.draw(), outcomes)
        try:
            self._on_commit(len(outcomes), self._loop.time() - began_at)
        except Exception:
            _log.exception("a commit could not be counted")
        report(outcomes)

    async def _commit(self, group: Sequence[Member], outcomes: list[Outcome]) -> None:
        """All together; where that fails, one by one, so that only the offender is refused."""
        if self._intake.broken is not None:
            outcomes.extend((member, None, self._intake.broken) for member in group)
            return
        found: list[Outcome] = []
        try:
            await self._attempt(group, found)
            outcomes.extend(found)
        except Exception as error:
            if self._writer.remember(error, found):
                return
            trouble = await self._writer.roll_back(error)
            if isinstance(trouble, StorageBroken):
                self.abandon(trouble)
            if isinstance(trouble, StorageBroken) or self._writer.is_away or speaks_of_all(error):
                # The database is away for all of them alike. What it did at last is not known, so
                # the next one begins with a connection of its own.
                self._writer.terminate()
                outcomes.extend((member, None, trouble) for member in group)
            elif len(group) == 1:
                outcomes.append((group[0], None, trouble))
            elif isinstance(error, asyncpg.LockNotAvailableError) and any(
                member.spends for member in group
            ):
                # Whoever spends nothing need not wait for who holds a limit so long.
                outcomes.extend((member, None, trouble) for member in group if member.spends)
                await self._commit([member for member in group if not member.spends], outcomes)
            else:
                await self._commit_each(group, outcomes)

    async def _commit_each(self, group: Sequence[Member], outcomes: list[Outcome]) -> None:
        """One by one; where two have waited in vain for a lock, the others need not."""
        in_vain = 0
        for member in group:
            if in_vain < _LOCKS_IN_VAIN:
                await self._commit([member], outcomes)
                error = outcomes[-1][2] if outcomes else None
                in_vain += isinstance(error and error.__cause__, asyncpg.LockNotAvailableError)
            else:
                outcomes.append((member, None, StorageTrouble("The database is locked.")))

    async def _attempt(self, group: Sequence[Member], outcomes: list[Outcome]) -> None:
        """One transaction; `outcomes` are true once it has returned."""
        writer = await self._writer.connection()
        batch = Batch(self._writer.first_event())
        ledger = Ledger(group)
        guards = [member.steps() for member in group]
        open_already = bool(ledger.limits) or any(guards)
        if open_already:
            await writer.execute("BEGIN")
        if ledger.limits:
            await self._writer.lock(ledger)
        for member, steps in zip(group, guards, strict=True):
            guarded = steps or member.spends
            refusal = await self._writer.guard(member, steps, ledger) if guarded else None
            outcomes.append((member, None if refusal else member.write(batch), refusal))
        ledger.write(batch)
        rows = batch.rows
        at_once = None if open_already else self._groups.at_once(rows)
        accepts, settles = "message.insert" in rows, "queue.delete" in rows or "queue.defer" in rows
        if accepts:
            crash_point("accept-before-insert")
        changed = False
        if at_once is None:
            if not open_already:
                await writer.execute("BEGIN")
            changed = await self._groups.write(writer, rows)
        if accepts:
            crash_point("accept-before-commit")
        if settles:
            crash_point("settle-before-commit")
        if "started.insert" in rows:
            crash_point("started-before-commit")
        last_event = batch.last_event if "event.insert" in rows else 0
        if at_once is not None:
            await self._writer.write_at_once(at_once.sql, at_once.arguments(rows), last_event)
        else:
            await self._writer.commit(last_event, changed=changed)
        if accepts:
            crash_point("accept-after-commit")
        if settles:
            crash_point("settle-after-commit")
        if "started.insert" in rows:
            crash_point("started-after-commit")
