"""retention, over an engine: whole weeks where it can drop them, rows by key where it cannot"""

from __future__ import annotations

from typing import Final

from pillarbox.storage.columns import as_int
from pillarbox.storage.engine import Engine, Step
from pillarbox.storage.interface.problems import MOST_KEPT
from pillarbox.terms.ids import (
    MAX_RECIPIENTS,
    ORDINAL_BITS,
    MessageId,
    first_message_at,
    message_time_ms,
)

_LIFE_KEPT_MS: Final = 30 * 86_400_000
_ROWS_OF_A_MESSAGE: Final = ("message", "delivery")


class SqlRetention:
    """See `storage.interface.retention.RetentionStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def prepare(self, now_ms: int) -> None:
        """The weeks ahead."""
        await self._engine.make_weeks(now_ms)

    async def drop_content(self, before_ms: int, limit: int) -> int:
        """In key order, so that the pages touched lie together."""
        before_ms = self._engine.whole_weeks(before_ms)
        settled_ms = min(before_ms, await self._all_settled_ms())
        if dropped := await self._engine.drop_weeks(("content",), settled_ms):
            return dropped
        first = first_message_at(before_ms) << ORDINAL_BITS
        rows = await self._engine.read("content.old", first, limit)
        if rows:
            await self._engine.change(*(Step("content.delete", (row[0],)) for row in rows))
        return len(rows)

    async def drop_history(self, before_ms: int, limit: int) -> int:
        """Message rows last: while one exists its id can be asked for."""
        before_ms = self._engine.whole_weeks(before_ms)
        settled_ms = min(before_ms, await self._all_settled_ms())
        kept = (await self._engine.read("content.oldest"))[0][0]
        if kept is not None:
            settled_ms = min(settled_ms, message_time_ms(MessageId(as_int(kept) >> ORDINAL_BITS)))
        if dropped := await self._engine.drop_weeks((*_ROWS_OF_A_MESSAGE, "event"), settled_ms):
            return dropped
        rows = await self._engine.read("message.old", first_message_at(before_ms), limit)
        steps = []
        for row in rows:
            first = as_int(row[0]) << ORDINAL_BITS
            steps.append(Step("delivery.delete_range", (first, first | MAX_RECIPIENTS)))
            steps.append(Step("message.delete", (row[0],)))
        # What tells of a message that still waits is kept, and with it all that is younger.
        number = first_message_at(settled_ms)
        steps += [
            Step("event.delete_before", (number, settled_ms, limit)),
            Step("session.delete_before", (number, settled_ms, limit)),
            Step("idempotency.delete_before", (before_ms, limit)),
            Step("visit.delete_before", (number << ORDINAL_BITS, limit)),
            Step("visit.forget_unsubscribed", (number << ORDINAL_BITS, limit)),
            Step("incarnation.forget", (before_ms - _LIFE_KEPT_MS,)),
            Step("problem.trim", (MOST_KEPT, before_ms)),
        ]
        results = await self._engine.change(*steps)
        return len(rows) + sum(len(done) for done in results[-7:-2])

    async def _all_settled_ms(self) -> int:
        """Everything that was accepted before this instant is settled."""
        oldest = (await self._engine.read("queue.oldest"))[0][0]
        uploading = (await self._engine.read("upload.oldest"))[0][0]
        times = [_ENDLESS_MS]
        if oldest is not None:
            times.append(message_time_ms(MessageId(as_int(oldest) >> ORDINAL_BITS)))
        if uploading is not None:
            times.append(message_time_ms(MessageId(as_int(uploading))))
        return min(times)


_ENDLESS_MS: Final = 1 << 50
