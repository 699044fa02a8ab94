"""who is connected: counted in all and per address, and asked to leave at the end

This machine's own connections are counted apart. However many strangers come, a local program and
whoever looks after the house find the door open.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Protocol

from pillarbox.net.interface import is_loopback

_ABORT_SECONDS: Final = 1.0


class Guest(Protocol):
    """One connection, as far as the count is concerned."""

    def ask_to_leave(self) -> None:
        """End the session as soon as nothing is owed to the client."""
        ...

    def abort(self) -> None:
        """End it now."""
        ...


def crowd_of(address: str) -> str:
    """Whom one count is kept of: an IPv4 address, or the /64 network of one of IPv6.

    A host of IPv6 has that many addresses of its own to choose from (RFC 4291 §2.5.1).
    """
    if ":" not in address or is_loopback(address):
        return address
    try:
        return f"{int(IPv6Address(address.partition('%')[0])) >> 64:x}/64"
    except AddressValueError:
        return address


class Sessions:
    """The connections of one listener, under two caps."""

    def __init__(self, max_sessions: int, max_per_address: int) -> None:
        """The caps hold for all ports of the listener together, for this machine and for all
        others apart.
        """
        self._max_sessions = max_sessions
        self._max_per_address = max_per_address
        self._guests: set[Guest] = set()
        self._from_here = 0
        self._by_address: dict[str, int] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.leaving = False
        """Whether everybody was asked to leave."""

    def __len__(self) -> int:
        return len(self._guests)

    def full(self, address: str) -> bool:
        """Whether one more from `address` would be too many."""
        here = self._from_here
        alike = here if is_loopback(address) else len(self._guests) - here
        return (
            alike >= self._max_sessions
            or self._by_address.get(crowd_of(address), 0) >= self._max_per_address
        )

    def enter(self, guest: Guest, address: str) -> None:
        """Count `guest`; pair it with one `leave`."""
        crowd = crowd_of(address)
        self._guests.add(guest)
        self._from_here += is_loopback(address)
        self._by_address[crowd] = self._by_address.get(crowd, 0) + 1
        self._empty.clear()

    def leave(self, guest: Guest, address: str) -> None:
        """The connection is gone and its handler was told."""
        crowd = crowd_of(address)
        self._guests.discard(guest)
        self._from_here -= is_loopback(address)
        left = self._by_address.get(crowd, 0) - 1
        if left > 0:
            self._by_address[crowd] = left
        else:
            self._by_address.pop(crowd, None)
        if not self._guests:
            self._empty.set()

    async def drain(self, seconds: float) -> int:
        """Ask everybody to leave, wait at most `seconds`, abort the rest and count them."""
        self.leaving = True
        for guest in list(self._guests):
            guest.ask_to_leave()
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            late = list(self._guests)
            for guest in late:
                guest.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(_ABORT_SECONDS):
                    await self._empty.wait()
            return len(late)
        return 0
