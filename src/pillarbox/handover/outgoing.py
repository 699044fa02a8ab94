"""a message on its way out: all that an attempt needs"""

from __future__ import annotations

import asyncio

from msgspec import Struct

from pillarbox.message.facts import MessageFacts
from pillarbox.policy.directory import Uncertain
from pillarbox.terms.ids import DeliveryId, MessageId, ObjectId


class Addressee(Struct, gc=False):
    """One recipient still to be served."""

    delivery: DeliveryId
    address: str
    attempts: int
    """Made so far."""
    last_event: int


class Outgoing(Struct):
    """Deliveries of one message that go together: same next hop, return path and rendition."""

    # Left to the collector: a mark that failed holds the frames it was awaited in, and they this.

    message: MessageId
    app: ObjectId
    lane: int
    size: int
    content: bytes | None
    """None where it must be read back."""
    facts: MessageFacts
    addressees: list[Addressee]
    expires_at: int
    answer_by: int | None
    mirrored: bool
    """It holds room in the mirror until it is settled."""
    plain: bool = False
    """The content has no bare line end and no line that begins with a dot."""
    marked: bool = False
    """A start mark covers it, so it may leave at once."""
    mark: asyncio.Future[frozenset[DeliveryId]] | None = None
    """A start mark for it is being written; gives what must not leave after all."""

    @property
    def exact(self) -> bool:
        """Whether its start mark must mean that its own content is about to go out.

        Somebody who wants doubt held, or who waits for an answer, must not be told of a doubt that
        a mark shared with waiting neighbours would make.
        """
        return self.answer_by is not None or self.facts.uncertain == Uncertain.HOLD
