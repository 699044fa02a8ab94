"""messages and their content, as stored"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from pillarbox.message.facts import MessageFacts
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.ids import DeliveryId, MessageId, ObjectId

BLOCK_BYTES = 256 * 1024
"""Content lies in blocks of at most this size; nearly all mail is one."""


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message row. Its deliveries and its content are asked for apart."""

    id: MessageId
    app: ObjectId
    submitter: ObjectId
    mode: str
    size: int
    return_path: str
    author: str
    subject: str
    message_id: str
    expires_at: int
    uncertain: str
    answer_by: int | None
    scheduled_at: int | None
    facts: MessageFacts


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages a list shows; every field that is None says nothing."""

    app: ObjectId | None = None
    state: str | None = None
    recipient: str | None = None
    since_ms: int | None = None
    before: MessageId | None = None


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Some messages, and where to go on."""

    messages: list[StoredMessage]
    before: MessageId | None
    """Ask for those before this id next; None where the end was reached."""


class MessageStore(Protocol):
    """Reading what was accepted."""

    async def get(self, message: MessageId) -> StoredMessage:
        """Raises `NotFound`."""
        ...

    async def load(self, messages: Sequence[MessageId]) -> dict[MessageId, StoredMessage]:
        """Those of the messages that exist."""
        ...

    async def newest(self, wanted: MessageFilter, limit: int) -> MessagePage:
        """Newest first, paged by id.

        A filter by state or recipient looks at a bounded number of messages a call, so a page may
        be short, or empty, and yet not be the last.
        """
        ...

    async def deliveries(self, message: MessageId) -> list[DeliveryRow]:
        """Every recipient's standing, in the order of the envelope."""
        ...

    async def delivery(self, delivery: DeliveryId) -> DeliveryRow:
        """Raises `NotFound`."""
        ...

    async def content(self, message: MessageId) -> bytes:
        """The whole stored content. Raises `NotFound` once retention has removed it."""
        ...

    def blocks(self, message: MessageId) -> AsyncIterator[bytes]:
        """The content block by block, for what is too long to hold."""
        ...
