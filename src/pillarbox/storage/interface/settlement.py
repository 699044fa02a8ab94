"""what ▣2 writes: the verdict on each recipient of one transaction, and what is owed for it

Plain classes for the reason given in `storage.interface.acceptance`.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.companions import NewObligation
from pillarbox.terms.ids import DeliveryId, ObjectId


class Verdict:
    """One recipient's part of a settlement."""

    __slots__ = (
        "attempts", "data", "delivery", "due_at", "kind", "previous_event", "recipient", "state",
        "uncertain",
    )  # fmt: skip

    def __init__(
        self,
        delivery: DeliveryId,
        recipient: bytes,
        state: State,
        attempts: int,
        previous_event: int,
        kind: str,
        data: Struct,
        due_at: int = 0,
        uncertain: bool = False,
    ) -> None:
        """`kind` is an event's, of `policy.events`, and `data` the struct named there for it."""
        self.delivery = delivery
        self.recipient = recipient
        self.state = state
        self.attempts = attempts
        self.previous_event = previous_event
        self.kind = kind
        self.data = data
        self.due_at = due_at
        self.uncertain = uncertain


class Settlement:
    """Everything ▣2 writes about the recipients of one transaction, all or nothing."""

    __slots__ = (
        "app", "at", "obligations", "server", "server_errors", "unless_ended", "verdicts",
    )  # fmt: skip

    def __init__(
        self,
        at: int,
        app: ObjectId,
        verdicts: Sequence[Verdict],
        obligations: Sequence[NewObligation] = (),
        server: ObjectId | None = None,
        server_errors: int | None = None,
        *,
        unless_ended: bool = False,
    ) -> None:
        """`server` is the app's server concerned; its error count is moved by `server_errors`: 0
        puts it back to nothing, 1 adds one, None leaves it. With `unless_ended` nothing is written
        of a delivery that was ended meanwhile, as for a caller who was told so.
        """
        self.at = at
        self.app = app
        self.verdicts = verdicts
        self.obligations = obligations
        self.server = server
        self.server_errors = server_errors
        self.unless_ended = unless_ended
