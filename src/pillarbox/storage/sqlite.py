"""SQLite through apsw: one writer thread with group commit, readers apart

When a member's future is done, its bytes have been synced: see `storage.connection`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import apsw

from pillarbox.observe.crash import crash_point
from pillarbox.storage.checkpoint import Checkpoints
from pillarbox.storage.columns import as_int
from pillarbox.storage.connection import connect
from pillarbox.storage.engine import RANK, Batch, Committed, Member, Row, Step, Value
from pillarbox.storage.intake import Intake
from pillarbox.storage.interface.errors import (
    StorageBroken,
    Unstorable,
)
from pillarbox.storage.interface.nodes import NodeIdentity
from pillarbox.storage.membership import ALONE, LEASE_MS
from pillarbox.storage.migrate import SCHEMA, migrate_sqlite
from pillarbox.storage.queries import load_queries
from pillarbox.storage.spending import Ledger
from pillarbox.storage.sqlite_errors import mapped
from pillarbox.storage.tenure import Tenure
from pillarbox.storage.waiting import Outcome, Waiting, report
from pillarbox.storage.widening import Widening
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import first_event_from

_READERS: Final = 2
_COMPANY_SECONDS: Final = 50e-6
_LONGEST_COMPANY_SECONDS: Final = 1e-3
"""How long a commit waits for others, for each member of the one before: larger groups cost less a
member, and whoever commits alone is not kept waiting.
"""

_log = logging.getLogger(__name__)


class SqliteEngine:
    """One file, one writing process. See `storage.engine.Engine` for what is promised."""

    def __init__(
        self, path: Path, on_broken: Callable[[StorageBroken], None], on_commit: Committed
    ) -> None:
        """Use `open`. `on_broken` hears of an error after which the process must be restarted."""
        self._path = path
        self._on_broken = on_broken
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._sql = load_queries("sqlite")
        self._wide = Widening({name: self._sql[name] for name in RANK})
        self._coming: list[Member] = []
        self._inbox: queue.SimpleQueue[list[Member] | None] = queue.SimpleQueue()
        self._waiting = Waiting()
        self._intake = Intake(self._take)
        self.submit, self.submit_soon = self._intake.submit, self._intake.submit_soon
        self.change = self._intake.change
        self._highest_event = 0
        self.incarnation = 0
        self.node = ALONE
        self.shared = False
        self.tenure = Tenure()
        self._local = threading.local()
        self._reader_connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="pillarbox-read")
        self._writer = connect(path)
        self._checkpoints: Checkpoints | None = None
        self._writing = threading.Thread(target=self._run, name="pillarbox-write", daemon=True)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        who: NodeIdentity,
        on_broken: Callable[[StorageBroken], None],
        on_commit: Committed,
    ) -> SqliteEngine:
        """Open or create the file, bring its schema up to date, begin an incarnation.

        Raises `SchemaTooNew`, `StorageTrouble`.
        """
        engine = cls(path, on_broken, on_commit)
        try:
            await asyncio.to_thread(engine._prepare, who)
        except apsw.Error as error:
            raise mapped(error) from error
        engine._checkpoints = Checkpoints(engine._writer, connect(path), engine._stop_writing)
        engine._writing.start()
        return engine

    @property
    def kind(self) -> str:
        """The engine and its version."""
        return f"SQLite {apsw.sqlite_lib_version()}"

    async def read(self, name: str, *parameters: Value) -> list[Row]:
        """Run one reading statement on committed data, in a reader's thread."""
        return await self._loop.run_in_executor(self._readers, self._read, name, parameters)

    async def apart(self, name: str, *parameters: Value) -> list[Row]:
        """There is one writer, whose groups nobody else waits for."""
        return (await self.change(Step(name, parameters)))[0]

    def abandon(self, broken: StorageBroken) -> None:
        """Commit nothing more."""
        self._stop_writing(broken)

    def tell(self, topic: str) -> None:
        """Nobody else is there."""

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Nobody else is there."""

    async def try_duty(self, name: str) -> bool:
        """Every duty is ours."""
        return True

    def whole_weeks(self, before_ms: int) -> int:
        """Rows are deleted by range, so to the millisecond."""
        return before_ms

    async def make_weeks(self, now_ms: int) -> None:
        """One table each, however much is in it."""

    async def drop_weeks(self, tables: Sequence[str], before_ms: int) -> int:
        """There are none."""
        return 0

    async def room(self) -> int | None:
        """Bytes a process without privileges may still write beside the file."""
        facts = os.statvfs(self._path.parent)
        return facts.f_bavail * facts.f_frsize

    async def close(self) -> None:
        """Commit what waits, then close every connection."""
        if self._intake.closing:
            return
        self._intake.closing = True
        self._pass_on()
        self._inbox.put(None)
        await asyncio.to_thread(self._writing.join)
        if self._checkpoints is not None:
            await asyncio.to_thread(self._checkpoints.close)
        self._readers.shutdown()
        for connection in self._reader_connections:
            connection.close()
        if self._intake.broken is None:
            # Copied to the end, the log is removed. After a failed sync it is all there is.
            self._writer.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        self._writer.close()

    def _take(self, member: Member) -> None:
        """With all that come in the same turn of the loop: a thread that is woken for each commits
        them one by one, as soon as anything on the loop lets go of the interpreter.
        """
        self._coming.append(member)
        if len(self._coming) == 1:
            self._loop.call_soon(self._pass_on)

    def _pass_on(self) -> None:
        if self._coming:
            self._inbox.put(self._coming)
            self._coming = []

    def _hand_back(self, outcomes: Sequence[Outcome], spent_seconds: float) -> None:
        self._on_commit(len(outcomes), spent_seconds)
        report(outcomes)

    # --- in the threads -----------------------------------------------------------------------

    def _prepare(self, who: NodeIdentity) -> None:
        migrate_sqlite(self._writer)
        self._highest_event = as_int(self._execute("event.highest", ())[0][0])
        self._execute("node.alone", (who.name, who.place))
        life = (who.name, ALONE, LEASE_MS, SCHEMA, who.version, ",".join(who.roles))
        self.incarnation = as_int(self._execute("incarnation.begin", life)[0][0])

    def _read(self, name: str, parameters: Row) -> list[Row]:
        connection = getattr(self._local, "connection", None)
        try:
            if connection is None:
                connection = connect(self._path, reading=True)
                self._local.connection = connection
                self._reader_connections.append(connection)
            return connection.execute(self._sql[name], parameters).fetchall()
        except apsw.Error as error:
            raise mapped(error) from error

    def _execute(self, name: str, parameters: Row) -> list[Row]:
        for value in parameters:
            if isinstance(value, str) and "\0" in value:
                # Whoever moves to PostgreSQL later must be able to take everything along.
                raise Unstorable(detail="text with a NUL, which PostgreSQL cannot hold")
        return self._writer.execute(self._sql[name], parameters).fetchall()

    def _run(self) -> None:
        size = 0
        while True:
            if not self._waiting:
                members = self._inbox.get()
                if members is None:
                    return
                self._wait(members)
                del members
            if size > 1 and not self._intake.closing:
                time.sleep(min(size * _COMPANY_SECONDS, _LONGEST_COMPANY_SECONDS))
            closing = self._drain()
            size = self._commit_next()
            if closing:
                self._inbox.put(None)

    def _commit_next(self) -> int:
        """One group, told to the loop; nothing of it is held here afterwards. Gives its size."""
        outcomes: list[Outcome] = []
        began_at = time.monotonic()
        self._commit(self._waiting.draw(), outcomes)
        spent, size = time.monotonic() - began_at, len(outcomes)
        self._loop.call_soon_threadsafe(self._hand_back, outcomes, spent)
        del outcomes
        if self._checkpoints is not None and self._intake.broken is None:
            self._checkpoints.committed()
        return size

    def _drain(self) -> bool:
        """Take what else has come; true where the end was asked for."""
        while True:
            try:
                members = self._inbox.get_nowait()
            except queue.Empty:
                return False
            if members is None:
                return True
            self._wait(members)

    def _wait(self, members: Sequence[Member]) -> None:
        for member in members:
            self._waiting.add(member)

    def _commit(self, group: Sequence[Member], outcomes: list[Outcome]) -> None:
        """All together; where that fails, one by one, so that only the offender is refused."""
        if self._intake.broken is not None:
            outcomes.extend((member, None, self._intake.broken) for member in group)
            return
        try:
            outcomes.extend(self._attempt(group))
        except Exception as error:
            trouble = self._roll_back(error)
            if isinstance(trouble, StorageBroken):
                self._stop_writing(trouble)
                outcomes.extend((member, None, trouble) for member in group)
            elif len(group) == 1:
                outcomes.append((group[0], None, trouble))
            else:
                for member in group:
                    self._commit([member], outcomes)

    def _attempt(self, group: Sequence[Member]) -> list[Outcome]:
        batch = Batch(first_event_from(self._highest_event, ALONE))
        outcomes: list[Outcome] = []
        writer = self._writer
        ledger = Ledger(group)
        writer.execute("BEGIN IMMEDIATE")
        for limit in ledger.limits:
            ledger.stands(self._execute("spending.one", (limit,)))
        for member in group:
            steps = member.steps()
            refusal = self._guard(member, steps, ledger) if steps or member.spends else None
            outcomes.append((member, None if refusal else member.write(batch), refusal))
        ledger.write(batch)
        rows = batch.rows
        accepts, settles = "message.insert" in rows, "queue.delete" in rows or "queue.defer" in rows
        if accepts:
            crash_point("accept-before-insert")
        for name in RANK:
            if name in rows:
                for sql, values in self._wide.portions(name, rows[name]):
                    writer.execute(sql, values)
        if accepts:
            crash_point("accept-before-commit")
        if settles:
            crash_point("settle-before-commit")
        if "started.insert" in rows:
            crash_point("started-before-commit")
        writer.execute("COMMIT")
        self._highest_event = batch.next_event - 1
        if accepts:
            crash_point("accept-after-commit")
        if settles:
            crash_point("settle-after-commit")
        if "started.insert" in rows:
            crash_point("started-after-commit")
        return outcomes

    def _guard(
        self, member: Member, steps: Sequence[Step], ledger: Ledger
    ) -> PillarboxError | None:
        """Run a member's own statements; undone where it is refused for what they gave, or because
        a limit has not enough left for it.
        """
        if not steps:
            return ledger.refusal(member)
        self._writer.execute("SAVEPOINT member")
        try:
            member.resolve([self._execute(step.name, step.parameters) for step in steps])
            ledger.spend(member)
        except PillarboxError as refusal:
            self._writer.execute("ROLLBACK TO member")
            return refusal
        finally:
            if self._writer.in_transaction:
                self._writer.execute("RELEASE member")
        return None

    def _stop_writing(self, trouble: StorageBroken) -> None:
        """Nothing is committed from here on; from any of the threads."""
        self._intake.broken = trouble
        self._loop.call_soon_threadsafe(self._on_broken, trouble)

    def _roll_back(self, error: Exception) -> PillarboxError:
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except apsw.Error as second:
            return StorageBroken(detail=f"rollback: {second}; after: {error}")
        return mapped(error)
