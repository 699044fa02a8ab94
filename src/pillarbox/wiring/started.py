"""what there is to say once everything is ready"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.api.rooms import SmtpFacts
from pillarbox.terms.secret import Secret


@dataclass(frozen=True, slots=True)
class Started:
    """Where to connect, what is shown once, what waits."""

    version: str
    data_dir: str
    created: bool
    """This is the first start: the secrets below are given now and never again."""
    http_url: str
    http_note: str
    """Why it is not the port asked for; empty where it is."""
    smtp: list[tuple[str, int, str, str]]
    """Host, port, ``STARTTLS``, ``TLS`` or ``plain``, and why it is not the port asked for."""
    ca_path: str
    first_username: str | None
    first_password: Secret | None
    first_key: Secret | None
    mode: str
    """The loosest mode any app has."""
    waiting: int
    seconds: float
    """From the call to being ready."""
    last_message: str | None
    database: str = ""
    """Where mail rests, without a password; empty for the data directory."""
    node: str = ""
    roles: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()
    """Names of the servers whose certificate nobody checks."""
    tracking_host: str = ""
    """Where tracked links lead; empty where there is no such host."""
    tracking: tuple[tuple[str, int, str], ...] = ()
    """Host, port and ``TLS`` or ``plain``, where this node answers for it."""


def ports_of(facts: SmtpFacts) -> list[tuple[str, int, str, str]]:
    """The SMTP ports: host, port, what secures it or what it is for, and a note."""
    only_bounces = [each for each in facts.bounces if each not in facts.listeners]
    return [
        *((each.host, each.port, each.security, each.note) for each in facts.listeners),
        *((each.host, each.port, "bounces", each.note) for each in only_bounces),
    ]
