"""PostgreSQL through asyncpg: one writing connection with group commit, readers in a pool

When a member's future is done, the server has written it down: see `storage.postgres_session`. A
connection that was lost is made again; until then nothing is taken, and whoever asks hears that
storage does not answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import asyncpg

from pillarbox.observe.crash import crash_point
from pillarbox.storage.engine import RANK, Batch, Change, Committed, Member, Row, Step, Told, Value
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.migrate import migrate_postgres
from pillarbox.storage.postgres_errors import mapped, speaks_of_all
from pillarbox.storage.postgres_session import COMMAND_SECONDS, connected, ended, own, pooled
from pillarbox.storage.queries import load_queries
from pillarbox.storage.waiting import Outcome, Waiting, report
from pillarbox.storage.weaving import APART, Woven, unnested, weave
from pillarbox.terms.errors import PillarboxError

_PAUSE_SECONDS: Final = 0.5
"""Between two tries to reach a server that is away."""

_log = logging.getLogger(__name__)


class PostgresEngine:
    """One database. See `storage.engine.Engine` for what is promised."""

    def __init__(self, url: str, on_commit: Committed) -> None:
        """Use `open`."""
        self._url = url
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._sql = load_queries("postgres")
        self._arrays: dict[str, str] = {}
        self._widths: dict[str, int] = {}
        self._woven: dict[tuple[str, ...], Woven] = {}
        self._waiting = Waiting()
        self._wanted = asyncio.Event()
        self._closing = False
        self._away_until = 0.0
        self._next_event = 0
        self._writer: asyncpg.Connection[asyncpg.Record] | None = None
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._version = ""
        self.incarnation = 0

    @classmethod
    async def open(
        cls, url: str, *, node: str, now_ms: int, on_commit: Committed
    ) -> PostgresEngine:
        """Connect, bring the schema up to date, begin an incarnation.

        Raises `SchemaTooNew`, `StorageTrouble`.
        """
        engine = cls(url, on_commit)
        try:
            await engine._prepare(node, now_ms)
        except BaseException as error:
            if engine._writer is not None:
                engine._writer.terminate()
            if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
                raise mapped(error) from error
            raise
        engine._writing = asyncio.create_task(engine._run(), name="pillarbox-write")
        return engine

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

    def submit(self, member: Member) -> asyncio.Future[object]:
        """Queue a member for the writer; done when durable."""
        member.future = self._loop.create_future()
        self._queue(member)
        return member.future

    def submit_soon(self, member: Member, told: Told) -> None:
        """Queue a member for the writer; `told` hears of it."""
        member.told = told
        self._queue(member)

    def _queue(self, member: Member) -> None:
        if self._closing:
            trouble = StorageTrouble("The store is being closed.")
            self._loop.call_soon(member.report, None, trouble)
            return
        self._waiting.add(member)
        self._wanted.set()

    async def change(self, *steps: Step, content_bytes: int = 0) -> list[list[Row]]:
        """Run statements in one transaction; gives the rows of each."""
        results = await self.submit(Change(steps, content_bytes))
        return results  # type: ignore[return-value]

    async def room(self) -> int | None:
        """Nobody tells a client how much room the server has."""
        return None

    async def close(self) -> None:
        """Commit what waits, then close every connection."""
        if self._closing:
            return
        self._closing = True
        self._wanted.set()
        if self._writing is not None:
            await self._writing
        await ended(self._pool)
        await ended(self._writer)

    # --- connections --------------------------------------------------------------------------

    async def _prepare(self, node: str, now_ms: int) -> None:
        writer = await self._connected()
        await migrate_postgres(writer)
        for name in RANK:
            prepared = await writer.prepare(self._sql[name])
            types = [kind.name for kind in prepared.get_parameters()]
            self._widths[name] = len(types)
            arrays = None if name in APART else unnested(self._sql[name], types)
            if arrays is not None:
                self._arrays[name] = arrays
        await self._go_on_numbering()
        version = writer.get_server_version()
        self._version = f"{version.major}.{version.minor}"
        self.incarnation = int((await self._execute("incarnation.add", (node, now_ms)))[0][0] or 0)
        self._pool = await pooled(self._url)

    async def _connected(self) -> asyncpg.Connection[asyncpg.Record]:
        """The writing connection, made again where it was lost. Raises what connecting raises."""
        writer = self._writer
        if writer is None or writer.is_closed():
            if self._loop.time() < self._away_until:
                raise StorageTrouble("The database cannot be reached.")
            try:
                writer = self._writer = await connected(self._url)
            except BaseException:
                self._away_until = self._loop.time() + _PAUSE_SECONDS
                raise
            try:
                await own(writer)
                if self._arrays:
                    await self._go_on_numbering()
            except BaseException:
                # What does not own the database must not be found here and written with.
                writer.terminate()
                raise
        return writer

    async def _go_on_numbering(self) -> None:
        """The commit whose answer never came may have happened, and its events be there."""
        self._next_event = int((await self._execute("event.highest", ()))[0][0] or 0) + 1

    async def _execute(self, name: str, parameters: Row) -> list[Row]:
        assert self._writer is not None
        return [tuple(row) for row in await self._writer.fetch(self._sql[name], *parameters)]

    # --- the writer ---------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._wanted.clear()
                await self._wanted.wait()
                continue
            await self._commit_next()

    async def _commit_next(self) -> None:
        """One group; nothing of it is held here afterwards."""
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
        try:
            outcomes.extend(await self._attempt(group))
        except Exception as error:
            trouble = await self._roll_back(error)
            writer = self._writer
            if writer is None or writer.is_closed() or speaks_of_all(error):
                # The database is away for all of them alike. What it did at last is not known, so
                # the next one begins with a connection of its own.
                if writer is not None:
                    writer.terminate()
                outcomes.extend((member, None, trouble) for member in group)
            elif len(group) == 1:
                outcomes.append((group[0], None, trouble))
            else:
                for member in group:
                    await self._commit([member], outcomes)

    async def _attempt(self, group: Sequence[Member]) -> list[Outcome]:
        writer = await self._connected()
        batch = Batch(self._next_event)
        outcomes: list[Outcome] = []
        await writer.execute("BEGIN")
        for member in group:
            steps = member.steps()
            refusal = await self._guard(writer, member, steps) if steps else None
            outcomes.append((member, None if refusal else member.write(batch), refusal))
        rows = batch.rows
        accepts, settles = "message.insert" in rows, "queue.delete" in rows or "queue.defer" in rows
        if accepts:
            crash_point("accept-before-insert")
        woven = tuple(name for name in RANK if name in rows and name in self._arrays)
        if woven:
            statement = self._woven.get(woven)
            if statement is None:
                statement = self._woven[woven] = weave(woven, self._arrays, self._widths)
            await writer.execute(statement.sql, *statement.arguments(rows))
        for name in RANK:
            if name in rows and name not in self._arrays:
                await writer.executemany(self._sql[name], rows[name])
        if accepts:
            crash_point("accept-before-commit")
        if settles:
            crash_point("settle-before-commit")
        if "started.insert" in rows:
            crash_point("started-before-commit")
        await writer.execute("COMMIT")
        self._next_event = batch.next_event
        if accepts:
            crash_point("accept-after-commit")
        if settles:
            crash_point("settle-after-commit")
        if "started.insert" in rows:
            crash_point("started-after-commit")
        return outcomes

    async def _guard(
        self,
        writer: asyncpg.Connection[asyncpg.Record],
        member: Member,
        steps: Sequence[Step],
    ) -> PillarboxError | None:
        """Run a member's own statements; undone where it is refused for what they gave."""
        await writer.execute("SAVEPOINT member")
        try:
            member.resolve([await self._execute(step.name, step.parameters) for step in steps])
        except PillarboxError as refusal:
            await writer.execute("ROLLBACK TO member; RELEASE member")
            return refusal
        await writer.execute("RELEASE member")
        return None

    async def _roll_back(self, error: Exception) -> PillarboxError:
        writer = self._writer
        if writer is not None and not writer.is_closed():
            try:
                if writer.is_in_transaction():
                    await writer.execute("ROLLBACK")
            except Exception:
                # In doubt about the connection, a new one: the server ends what was open on it.
                writer.terminate()
                return StorageTrouble(detail=f"rollback after: {error}")
        return mapped(error)
