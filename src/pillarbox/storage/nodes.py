"""nodes, over an engine: signs of life, taking over, draining"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Member, Row, Step
from pillarbox.storage.interface.errors import (
    AlreadyRecovered,
    Conflict,
    LeaseLost,
    NotFound,
    StorageTrouble,
)
from pillarbox.storage.interface.nodes import BEAT_SECONDS, Beat, NodeFacts, NodeLoad
from pillarbox.storage.interface.queue import Recovered
from pillarbox.storage.membership import LEASE_MS, NODE_LOCK
from pillarbox.storage.recovery import recover
from pillarbox.storage.tenure import LEASE_SECONDS, Tenure

_JUMP_SECONDS: Final = 10.0
"""More than a slow answer explains."""


class BeatMember(Member):
    """A sign of life."""

    __slots__ = ("_load", "_owner", "_rows", "asked_at")
    settles = True

    def __init__(self, owner: int, load: bytes) -> None:
        """`owner` is this process's incarnation."""
        super().__init__()
        self._owner = owner
        self._load = load
        self._rows: list[Row] = []
        self.asked_at = 0.0

    def steps(self) -> list[Step]:
        """The time is taken before it is asked for."""
        self.asked_at = Tenure.now()
        return [Step("incarnation.beat", (self._owner, LEASE_MS, self._load))]

    def resolve(self, results: list[list[Row]]) -> None:
        """Raises `LeaseLost`."""
        self._rows = results[0]
        if not self._rows:
            raise LeaseLost

    def write(self, batch: object) -> Row:
        """What the database says to it."""
        return self._rows[0]


class EndMember(Member):
    """The end of a process that gave no sign of life, which commits nothing after this."""

    __slots__ = ("_number", "_owner")

    def __init__(self, owner: int, number: int) -> None:
        """`owner` is its incarnation, `number` its node's."""
        super().__init__()
        self._owner = owner
        self._number = number

    def steps(self) -> list[Step]:
        """With the node's lock, so that nothing of it is being committed."""
        return [
            Step("takeover.fence", (NODE_LOCK, self._number)),
            Step("incarnation.end", (self._owner,)),
        ]

    def resolve(self, results: list[list[Row]]) -> None:
        """Raises `AlreadyRecovered` where it came back, or somebody was faster."""
        if not results[0][0][0] or not results[1]:
            raise AlreadyRecovered


class SqlNodeStore:
    """See `storage.interface.nodes.NodeStore` for what is promised."""

    def __init__(self, engine: Engine, moved: Callable[[int, int], None]) -> None:
        """`moved` hears with every beat the version of the directory, and all servers' errors."""
        self._engine = engine
        self._moved = moved
        self._heard_since: float | None = None
        self._clocks: tuple[int, float] | None = None
        self.patience_seconds = 3 * BEAT_SECONDS
        """Whoever takes over must have been heard itself for so long: after the database was away
        for all, those who come back a little later are not dead.
        """
        self._asked: list[Callable[[], None]] = []

    @property
    def number(self) -> int:
        """As the engine has it."""
        return self._engine.node

    @property
    def holds(self) -> bool:
        """By the clock of this machine, which is asked before anything leaves."""
        return self._engine.tenure.holds

    async def beat(self, load: NodeLoad) -> Beat:
        """Through the writer, so that it says that this process can commit."""
        engine = self._engine
        member = BeatMember(engine.incarnation, encode(load))
        try:
            row = await engine.submit(member)
        except LeaseLost as lost:
            engine.abandon(lost)
            raise
        except StorageTrouble:
            self._heard_since = None
            raise
        assert isinstance(row, tuple)
        engine.tenure.renewed(member.asked_at)
        self._note_clock(as_int(row[3]), member.asked_at)
        if self._heard_since is None or Tenure.now() - member.asked_at > BEAT_SECONDS:
            self._heard_since = Tenure.now()
        if engine.shared:
            self._moved(as_int(row[0]), as_int(row[1]))
        return Beat(draining=bool(row[2]))

    def _note_clock(self, database_ms: int, own_seconds: float) -> None:
        """A clock of the database that jumped would make all others look dead, and so would a long
        silence of our own.
        """
        before, self._clocks = self._clocks, (database_ms, own_seconds)
        if before is not None:
            apart = (database_ms - before[0]) / 1000 - (own_seconds - before[1])
            silent = own_seconds - before[1] > LEASE_SECONDS / 2
            if silent or abs(apart) > _JUMP_SECONDS:
                self._heard_since = None

    async def take_over(self, now_ms: int) -> list[tuple[str, Recovered]]:
        """Ended first, and only then freed: whatever it committed before is seen."""
        engine = self._engine
        if not engine.shared or self._heard_since is None:
            return []
        if Tenure.now() - self._heard_since < self.patience_seconds:
            return []
        for row in await engine.read("incarnation.late", engine.incarnation):
            owner, number = as_int(row[0]), as_int(row[1])
            await engine.read("takeover.close", NODE_LOCK, number, owner)
            try:
                await engine.submit(EndMember(owner, number))
            except AlreadyRecovered:
                continue
        taken = []
        for row in await engine.read("incarnation.fenced", engine.incarnation):
            found = await recover(engine, [as_int(row[0])], now_ms)
            taken.append((as_text(row[1]), found))
        return taken

    async def leave(self, now_ms: int) -> None:
        """What is left waits for the others at once."""
        if self._engine.shared:
            await self._engine.change()  # behind everything that was asked for before
            await recover(self._engine, [self._engine.incarnation], now_ms)
            self._engine.tell("queue")

    async def nodes(self) -> list[NodeFacts]:
        """By name."""
        now_ms = as_int((await self._engine.read("incarnation.now"))[0][0])
        engine = self._engine
        rows = await engine.read("node.all")
        # Whoever has a store for himself knows that no other life goes on.
        return [
            _facts(row, now_ms, over=not engine.shared and row[10] != engine.incarnation)
            for row in rows
        ]

    async def drain(self, name: str, *, draining: bool) -> None:
        """Heard by the node with its next sign of life."""
        results = await self._engine.change(Step("node.drain", (name, int(draining))))
        if not results[0]:
            raise _no_such(name)
        self._engine.tell("nodes")
        for asked in self._asked:  # nobody hears his own bell
            asked()

    async def forget(self, name: str) -> None:
        """Its number may be given again: ids go on above the highest there is."""
        results = await self._engine.change(Step("node.forget", (name,)))
        if results[0]:
            return
        if not await self._engine.read("node.named", name):
            raise _no_such(name)
        raise Conflict(
            f"The node {name} lives, or what it held is not free yet.",
            code="wrong_state",
            fix="Stop it first; half a minute later it can be removed.",
        )

    async def has_duty(self, name: str) -> bool:
        """Where nobody else is, every duty is ours."""
        return await self._engine.try_duty(name)

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """By the bell of the engine, where it has one."""
        if topic == "nodes":
            self._asked.append(heard)
        self._engine.listen(topic, heard)


def _no_such(name: str) -> NotFound:
    return NotFound(f"There is no node called {name}.", fix="List them: pillarbox node list")


def _facts(row: Row, now_ms: int, *, over: bool) -> NodeFacts:
    name, number, draining, version, roles, started_at, beat_at, until, ended_at, load, _ = row
    said = as_bytes(load)
    return NodeFacts(
        name=as_text(name), number=as_int(number), version=as_text(version),
        roles=tuple(filter(None, as_text(roles).split(","))),
        alive=not over and ended_at is None and as_int(until) > now_ms,
        ended=over or ended_at is not None or version is None, draining=bool(draining),
        started_at=as_int(started_at), beat_at=as_int(beat_at),
        load=decode(said, NodeLoad) if said else NodeLoad(),
    )  # fmt: skip
