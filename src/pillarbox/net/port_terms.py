"""what holds for every session on one port: limits, times, and who is asked"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from pillarbox.net.burst import Burst
from pillarbox.net.interface import Admit, SessionHandler, admit_everybody
from pillarbox.net.sessions import Sessions
from pillarbox.protocol.extensions import ServerLimits


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds unless said otherwise."""

    idle_seconds: float = 300.0
    """For the next command to be complete, and between two pieces of content."""
    session_seconds: float = 3600.0
    """For the whole session; an open transaction may be finished within `idle_seconds` more."""
    handshake_seconds: float = 30.0
    slow_after_seconds: float = 30.0
    """From then on content must arrive at `bytes_per_second`."""
    bytes_per_second: int = 500


@dataclass(frozen=True, slots=True)
class PortTerms:
    """What holds for every session on one port."""

    name: str
    """What `Peer.listener` says."""
    limits: ServerLimits
    hostname: str
    make_handler: Callable[[], SessionHandler]
    sessions: Sessions
    patience: Patience
    tls: ssl.SSLContext | None = None
    burst: Burst = field(default_factory=Burst)
    port: int = 0
    """Its number."""
    admit: Admit = admit_everybody
