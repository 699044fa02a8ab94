"""our SMTP ports: opened, served, closed and drained"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Literal

from pillarbox.net import ports
from pillarbox.net.errors import CannotListen
from pillarbox.net.interface import Admit, SessionHandler, admit_everybody
from pillarbox.net.port_terms import Patience, PortTerms
from pillarbox.net.sessions import Sessions
from pillarbox.net.smtp_server import SmtpServerProtocol
from pillarbox.net.tls_port import TlsPort
from pillarbox.protocol.extensions import ServerLimits
from pillarbox.terms.setting import InvalidSetting, setting

_MEGABYTE: Final = 1024 * 1024
_LOOPBACK: Final = "127.0.0.1"

_log = logging.getLogger(__name__)


class PortKind(StrEnum):
    """What a client meets on a port; also what `Peer.listener` says."""

    STARTTLS = "starttls"
    TLS = "tls"
    LOCAL = "local"


_TLS: Final[dict[PortKind, Literal["none", "starttls", "active"]]] = {
    PortKind.STARTTLS: "starttls",
    PortKind.TLS: "active",
    PortKind.LOCAL: "none",
}


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """Where and from whom mail is taken."""

    listen: str = setting(
        "127.0.0.1", "Address to listen on; 0.0.0.0 opens the ports to all networks."
    )
    starttls_ports: tuple[int, ...] = setting(
        (2525,), "Ports on which clients begin in clear and must say STARTTLS before they log in."
    )
    tls_ports: tuple[int, ...] = setting((2465,), "Ports that speak TLS from the first byte.")
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
    max_message_mb: int = setting(25, "Largest message taken, in units of 1,048,576 bytes.")
    max_recipients: int = setting(1000, "Most recipients one message may have.")
    max_sessions: int = setting(1000, "Most connections at once, over all ports.")
    max_sessions_per_address: int = setting(200, "Most connections at once from one address.")
    max_sessions_per_login: int = setting(
        500, "Most connections at once that have logged in with one credential; 0 for no limit."
    )
    idle_seconds: int = setting(300, "A client that says nothing for so long is sent away.")
    session_seconds: int = setting(3600, "A connection older than this is ended between messages.")
    max_errors: int = setting(10, "A client that makes so many errors is sent away.")

    def __post_init__(self) -> None:
        for name in ("max_message_mb", "max_recipients", "max_sessions", "idle_seconds"):
            if getattr(self, name) < 1:
                raise InvalidSetting(f"{name} must be at least 1")
        every = (*self.starttls_ports, *self.tls_ports, *self.local_ports)
        twice = {port for port in every if port and every.count(port) > 1}
        if twice:
            raise InvalidSetting(f"port {min(twice)} is listed twice")


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """One port that is open."""

    host: str
    port: int
    kind: PortKind
    note: str
    """Empty, or why this is not the port that was asked for."""


class Listener:
    """All SMTP ports of this process, under common caps."""

    def __init__(
        self,
        config: SmtpConfig,
        make_handler: Callable[[], SessionHandler],
        *,
        hostname: str,
        tls: ssl.SSLContext | None,
        mail_parameters: frozenset[str] = frozenset(),
        patience: Patience | None = None,
        admit: Admit = admit_everybody,
    ) -> None:
        """`tls` may be None only where there are neither STARTTLS nor TLS ports.

        `mail_parameters` are those of MAIL and RCPT that the handlers understand besides SIZE and
        BODY. `patience` replaces what `config` says about times, `admit` is asked
        about every client.
        """
        self._config = config
        self._make_handler = make_handler
        self._hostname = hostname
        self._tls = tls
        self._mail_parameters = mail_parameters
        self._patience = patience or Patience(
            idle_seconds=config.idle_seconds, session_seconds=config.session_seconds
        )
        self._admit = admit
        self._sessions = Sessions(config.max_sessions, config.max_sessions_per_address)
        self._bound: list[tuple[PortKind, ports.Bound]] = []
        self._servers: list[asyncio.AbstractServer | TlsPort] = []

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    @property
    def open_ports(self) -> tuple[ListeningPort, ...]:
        """What is listened on, in the order of the config."""
        return tuple(
            ListeningPort(bound.host, bound.port, kind, bound.note) for kind, bound in self._bound
        )

    def bind(self, *, take_next_port: bool = False) -> tuple[ListeningPort, ...]:
        """Open the ports; clients wait in the backlog until `start`.

        With `take_next_port` a busy port is replaced by the next free one. Raises `PortInUse`,
        `PortNotPermitted` or `CannotListen`, and then no port is open.
        """
        config = self._config
        wanted = [
            *((PortKind.STARTTLS, config.listen, port) for port in config.starttls_ports),
            *((PortKind.TLS, config.listen, port) for port in config.tls_ports),
            *((PortKind.LOCAL, _LOOPBACK, port) for port in config.local_ports),
        ]
        try:
            for kind, host, port in wanted:
                if kind is not PortKind.LOCAL and self._tls is None:
                    raise CannotListen(f"port {port} needs a certificate")
                bound = ports.bind(host, port, take_next_port=take_next_port)
                self._bound.append((kind, bound))
        except BaseException:
            self._close_sockets()
            raise
        return self.open_ports

    async def start(self, *, take_next_port: bool = False) -> tuple[ListeningPort, ...]:
        """Take clients from now on; opens the ports where `bind` was not called before."""
        if not self._bound:
            self.bind(take_next_port=take_next_port)
        loop = asyncio.get_running_loop()
        for kind, bound in self._bound:
            make_session = partial(SmtpServerProtocol, self._terms(kind, bound.port))
            if kind is PortKind.TLS:
                self._servers.append(TlsPort(bound.sock, make_session))
            else:
                self._servers.append(await loop.create_server(make_session, sock=bound.sock))
        return self.open_ports

    def stop_accepting(self) -> None:
        """Close the ports; clients that are connected go on."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        self._close_sockets()

    async def drain(self, seconds: float) -> int:
        """Let clients finish what they began, at most `seconds`; how many had to be cut off.

        Idle ones hear 421 at once, the others after the reply that is owed to them or at the end
        of their transaction.
        """
        self.stop_accepting()
        late = await self._sessions.drain(seconds)
        if late:
            _log.warning("%d SMTP sessions did not end in time and were cut off", late)
        return late

    def _close_sockets(self) -> None:
        for _, bound in self._bound:
            bound.sock.close()
        self._bound.clear()

    def _terms(self, kind: PortKind, port: int) -> PortTerms:
        return PortTerms(
            name=kind.value,
            limits=self._limits(kind),
            hostname=self._hostname,
            make_handler=self._make_handler,
            sessions=self._sessions,
            patience=self._patience,
            tls=self._tls,
            port=port,
            admit=self._admit,
        )

    def _limits(self, kind: PortKind) -> ServerLimits:
        config = self._config
        protected = kind is not PortKind.LOCAL
        return ServerLimits(
            max_message_bytes=config.max_message_mb * _MEGABYTE,
            max_recipients=config.max_recipients,
            max_errors=config.max_errors,
            tls=_TLS[kind],
            require_tls=protected,
            auth="tls" if protected else "clear",
            require_login=protected or not config.local_credential,
            mail_parameters=self._mail_parameters,
        )
