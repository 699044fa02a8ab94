"""a host and a port become a connected socket: its addresses in turn, within one time"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Sequence
from typing import Final

from pillarbox.net.errors import Broken
from pillarbox.net.progress import Progress, Told

MAX_ADDRESSES: Final = 6
_LEAST_SECONDS: Final = 0.01
_Target = tuple[int, str]
"""Address family and address."""

_WHY: Final = {
    errno.ECONNREFUSED: "nobody listens there",
    errno.EHOSTUNREACH: "there is no way to that host",
    errno.ENETUNREACH: "there is no way to that network",
    errno.ETIMEDOUT: "it does not answer",
    errno.ECONNRESET: "it cut the connection",
    errno.EADDRNOTAVAIL: "the local address is not one of this machine",
    errno.EACCES: "this machine's firewall forbids it",
    errno.EPERM: "this machine's firewall forbids it",
}


async def dial(
    host: str,
    port: int,
    *,
    seconds: float,
    local_address: str = "",
    told: Told | None = None,
    addresses: Sequence[str] = (),
) -> socket.socket:
    """A socket connected to the first address of `host` that answers, within `seconds` in all.

    Where `addresses` are given, they were looked up already, and nothing else is connected to.
    One address that swallows packets gets only its share of the time. `told` hears of the stages
    resolve and connect. Raises `Broken`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    targets = [(_family(address), address) for address in addresses] or await _addresses(
        host, port, seconds
    )
    if told is not None:
        found = ", ".join(address for _, address in targets)
        told(Progress("resolve", f"{host} = {found}" if found != host else "an address already"))
    reasons: list[str] = []
    for number, (family, address) in enumerate(targets):
        share = (deadline - loop.time()) / (len(targets) - number)
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if local_address:
                sock.bind((local_address, 0))
            async with asyncio.timeout(max(share, _LEAST_SECONDS)):
                await loop.sock_connect(sock, (address, port))
        except BaseException as error:
            sock.close()
            if not isinstance(error, OSError):
                raise
            reasons.append(_why(error, address, host))
        else:
            if told is not None:
                told(Progress("connect", f"{address} port {port}"))
            return sock
    raise Broken("connect", f"cannot connect to {host} port {port}: {'; '.join(reasons)}")


async def look_up(host: str, port: int, seconds: float) -> list[str]:
    """The addresses of `host`, at most six; an address is its own. Raises `Broken`."""
    return [address for _, address in await _addresses(host, port, seconds)]


def is_own_address(address: str) -> bool:
    """Whether an IP address is one of this machine's, as far as the kernel knows."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def _addresses(host: str, port: int, seconds: float) -> list[_Target]:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return [(family, host)]
    try:
        async with asyncio.timeout(seconds):
            found = await asyncio.get_running_loop().getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )
    except TimeoutError:
        raise Broken("connect", f"the name {host} could not be looked up in time") from None
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            raise Broken("connect", f"there is no host of the name {host}") from error
        raise Broken(
            "connect", f"the name {host} could not be looked up: {error.strerror}"
        ) from error
    except UnicodeError as error:
        raise Broken("connect", f"{host!r} is not the name of a host") from error
    targets = dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found)
    return list(targets)[:MAX_ADDRESSES]


def _why(error: OSError, address: str, host: str) -> str:
    if isinstance(error, TimeoutError) and error.errno is None:
        return "it does not answer" if address == host else f"{address} does not answer"
    words = _WHY.get(error.errno or 0) or error.strerror or str(error)
    return words if address == host else f"{words} ({address})"
