"""messages and their content, over an engine"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from pillarbox.message.facts import MessageFacts
from pillarbox.policy.delivery import State
from pillarbox.storage.codec import decode
from pillarbox.storage.columns import as_bytes, as_instant, as_int, as_text
from pillarbox.storage.engine import Engine, Row
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.messages import MessageFilter, MessagePage, StoredMessage
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.ids import (
    MAX_RECIPIENTS,
    ORDINAL_BITS,
    DeliveryId,
    MessageId,
    ObjectId,
    first_message_at,
    message_of,
)

_PAGE = 200
_LOOKED_AT = 10_000
"""How many messages one call with a rare filter reads at most."""

_HIGHEST = (1 << 53) - 1


class SqlMessageStore:
    """See `storage.interface.messages.MessageStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def get(self, message: MessageId) -> StoredMessage:
        """Raises `NotFound`."""
        rows = await self._engine.read("message.one", message)
        if not rows:
            raise NotFound("There is no such message.", fix="List them: pillarbox message list")
        return _message(rows[0])

    async def load(self, messages: Sequence[MessageId]) -> dict[MessageId, StoredMessage]:
        """One look-up each, or one for all where each would be a round trip."""
        if self._engine.shared:
            packed = ",".join(map(str, messages))
            rows = await self._engine.read("message.many", packed)
            return {found.id: found for found in map(_message, rows)}
        found = {}
        for message in dict.fromkeys(messages):
            for row in await self._engine.read("message.one", message):
                found[message] = _message(row)
        return found

    async def newest(self, wanted: MessageFilter, limit: int) -> MessagePage:
        """Newest first."""
        since = first_message_at(wanted.since_ms) if wanted.since_ms is not None else 0
        before = int(wanted.before) if wanted.before is not None else _HIGHEST
        found: list[StoredMessage] = []
        looked_at = 0
        while looked_at < _LOOKED_AT:
            rows = await self._engine.read("message.newest", before, since, _PAGE)
            for number, message in enumerate(map(_message, rows), 1):
                before = message.id
                if await self._fits(message, wanted):
                    found.append(message)
                if len(found) == limit:
                    more = number < len(rows) or len(rows) == _PAGE
                    return MessagePage(found, message.id if more else None)
            looked_at += len(rows)
            if len(rows) < _PAGE:
                return MessagePage(found, None)
        return MessagePage(found, MessageId(before))

    async def deliveries(self, message: MessageId) -> list[DeliveryRow]:
        """Waiting and final ones together."""
        first = message << ORDINAL_BITS
        last = first | MAX_RECIPIENTS
        waiting = await self._engine.read("queue.of_message", first, last)
        final = await self._engine.read("delivery.of_message", first, last)
        by_id = {as_int(row[0]): _waiting(row) for row in waiting}
        by_id.update({as_int(row[0]): _final(row) for row in final})
        return [by_id[delivery] for delivery in sorted(by_id)]

    async def delivery(self, delivery: DeliveryId) -> DeliveryRow:
        """Raises `NotFound`."""
        for row in await self.deliveries(message_of(delivery)):
            if row.delivery == delivery:
                return row
        raise NotFound("There is no such delivery.")

    async def content(self, message: MessageId) -> bytes:
        """All blocks joined."""
        first = message << ORDINAL_BITS
        rows = await self._engine.read("content.of_message", first, first | MAX_RECIPIENTS)
        if not rows:
            raise _content_gone()
        return b"".join(as_bytes(row[1]) for row in rows)

    async def blocks(self, message: MessageId) -> AsyncIterator[bytes]:
        """One read a block."""
        first = message << ORDINAL_BITS
        for number in range(MAX_RECIPIENTS + 1):
            rows = await self._engine.read("content.block", first | number)
            if not rows:
                if not number:
                    raise _content_gone()
                return
            yield as_bytes(rows[0][1])

    async def _fits(self, message: StoredMessage, wanted: MessageFilter) -> bool:
        if wanted.app is not None and message.app != wanted.app:
            return False
        if wanted.state is None and wanted.recipient is None:
            return True
        rows = await self.deliveries(message.id)
        asked = (wanted.recipient or "").casefold()
        return any(
            (wanted.state is None or row.state == wanted.state)
            and (not asked or asked in row.recipient.casefold())
            for row in rows
        )


def _content_gone() -> NotFound:
    return NotFound(
        "The content of this message is no longer kept.",
        code="content_expired",
        fix="Keep content longer: setting retention.content_days",
    )


def _message(row: Row) -> StoredMessage:
    return StoredMessage(
        id=MessageId(as_int(row[0])), app=ObjectId(as_bytes(row[1])),
        submitter=ObjectId(as_bytes(row[2])), mode=as_text(row[3]), size=as_int(row[4]),
        return_path=as_text(row[5]), author=as_text(row[6]), subject=as_text(row[7]),
        message_id=as_text(row[8]), expires_at=as_int(row[9]), uncertain=as_text(row[10]),
        answer_by=as_instant(row[11]), scheduled_at=as_instant(row[12]),
        facts=decode(as_bytes(row[13]), MessageFacts),
    )  # fmt: skip


def _waiting(row: Row) -> DeliveryRow:
    delivery, _, state, due, attempts, last_event, uncertain, recipient, _ = row
    return DeliveryRow(
        DeliveryId(as_int(delivery)), as_text(recipient), State(as_text(state)),
        as_int(attempts), as_int(due), as_int(last_event), bool(uncertain),
    )  # fmt: skip


def _final(row: Row) -> DeliveryRow:
    delivery, recipient, state, attempts, at, last_event, uncertain = row
    return DeliveryRow(
        DeliveryId(as_int(delivery)), as_text(recipient), State(as_text(state)),
        as_int(attempts), as_int(at), as_int(last_event), bool(uncertain),
    )  # fmt: skip
