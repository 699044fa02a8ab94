"""deliveries, over an engine: ▣1, ▣2, marks, claims, operators, obligations"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec import Struct

from pillarbox.observe.crash import crash_point
from pillarbox.policy.delivery import FINAL, State
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
from pillarbox.storage.interface.settlement import Settlement
from pillarbox.storage.lanes import LaneBook, depths_of
from pillarbox.storage.operation import BeingSent, EndMember, OperatorMember
from pillarbox.storage.recovery import recover
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

_PAGE = 1000
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

    def next_message_id(self, now_ms: int) -> MessageId:
        """An id above every id stored or handed out before."""
        return MessageId(self._ids.next(now_ms))

    async def lane(self, name: LaneName) -> int:
        """Answered from memory after the first use."""
        return await self._lanes.number(name)

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
        self, deliveries: Sequence[DeliveryId], *, verify: bool = False
    ) -> Awaitable[frozenset[DeliveryId]]:
        """A mark of its own."""
        mark = self._marks.open(deliveries)
        owner = self._engine.incarnation
        together = self._engine.shared
        member = MarkMember(mark, owner, deliveries, verify=verify, together=together)
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
        member = SettleMember(settlement, self._marks.close(ids))
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
        *,
        app: ObjectId | None = None,
        lane: int | None = None,
        state: State | None = None,
        after: DeliveryId | None = None,
        limit: int = 100,
    ) -> list[Waiting]:
        """Pages are read until enough rows fit, so a rare state reads far."""
        lanes = {n for n, name in (await self._lanes.all()).items() if name.app == app}
        found: list[Waiting] = []
        cursor = int(after or 0)
        while len(found) < limit:
            rows = (
                await self._engine.read("queue.page", cursor, _PAGE)
                if lane is None
                else await self._engine.read("queue.page_of_lane", cursor, _PAGE, lane)
            )
            for row in map(to_waiting, rows):
                if app is not None and row.lane not in lanes:
                    continue
                shown = self._shown(row)
                if state is None or shown.state is state:
                    found.append(shown)
            if len(rows) < _PAGE:
                break
            cursor = as_int(rows[-1][0])
        return found[:limit]

    async def depths(self) -> list[LaneDepth]:
        """Reads the whole queue: for people, not for delivery."""
        return depths_of(await self._engine.read("queue.depths"), await self._lanes.all())

    async def retry(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Due now, and behind every claim cursor, which are never ahead of the clock."""
        return await self._operate("queue.make_due", deliveries, now_ms, by)

    async def release(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Held ones wait again, due now."""
        return await self._operate("queue.release", deliveries, now_ms, by)

    async def hold(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """Until somebody releases them."""
        return await self._operate("queue.hold", deliveries, now_ms, by)

    async def cancel(self, deliveries: Sequence[DeliveryId], now_ms: int, by: str) -> Change:
        """For good."""
        return await self._operate("queue.cancel", deliveries, now_ms, by)

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

    async def _operate(
        self, statement: str, ids: Sequence[DeliveryId], now_ms: int, by: str
    ) -> Change:
        free = [d for d in ids if not self._marks.covers(d)]
        apps: dict[int, bytes] = {d: await self._app_of(message_of(d)) for d in free}
        known = [d for d in free if apps[d]]
        done: set[DeliveryId] = set()
        while known:
            owner = self._engine.incarnation
            member = OperatorMember(owner, statement, known, apps, now_ms, by, self._marks.covers)
            try:
                done = set(await self._engine.submit(member))  # type: ignore[call-overload]
            except BeingSent as sent:
                known = [d for d in known if d not in sent.deliveries]
                continue
            break
        if done and statement in ("queue.make_due", "queue.release"):
            self._engine.tell("queue")
        if statement == "queue.cancel":
            self._waiters.wake({message_of(d) for d in done})
        refused = {d: await self._state_of(d) for d in ids if d not in done}
        return Change(tuple(d for d in ids if d in done), refused)

    async def _app_of(self, message: MessageId) -> bytes:
        rows = await self._engine.read("message.one", message)
        return as_bytes(rows[0][1]) if rows else b""

    async def _state_of(self, delivery: DeliveryId) -> State:
        waiting = await self._engine.read("queue.one", delivery)
        if waiting:
            return self._shown(to_waiting(waiting[0])).state
        final = await self._engine.read("delivery.one", delivery)
        if final:
            return State(as_text(final[0][2]))
        raise NotFound("There is no such delivery.")

    async def _message_row(self, message: MessageId) -> Row:
        rows = await self._engine.read("message.one", message)
        if not rows:
            raise NotFound("There is no such message.")
        return rows[0]

    def _shown(self, row: Waiting) -> Waiting:
        """What may be leaving is active, whatever its row says: marks are not written into it."""
        if row.state in FINAL or not self._marks.covers(row.delivery):
            return row
        return Waiting(
            row.delivery, row.lane, State.ACTIVE, row.due_at, row.attempts, row.last_event,
            row.uncertain, row.recipient, row.owned,
        )  # fmt: skip

    def _unmark_gone(self, marked: asyncio.Future[object]) -> None:
        """What must not leave is not settled either, so nobody else would close its mark."""
        if not marked.cancelled() and marked.exception() is None:
            gone = marked.result()
            if isinstance(gone, frozenset):
                self._marks.close(tuple(gone))
