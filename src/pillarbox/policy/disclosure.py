"""when a server's password is given back in clear, and the mask that stands in its place otherwise

Clients of the compatible server API expect what they saved. It is given to people who could change
it anyway, where nobody else can listen.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

MASK: Final = "********"
_SECURE: Final = "https"


@dataclass(frozen=True, slots=True)
class Channel:
    """How a request came in."""

    scheme: str
    """``http`` or ``https``, as this machine was spoken to."""
    address: str
    """IP address of the peer; empty for the socket of the data directory's owner."""
    forwarded: bool = False
    """Whether somebody in between says that it passes the request on."""
    forwarded_scheme: str = ""
    """How that one was spoken to, by its own words; empty where it says nothing."""

    @property
    def is_private(self) -> bool:
        """Whether nobody can listen: TLS, or this machine alone.

        What a proxy on this machine says is believed only where it makes us more careful: one that
        does not say that it was spoken to over TLS was not.
        """
        if self.forwarded:
            return self.forwarded_scheme.lower() == _SECURE and self._is_near
        return self._is_near

    @property
    def _is_near(self) -> bool:
        return self.scheme.lower() == _SECURE or not self.address or _is_loopback(self.address)


def in_clear(channel: Channel, *, enabled: bool, may_edit: bool) -> bool:
    """Whether passwords of servers are given as they are."""
    return enabled and may_edit and channel.is_private


def is_mask(password: str) -> bool:
    """Whether what was saved is what stood there in place of a password."""
    return password == MASK


def _is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)
