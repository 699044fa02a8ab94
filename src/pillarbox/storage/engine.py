"""an engine: read, transact, and commit many members as one group

The stores are written once over this. A *member* is one thing that must be committed: it may first
run statements whose rows decide whether it goes on (guards), and then adds rows to the batch that
the whole group shares. The engine runs the batch statement by statement in `RANK` order, so fifty
acceptances cost as many statement executions as one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pillarbox.storage.interface.companions import SpendLimit
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.tenure import Tenure
from pillarbox.terms.ids import MAX_NODE

Value = int | float | str | bytes | None
Row = tuple[Value, ...]

RANK: Final = (
    "message.insert",
    "content.insert",
    "upload.insert",
    "upload.delete",
    "queue.insert",
    "event.insert",
    "delivery.insert",
    "started.insert",
    "queue.delete",
    "started.delete",
    "queue.defer",
    "queue.hold_back",
    "queue.set_last_event",
    "obligation.insert",
    "server.error",
    "server.fine",
    "session.insert",
    "credential.used",
    "key.used",
    "spending.set",
    "problem.note",
    "tls.count",
    "visit.insert",
    "image.used",
)
"""Statements a batch may hold, in the order in which they run: key order, table by table."""


@dataclass(frozen=True, slots=True)
class Step:
    """One statement with its parameters."""

    name: str
    parameters: Row = ()


@dataclass(frozen=True, slots=True)
class Spend:
    """What is spent of a limit in the period that began at `since`."""

    limit: SpendLimit
    since: int


class Batch:
    """The rows a group will write, by statement, and the numbers of its events."""

    __slots__ = ("next_event", "rows")

    def __init__(self, next_event: int) -> None:
        """Events of this group are numbered from `next_event` on."""
        self.next_event = next_event
        self.rows: dict[str, list[Row]] = {}

    def add(self, statement: str, row: Row) -> None:
        """One more row for a statement of `RANK`."""
        rows = self.rows.get(statement)
        if rows is None:
            self.rows[statement] = [row]
        else:
            rows.append(row)

    def event(
        self, at: int, app: bytes, kind: str, delivery: int, previous: int, data: bytes
    ) -> int:
        """Append an event; gives its number."""
        seq = self.next_event
        self.next_event = seq + MAX_NODE + 1
        self.add("event.insert", (seq, at, app, kind, delivery, previous, data))
        return seq

    @property
    def last_event(self) -> int:
        """The number of the newest event."""
        return self.next_event - MAX_NODE - 1


Told = Callable[[BaseException | None], None]

Committed = Callable[[int, float], None]
"""Hears of each group: how many members it had, and how many seconds it took."""


class Member:
    """One thing to commit. Subclasses say what."""

    __slots__ = ("content_bytes", "future", "spends", "told")

    settles: bool = False
    """Settlements go before acceptances: what has left must be known before more comes in."""

    refuses: bool = True
    """Whether `resolve` may raise, and what the steps did has to be undone then."""

    def __init__(self) -> None:
        self.future: asyncio.Future[object] | None = None
        self.told: Told | None = None
        self.content_bytes = 0
        """How much content it writes: what others of its group wait for."""
        self.spends: Sequence[Spend] = ()
        """What it needs of limits; where one has not so much left it is refused alone."""

    def report(self, result: object, error: BaseException | None) -> None:
        """On the loop, when it is durable, or is known not to become so."""
        told, self.told = self.told, None
        if told is not None:
            # Forgotten first: whoever listens may hold the member, and with it a whole message.
            told(error)
        elif self.future is not None and not self.future.done():
            if error is None:
                self.future.set_result(result)
            else:
                self.future.set_exception(error)

    def steps(self) -> Sequence[Step]:
        """Statements to run first, inside the transaction."""
        return ()

    def resolve(self, results: list[list[Row]]) -> None:
        """Look at what the steps gave. Raising refuses this member alone, its steps undone."""

    def write(self, batch: Batch) -> object:
        """Add the rows; gives what the future shall hold. May be called again after a rollback."""
        return None


class Change(Member):
    """Some statements for their own sake: directory data, retention."""

    __slots__ = ("_results", "_steps")

    def __init__(self, steps: Sequence[Step], content_bytes: int = 0) -> None:
        super().__init__()
        self.content_bytes = content_bytes
        self._steps = steps
        self._results: list[list[Row]] = []

    def steps(self) -> Sequence[Step]:
        """As given."""
        return self._steps

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep the rows for the caller."""
        self._results = results

    def write(self, batch: Batch) -> object:
        """Nothing more; the rows of every step are the result."""
        return self._results


class Engine(Protocol):
    """What a store needs of a database."""

    @property
    def kind(self) -> str:
        """``SQLite 3.54.1`` and the like, for people."""
        ...

    @property
    def incarnation(self) -> int:
        """The number of this process's life, the owner of what it holds in memory."""
        ...

    @property
    def node(self) -> int:
        """The number of this node, in the low bits of every number it gives."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other nodes may use this database at the same time."""
        ...

    @property
    def tenure(self) -> Tenure:
        """How long this process may act as the owner of what it holds."""
        ...

    def abandon(self, broken: StorageBroken) -> None:
        """Commit nothing more: what waits, and what comes, hears of this."""
        ...

    def tell(self, topic: str) -> None:
        """Wake the other nodes that listen to a topic; lost where the database is away."""
        ...

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Hear of it when another node tells a topic, or when something may have been missed."""
        ...

    async def try_duty(self, name: str) -> bool:
        """Whether this node performs a duty that must run once; asked before every round of it."""
        ...

    async def read(self, name: str, *parameters: Value) -> list[Row]:
        """Run one reading statement on committed data."""
        ...

    def submit(self, member: Member) -> asyncio.Future[object]:
        """Commit a member with its group; done when durable. Raises `StorageTrouble`."""
        ...

    def submit_soon(self, member: Member, told: Told) -> None:
        """As `submit`, for whoever need not wait: `told` hears that it is durable, or why not."""
        ...

    async def change(self, *steps: Step, content_bytes: int = 0) -> list[list[Row]]:
        """Run statements in one transaction; gives the rows of each. `content_bytes` says how much
        content they write.
        """
        ...

    def whole_weeks(self, before_ms: int) -> int:
        """The instant up to which things are dropped if they shall be kept until `before_ms`."""
        ...

    async def make_weeks(self, now_ms: int) -> None:
        """Make room for the weeks ahead, where the engine cuts what grows into weeks."""
        ...

    async def drop_weeks(self, tables: Sequence[str], before_ms: int) -> int:
        """Drop the weeks of these tables that were over at `before_ms`; gives how many."""
        ...

    async def apart(self, name: str, *parameters: Value) -> list[Row]:
        """Run one statement in a transaction of its own, durable when this returns: what it locks
        is free again at once, and not only after a whole group. Raises `StorageTrouble`.
        """
        ...

    async def room(self) -> int | None:
        """Bytes free where the data lies; None where nobody knows."""
        ...

    async def close(self) -> None:
        """Commit what waits, then close."""
        ...
