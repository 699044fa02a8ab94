"""our SMTP ports: opened, served, closed and drained"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Literal

from pillarbox.net import ports
from pillarbox.net.arrivals import Arrivals
from pillarbox.net.budget import ContentBudget
from pillarbox.net.errors import CannotListen
from pillarbox.net.hand_port import HandPort
from pillarbox.net.interface import Admit, NoteProblem, SessionHandler, is_loopback
from pillarbox.net.port_terms import Patience, PortTerms, admit_everybody, log_problem
from pillarbox.net.sessions import Sessions
from pillarbox.net.smtp_ports import (
    LOOPBACK,
    PlannedPort,
    PortKind,
    Purpose,
    SmtpConfig,
    plan_ports,
)
from pillarbox.net.smtp_server import SmtpServerProtocol
from pillarbox.observe.log import logger
from pillarbox.protocol import replies
from pillarbox.protocol.extensions import ServerLimits

_MEGABYTE: Final = 1024 * 1024
_FOR_BOUNCES: Final = frozenset({"SMTPUTF8"})
"""What other servers may ask for; DSN is not: a notice about a notice goes to nobody."""

_log = logger("net")

_BY_NAME: Final[Mapping[str, tuple[PortKind, Purpose]]] = {
    "starttls": (PortKind.STARTTLS, Purpose.SUBMISSION),
    "tls": (PortKind.TLS, Purpose.SUBMISSION),
    "bounces": (PortKind.STARTTLS, Purpose.BOUNCES),
}
"""What a socket is for that was passed to us under a name."""

_TLS: Final[dict[PortKind, Literal["none", "starttls", "active"]]] = {
    PortKind.STARTTLS: "starttls",
    PortKind.TLS: "active",
    PortKind.LOCAL: "none",
}


@dataclass(frozen=True, slots=True)
class ListeningPort:
    """One port that is open."""

    host: str
    port: int
    kind: PortKind
    note: str
    """Empty, or why this is not the port that was asked for."""
    purposes: frozenset[Purpose] = frozenset({Purpose.SUBMISSION})


class Listener:
    """All SMTP ports of this process, under common caps."""

    def __init__(
        self,
        config: SmtpConfig,
        make_handler: Callable[[frozenset[Purpose]], SessionHandler],
        *,
        hostname: str,
        tls: Callable[[], ssl.SSLContext] | None,
        mail_parameters: frozenset[str] = frozenset(),
        purposes: Collection[Purpose] = tuple(Purpose),
        patience: Patience | None = None,
        admit: Admit = admit_everybody,
        note_problem: NoteProblem = log_problem,
    ) -> None:
        """`make_handler` is told what the client's port is for; `purposes` are those to open
        ports for. `tls` gives what the next handshake is done with, and may be None only where
        there are neither STARTTLS nor TLS ports.

        `mail_parameters` are those of MAIL and RCPT that the handlers understand besides SIZE and
        BODY. `patience` replaces what `config` says about times. `admit` is asked where logins are
        taken.
        """
        self._config = config
        self._make_handler = make_handler
        self._hostname = hostname
        self._tls = tls
        self._mail_parameters = mail_parameters
        self._purposes = frozenset(purposes)
        self._patience = patience or Patience(
            idle_seconds=config.idle_seconds, session_seconds=config.session_seconds
        )
        self._admit = admit
        self._note_problem = note_problem
        self._sessions = Sessions(config.max_sessions, config.max_sessions_per_address)
        self._budget = ContentBudget(config.content_memory_mb * _MEGABYTE)
        self._arrivals = Arrivals(config.max_arrivals_per_minute)
        self._bound: list[tuple[PlannedPort, ports.Bound]] = []
        self._servers: list[asyncio.AbstractServer | HandPort] = []

    @property
    def sessions(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    @property
    def open_ports(self) -> tuple[ListeningPort, ...]:
        """What is listened on, in the order of the config."""
        return tuple(
            ListeningPort(bound.host, bound.port, plan.kind, bound.note, plan.purposes)
            for plan, bound in self._bound
        )

    def bind(
        self, *, take_next_port: bool = False, passed: Sequence[ports.Passed] = ()
    ) -> tuple[ListeningPort, ...]:
        """Open the ports; clients wait in the backlog until `start`.

        With `take_next_port` a busy port is replaced by the next free one. A socket among `passed`
        is used for the configured port of its number, on whatever address it listens; or, where it
        has the name of a kind of port, in place of all configured ports of that kind. Raises
        `PortInUse`, `PortNotPermitted` or `CannotListen`, and then no port is open.
        """
        planned = tuple(plan_ports(self._config, self._purposes))
        try:
            named = {sock.name for sock in passed} & set(_BY_NAME)
            given = [(self._plan_for(sock, planned), sock) for sock in passed]
            numbers = {plan.port for plan, _ in given}
            for plan, sock in given:
                self._bound.append((plan, sock.adopt()))
            for plan in planned:
                if plan.name not in named and (not plan.port or plan.port not in numbers):
                    self._bind(plan, take_next_port=take_next_port)
        except BaseException:
            self._close_sockets()
            raise
        return self.open_ports

    async def start(self, *, take_next_port: bool = False) -> tuple[ListeningPort, ...]:
        """Take clients from now on; opens the ports where `bind` was not called before."""
        if not self._bound:
            self.bind(take_next_port=take_next_port)
        loop = asyncio.get_running_loop()
        for plan, bound in self._bound:
            make_session = partial(SmtpServerProtocol, self._terms(plan, bound.port))
            balancers = self._config.balancers if plan.kind is not PortKind.LOCAL else ()
            if plan.kind is PortKind.TLS or balancers:
                server: asyncio.AbstractServer | HandPort = HandPort(
                    bound.sock,
                    make_session,
                    balancers=balancers,
                    header_seconds=self._patience.proxy_header_seconds,
                )
            else:
                server = await loop.create_server(
                    make_session, sock=bound.sock, backlog=ports.BACKLOG
                )
            self._servers.append(server)
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
            _log.warning("sessions.cut_off", sessions=late)
        return late

    def _bind(self, plan: PlannedPort, *, take_next_port: bool) -> None:
        if plan.kind is not PortKind.LOCAL and self._tls is None:
            raise CannotListen(f"port {plan.port} needs a certificate")
        # Where IPv4 is listened on by itself, :: must leave it alone.
        alone = plan.host == "::" and len(self._config.addresses) > 1
        bound = ports.bind(plan.host, plan.port, take_next_port=take_next_port, only_ipv6=alone)
        self._bound.append((plan, bound))

    def _plan_for(self, sock: ports.Passed, planned: Collection[PlannedPort]) -> PlannedPort:
        """What a socket that was passed to us is for: its name says it, or else its port.

        Raises `CannotListen`.
        """
        of_port = [plan for plan in planned if plan.port and plan.port == sock.port]
        kind, purpose = _BY_NAME.get(sock.name, (None, None))
        found = next((plan for plan in of_port if kind is None or plan.name == sock.name), None)
        if found is None and kind is not None and purpose in self._purposes:
            found = PlannedPort(kind, frozenset({purpose}), sock.host, sock.port)
        if found is None:
            raise CannotListen(
                f"a socket was passed for port {sock.port}, which no setting of this node names",
                fix="name the socket: FileDescriptorName=starttls, tls, bounces or http; or list "
                "its port in the settings",
            )
        if found.kind is PortKind.LOCAL and not is_loopback(sock.host):
            raise CannotListen(
                f"the plain port {sock.port} was passed open to {sock.host}",
                fix=f"let it listen on this machine alone: ListenStream={LOOPBACK}:{sock.port}",
            )
        return replace(found, host=sock.host, port=sock.port)

    def _close_sockets(self) -> None:
        for _, bound in self._bound:
            bound.sock.close()
        self._bound.clear()

    def _terms(self, plan: PlannedPort, port: int) -> PortTerms:
        in_tls = plan.kind is PortKind.TLS
        said = replies.tls_expected if in_tls else replies.clear_expected
        return PortTerms(
            name=plan.name,
            limits=self._limits(plan),
            hostname=self._hostname,
            make_handler=partial(self._make_handler, plan.purposes),
            sessions=self._sessions,
            patience=self._patience,
            tls=self._tls,
            begins_in_tls=in_tls,
            port=port,
            mistaken=said(self._instead(PortKind.STARTTLS if in_tls else PortKind.TLS)),
            budget=self._budget,
            arrivals=self._arrivals,
            admit=self._admit if Purpose.SUBMISSION in plan.purposes else admit_everybody,
            note_problem=self._note_problem,
        )

    def _instead(self, kind: PortKind) -> int:
        """The first port of this kind that takes submissions; 0 where there is none."""
        fitting = (
            bound.port
            for plan, bound in self._bound
            if plan.kind is kind and Purpose.SUBMISSION in plan.purposes
        )
        return next(fitting, 0)

    def _limits(self, plan: PlannedPort) -> ServerLimits:
        config = self._config
        protected = plan.kind is not PortKind.LOCAL
        takes_bounces = Purpose.BOUNCES in plan.purposes
        takes_mail = Purpose.SUBMISSION in plan.purposes
        auth: Literal["tls", "clear", "none"] = "tls" if protected else "clear"
        return ServerLimits(
            # Where both are taken, the larger size is offered and the handler keeps the smaller.
            max_message_bytes=(config.max_message_mb if takes_mail else config.max_bounce_mb)
            * _MEGABYTE,
            max_recipients=config.max_recipients,
            max_errors=config.max_errors,
            max_idle_commands=config.max_idle_commands,
            tls=_TLS[plan.kind],
            require_tls=protected and not takes_bounces,
            auth=auth if takes_mail else "none",
            require_login=(protected or not config.local_credential) and not takes_bounces,
            mail_parameters=(
                self._mail_parameters if takes_mail else self._mail_parameters & _FOR_BOUNCES
            ),
        )
