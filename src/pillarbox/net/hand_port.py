"""accepts by hand the clients of a port that must be looked at before anything is said to them

Those are ports that speak TLS from the first byte, and ports behind a balancer. An address that has
too many connections must not cost a handshake for each of them, so clients are counted before it;
and whose address it is, the balancer's header says. The loops' own servers do the handshake first,
and their transports begin to read before they can be told to wait; hence the accepting by hand.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from ipaddress import ip_address
from typing import Final, Protocol

from pillarbox.net.doorstep import read_proxy_header
from pillarbox.net.smtp_ports import Network
from pillarbox.observe.log import logger
from pillarbox.protocol.errors import MalformedProxyHeader

_AT_ONCE: Final = 100
_PAUSE_SECONDS: Final = 1.0
_MOST_WAITING: Final = 1000
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_log = logger("net")


class Takes(Protocol):
    """What serves a client from here on."""

    def take(self, sock: socket.socket, host: str, port: int) -> None:
        """It was accepted, and comes from there."""
        ...


class HandPort:
    """A listening socket whose clients are handed to whoever serves them."""

    def __init__(
        self,
        sock: socket.socket,
        make_wire: Callable[[], Takes],
        *,
        balancers: Collection[Network] = (),
        header_seconds: float = 5.0,
    ) -> None:
        """`sock` listens already and does not block. Accepting begins at once.

        Connections from `balancers` begin with a PROXY header, within `header_seconds`.
        """
        self._sock = sock
        self._make_wire = make_wire
        self._balancers = tuple(balancers)
        self._header_seconds = header_seconds
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._waiting: set[asyncio.Task[None]] = set()
        self._loop.add_reader(sock, self._accept)

    def close(self) -> None:
        """Accept nobody any more; the socket is left to its owner."""
        self._loop.remove_reader(self._sock)
        if self._pause is not None:
            self._pause.cancel()
        for task in self._waiting:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, name = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                _log.error("connection.not_accepted", reason=error.strerror)
                self._loop.remove_reader(self._sock)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)
                return
            sock.setblocking(False)
            with suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._is_balancer(str(name[0])):
                self._make_wire().take(sock, str(name[0]), int(name[1]))
            elif len(self._waiting) < _MOST_WAITING:
                task = self._loop.create_task(self._introduce(sock, str(name[0]), int(name[1])))
                self._waiting.add(task)
                task.add_done_callback(self._waiting.discard)
            else:
                sock.close()

    def _go_on(self) -> None:
        self._loop.add_reader(self._sock, self._accept)

    def _is_balancer(self, host: str) -> bool:
        if not self._balancers:
            return False
        address = ip_address(host.partition("%")[0].removeprefix("::ffff:"))
        return any(address in network for network in self._balancers)

    async def _introduce(self, sock: socket.socket, host: str, port: int) -> None:
        """Hear from the balancer who its client is, then take that client."""
        taken = False
        try:
            source = await read_proxy_header(sock, self._header_seconds)
            if source is None:
                self._make_wire().take(sock, host, port)
            else:
                self._make_wire().take(sock, source.address, source.port)
            taken = True
        except MalformedProxyHeader as error:
            _log.warning("balancer.refused", peer=host, port=port, reason=error.sentence)
        except TimeoutError:
            reason = "no PROXY header came in time"
            _log.warning("balancer.refused", peer=host, port=port, reason=reason)
        except OSError as error:
            _log.info("balancer.left", peer=host, port=port, reason=error.strerror or str(error))
        finally:
            if not taken:
                sock.close()
