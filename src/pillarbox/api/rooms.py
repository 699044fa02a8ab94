"""what the REST face is built from"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pillarbox.api.config import ApiConfig
from pillarbox.handover.accept import Door
from pillarbox.handover.gate import Gate
from pillarbox.policy.connecting import ConnectConfig, WaysIn, ways_in
from pillarbox.policy.directory import App
from pillarbox.policy.recipe import Book
from pillarbox.policy.server import Server
from pillarbox.services.people.sign_in import SignIn
from pillarbox.services.submission.authenticate import Authenticator
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock


@dataclass(frozen=True, slots=True)
class ListenerFact:
    """A port mail can be handed to, as people configure it elsewhere."""

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


class CheckReport(Protocol):
    """What a check found."""

    @property
    def ok(self) -> bool:
        """Whether the server can be used."""
        ...

    @property
    def sentence(self) -> str:
        """What was found, in one sentence that a person can act on."""
        ...


class Checker(Protocol):
    """Tries a server out, step by step."""

    async def check(
        self, server: Server, app: App, *, mail: bool, sender: str | None
    ) -> CheckReport:
        """With `mail` its last step is a mail to the app's test address, and the result enables or
        disables the server.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rooms:
    """All that lies below and that requests reach; made once, by wiring."""

    storage: Storage
    door: Door
    authenticator: Authenticator
    clock: Clock
    hostname: str
    version: str
    started_at: int
    """When this process began to serve, in milliseconds since the Unix epoch."""
    metrics_text: Callable[[], bytes]
    """The metrics in Prometheus' text format."""
    smtp_facts: Callable[[], SmtpFacts]
    sign_in: SignIn
    config: ApiConfig = field(default_factory=ApiConfig)
    connect: ConnectConfig = field(default_factory=ConnectConfig)
    recipes: Callable[[], Book] = Book
    """How programs are connected; read when it is first asked for."""
    gate: Gate | None = None
    """Whether mail can be taken charge of just now; without one, always."""
    checker: Checker | None = None
    """Who tries servers out; without one, nobody does."""
    note_refusal: Callable[[str, str, str], None] = lambda code, name, sentence: None
    """Hears of every message that was refused: error code, whose it was, the sentence."""

    def ways_in(self) -> WaysIn:
        """Where programs connect, the recommended way first. Raises `NoWayIn`."""
        ports = [(each.host, each.port, each.security) for each in self.smtp_facts().listeners]
        return ways_in(ports, self.hostname, self.connect)
