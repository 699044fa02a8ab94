"""what a program needs to know to hand mail over: host, port, encryption, user name

Of the ports that are open one is recommended: TLS from the first byte before STARTTLS (RFC 8314
§3.3), one that others can reach before one on loopback, a well-known number before any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import ip_address
from typing import Final

from pillarbox.policy.authority import is_allowed
from pillarbox.policy.credential import Credential
from pillarbox.policy.directory import App
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.hostname import InvalidHostname, parse_domain
from pillarbox.terms.setting import InvalidSetting, setting

NOBODY: Final = "you@example.com"
"""The author in an example, where nothing is known of who will be one."""

PASSWORD: Final = "YOUR_PASSWORD"
"""Stands where the password belongs: only its hash is kept, so nobody can fill it in later."""

_LOCAL: Final = "localhost"
_INCOMING: Final = re.compile(
    r"(?P<kind>imap|pop3)(?P<tls>s?)://(?P<host>[^/:@?#\s]{1,255})(?::(?P<port>\d{1,5}))?/?"
)
_INCOMING_PORTS: Final = {"imaps": 993, "imap": 143, "pop3s": 995, "pop3": 110}
_HIGHEST_PORT: Final = 65535
_LONGEST: Final = 4096


class Security(StrEnum):
    """How a connection is encrypted, in the words of `ListenerFact`."""

    TLS = "TLS"
    STARTTLS = "STARTTLS"


_USUAL_PORTS: Final = {Security.TLS: (465,), Security.STARTTLS: (587, 2525, 25)}


class NoWayIn(PillarboxError):
    """No port is open here that a program could be told to connect to."""

    code = "wrong_state"


class NotUsable(PillarboxError):
    """What a program is to be told has characters that no program could be told."""

    code = "invalid_value"


class InvalidIncoming(PillarboxError):
    """An incoming server is written as imaps://mail.example.com or pop3s://mail.example.com:995."""

    code = "invalid_value"


@dataclass(frozen=True, slots=True)
class Incoming:
    """Where mail programs read mail: somebody else's server, since Pillarbox keeps no mailboxes."""

    kind: str
    """``imap`` or ``pop3``."""
    host: str
    port: int
    security: Security


def parse_incoming(text: str) -> Incoming:
    """``imaps://HOST`` is TLS from the first byte, ``imap://HOST`` STARTTLS; ``pop3`` likewise.

    Raises `InvalidIncoming`.
    """
    found = _INCOMING.fullmatch(text)
    if found is None:
        raise InvalidIncoming()
    kind, tls = found["kind"], found["tls"]
    port = int(found["port"] or _INCOMING_PORTS[kind + tls])
    if not 0 < port <= _HIGHEST_PORT:
        raise InvalidIncoming(f"a port is a number from 1 to {_HIGHEST_PORT}")
    try:
        host = parse_domain(found["host"])
    except InvalidHostname as wrong:
        raise InvalidIncoming(f"the incoming server's name: {wrong.sentence}") from wrong
    return Incoming(kind, host, port, Security.TLS if tls else Security.STARTTLS)


@dataclass(frozen=True, slots=True)
class ConnectConfig:
    """What programs are told about how to connect, where it is not what is seen from here."""

    tls_port: int = setting(
        0,
        "Port at which programs reach one that speaks TLS from the first byte, where a firewall or "
        "a container engine stands before ours; 0: as it is open here.",
    )
    starttls_port: int = setting(
        0, "The same for STARTTLS. Where one of the two is set, nothing else is recommended."
    )
    incoming: str = setting(
        "",
        "Server that mail programs read mail from, as imaps://mail.example.com; empty: none is "
        "known, and programs that need one cannot set themselves up.",
    )

    def __post_init__(self) -> None:
        """Raises `InvalidSetting`."""
        try:
            if self.incoming:
                parse_incoming(self.incoming)
        except InvalidIncoming as wrong:
            raise InvalidSetting(f"incoming: {wrong.sentence}") from wrong

    @property
    def incoming_server(self) -> Incoming | None:
        """What `incoming` says."""
        return parse_incoming(self.incoming) if self.incoming else None


@dataclass(frozen=True, slots=True)
class WayIn:
    """A port as programs are told of it."""

    port: int
    security: Security


@dataclass(frozen=True, slots=True)
class WaysIn:
    """Where programs connect: at least one way, the recommended one first."""

    host: str
    ways: tuple[WayIn, ...]

    def by(self, security: Security | None) -> WayIn:
        """The way with that encryption, or the recommended one. Raises `NoWayIn`."""
        for way in self.ways:
            if security in (None, way.security):
                return way
        raise NoWayIn(
            f"No port with {security} is open here.",
            fix=f"Use {self.ways[0].security}, or open one: smtp.tls_ports, smtp.starttls_ports.",
        )


def ways_in(ports: Iterable[tuple[str, int, str]], hostname: str, config: ConnectConfig) -> WaysIn:
    """Where programs connect, out of the open ports: address, port and kind of encryption of each.

    Unencrypted ports are nobody's recommendation and left out. Raises `NoWayIn`.
    """
    told = {Security.TLS: config.tls_port, Security.STARTTLS: config.starttls_port}
    if any(told.values()):
        return WaysIn(hostname, tuple(WayIn(told[each], each) for each in Security if told[each]))
    usable = [each for each in ports if each[2] in tuple(Security)]
    outside = [each for each in usable if not _is_loopback(each[0])]
    ways = []
    for security in Security:
        numbers = [port for _, port, kind in outside or usable if kind == security]
        if numbers:
            usual = [port for port in _USUAL_PORTS[security] if port in numbers]
            ways.append(WayIn((usual or numbers)[0], security))
    if not ways:
        raise NoWayIn(
            fix="Start Pillarbox with the role smtp, or say where programs connect: "
            "connect.tls_port, connect.starttls_port."
        )
    return WaysIn(hostname if outside else _LOCAL, tuple(ways))


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """What one login's program is told. Raises `NotUsable` for what no configuration could hold."""

    credential: str
    username: str
    host: str
    port: int
    security: Security
    sender: str
    """An address that the login may send from."""
    ca_path: str = ""
    """The certificate of the local authority on this machine; empty: the system's will do."""
    tls_port: int = 0
    starttls_port: int = 0
    """Both that there are, whichever was chosen; 0: there is none."""
    incoming: str = ""
    password: str = field(default=PASSWORD, repr=False)

    def __post_init__(self) -> None:
        for name in ("credential", "username", "host", "sender", "ca_path", "password"):
            value = getattr(self, name)
            if not value.isprintable() or len(value) > _LONGEST:
                raise NotUsable(
                    f"the {name.replace('_', ' ')} has a control character or is too long"
                )

    @property
    def is_local(self) -> bool:
        """Whether only programs of this machine can connect."""
        return self.host == _LOCAL


def login_facts(
    credential: Credential,
    app: App,
    ways: WaysIn,
    *,
    ca_path: str = "",
    incoming: str = "",
    security: Security | None = None,
) -> LoginFacts:
    """The facts about a login that connects with `security`, or in the recommended way.

    Raises `NoWayIn` and `NotUsable`.
    """
    way = ways.by(security)
    ports = {each.security: each.port for each in ways.ways}
    return LoginFacts(
        credential=credential.name,
        username=credential.username,
        host=ways.host,
        port=way.port,
        security=way.security,
        sender=sample_sender(app, credential),
        ca_path=ca_path,
        tls_port=ports.get(Security.TLS, 0),
        starttls_port=ports.get(Security.STARTTLS, 0),
        incoming=incoming,
    )


def sample_sender(app: App, credential: Credential) -> str:
    """An author the login may use, as far as one can be told from the lists of allowed senders."""
    lists = [each for each in (credential.allowed_senders, app.allowed_senders) if each]
    named = [pattern for patterns in lists for pattern in patterns]
    addresses = [pattern for pattern in named if "@" in pattern and "*" not in pattern]
    domains = [f"you@{pattern}" for pattern in named if "@" not in pattern and "*" not in pattern]
    for address in (*addresses, app.from_address, *domains):
        if address and all(is_allowed(patterns, address) for patterns in lists):
            return address
    return NOBODY


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == _LOCAL
