"""where a connection stands, from its first byte to its last"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """Where a connection stands."""

    STARTING = 0
    FLUSHING = 1
    """The reply to STARTTLS is on its way; nothing may be read."""
    HANDSHAKE = 2
    OPEN = 3
    ENDED = 4
    """All was said; what still comes in is thrown away."""
    LOST = 5
