"""▣1 as a member of a group commit: message, content, recipients, event, companions"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from pillarbox.policy.delivery import FINAL, State
from pillarbox.policy.events import ActionFacts
from pillarbox.storage.codec import encode
from pillarbox.storage.columns import as_bytes, as_int
from pillarbox.storage.engine import Batch, Member, Row, Spend, Step
from pillarbox.storage.interface.acceptance import Acceptance
from pillarbox.storage.interface.companions import (
    PayObligation,
    RecordCall,
    RecordRecipients,
    SpendLimit,
)
from pillarbox.storage.interface.errors import AlreadyPaid, RecipientsTaken, Repeated, Unstorable
from pillarbox.storage.interface.messages import BLOCK_BYTES
from pillarbox.terms.ids import ORDINAL_BITS

RAW: Final = 0
"""Content codec: as it is."""

_LONGEST_BLOCK_BYTES: Final = 4 * BLOCK_BYTES
"""What we add to a header makes the first block a little longer than it came."""

OWNER_WAITING: Final = 0
OWNER_HELD: Final = -1

_BIRTH_EVENTS: Final = {
    State.HELD: "delivery.held",
    State.SANDBOXED: "delivery.kept",
    State.SUPPRESSED: "delivery.suppressed",
}


def pack_ids(ids: Sequence[int]) -> bytes:
    """Delivery ids as one value: a start mark is a row however many it covers."""
    return struct.pack(f"<{len(ids)}q", *ids)


def unpack_ids(packed: bytes) -> tuple[int, ...]:
    """The ids of `pack_ids`."""
    return struct.unpack(f"<{len(packed) // 8}q", packed)


class AcceptMember(Member):
    """Everything an acceptance writes, or nothing of it."""

    __slots__ = ("_acceptance", "_mark", "_owner", "event")

    def __init__(self, acceptance: Acceptance, owner: int, mark: int | None) -> None:
        """`mark` is the number of the start mark that rides in this commit, if one does."""
        super().__init__()
        self._acceptance = acceptance
        self._owner = owner
        self._mark = mark
        self.content_bytes = sum(map(len, acceptance.blocks))
        self.event = 0
        """The number of the last event of all its deliveries, once that is written."""
        if acceptance.companions:
            at = acceptance.at
            self.spends = [
                Spend(limit, at - at % limit.period_ms)
                for limit in acceptance.companions
                if isinstance(limit, SpendLimit)
            ]

    def steps(self) -> list[Step]:
        """The companions, as guards."""
        acceptance = self._acceptance
        steps: list[Step] = []
        for companion in acceptance.companions:
            match companion:
                case RecordCall(scope, key, digest):
                    call = (scope, key, digest, acceptance.message.id, acceptance.at)
                    steps.append(Step("idempotency.record", call))
                    steps.append(Step("idempotency.find", (scope, key)))
                case RecordRecipients(scope, marks):
                    packed = b"".join(marks)
                    row = (scope, packed, acceptance.message.id, acceptance.at)
                    steps.append(Step("idempotency.record_each", row))
                    steps.append(Step("idempotency.find_each", (scope, packed)))
                case PayObligation(obligation):
                    steps.append(Step("obligation.pay", (obligation,)))
        return steps

    def resolve(self, results: list[list[Row]]) -> None:
        """Raises `Repeated`, `RecipientsTaken` or `AlreadyPaid` where a companion came too late."""
        rows = iter(results)
        for companion in self._acceptance.companions:
            match companion:
                case RecordCall():
                    recorded, found = next(rows), next(rows)
                    if not recorded:
                        message, digest = found[0]
                        raise Repeated(int(message or 0), bytes(digest or b""))  # type: ignore[arg-type]
                case RecordRecipients(_, marks):
                    recorded, found = next(rows), next(rows)
                    if len(recorded) < len(marks):
                        mine = self._acceptance.message.id
                        taken = {as_bytes(mark): as_int(message) for mark, message in found}
                        raise RecipientsTaken(
                            {mark: message for mark, message in taken.items() if message != mine}
                        )
                case PayObligation():
                    if not next(rows):
                        raise AlreadyPaid()

    def write(self, batch: Batch) -> int:
        """Gives the number of the last event that all its deliveries share."""
        acceptance = self._acceptance
        message = acceptance.message
        first = message.id << ORDINAL_BITS
        batch.add(
            "message.insert",
            (
                message.id, message.app, message.submitter, message.mode, message.size,
                message.return_path, message.author, message.subject, message.message_id,
                message.expires_at, message.answer_by, message.scheduled_at, message.uncertain,
                encode(message.facts),
            ),
        )  # fmt: skip
        if "\0" in message.mode or "\0" in message.uncertain:
            raise Unstorable(detail="text with a NUL, which PostgreSQL cannot hold")
        for number, body in enumerate(acceptance.blocks):
            if len(body) > _LONGEST_BLOCK_BYTES:
                raise Unstorable(detail=f"a block of content has {len(body)} bytes")
            batch.add("content.insert", (first | number, RAW, body))
        if acceptance.stored_blocks:
            batch.add("upload.delete", (message.id,))
        accepted = batch.event(acceptance.at, message.app, "message.accepted", first, 0, b"")
        for remark in acceptance.remarks:
            accepted = batch.event(
                acceptance.at, message.app, "message.option_ignored", first, accepted,
                encode(remark),
            )  # fmt: skip
        why = encode(ActionFacts("pillarbox", acceptance.reason)) if acceptance.reason else b""
        for delivery in acceptance.deliveries:
            state = delivery.state
            last_event = accepted
            if state in _BIRTH_EVENTS:
                kind = _BIRTH_EVENTS[state]
                last_event = batch.event(
                    acceptance.at, message.app, kind, delivery.id, accepted, why
                )
            if state in FINAL:
                batch.add(
                    "delivery.insert",
                    (delivery.id, state, message.app, 0, 0, acceptance.at, last_event,
                     delivery.recipient),
                )  # fmt: skip
                continue
            owner = self._owner if delivery.mirrored else OWNER_WAITING
            due = delivery.due_at
            if state is State.HELD:
                # Held mail is due when its message has outlived its time, and then expires.
                owner, due = OWNER_HELD, message.expires_at
            batch.add(
                "queue.insert",
                (delivery.id, owner, delivery.lane, state, due, 0, 0, last_event,
                 delivery.recipient),
            )  # fmt: skip
        if self._mark is not None:
            ids = [delivery.id for delivery in acceptance.deliveries if delivery.mirrored]
            batch.add("started.insert", (self._mark, self._owner, pack_ids(ids)))
        self.event = accepted
        return accepted
