"""sessions with MX hosts, counted for the domains that want to know what became of them (RFC 8460)"""

from __future__ import annotations

from pillarbox.net.client_facts import ConnectionFacts
from pillarbox.net.errors import Broken
from pillarbox.policy.server import Server
from pillarbox.policy.tls_plan import ReportedPolicy, TlsPlan
from pillarbox.policy.tls_report import Counted, day_of
from pillarbox.storage.interface.tls import TlsStore
from pillarbox.terms.clock import Clock

_NOT_OFFERED = "starttls-not-supported"


class TlsSessions:
    """Counts; what is counted is written some seconds later."""

    def __init__(self, store: TlsStore, clock: Clock) -> None:
        """Nothing counted yet."""
        self._store = store
        self._clock = clock

    def opened(self, server: Server, facts: ConnectionFacts) -> None:
        """A session with a server may carry mail. Costs nothing where nobody wants to know."""
        plan = server.tls
        if plan is not None and plan.reported is not None and plan.tries_tls:
            result = plan.result or ("" if facts.tls else _NOT_OFFERED)
            self._count(plan.reported, result, server.host, facts.address)

    def broke(self, server: Server, broken: Broken) -> None:
        """A session came to nothing; only what TLS has to do with is counted."""
        plan = server.tls
        if plan is not None and plan.reported is not None and broken.stage == "starttls":
            result = broken.tls_result or "validation-failure"
            self._count(plan.reported, result, server.host, broken.address)

    def refused(self, host: str, plan: TlsPlan) -> None:
        """No session was begun, because a policy forbids it."""
        if plan.reported is not None and plan.result:
            self._count(plan.reported, plan.result, host, "")

    def not_fetched(self, domain: str, result: str) -> None:
        """The domain's MTA-STS policy could not be had."""
        self._count(ReportedPolicy(domain, "sts"), result, "", "")

    def _count(self, policy: ReportedPolicy, result: str, host: str, address: str) -> None:
        day_ms = day_of(self._clock.now_ms())
        self._store.count(day_ms, Counted(policy, result, host, address, 1))
