"""a message on its way out: all that an attempt needs"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pillarbox.message.facts import MessageFacts
from pillarbox.policy.directory import Uncertain
from pillarbox.terms.ids import DeliveryId, MessageId, ObjectId


class Addressee:
    """One recipient still to be served."""

    __slots__ = ("address", "attempts", "delivery", "last_event")

    def __init__(self, delivery: DeliveryId, address: str, attempts: int, last_event: int) -> None:
        """`attempts` were made so far; `last_event` is the newest of its history."""
        self.delivery = delivery
        self.address = address
        self.attempts = attempts
        self.last_event = last_event


class Outgoing:
    """Deliveries of one message that go together: same next hop, return path and rendition."""

    __slots__ = (
        "__weakref__", "addressees", "answer_by", "app", "claimed", "content", "elsewhere", "exact",
        "expires_at", "facts", "lane", "left", "mark", "marked", "message", "mirrored", "plain", "size",
    )  # fmt: skip

    def __init__(
        self,
        message: MessageId,
        app: ObjectId,
        lane: int,
        size: int,
        content: bytes | None,
        facts: MessageFacts,
        addressees: list[Addressee],
        expires_at: int,
        answer_by: int | None,
        mirrored: bool,
        plain: bool = False,
        marked: bool = False,
    ) -> None:
        """`content` is None where it must be read back. `mirrored` holds room in the mirror until
        it is settled. `plain` content has no bare line end and no line that begins with a dot. A
        start mark covers what is `marked`, so it may leave at once.
        """
        self.message = message
        self.app = app
        self.lane = lane
        self.size = size
        self.content = content
        self.facts = facts
        self.addressees = addressees
        self.expires_at = expires_at
        self.answer_by = answer_by
        self.mirrored = mirrored
        self.plain = plain
        self.marked = marked
        self.claimed = () if mirrored else tuple([one.delivery for one in addressees])
        """What storage gave out, and wants to hear of when it is finished."""
        self.mark: asyncio.Future[frozenset[DeliveryId]] | None = None
        """A start mark for it is being written; gives what must not leave after all."""
        self.left: Mapping[DeliveryId, Addressee] | None = None
        """Those of its addressees whom the attempt that is being made has not settled yet."""
        self.elsewhere = False
        """Whether, as things stand in this attempt, another server could take it instead."""
        self.exact = answer_by is not None or facts.uncertain == Uncertain.HOLD
        """Whether its start mark must mean that its own content is about to go out.

        Somebody who wants doubt held, or who waits for an answer, must not be told of a doubt that
        a mark shared with waiting neighbours would make.
        """
