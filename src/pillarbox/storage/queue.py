"""deliveries, over an engine: ▣1, ▣2, marks, claims, operators, obligations"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from pillarbox.observe.crash import crash_point
from pillarbox.policy.delivery import State
from pillarbox.storage.acceptance import RAW, AcceptMember
from pillarbox.storage.claims import Claims, to_waiting
from pillarbox.storage.codec import encode
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Row, Step
from pillarbox.storage.interface.acceptance import Acceptance
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.queue import (
    Change,
    DeliveryRow,
    LaneDepth,
    LaneHead,
    LaneName,
    Obligation,
    Recovered,
    Waiting,
)
from pillarbox.storage.interface.selection import EVERYTHING, Selection
from pillarbox.storage.interface.settlement import Settlement
from pillarbox.storage.lanes import LaneBook, depths_of
from pillarbox.storage.operation import EndMember
from pillarbox.storage.operators import Operators
from pillarbox.storage.recovery import recover
from pillarbox.storage.selection import selected
from pillarbox.storage.settlement import MarkBook, MarkMember, SettleMember
from pillarbox.storage.waiters import Waiters
from pillarbox.terms.ids import (
    MAX_RECIPIENTS,
    ORDINAL_BITS,
    DeliveryId,
    MessageId,
    Numbers,
    ObjectId,
    message_of,
)

_LIFE_BITS = 32
_OTHERS_SECONDS = 0.5
"""So often it is looked at what other nodes have settled."""


class SqlQueueStore:
    """See `storage.interface.queue.QueueStore` for what is promised."""

    def __init__(
        self, engine: Engine, highest: MessageId, servers_moved: Callable[[], None]
    ) -> None:
        """`highest` is the largest message id stored; `servers_moved` hears of settlements that
        changed a server's error count.
        """
        self._engine = engine
        self._servers_moved = servers_moved
        self._ids = Numbers(highest, engine.node)
        # A mark's number is of this life and no other.
        self._marks = MarkBook(engine.incarnation << _LIFE_BITS)
        self._claims = Claims(engine)
        self._lanes = LaneBook(engine)
        self._waiters = Waiters()
        self._operators = Operators(engine, self._marks, self._lanes, self._waiters)

    def next_message_id(self, now_ms: int) -> MessageId:
        """An id above every id stored or handed out before."""
        return MessageId(self._ids.next(now_ms))

    async def lane(self, name: LaneName) -> int:
        """Answered from memory after the first use."""
        return (await self._lanes.numbers([name]))[name]

    async def lanes(self, names: Sequence[LaneName]) -> dict[LaneName, int]:
        """Those answered from memory cost nothing."""
        return await self._lanes.numbers(names)

    def known_lane(self, lane: int) -> LaneName | None:
        """From memory."""
        return self._lanes.known(lane)

    async def lane_names(self, lanes: Sequence[int]) -> dict[int, LaneName]:
        """The names behind lane numbers."""
        wanted = set(lanes)
        return {
            number: name for number, name in (await self._lanes.all()).items() if number in wanted
        }

    async def store_block(self, message: MessageId, number: int, body: bytes) -> None:
        """One transaction a block; the first also notes whose it is while it is nobody's."""
        first = message << ORDINAL_BITS
        await self._engine.change(
            Step("upload.insert", (message, self._engine.incarnation)),
            Step("content.insert", (first | number, RAW, body)),
            content_bytes=len(body),
        )
        crash_point("block-stored")

    async def drop_blocks(self, message: MessageId) -> None:
        """Blocks and note together."""
        first = message << ORDINAL_BITS
        await self._engine.change(
            Step("content.delete_range", (first, first | MAX_RECIPIENTS)),
            Step("upload.delete", (message,)),
        )

    def accept_soon(
        self, acceptance: Acceptance, told: Callable[[int, BaseException | None], None]
    ) -> None:
        """▣1."""
        member = self._accepting(acceptance)
        if self._engine.shared and any(not one.mirrored for one in acceptance.deliveries):
            self._engine.submit_soon(member, partial(self._waits, member, told))
            return
        self._engine.submit_soon(member, lambda error: told(member.event, error))

    def _waits(
        self,
        member: AcceptMember,
        told: Callable[[int, BaseException | None], None],
        error: BaseException | None,
    ) -> None:
        """It waits for whoever reads its lane, here or elsewhere."""
        self._engine.tell("queue")
        told(member.event, error)

    def _accepting(self, acceptance: Acceptance) -> AcceptMember:
        mark = None
        if acceptance.marked:
            mark = self._marks.open([d.id for d in acceptance.deliveries if d.mirrored])
        return AcceptMember(acceptance, self._engine.incarnation, mark)

    def mark_started(
        self, deliveries: Sequence[DeliveryId], *, verify: bool = False, lane: int = 0
    ) -> Awaitable[frozenset[DeliveryId]]:
        """A mark of its own."""
        mark = self._marks.open(deliveries)
        owner = self._engine.incarnation
        together = self._engine.shared
        member = MarkMember(mark, owner, deliveries, verify=verify, together=together, lane=lane)
        marked = self._engine.submit(member)
        if verify:
            marked.add_done_callback(self._unmark_gone)
        return marked  # type: ignore[return-value]

    def settle_soon(
        self, settlement: Settlement, told: Callable[[BaseException | None], None]
    ) -> None:
        """▣2."""
        ids = [verdict.delivery for verdict in settlement.verdicts]
        told = self._marks.reopening(ids, told)
        member = SettleMember(settlement, self._marks.close(ids), together=self._engine.shared)
        if self._waiters or settlement.server_errors is not None:
            told = partial(self._settled, settlement, told)
        self._engine.submit_soon(member, told)

    def _settled(
        self,
        settlement: Settlement,
        told: Callable[[BaseException | None], None],
        error: BaseException | None,
    ) -> None:
        told(error)
        if settlement.server_errors is not None:
            self._servers_moved()
        self._waiters.wake({message_of(verdict.delivery) for verdict in settlement.verdicts})

    async def heads(self, *, leaving: bool = False) -> list[LaneHead]:
        """One look-up a lane, or a shard of it."""
        return await self._claims.heads(leaving=leaving)

    async def claim(
        self, lane: int, after: tuple[int, int], now_ms: int, limit: int
    ) -> tuple[list[Waiting], tuple[int, int] | None]:
        """Rows that this process is already sending are left out."""
        return await self._claims.claim(lane, after, now_ms, limit)

    def finished(self, deliveries: Sequence[DeliveryId]) -> None:
        """They may be claimed again."""
        self._claims.finished(deliveries)

    async def recover(self, now_ms: int) -> Recovered:
        """Before any listener opens."""
        engine = self._engine
        rows = await engine.read("incarnation.unrecovered", engine.node, engine.incarnation)
        return await recover(engine, [as_int(row[0]) for row in rows], now_ms)

    async def waiting(
        self,
        wanted: Selection = EVERYTHING,
        *,
        after: DeliveryId | None = None,
        limit: int = 100,
    ) -> list[Waiting]:
        """Pages are read until enough rows fit, so a rare state reads far."""
        return await selected(
            self._engine, self._lanes, wanted, after, limit, self._operators.shown
        )

    async def one(self, delivery: DeliveryId) -> Waiting | None:
        """As it is shown to people."""
        for row in await self._engine.read("queue.one", delivery):
            return self._operators.shown(to_waiting(row))
        return None

    async def depths(self) -> list[LaneDepth]:
        """Reads the whole queue: for people."""
        return depths_of(await self._engine.read("queue.depths"), await self._lanes.all())

    async def lanes_of(self, app: ObjectId, route: str) -> dict[int, LaneName]:
        """One range of an index."""
        return await self._lanes.of_app(app, route)

    async def count_waiting(self, lane: int, most: int) -> int:
        """One range of an index."""
        return as_int((await self._engine.read("queue.count_waiting", lane, most))[0][0])

    async def retry(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Due now, and behind every claim cursor, which are never ahead of the clock."""
        return await self._operators.operate("queue.make_due", deliveries, now_ms, by)

    async def release(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Held ones wait again, due now."""
        return await self._operators.operate("queue.release", deliveries, now_ms, by)

    async def hold(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Until somebody releases them."""
        return await self._operators.operate("queue.hold", deliveries, now_ms, by)

    async def cancel(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """For good."""
        return await self._operators.operate("queue.cancel", deliveries, now_ms, by)

    async def move(
        self, lanes: Mapping[DeliveryId, int], now_ms: int, by: str, reason: str
    ) -> Change:
        """Due now in its new lane, and behind no cursor there."""
        return await self._operators.operate("queue.move", list(lanes), now_ms, by, lanes, reason)

    async def put_back(self, deliveries: Sequence[DeliveryId]) -> None:
        """Its mark goes with it."""
        await self._operators.put_back(deliveries)
        self._claims.freed()

    async def pause_lane(self, lane: int, now_ms: int, by: str) -> bool:
        """Other nodes hear of it."""
        return await self._operators.pause("lane.pause", lane, now_ms, by)

    async def resume_lane(self, lane: int, now_ms: int, by: str) -> bool:
        """Other nodes hear of it."""
        return await self._operators.pause("lane.resume", lane, now_ms, by)

    async def paused_lanes(self) -> dict[int, int]:
        """From the database: any node may have paused one."""
        rows = await self._engine.read("lane.paused")
        return {as_int(row[0]): as_int(row[1]) for row in rows}

    async def end_unanswered(
        self, message: MessageId, now_ms: int, reason: Struct
    ) -> list[DeliveryRow]:
        """One transaction decides what the caller is told and ends what waits."""
        first = message << ORDINAL_BITS
        last = first | MAX_RECIPIENTS
        app = as_bytes((await self._message_row(message))[1])
        sending = {d for d in range(first, last + 1) if self._marks.covers(d)}
        member = EndMember(self._engine.incarnation, app, first, last, now_ms, encode(reason))
        done = await self._engine.submit(member)
        assert isinstance(done, tuple)
        ended, elsewhere = done
        self._waiters.wake({message})
        rows = await self._engine.read("delivery.of_message", first, last)
        unsure = sending & set(ended) | elsewhere
        return [
            DeliveryRow(
                DeliveryId(as_int(row[0])), as_text(row[1]), State(as_text(row[2])),
                as_int(row[3]), as_int(row[4]), as_int(row[5]), bool(row[6]) or row[0] in unsure,
            )
            for row in rows
        ]  # fmt: skip

    async def wait_settled(self, message: MessageId, until_ms: int, now_ms: int) -> bool:
        """Woken by settlements of this process; what another one settles is looked up."""
        first = message << ORDINAL_BITS
        seconds = (until_ms - now_ms) / 1000

        async def settled() -> bool:
            return not await self._engine.read("queue.of_message", first, first | MAX_RECIPIENTS)

        look_seconds = _OTHERS_SECONDS if self._engine.shared else None
        return await self._waiters.wait(message, settled, seconds, look_seconds)

    async def obligations(self, after: int, now_ms: int, limit: int) -> list[Obligation]:
        """What is owed and due, by id."""
        rows = await self._engine.read("obligation.due", after, now_ms, limit)
        return [
            Obligation(
                as_int(row[0]), as_text(row[1]), ObjectId(as_bytes(row[2])), DeliveryId(as_int(row[3])),
                as_int(row[4]),
            )
            for row in rows
        ]  # fmt: skip

    async def drop_obligation(self, obligation: int) -> None:
        """Let go of something owed that cannot be paid."""
        await self._engine.change(Step("obligation.drop", (obligation,)))

    async def expired(self, now_ms: int, limit: int) -> list[Waiting]:
        """Held deliveries whose message has outlived its time; others expire when claimed."""
        return [to_waiting(row) for row in await self._engine.read("queue.expired", now_ms, limit)]

    async def _message_row(self, message: MessageId) -> Row:
        rows = await self._engine.read("message.one", message)
        if not rows:
            raise NotFound("There is no such message.")
        return rows[0]

    def _unmark_gone(self, marked: asyncio.Future[object]) -> None:
        """What must not leave is not settled either, so nobody else would close its mark."""
        if not marked.cancelled() and marked.exception() is None:
            gone = marked.result()
            if isinstance(gone, frozenset):
                self._marks.close(tuple(gone))
