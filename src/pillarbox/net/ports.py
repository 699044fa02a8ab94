"""listening sockets: bound before anything runs, and who holds a port that is taken"""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pillarbox.net.errors import CannotListen, PortInUse, PortNotPermitted, Process

EVERYWHERE: Final = "*"
BACKLOG: Final = 1024
_LISTEN: Final = "0A"
_NEXT_PORTS: Final = 200
_HIGHEST_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Bound:
    """A socket that listens, and what to tell about it."""

    sock: socket.socket
    host: str
    port: int
    note: str = ""
    """Empty, or why this is not the port that was asked for."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A socket that listens already, opened by whoever started us."""

    sock: socket.socket
    name: str
    host: str
    port: int

    def adopt(self) -> Bound:
        """Another handle on it, to be closed at will: whoever starts over here needs it again."""
        sock = self.sock.dup()
        sock.setblocking(False)
        return Bound(sock, self.host, self.port)


def bind(host: str, port: int, *, take_next_port: bool = False, only_ipv6: bool = False) -> Bound:
    """Listen on `host` and `port` (0: any).

    `host` is an address, a name, or ``*`` for all addresses, of IPv6 as well where this machine
    has that; ``::`` also takes IPv4, unless `only_ipv6`. With `take_next_port` a busy port is
    replaced by the next free one and the note says so. Raises `PortInUse`, `PortNotPermitted` or
    `CannotListen`.
    """
    try:
        return _bound(host, port, only_ipv6=only_ipv6)
    except PortInUse as taken:
        if not take_next_port:
            raise
        free = next_free_port(host, port + 1, only_ipv6=only_ipv6)
        bound = _bound(host, free, only_ipv6=only_ipv6)
        return Bound(bound.sock, bound.host, bound.port, f"{taken.sentence}; using {free}")


def bind_unix(path: Path) -> socket.socket:
    """Listen on a Unix socket that only this user may open (mode 0600).

    A socket file left behind is replaced; one on which somebody answers is not. Raises
    `CannotListen`.
    """
    if _answers(path):
        raise CannotListen(
            f"another process answers on {path}", fix="stop it, or choose another data directory"
        )
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    # The mode must be right from the first moment: chmod after bind would leave a gap.
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise CannotListen(
            f"cannot listen on {path}: {error.strerror or error}",
            fix="the path of a Unix socket may have at most 107 bytes, in a folder you may write",
        ) from error
    finally:
        os.umask(before)
    return sock


def next_free_port(host: str, port: int, *, only_ipv6: bool = False) -> int:
    """The first port from `port` upwards on which `host` can listen now.

    Raises `PortInUse` for `port` itself where the next 200 are taken as well.
    """
    for candidate in range(port, min(port + _NEXT_PORTS, _HIGHEST_PORT + 1)):
        with suppress(PortInUse):
            _bound(host, candidate, only_ipv6=only_ipv6).sock.close()
            return candidate
    raise PortInUse(host, port, holder_of(port))


def holder_of(port: int) -> Process | None:
    """The process that listens on a TCP port, or None where /proc does not tell."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(_target(entry) in wanted for entry in (process / "fd").iterdir()):
                name = (process / "comm").read_text(errors="replace").strip()
                return Process(name, int(process.name))
    return None


def _bound(host: str, port: int, *, only_ipv6: bool = False) -> Bound:
    if host != EVERYWHERE:
        return _bound_at(host, port, host, only_ipv6=only_ipv6)
    try:
        return _bound_at("::", port, host)
    except CannotListen:  # no IPv6 here
        return _bound_at("0.0.0.0", port, host)


def _bound_at(address: str, port: int, host: str, *, only_ipv6: bool = False) -> Bound:
    """Listen on `address`, which is called `host` when it is talked about."""
    try:
        found = socket.getaddrinfo(
            address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except OSError as error:
        raise _no_address_of_ours(f"{host} is not an address of this machine") from error
    family, kind, protocol, _, name = found[0]
    try:
        sock = socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise _refused(host, port, error) from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            alone = only_ipv6 or name[0] != "::"
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, alone)
        sock.bind(name)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _refused(host, port, error) from error
    return Bound(sock, host, sock.getsockname()[1])


def _refused(host: str, port: int, error: OSError) -> PortInUse | PortNotPermitted | CannotListen:
    if error.errno == errno.EADDRINUSE:
        return PortInUse(host, port, holder_of(port))
    if error.errno == errno.EACCES:
        return PortNotPermitted(host, port)
    return _no_address_of_ours(f"cannot listen on {host} port {port}: {error.strerror or error}")


def _no_address_of_ours(sentence: str) -> CannotListen:
    return CannotListen(
        sentence, fix="listen on 127.0.0.1 for this machine only, on * for all networks"
    )


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError as error:
            return error.errno == errno.EAGAIN  # its backlog is full: somebody is there
        return True


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(columns[9])
    return inodes


def _target(entry: Path) -> str:
    try:
        return str(entry.readlink())
    except OSError:
        return ""
