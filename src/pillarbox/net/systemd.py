"""what a service manager hands over and is told: sockets that listen already, READY and STOPPING

The protocols of sd_listen_fds(3) and sd_notify(3), which are environment variables and datagrams.
A port under 1024 needs no privilege here where systemd opened it, and no client is refused while
the program is started anew.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final

from pillarbox.net.errors import CannotListen
from pillarbox.net.ports import Passed

_FIRST_DESCRIPTOR: Final = 3
_MOST_SOCKETS: Final = 256
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET")


class ServiceManager:
    """Whoever started this process as a service; one that hands over and hears nothing, if none."""

    def __init__(self, sockets: tuple[Passed, ...] = (), notify_address: str = "") -> None:
        """`notify_address` is a path, or a name with ``@`` before it."""
        self.sockets = sockets
        self._notify_address = notify_address

    @classmethod
    def take_from(cls, environment: MutableMapping[str, str]) -> ServiceManager:
        """What the environment says. It is said once: processes we start must not hear it again.

        Raises `CannotListen` where a descriptor is not a TCP socket that listens.
        """
        said = {name: environment.pop(name, "") for name in _VARIABLES}
        sockets: tuple[Passed, ...] = ()
        if said["LISTEN_PID"] == str(os.getpid()):
            sockets = _passed(said["LISTEN_FDS"], said["LISTEN_FDNAMES"])
        return cls(sockets, said["NOTIFY_SOCKET"])

    def notify(self, *lines: str) -> None:
        """Tell it, as in ``READY=1``; without one, or where it does not listen, nothing happens."""
        address = self._notify_address
        if not address.startswith(("/", "@")):
            return
        if address.startswith("@"):
            address = f"\0{address[1:]}"
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), address)


def _passed(count: str, names: str) -> tuple[Passed, ...]:
    if not count.isascii() or not count.isdigit() or int(count) > _MOST_SOCKETS:
        raise CannotListen(
            f"LISTEN_FDS is {count[:20]!r}, not a number of sockets",
            fix="let systemd set it; a service is not started by hand with its variables",
        )
    called = names.split(":") if names else []
    return tuple(
        _socket(_FIRST_DESCRIPTOR + number, called[number] if number < len(called) else "")
        for number in range(int(count))
    )


def _socket(descriptor: int, name: str) -> Passed:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _not_fit(descriptor, name, error.strerror or str(error)) from error
    sock.set_inheritable(False)
    listens = (
        sock.family in _FAMILIES
        and sock.type == socket.SOCK_STREAM
        and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    )
    if not listens:
        sock.close()
        raise _not_fit(descriptor, name, "it is not a TCP socket that listens")
    host, port, *_ = sock.getsockname()
    return Passed(sock, name, str(host), int(port))


def _not_fit(descriptor: int, name: str, why: str) -> CannotListen:
    called = f" ({name})" if name else ""
    return CannotListen(
        f"descriptor {descriptor}{called}, which was passed to us, cannot be used: {why}",
        fix="in the socket unit, write ListenStream= with a port and leave Accept= as it is",
    )
