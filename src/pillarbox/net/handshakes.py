"""TLS ahead of another protocol: so many handshakes at once, and each within its time

A connection that never finishes its handshake costs a socket, and a port that everybody reaches
meets many. Where there are too many, the oldest goes of whoever has most: one address that opens
thousands pushes out its own, and who means it is through in a moment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pillarbox.net.sessions import crowd_of

_SECONDS: Final = 10.0
_MOST: Final = 200


class Handshakes:
    """Of one port."""

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[], asyncio.Protocol],
        *,
        seconds: float = _SECONDS,
        most: int = _MOST,
    ) -> None:
        """`make` gives the protocol that is spoken once TLS is."""
        self._context = context
        self._make = make
        self._seconds = seconds
        self._most = most
        self._pending: dict[asyncio.Task[None], str] = {}
        """With whom, the oldest first."""

    def take(self, sock: socket.socket, host: str, port: int) -> None:
        """Shake hands with whoever was accepted."""
        if len(self._pending) >= self._most:
            self._give_up_one()
        task = asyncio.ensure_future(self._secure(sock))
        self._pending[task] = crowd_of(host)
        task.add_done_callback(lambda done: self._pending.pop(done, None))

    def _give_up_one(self) -> None:
        ((most, _),) = Counter(self._pending.values()).most_common(1)
        oldest = next(task for task, whom in self._pending.items() if whom == most)
        del self._pending[oldest]
        oldest.cancel()

    async def close(self) -> None:
        """Break off those that are not over."""
        pending = list(self._pending)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def _secure(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):  # refused, broken off, too slow: a stranger's matter
            await loop.connect_accepted_socket(
                self._make, sock, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
