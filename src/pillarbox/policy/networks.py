"""networks: from which addresses a login may be used"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import ClassVar, Final

from pillarbox.terms.errors import PillarboxError

_SHOWN_CHARACTERS = 60
_NAT64: Final = ip_network("64:ff9b::/96")  # RFC 6052 §2.1
_NOT_OF_THE_INTERNET: Final = tuple(
    # Which of them Python knows depends on its version.
    ip_network(each)
    for each in (
        "192.88.99.0/24",  # RFC 7526: relays of 6to4, given up; some routers still are one
        "2001:20::/28",  # RFC 7343: names of hosts, which nobody routes
        "3fff::/20",  # RFC 9637: for documentation
        "fec0::/10",  # RFC 3879 §4: given up, and routed inside all the same
    )
)


class InvalidNetwork(PillarboxError):
    """This is neither an IP address nor a network."""

    code: ClassVar[str] = "invalid_value"


def parse_network(text: str) -> str:
    """``192.0.2.7``, ``192.0.2.0/24`` or ``2001:db8::/32`` as it is stored. Raises `InvalidNetwork`.

    Bits behind the prefix are refused: whoever writes 192.0.2.7/24 may mean either.
    """
    try:
        if "%" not in text:
            return str(ip_network(text.strip()))
    except ValueError:
        pass
    raise InvalidNetwork(
        f"{text[:_SHOWN_CHARACTERS]!r} is no network",
        fix="Write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32, with zeros behind the prefix.",
    )


def is_address(text: str) -> bool:
    """Whether this is an IP address, in the one spelling of IPv4 that means the same everywhere."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_within(networks: Sequence[str], address: str) -> bool:
    """Whether an address lies in one of the networks; what is no address lies in none."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return any(ip.version == each.version and ip in each for each in _parsed(tuple(networks)))


def is_public(address: str) -> bool:
    """Whether an address belongs to the Internet, and not to this machine or a network inside.

    An IPv4 address in the clothes of IPv6 (mapped, 6to4, NAT64) is judged by what it leads to.
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        inside = ip.ipv4_mapped or ip.sixtofour
        if inside is None and ip in _NAT64:
            inside = IPv4Address(int(ip) & 0xFFFF_FFFF)
        if inside is not None:
            ip = inside
    if any(ip in network for network in _NOT_OF_THE_INTERNET):
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


@lru_cache(maxsize=1024)
def _parsed(networks: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(each) for each in networks)
