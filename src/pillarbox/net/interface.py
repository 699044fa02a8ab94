"""the port through which sockets call services without knowing them"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from pillarbox.protocol.events import ServerEvent
from pillarbox.protocol.reply import Reply


def is_loopback(address: str) -> bool:
    """Whether an address is of this machine; the empty one is that of a Unix socket."""
    return address in ("::1", "") or address.startswith("127.")


class Peer(Struct, frozen=True, gc=False):
    """Who is at the other end, and which of our listeners they came to."""

    address: str
    """Of the client itself, also where a balancer named in the settings stands between."""
    port: int
    listener: str
    """``starttls``, ``tls``, ``local`` or ``bounces``."""
    tls: str = ""
    """Version and cipher once the channel is protected, otherwise empty."""
    local_port: int = 0
    """Ours, to which they came."""

    @property
    def loopback(self) -> bool:
        """Whether the peer is this machine."""
        return is_loopback(self.address)


Answer = Reply | Awaitable[Reply | None] | None
"""A reply at once, a promise of one, or None where the event owes none."""


Admit = Callable[[str], Reply | None]
"""Asked about a client's address before anything is spent on it: a 421, or None to let it in."""

NoteProblem = Callable[[str, str, int, str, str], None]
"""Hears of a connection that could not become a session: what was wrong (``clear_on_tls_port``,
``silent_on_tls_port``, ``tls_on_starttls_port``, ``tls_handshake_failed``), the client's address,
our port, the listener, and what else there is to say.
"""


class SessionHandler(Protocol):
    """One connection's permission: made by a factory per connection, called in order.

    The driver never calls `handle`, `secured` or `closed` while an earlier answer is still owed.
    What a method raises is logged and costs the client a 4xx, never anybody else anything.
    """

    def opened(self, peer: Peer) -> Reply:
        """The banner (220), or the refusal (421, 554) after which the connection is closed."""
        ...

    def secured(self, peer: Peer) -> None:
        """TLS was started; everything said before is forgotten (RFC 3207 §4.2)."""
        ...

    def handle(self, event: ServerEvent) -> Answer:
        """Answer one event. For a block of content that is not the last, None or a promise of
        None means: go on; a reply means: refuse the rest.
        """
        ...

    def closed(self, reason: str) -> None:
        """The connection is gone; release what was held. Called exactly once.

        A connection lost while an answer is owed is told only when that answer is there: a
        message may be committed although nobody is left to hear of it.
        """
        ...
