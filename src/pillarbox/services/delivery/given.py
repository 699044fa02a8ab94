"""what was given to a server: what became of each recipient, and what the attempt was"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.handover.outgoing import Addressee
from pillarbox.message.default_sender import DefaultSender
from pillarbox.message.render import RENDERER_VERSION
from pillarbox.policy.outcome import Outcome
from pillarbox.services.delivery.carrier import Carrier
from pillarbox.terms.ids import DeliveryId


class Given:
    """What became of each recipient at one server, and what the attempt was."""

    __slots__ = (
        "carrier", "dialogue", "digest", "gone", "outcomes", "passed_on", "sender", "session",
    )  # fmt: skip

    def __init__(
        self,
        outcomes: list[tuple[Addressee, Outcome]],
        session: int = 0,
        dialogue: tuple[tuple[int, str], ...] = (),
        carrier: Carrier | None = None,
    ) -> None:
        """The `carrier` is still open, and handed back with `Transactions.end`."""
        self.outcomes = outcomes
        self.session = session
        self.dialogue = dialogue
        self.digest = b""
        """SHA-256 of what left, where rendering changed it."""
        self.carrier = carrier
        self.passed_on = False
        """Whether the server knows the wishes for notices, and will see to them (RFC 3461 §5.2.1)."""
        self.gone: frozenset[DeliveryId] = frozenset()
        """Held or ended by an operator after they were claimed: nothing was sent for them."""
        self.sender: DefaultSender | None = None
        """Who stood in for the author or the return path."""

    @property
    def all_taken(self) -> bool:
        """Whether the server answers for everybody now."""
        return bool(self.outcomes) and all(outcome.taken for _, outcome in self.outcomes)

    def unsent(self, some: Sequence[Addressee]) -> list[Addressee]:
        """Those of them to whom nothing was sent only because another one is `gone`."""
        known = self.gone.union(addressee.delivery for addressee, _ in self.outcomes)
        return [one for one in some if one.delivery not in known]

    @property
    def renderer(self) -> int:
        """The version that made the bytes, 0 where none were sent."""
        return RENDERER_VERSION if self.digest else 0
