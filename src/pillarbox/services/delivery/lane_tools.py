"""the tools of a lane: what all lanes of this node share, and how a message comes back from storage"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pillarbox.handover.mirror import Mirror
from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.message.wishes import is_individual
from pillarbox.services.delivery.attempt import Attempts
from pillarbox.storage.interface.messages import MessageStore, StoredMessage
from pillarbox.storage.interface.queue import QueueStore, Waiting
from pillarbox.terms.clock import Clock


@dataclass(frozen=True, slots=True)
class LaneTools:
    """What all lanes of this node share."""

    queue: QueueStore
    messages: MessageStore
    mirror: Mirror
    attempts: Attempts
    clock: Clock
    window: int
    catch_up_ms: int = 150_000
    """So long mail that waited for a server takes to go when it is back."""


def outgoing_of(stored: StoredMessage, waiting: Sequence[Waiting], lane: int) -> list[Outgoing]:
    """A message that was claimed, for those of its recipients who wait; content is read later.

    Whoever gets a copy of his own goes by himself.
    """
    together = [[row] for row in waiting] if is_individual(stored.facts) else [waiting]
    return [_outgoing(stored, some, lane) for some in together]


def _outgoing(stored: StoredMessage, waiting: Sequence[Waiting], lane: int) -> Outgoing:
    return Outgoing(
        message=stored.id,
        app=stored.app,
        lane=lane,
        size=stored.size,
        content=None,
        facts=stored.facts,
        addressees=[
            Addressee(row.delivery, row.recipient, row.attempts, row.last_event) for row in waiting
        ],
        expires_at=stored.expires_at,
        answer_by=stored.answer_by,
        mirrored=False,
    )
