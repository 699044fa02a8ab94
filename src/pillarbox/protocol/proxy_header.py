"""what a balancer says before its client speaks: the PROXY header, v1 and v2

The header tells whom the balancer speaks for. Nothing in it is authenticated, so it may only be
read from addresses that were named as balancers, and there it must not be missing: who could leave
it out could choose between two addresses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from pillarbox.protocol.errors import MalformedProxyHeader

MAX_TEXT_OCTETS: Final = 107
"""Of a header in version 1, with its line end."""

MAX_BINARY_OCTETS: Final = 16 + 2048
"""Of a header in version 2. What balancers add to the addresses takes some hundred octets."""

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED_OCTETS: Final = 16
_TEXT_START: Final = b"PROXY "
_TEXT_FIELDS: Final = 6
_PORT: Final = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)
_HIGHEST_PORT: Final = 65535

# Version 2: the first octet behind the signature holds version and command, the second the family
# of the addresses and how they are used.
_LOCAL, _PROXY = 0x20, 0x21
_TCP_OVER_IPV4, _TCP_OVER_IPV6 = 0x11, 0x21
_HIGHEST_FAMILY, _HIGHEST_TRANSPORT = 3, 2
_IPV4_OCTETS, _IPV6_OCTETS = 12, 36


@dataclass(frozen=True, slots=True)
class Source:
    """Who connected to the balancer."""

    address: str
    port: int


class ProxyHeader:
    """Reads one header from whatever portions it comes in, and not an octet more."""

    __slots__ = ("_seen", "complete", "source")

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._seen = b""
        self.complete = False
        self.source: Source | None = None
        """Once complete: whom the balancer speaks for; None where it speaks for itself, or for
        somebody who has no address of the Internet.
        """

    def feed(self, data: bytes) -> int:
        """Read on; how many octets of `data` belonged to the header.

        Fewer than all only where it is complete. Raises `MalformedProxyHeader`.
        """
        before = len(self._seen)
        seen = self._seen + data[:MAX_BINARY_OCTETS]
        if self.complete or not seen:
            return 0
        if seen[0] == _TEXT_START[0]:
            end = self._read_text(seen)
        else:
            end = self._read_binary(seen)
        if end:
            self.complete = True
            self._seen = b""
            return end - before
        self._seen = seen
        return len(data)

    def _read_text(self, seen: bytes) -> int:
        """Where a header in version 1 ends; 0 while that has not come."""
        if not _TEXT_START.startswith(seen[: len(_TEXT_START)]):
            raise MalformedProxyHeader
        at = seen.find(b"\n", 0, MAX_TEXT_OCTETS)
        if at < 0:
            if len(seen) >= MAX_TEXT_OCTETS:
                raise MalformedProxyHeader
            return 0
        if seen[at - 1 : at] != b"\r":
            raise MalformedProxyHeader
        try:
            self.source = _source_in_text(seen[: at - 1].decode("ascii").split(" "))
        except ValueError:
            raise MalformedProxyHeader from None
        return at + 1

    def _read_binary(self, seen: bytes) -> int:
        """Where a header in version 2 ends; 0 while that has not come."""
        if not _SIGNATURE.startswith(seen[: len(_SIGNATURE)]):
            raise MalformedProxyHeader
        if len(seen) < _FIXED_OCTETS:
            return 0
        command, family = seen[12], seen[13]
        length = int.from_bytes(seen[14:16], "big")
        end = _FIXED_OCTETS + length
        known = family >> 4 <= _HIGHEST_FAMILY and family & 15 <= _HIGHEST_TRANSPORT
        if command not in (_LOCAL, _PROXY) or not known or end > MAX_BINARY_OCTETS:
            raise MalformedProxyHeader
        if command == _PROXY and length < _least(family):
            raise MalformedProxyHeader
        if len(seen) < end:
            return 0
        if command == _PROXY:
            self.source = _source_in_octets(family, seen[_FIXED_OCTETS:end])
        return end


def _least(family: int) -> int:
    """How long the addresses of this family are, where we read them."""
    return {_TCP_OVER_IPV4: _IPV4_OCTETS, _TCP_OVER_IPV6: _IPV6_OCTETS}.get(family, 0)


def _source_in_octets(family: int, addresses: bytes) -> Source | None:
    if family == _TCP_OVER_IPV4:
        return Source(str(IPv4Address(addresses[:4])), int.from_bytes(addresses[8:10], "big"))
    if family == _TCP_OVER_IPV6:
        address = _shown(IPv6Address(addresses[:16]))
        return Source(address, int.from_bytes(addresses[32:34], "big"))
    return None


def _source_in_text(fields: list[str]) -> Source | None:
    """Raises ValueError where these are not the fields of a header."""
    if len(fields) > 1 and fields[1] == "UNKNOWN":
        return None  # what follows is to be ignored
    if len(fields) != _TEXT_FIELDS or fields[1] not in ("TCP4", "TCP6"):
        raise ValueError(fields)
    *_, source, destination, source_port, destination_port = fields
    ports = [_port(source_port), _port(destination_port)]
    if fields[1] == "TCP4":
        addresses = [str(IPv4Address(source)), str(IPv4Address(destination))]
    elif "%" in source + destination:
        raise ValueError(fields)
    else:
        addresses = [_shown(IPv6Address(source)), _shown(IPv6Address(destination))]
    return Source(addresses[0], ports[0])


def _port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > _HIGHEST_PORT:
        raise ValueError(text)
    return int(text)


def _shown(address: IPv6Address) -> str:
    """An IPv4 client of a balancer that speaks IPv6 is one."""
    return str(address.ipv4_mapped or address)
