"""one MAIL of a submitting client, and what followed"""

from __future__ import annotations

from pillarbox.policy.authority import too_large
from pillarbox.policy.envelope import Recipient
from pillarbox.protocol.events import MailReceived
from pillarbox.terms.ids import MessageId


class Transaction:
    """Return path, recipients, and how much content there is so far."""

    __slots__ = (
        "blocks",
        "bytes",
        "eight_bit",
        "head",
        "mail",
        "most_bytes",
        "recipients",
        "upload",
    )

    def __init__(self, mail: MailReceived, most_bytes: int) -> None:
        """`most_bytes` may be sent with this login; 0: as much as the listener takes."""
        self.mail = mail
        self.most_bytes = most_bytes
        self.recipients: list[Recipient] = []
        self.head = b""
        """The first block of content."""
        self.upload: MessageId | None = None
        """Under which further blocks rest in the database."""
        self.blocks = 0
        self.bytes = 0
        self.eight_bit = False
        """Whether a block behind the first has octets beyond ASCII."""

    def grow(self, block: bytes) -> None:
        """One more block behind the first. Raises `MessageTooLarge`: what is too long already need
        not come to its end.
        """
        self.blocks += 1
        self.bytes += len(block)
        self.eight_bit |= not block.isascii()
        if self.most_bytes and len(self.head) + self.bytes > self.most_bytes:
            raise too_large(None, self.most_bytes)
