"""what a hop offers, as it goes to the process that renders for it

The class itself may be compiled, and what is compiled is read as a document by nobody.
"""

from __future__ import annotations

import msgspec

from pillarbox.message.default_sender import DefaultSender
from pillarbox.message.render import Hop


class SentHop(msgspec.Struct, frozen=True, array_like=True):
    """A `Hop` on its way."""

    eight_bit: bool
    smtputf8: bool
    dsn: bool
    requires_tls: bool
    sender: tuple[str, str, bool, bool] | None = None
    """Address and name of whoever stands in, and whether for the author and the return path."""

    @classmethod
    def of(cls, hop: Hop) -> SentHop:
        """What is sent of it."""
        one = hop.sender
        sender = (one.address, one.name, one.for_author, one.for_return_path) if one else None
        return cls(hop.eight_bit, hop.smtputf8, hop.dsn, hop.requires_tls, sender)

    def received(self) -> Hop:
        """As it was."""
        sender = DefaultSender(*self.sender) if self.sender is not None else None
        return Hop(self.eight_bit, self.smtputf8, self.dsn, self.requires_tls, sender)
