"""what the REST face is built from"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from pillarbox.api.config import ApiConfig
from pillarbox.handover.accept import Door
from pillarbox.handover.gate import Gate
from pillarbox.net.consents import Consents
from pillarbox.policy.breaker import Breaker
from pillarbox.policy.connecting import ConnectConfig, WaysIn, ways_in
from pillarbox.policy.presets import Presets
from pillarbox.policy.recipe import Book
from pillarbox.policy.retry import RetryPolicy
from pillarbox.policy.server import Server
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.services.certificates.renewals import Renewals
from pillarbox.services.delivery.check import Checker
from pillarbox.services.delivery.rehearser import Rehearser
from pillarbox.services.delivery.report import LaneReport
from pillarbox.services.domains.look import DomainLook
from pillarbox.services.people.sign_in import SignIn
from pillarbox.services.submission.authenticate import Authenticator
from pillarbox.storage.interface.limits import SharedCircuit
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock


@dataclass(frozen=True, slots=True)
class ListenerFact:
    """A port that is open, as people configure it elsewhere."""

    host: str
    port: int
    security: str
    """``STARTTLS``, ``TLS`` or ``plain``."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class SmtpFacts:
    """What a program needs to know to submit over SMTP."""

    listeners: tuple[ListenerFact, ...] = ()
    ca_path: str = ""
    """The certificate of the local authority, empty where none is used."""
    bounces: tuple[ListenerFact, ...] = ()
    """Ports on which other servers bring back mail; those for both are in each list."""


@dataclass(frozen=True, slots=True)
class TrackingFacts:
    """Where tracked links lead."""

    host: str = ""
    """Empty where there is none, so that only domains with one of their own can be tracked."""
    listeners: tuple[ListenerFact, ...] = ()
    """Where this node answers for it; another one may, or a proxy."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that lies below and that requests reach; made once, by wiring."""

    storage: Storage
    door: Door
    authenticator: Authenticator
    checker: Checker
    rehearser: Rehearser
    sign_in: SignIn
    clock: Clock
    hostname: str
    version: str
    started_at: int
    """When this process began to serve, in milliseconds since the Unix epoch."""
    metrics_text: Callable[[], bytes]
    """The metrics in Prometheus' text format."""
    smtp_facts: Callable[[], SmtpFacts]
    tracking_facts: Callable[[], TrackingFacts] = TrackingFacts
    config: ApiConfig = field(default_factory=ApiConfig)
    connect: ConnectConfig = field(default_factory=ConnectConfig)
    recipes: Callable[[], Book] = Book
    """How programs are connected; read when it is first asked for."""
    presets: Callable[[], Presets] = Presets
    """What is known of well-known services; read when it is first asked for."""
    consents: Consents | None = None
    """Where people are asked for refresh tokens; without it nobody is."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """When deliveries are tried again."""
    lane_report: Callable[[int], LaneReport | None] = lambda lane: None
    """How a lane does on this node."""
    circuit: Callable[[Server], Breaker | None] = lambda server: None
    """Whether this node leaves a server alone; None where it never used it."""
    held_against: Callable[[Server], SharedCircuit | None] = lambda server: None
    """What this node holds against the settings of a server; None where that is nothing."""
    gate: Gate | None = None
    """Whether mail can be taken charge of just now; without one, always."""
    tls_of: Callable[[str], Awaitable[list[tuple[str, TlsPlan]]]] | None = None
    """What is asked of the TLS of a domain's MX hosts; without it, nobody can say."""
    domain_look: DomainLook | None = None
    """Looks at the records of sending domains; without it nobody does."""
    renewals: Renewals | None = None
    """Through whom certificates are asked for; without it none are."""
    note_refusal: Callable[[str, str, str], None] = lambda code, name, sentence: None
    """Hears of every message that was refused: error code, whose it was, the sentence."""

    def ways_in(self) -> WaysIn:
        """Where programs connect, the recommended way first. Raises `NoWayIn`."""
        ports = [(each.host, each.port, each.security) for each in self.smtp_facts().listeners]
        return ways_in(ports, self.hostname, self.connect)
