"""accepts the clients of a port that speaks TLS from the first byte

An address that has too many connections must not cost a handshake for each of them, so clients
are counted before it. The loops' own servers do the handshake first, and the loops' transports
begin to read before they can be told to wait; hence the accepting by hand.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pillarbox.net.server_wire import ServerWire

_AT_ONCE: Final = 100
_PAUSE_SECONDS: Final = 1.0
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logging.getLogger(__name__)


class TlsPort:
    """A listening socket whose clients are handed to a fresh wire each."""

    def __init__(self, sock: socket.socket, make_wire: Callable[[], ServerWire]) -> None:
        """`sock` listens already and does not block. Accepting begins at once."""
        self._sock = sock
        self._make_wire = make_wire
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Accept nobody any more; the socket is left to its owner."""
        self._loop.remove_reader(self._sock)
        if self._pause is not None:
            self._pause.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, name = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("cannot accept another connection: %s", error.strerror)
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)
                return
            sock.setblocking(False)
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._make_wire().take(sock, name)

    def _go_on(self) -> None:
        self._loop.add_reader(self._sock, self._accept)
