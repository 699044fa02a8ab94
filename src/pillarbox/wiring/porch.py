"""the SMTP porch: certificates, ports by role, and which handler meets whom"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from pillarbox.api.rooms import ListenerFact, SmtpFacts
from pillarbox.net.certificates import Certificates
from pillarbox.net.interface import NoteProblem, SessionHandler
from pillarbox.net.listener import Listener, ListeningPort
from pillarbox.net.port_terms import log_problem
from pillarbox.net.smtp_ports import PortKind, Purpose
from pillarbox.net.tls import ensure_local_ca
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.problems import Problem, ProblemKind, shown
from pillarbox.protocol import replies
from pillarbox.protocol.reply import Reply
from pillarbox.services.bounces.session import BounceDesk, BounceSession, BroughtBack
from pillarbox.services.submission.desk import Desk
from pillarbox.services.submission.entrance import Entrance
from pillarbox.services.submission.session import SubmissionSession
from pillarbox.settings import Settings
from pillarbox.terms.clock import Clock
from pillarbox.wiring.either_session import EitherSession

MEGABYTE: Final = 1024 * 1024

_BY_ROLE: Final[Mapping[str, Purpose]] = {
    "smtp": Purpose.SUBMISSION,
    "bounces": Purpose.BOUNCES,
}
_SECURITY: Final = {PortKind.STARTTLS: "STARTTLS", PortKind.TLS: "TLS", PortKind.LOCAL: "plain"}


class NothingOurs:
    """No mail has left under a return path of our own, so nothing can come back to one."""

    async def knows(self, address: str) -> bool:
        """None is."""
        return False

    async def take(self, brought: BroughtBack) -> Reply:
        """Not reached while no address is known; and nothing is taken that is not kept."""
        return replies.TRY_LATER


def build_listener(
    settings: Settings, clock: Clock, metrics: Metrics, desk: Desk
) -> tuple[Listener, Certificates, Path | None]:
    """The listener, what it shows, and the certificate of our own authority where that is used.

    Raises `TlsFilesUnusable`.
    """
    certificates, ca_path = _certificates(settings, clock)
    bounce_desk = BounceDesk(
        NothingOurs(), metrics, settings.hostname, settings.smtp.max_bounce_mb * MEGABYTE
    )
    listener = Listener(
        settings.smtp,
        handlers(desk, bounce_desk),
        hostname=settings.hostname,
        tls=certificates.current,
        mail_parameters=frozenset({"AUTH", "RET", "ENVID", "SMTPUTF8", "REQUIRETLS"}),
        purposes=[_BY_ROLE[role] for role in settings.roles if role in _BY_ROLE],
        admit=desk.entrance.admit,
        note_problem=problems_of(desk.entrance),
    )
    return listener, certificates, ca_path


def handlers(desk: Desk, bounce_desk: BounceDesk) -> Callable[[frozenset[Purpose]], SessionHandler]:
    """Makes the handler of a session, by what its port is for."""

    def make(purposes: frozenset[Purpose]) -> SessionHandler:
        if Purpose.BOUNCES not in purposes:
            return SubmissionSession(desk)
        if Purpose.SUBMISSION not in purposes:
            return BounceSession(bounce_desk)
        bounces = BounceSession(bounce_desk, stranger=replies.LOGIN_FIRST)
        return EitherSession(bounces, lambda: SubmissionSession(desk))

    return make


def problems_of(entrance: Entrance) -> NoteProblem:
    """Logs what kept a client from becoming a session, and keeps it for the operator."""

    def note(problem: str, address: str, port: int, listener: str, detail: str) -> None:
        log_problem(problem, address, port, listener, detail)
        # Who only brings something back is a stranger, whom nobody can tell what to change.
        if listener != Purpose.BOUNCES.value:
            entrance.note(Problem(ProblemKind(problem), address, port, detail=shown(detail)))

    return note


def facts_of(ports: Collection[ListeningPort], ca_path: Path | None) -> SmtpFacts:
    """The ports as they were opened, for whoever must configure a program."""
    return SmtpFacts(
        tuple(_fact(port) for port in ports if Purpose.SUBMISSION in port.purposes),
        str(ca_path or ""),
        tuple(_fact(port) for port in ports if Purpose.BOUNCES in port.purposes),
    )


def _fact(port: ListeningPort) -> ListenerFact:
    return ListenerFact(port.host, port.port, _SECURITY[port.kind], port.note)


def _certificates(settings: Settings, clock: Clock) -> tuple[Certificates, Path | None]:
    pairs = settings.tls.pairs
    if pairs:
        return Certificates(pairs, clock), None

    names = [settings.hostname, settings.tracking.host.partition(":")[0]]

    def renew() -> None:
        ensure_local_ca(settings.data_dir, names, clock=clock)

    local = ensure_local_ca(settings.data_dir, names, clock=clock)
    pair = (str(local.cert_path), str(local.key_path))
    return Certificates([pair], clock, renew=renew, hostname=settings.hostname), local.ca_path
