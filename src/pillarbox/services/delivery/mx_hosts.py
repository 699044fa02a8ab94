"""the circuits of MX hosts: who did not work a moment ago is passed by

They belong to no app, so what becomes of them is no event of an app's server.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.policy.breaker import Breaker, BreakerConfig, Circuit
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server
from pillarbox.terms.clock import Clock

_log = logger("delivery")

_MOST_HOSTS: Final = 20_000


class MxHosts:
    """Breakers by the name of a host."""

    def __init__(self, config: BreakerConfig, clock: Clock) -> None:
        """All closed."""
        self._config = config
        self._clock = clock
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()

    def may_use(self, host: str) -> bool:
        """Whether the host may be tried now; after a pause, the first who asks tries it."""
        breaker = self._breakers.get(host)
        return breaker is None or breaker.may_use(self._clock.now_ms())

    def circuit(self, host: str) -> Circuit:
        """How it stands, for people."""
        breaker = self._breakers.get(host)
        return Circuit.CLOSED if breaker is None else breaker.circuit

    def succeeded(self, server: Server) -> None:
        """It took mail, or answered as it should: there is nothing to remember."""
        breaker = self._breakers.pop(server.host, None)
        if breaker is not None and breaker.succeeded():
            _log.info("mx.recovered", host=server.host)

    def failed(self, server: Server, outcome: Outcome) -> None:
        """It was at fault. Where nobody answers at its door, once is enough: every message that
        tries it again waits for it in vain.
        """
        if outcome.stage is Stage.STARTTLS and server.tls is not None and server.tls.may_fall_back:
            return  # it is tried in clear next
        if outcome.category == Category.RATE_LIMITED:
            return  # it works; the site gets less
        breaker = self._breakers.get(server.host)
        if breaker is None:
            breaker = self._breakers[server.host] = Breaker(self._config)
            if len(self._breakers) > _MOST_HOSTS:
                self._breakers.popitem(last=False)
        unreachable = outcome.code == 0 and outcome.stage in (Stage.CONNECT, Stage.BANNER)
        if breaker.failed(self._clock.now_ms(), at_once=unreachable):
            _log.info("mx.paused", host=server.host, words=outcome.words)
