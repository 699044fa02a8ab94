"""the queue: taking charge (▣1), settling (▣2), claiming, and what an operator may do"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.acceptance import Acceptance
from pillarbox.storage.interface.selection import EVERYTHING, Selection
from pillarbox.storage.interface.settlement import Settlement
from pillarbox.terms.ids import DeliveryId, MessageId, ObjectId


@dataclass(frozen=True, slots=True)
class LaneName:
    """App x route x destination: the unit of policy, window and explanation."""

    app: ObjectId
    route: str
    destination: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue row, as claimed or listed."""

    delivery: DeliveryId
    lane: int
    state: State
    due_at: int
    attempts: int
    last_event: int
    uncertain: bool
    recipient: str
    owned: bool = False


@dataclass(frozen=True, slots=True)
class LaneHead:
    """A lane in which mail waits, and when its first delivery falls due."""

    lane: int
    name: LaneName
    first_due_at: int
    gained: bool = False
    """This process reads a part of it now that it did not before: what is due in it may lie behind
    the cursor.
    """


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """How much waits in a lane, for people."""

    lane: int
    name: LaneName
    waiting: int
    oldest: DeliveryId | None
    first_due_at: int | None
    held: int
    active: int


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was found when the previous process had died."""

    released: int = 0
    uncertain: int = 0
    held: int = 0
    swept_uploads: int = 0

    def __add__(self, other: Recovered) -> Recovered:
        """Of both together."""
        return Recovered(
            self.released + other.released, self.uncertain + other.uncertain,
            self.held + other.held, self.swept_uploads + other.swept_uploads,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Obligation:
    """Something still owed."""

    id: int
    kind: str
    app: ObjectId
    delivery: DeliveryId
    due_at: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One recipient's standing, waiting or final."""

    delivery: DeliveryId
    recipient: str
    state: State
    attempts: int
    at: int
    """When it became final; for a waiting one, when it is due."""
    last_event: int
    uncertain: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator's action did to each delivery named."""

    changed: tuple[DeliveryId, ...] = ()
    refused: dict[DeliveryId, State] = field(default_factory=dict)


class QueueStore(Protocol):
    """Where mail rests. Awaiting a method means: committed, durable, visible.

    All methods raise `StorageTrouble` when the store does not answer; then nothing was changed.
    """

    def next_message_id(self, now_ms: int) -> MessageId:
        """An id above every id stored or handed out before."""
        ...

    async def lane(self, name: LaneName) -> int:
        """The number of a lane, made at first use; afterwards answered from memory."""
        ...

    async def lanes(self, names: Sequence[LaneName]) -> dict[LaneName, int]:
        """The same for several, all that are new in one transaction."""
        ...

    def known_lane(self, lane: int) -> LaneName | None:
        """The name of a lane whose number this process has asked for; otherwise None."""
        ...

    async def lane_names(self, lanes: Sequence[int]) -> dict[int, LaneName]:
        """The names behind lane numbers."""
        ...

    async def store_block(self, message: MessageId, number: int, body: bytes) -> None:
        """Write a block of long content ahead of ▣1; number 0 is left for the acceptance.

        It belongs to nobody until ▣1 names its message, and is swept if it never does.
        """
        ...

    async def drop_blocks(self, message: MessageId) -> None:
        """Forget the blocks of a message that will not be accepted after all."""
        ...

    def accept_soon(
        self, acceptance: Acceptance, told: Callable[[int, BaseException | None], None]
    ) -> None:
        """▣1. `told` hears the number of the `message.accepted` event once it is durable, or why
        it is not: `Repeated` or `AlreadyPaid` where a companion says so, `Unstorable` for a value
        no store can hold; the members of the same group commit are not disturbed by either.
        """
        ...

    def mark_started(
        self, deliveries: Sequence[DeliveryId], *, verify: bool = False, lane: int = 0
    ) -> Awaitable[frozenset[DeliveryId]]:
        """Write down that these may be leaving, before their content does.

        With `verify`, gives those that an operator has held, ended or moved out of `lane` since
        they were claimed and that must not leave from here any more.
        """
        ...

    def settle_soon(
        self, settlement: Settlement, told: Callable[[BaseException | None], None]
    ) -> None:
        """▣2. `told` hears that it is durable, or why not. A delivery that was ended meanwhile
        keeps its verdict; the event is appended.
        """
        ...

    async def heads(self, *, leaving: bool = False) -> list[LaneHead]:
        """Every lane with unowned waiting deliveries that this node may read, and its first due
        time. Where several nodes share a lane this is what divides it among them. A node that is
        `leaving` gives up what it reads as soon as what it has claimed is finished.
        """
        ...

    async def claim(
        self, lane: int, after: tuple[int, int], now_ms: int, limit: int
    ) -> tuple[list[Waiting], tuple[int, int] | None]:
        """Due, unowned deliveries of a lane in (due, id) order behind the cursor `after`, and the
        cursor behind the last that was looked at; None where nothing is left.

        Nothing is written: this node has leased what it reads. What was given out is not given
        out again before it is `finished`. What falls due again must be due later than the cursor,
        which `retry` and `settle` see to.
        """
        ...

    def finished(self, deliveries: Sequence[DeliveryId]) -> None:
        """These were claimed, and are settled or must not be sent from here."""
        ...

    async def recover(self, now_ms: int) -> Recovered:
        """Before any listener opens: what the processes had that were this node before is free
        again, what they may have been sending is marked uncertain and follows its submitter's
        policy.
        """
        ...

    async def waiting(
        self,
        wanted: Selection = EVERYTHING,
        *,
        after: DeliveryId | None = None,
        limit: int = 100,
    ) -> list[Waiting]:
        """Waiting deliveries by id. Reads the queue from end to end: for people."""
        ...

    async def one(self, delivery: DeliveryId) -> Waiting | None:
        """A waiting delivery with its lane; None where nothing waits of that id."""
        ...

    async def depths(self) -> list[LaneDepth]:
        """All lanes that hold anything. Reads the queue from end to end: for people."""
        ...

    async def lanes_of(self, app: ObjectId, route: str) -> dict[int, LaneName]:
        """The lanes of an app on one route, whether anything waits there or not."""
        ...

    async def count_waiting(self, lane: int, most: int) -> int:
        """How much waits in a lane that nobody works on or holds; counts to `most`."""
        ...

    async def retry(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Make deferred, queued or scheduled ones due now."""
        ...

    async def release(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Let held ones go."""
        ...

    async def hold(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Stop queued or deferred ones until somebody releases them."""
        ...

    async def cancel(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """End them for good; one that is being sent now is refused."""
        ...

    async def move(
        self, lanes: Mapping[DeliveryId, int], now_ms: int, by: str, reason: str
    ) -> Change:
        """Each into another lane, where those that were deferred are due now; those held stay so.
        What is being sent now is refused. `reason` says in words where to.
        """
        ...

    async def put_back(self, deliveries: Sequence[DeliveryId]) -> None:
        """Mail that this process has in memory waits in storage again, unsent."""
        ...

    async def pause_lane(self, lane: int, now_ms: int, by: str) -> bool:
        """Nothing leaves from it, until `resume_lane`; what is on its way comes to its end. False
        where it was paused before. Raises `NotFound`.
        """
        ...

    async def resume_lane(self, lane: int, now_ms: int, by: str) -> bool:
        """It goes on. False where it was not paused. Raises `NotFound`."""
        ...

    async def paused_lanes(self) -> dict[int, int]:
        """The lanes that are paused, each with the instant since when."""
        ...

    async def end_unanswered(
        self, message: MessageId, now_ms: int, reason: Struct
    ) -> list[DeliveryRow]:
        """End what is not settled yet as failed: the caller is being told so.

        `reason` is the body of the events this leaves.

        Gives the standing of every delivery of the message after that; those that were being sent
        have `uncertain` set.
        """
        ...

    async def wait_settled(self, message: MessageId, until_ms: int, now_ms: int) -> bool:
        """Wait until every delivery of a message is final; False when the time is over."""
        ...

    async def obligations(self, after: int, now_ms: int, limit: int) -> list[Obligation]:
        """What is owed and due, by id."""
        ...

    async def drop_obligation(self, obligation: int) -> None:
        """Let go of something owed that cannot be paid, such as a notice to nobody."""
        ...

    async def expired(self, now_ms: int, limit: int) -> list[Waiting]:
        """Held, queued or scheduled deliveries whose message has outlived its time."""
        ...
