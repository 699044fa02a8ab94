"""which SMTP ports there are: how each begins, what it is for, and from whom it takes a PROXY header"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from pillarbox.terms.setting import InvalidSetting, setting

LOOPBACK: Final = "127.0.0.1"
_LEAST_ONE: Final = (
    "max_message_mb", "max_bounce_mb", "max_recipients", "max_sessions", "idle_seconds",
    "content_memory_mb", "max_idle_commands",
)  # fmt: skip

Network = IPv4Network | IPv6Network


class PortKind(StrEnum):
    """How a connection to a port begins."""

    STARTTLS = "starttls"
    TLS = "tls"
    LOCAL = "local"


class Purpose(StrEnum):
    """What a port is for."""

    SUBMISSION = "submission"
    """Whoever has a login hands in mail."""
    BOUNCES = "bounces"
    """Anybody brings back what could not be delivered, and nothing else."""


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """Where and from whom mail is taken."""

    listen: tuple[str, ...] | str = setting(
        ("127.0.0.1",),
        "Addresses to listen on, IPv4 or IPv6; `*` is every address of this machine.",
    )
    starttls_ports: tuple[int, ...] = setting(
        (2525,), "Ports on which clients begin in clear and must say STARTTLS before they log in."
    )
    tls_ports: tuple[int, ...] = setting((2465,), "Ports that speak TLS from the first byte.")
    bounce_ports: tuple[int, ...] = setting(
        (),
        "Ports on which other servers bring back mail that could not be delivered, without a login "
        "and with STARTTLS if they like; one that is also among starttls_ports or tls_ports serves "
        "both.",
    )
    local_ports: tuple[int, ...] = setting(
        (),
        "Plain ports, open on loopback only, for programs of this machine that can do neither "
        "TLS nor login.",
    )
    local_credential: str = setting(
        "",
        "Name of the credential under which mail on local_ports is taken without a login; "
        "empty: they must log in.",
    )
    proxy_from: tuple[str, ...] = setting(
        (),
        "Addresses and networks of balancers, as in 192.0.2.0/24; their connections must begin with "
        "a PROXY header, which names the client. Not on local_ports.",
    )
    max_message_mb: int = setting(25, "Largest message taken, in units of 1,048,576 bytes.")
    max_bounce_mb: int = setting(
        1, "Largest message taken without a login on bounce_ports, in units of 1,048,576 bytes."
    )
    max_recipients: int = setting(1000, "Most recipients one message may have.")
    max_sessions: int = setting(
        1000, "Most connections at once, over all ports; those of this machine are counted apart."
    )
    max_sessions_per_address: int = setting(
        200, "Most connections at once from one address, or from one /64 network of IPv6."
    )
    max_sessions_per_login: int = setting(
        500, "Most connections at once that have logged in with one credential; 0 for no limit."
    )
    max_arrivals_per_minute: int = setting(
        3000,
        "Most new connections in a minute from one address or /64 network, this machine excepted; 0 "
        "sets no limit.",
    )
    idle_seconds: int = setting(300, "A client that says nothing for so long is sent away.")
    session_seconds: int = setting(3600, "A connection older than this is ended between messages.")
    content_memory_mb: int = setting(
        256,
        "Memory for content that is arriving, over all sessions; beyond it clients are told to "
        "come back.",
    )
    max_idle_commands: int = setting(
        1000, "A client that says so many commands that lead to no message is sent away."
    )
    max_errors: int = setting(10, "A client that makes so many errors is sent away.")

    def __post_init__(self) -> None:
        for name in _LEAST_ONE:
            if getattr(self, name) < 1:
                raise InvalidSetting(f"{name} must be at least 1")
        for name in ("max_arrivals_per_minute", "max_sessions_per_login"):
            if getattr(self, name) < 0:
                raise InvalidSetting(f"{name} is counted from 0, which is no limit")
        if not self.addresses or not all(self.addresses):
            raise InvalidSetting("listen names no address; * is every address of this machine")
        if len(set(self.addresses)) < len(self.addresses):
            raise InvalidSetting("listen names an address twice")
        if "*" in self.addresses and len(self.addresses) > 1:
            raise InvalidSetting("listen names every address with *, so it can name no other")
        _refuse_doubles(*self.starttls_ports, *self.tls_ports, *self.local_ports)
        _refuse_doubles(*self.bounce_ports, *self.local_ports)
        for text in self.proxy_from:
            _network(text)

    @property
    def addresses(self) -> tuple[str, ...]:
        """What `listen` names."""
        return (self.listen,) if isinstance(self.listen, str) else self.listen

    @property
    def balancers(self) -> tuple[Network, ...]:
        """What `proxy_from` names."""
        return tuple(_network(text) for text in self.proxy_from)


@dataclass(frozen=True, slots=True)
class PlannedPort:
    """One port that is to be opened."""

    kind: PortKind
    purposes: frozenset[Purpose]
    host: str
    port: int

    @property
    def name(self) -> str:
        """What `Peer.listener` says."""
        return self.kind.value if Purpose.SUBMISSION in self.purposes else Purpose.BOUNCES.value


def plan_ports(config: SmtpConfig, wanted: Collection[Purpose]) -> Iterator[PlannedPort]:
    """Every port of the config that serves one of the purposes `wanted`, in the config's order."""
    lists = {PortKind.STARTTLS: config.starttls_ports, PortKind.TLS: config.tls_ports}
    both = set(config.bounce_ports) - {0}
    for kind, ports in lists.items():
        for port in ports:
            purposes = {Purpose.SUBMISSION, *([Purpose.BOUNCES] if port in both else [])}
            yield from _at_each(config.addresses, kind, purposes & {*wanted}, port)
    bounces, submission = {Purpose.BOUNCES} & {*wanted}, {Purpose.SUBMISSION} & {*wanted}
    for port in config.bounce_ports:
        if not port or port not in (*config.starttls_ports, *config.tls_ports):
            yield from _at_each(config.addresses, PortKind.STARTTLS, bounces, port)
    for port in config.local_ports:
        yield from _at_each((LOOPBACK,), PortKind.LOCAL, submission, port)


def _at_each(
    addresses: tuple[str, ...], kind: PortKind, purposes: set[Purpose], port: int
) -> Iterator[PlannedPort]:
    if purposes:
        for host in addresses:
            yield PlannedPort(kind, frozenset(purposes), host, port)


def _refuse_doubles(*ports: int) -> None:
    twice = {port for port in ports if port and ports.count(port) > 1}
    if twice:
        raise InvalidSetting(f"port {min(twice)} is listed twice")


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as wrong:
        raise InvalidSetting(
            f"proxy_from takes addresses and networks such as 192.0.2.0/24: {wrong}"
        ) from wrong
