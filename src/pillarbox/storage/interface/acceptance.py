"""what ▣1 writes: a message, its content, its deliveries, and what commits with them

Plain classes rather than structs: every message passes here, and compiled they cost a fraction
(decision 0015).
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.message.facts import MessageFacts
from pillarbox.policy.delivery import State
from pillarbox.policy.events import OptionFacts
from pillarbox.storage.interface.companions import Companion
from pillarbox.terms.ids import DeliveryId, MessageId, ObjectId


class NewMessage:
    """The message row: written once, never updated."""

    __slots__ = (
        "answer_by", "app", "author", "expires_at", "facts", "id", "message_id", "mode",
        "return_path", "scheduled_at", "size", "subject", "submitter", "uncertain",
    )  # fmt: skip

    def __init__(
        self,
        id: MessageId,
        app: ObjectId,
        submitter: ObjectId,
        mode: str,
        size: int,
        return_path: bytes,
        author: bytes,
        subject: bytes,
        message_id: bytes,
        expires_at: int,
        uncertain: str,
        facts: MessageFacts,
        answer_by: int | None = None,
        scheduled_at: int | None = None,
    ) -> None:
        """`uncertain` is ``retry`` or ``hold``: what follows a connection lost behind the final
        dot. `size` is in octets, instants are milliseconds.
        """
        self.id = id
        self.app = app
        self.submitter = submitter
        self.mode = mode
        self.size = size
        self.return_path = return_path
        self.author = author
        self.subject = subject
        self.message_id = message_id
        self.expires_at = expires_at
        self.uncertain = uncertain
        self.facts = facts
        self.answer_by = answer_by
        self.scheduled_at = scheduled_at


class NewDelivery:
    """One recipient, as born in ▣1."""

    __slots__ = ("due_at", "id", "lane", "mirrored", "recipient", "state")

    def __init__(
        self,
        id: DeliveryId,
        recipient: bytes,
        state: State,
        lane: int = 0,
        due_at: int = 0,
        mirrored: bool = False,
    ) -> None:
        """`mirrored` is born owned by this node, which delivers it from memory without reading it
        back.
        """
        self.id = id
        self.recipient = recipient
        self.state = state
        self.lane = lane
        self.due_at = due_at
        self.mirrored = mirrored


class Acceptance:
    """Everything ▣1 writes, in one transaction or not at all."""

    __slots__ = (
        "at", "blocks", "companions", "deliveries", "marked", "message", "reason", "remarks",
        "stored_blocks",
    )  # fmt: skip

    def __init__(
        self,
        message: NewMessage,
        at: int,
        blocks: Sequence[bytes],
        stored_blocks: int = 0,
        deliveries: Sequence[NewDelivery] = (),
        marked: bool = False,
        companions: Sequence[Companion] = (),
        remarks: Sequence[OptionFacts] = (),
        reason: str = "",
    ) -> None:
        """`blocks` of content are numbered from 0 and not stored yet; `stored_blocks` more,
        numbered on from there, were written by `store_block`. Where it is `marked`, the start mark
        of its mirrored deliveries rides in the same commit. `remarks` are told as events,
        `reason` with those that are held.
        """
        self.message = message
        self.at = at
        self.blocks = blocks
        self.stored_blocks = stored_blocks
        self.deliveries = deliveries
        self.marked = marked
        self.companions = companions
        self.remarks = remarks
        self.reason = reason
