"""what holds for every session on one port: limits, times, who is asked and who is told"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from pillarbox.net.arrivals import Arrivals
from pillarbox.net.budget import ContentBudget
from pillarbox.net.burst import Burst
from pillarbox.net.interface import Admit, NoteProblem, SessionHandler
from pillarbox.net.sessions import Sessions
from pillarbox.observe.log import logger
from pillarbox.protocol import replies
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.protocol.reply import Reply

_log = logger("net")


def admit_everybody(_: str) -> Reply | None:
    """Let them all in."""
    return None


def log_problem(problem: str, address: str, port: int, listener: str, detail: str) -> None:
    """A line in the log, where nobody else wants to hear of it."""
    _log.info(
        "connection.unfit", problem=problem, peer=address, port=port, listener=listener,
        detail=detail,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds unless said otherwise."""

    idle_seconds: float = 300.0
    """For the next command to be complete, and between two pieces of content."""
    session_seconds: float = 3600.0
    """For the whole session; an open transaction may be finished within `idle_seconds` more."""
    handshake_seconds: float = 30.0
    hello_seconds: float = 5.0
    """For the first octet on a port that speaks TLS from the start."""
    proxy_header_seconds: float = 5.0
    """For a balancer to say whom it speaks for."""
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
    tls: Callable[[], ssl.SSLContext] | None = None
    """What to do the next handshake with: a certificate may be replaced at any time."""
    burst: Burst = field(default_factory=Burst)
    begins_in_tls: bool = False
    """Whether the handshake comes before the banner; such a port accepts its clients by hand."""
    port: int = 0
    """Its number."""
    mistaken: Reply = field(default_factory=lambda: replies.tls_expected(0))
    """For a client that speaks TLS where SMTP begins in clear, or the other way round."""
    budget: ContentBudget = field(default_factory=lambda: ContentBudget(1 << 62))
    """Of all ports together."""
    arrivals: Arrivals = field(default_factory=lambda: Arrivals(0))
    admit: Admit = admit_everybody
    note_problem: NoteProblem = log_problem

    def note(self, problem: str, address: str, detail: str = "") -> None:
        """Tell of a client at `address` that could not be served here."""
        self.note_problem(problem, address, self.port, self.name, detail)
