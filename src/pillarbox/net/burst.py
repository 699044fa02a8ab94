"""what one turn of the loop says to many clients, written one after the other at its end

To wake another process costs more than to write a short reply. Written as they come up, replies
wake a client that serves many connections again and again; written together they wake it once.
"""

from __future__ import annotations

import asyncio
import logging

_log = logging.getLogger(__name__)


class Burst:
    """Short replies that wait for the end of this turn of the loop, in their order."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        """Nothing waits."""
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []

    def write(self, transport: asyncio.Transport, data: bytes) -> None:
        """Write when this turn is over; a transport that is closed by then gets nothing."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Write now: whoever writes or closes by another way does this first."""
        waiting, self._waiting = self._waiting, []
        for transport, data in waiting:
            if transport.is_closing():
                continue
            try:
                transport.write(data)
            except Exception:
                # One connection that takes nothing more must not cost the others their replies.
                _log.exception("a reply could not be written")
                transport.abort()
