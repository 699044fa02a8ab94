"""what a submitter hands over at the door, and what comes back: Content in, Receipt out"""

from __future__ import annotations

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.acceptance import NewDelivery
from pillarbox.terms.ids import DeliveryId, MessageId


class Content:
    """A message's content: all of it, or its first block where the rest is stored already."""

    __slots__ = ("eight_bit", "head", "message", "plain", "stored_blocks", "stored_bytes")

    def __init__(
        self,
        head: bytes,
        message: MessageId | None = None,
        stored_blocks: int = 0,
        stored_bytes: int = 0,
        plain: bool = False,
        eight_bit: bool = False,
    ) -> None:
        """`message` is the id under which further blocks were stored; `eight_bit`, whether they
        have more than ASCII in them. `plain` content came through a server session with no bare
        line end and no line that begins with a dot.
        """
        self.head = head
        self.message = message
        self.stored_blocks = stored_blocks
        self.stored_bytes = stored_bytes
        self.plain = plain
        self.eight_bit = eight_bit


class Receipt:
    """What a submitter gets back: we are responsible now."""

    __slots__ = ("born", "id_text", "message")

    def __init__(self, message: MessageId, id_text: str, born: list[NewDelivery]) -> None:
        """`born` are the deliveries, in the order of the envelope."""
        self.message = message
        self.id_text = id_text
        self.born = born

    @property
    def deliveries(self) -> tuple[tuple[DeliveryId, str, State], ...]:
        """Each recipient's delivery, address and first state, in the order of the envelope."""
        return tuple((one.id, one.recipient.decode(), one.state) for one in self.born)
