"""operators: what people do to waiting deliveries, carried out without meeting what is on its way"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pillarbox.policy.delivery import FINAL, State
from pillarbox.storage.claims import to_waiting
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Step
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.queue import Change, Waiting
from pillarbox.storage.lanes import LaneBook
from pillarbox.storage.operation import BeingSent, OperatorMember, PauseMember
from pillarbox.storage.settlement import MarkBook
from pillarbox.storage.waiters import Waiters
from pillarbox.terms.ids import DeliveryId, MessageId, message_of

_NOWHERE: Final[Mapping[DeliveryId, int]] = {}


class Operators:
    """Of this process; see `storage.interface.queue.QueueStore` for what is promised."""

    def __init__(self, engine: Engine, marks: MarkBook, lanes: LaneBook, waiters: Waiters) -> None:
        self._engine = engine
        self._marks = marks
        self._lanes = lanes
        self._waiters = waiters

    async def operate(
        self,
        statement: str,
        ids: Sequence[DeliveryId],
        now_ms: int,
        by: str,
        lanes: Mapping[DeliveryId, int] = _NOWHERE,
        reason: str = "",
    ) -> Change:
        """What is being sent, here or elsewhere, is left as it is and told as refused."""
        free = [d for d in ids if not self._marks.covers(d)]
        app_of = await self._apps_of({message_of(d) for d in free})
        apps: dict[int, bytes] = {d: app_of.get(message_of(d), b"") for d in free}
        known = [d for d in free if apps[d]]
        done: set[DeliveryId] = set()
        while known:
            owner = self._engine.incarnation
            member = OperatorMember(
                owner, statement, known, apps, now_ms, by, self._marks.covers, lanes, reason
            )
            try:
                done = set(await self._engine.submit(member))  # type: ignore[call-overload]
            except BeingSent as sent:
                known = [d for d in known if d not in sent.deliveries]
                continue
            break
        if done and statement in ("queue.make_due", "queue.release", "queue.move"):
            self._engine.tell("queue")
        if statement == "queue.cancel":
            self._waiters.wake({message_of(d) for d in done})
        refused = {d: await self.state_of(d) for d in ids if d not in done}
        return Change(tuple(d for d in ids if d in done), refused)

    async def _apps_of(self, messages: set[MessageId]) -> dict[MessageId, bytes]:
        """One look-up each, or one for all where each would be a round trip."""
        if self._engine.shared:
            rows = await self._engine.read("message.many", ",".join(map(str, messages)))
        else:
            found = [await self._engine.read("message.one", message) for message in messages]
            rows = [row for some in found for row in some]
        return {MessageId(as_int(row[0])): as_bytes(row[1]) for row in rows}

    async def state_of(self, delivery: DeliveryId) -> State:
        """Waiting or final. Raises `NotFound`."""
        waiting = await self._engine.read("queue.one", delivery)
        if waiting:
            return self.shown(to_waiting(waiting[0])).state
        final = await self._engine.read("delivery.one", delivery)
        if final:
            return State(as_text(final[0][2]))
        raise NotFound("There is no such delivery.")

    async def put_back(self, deliveries: Sequence[DeliveryId]) -> None:
        """Its mark goes with it."""
        owner = self._engine.incarnation
        undo = self._marks.reopening(deliveries, lambda error: None)
        marks = self._marks.close(deliveries)
        try:
            await self._engine.change(
                *(Step("queue.put_back", (delivery, owner)) for delivery in sorted(deliveries)),
                *(Step("started.delete", (mark,)) for mark in marks),
            )
        except BaseException as error:
            undo(error)
            raise
        if self._engine.shared:
            self._engine.tell("queue")

    async def pause(self, statement: str, lane: int, now_ms: int, by: str) -> bool:
        """``lane.pause`` or ``lane.resume``; other nodes hear of it. Raises `NotFound`."""
        await self._lanes.name(lane)
        changed = await self._engine.submit(PauseMember(statement, lane, now_ms, by))
        self._engine.tell("queue")
        return bool(changed)

    def shown(self, row: Waiting) -> Waiting:
        """What may be leaving is active, whatever its row says: marks are not written into it."""
        if row.state in FINAL or not self._marks.covers(row.delivery):
            return row
        return Waiting(
            row.delivery, row.lane, State.ACTIVE, row.due_at, row.attempts, row.last_event,
            row.uncertain, row.recipient, row.owned,
        )  # fmt: skip
