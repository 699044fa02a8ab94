"""the servers' circuits and connection slots, shared by all lanes of this node"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.breaker import Breaker, BreakerConfig, circuit_key
from pillarbox.policy.events import ServerFacts
from pillarbox.policy.meaning import Category
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server
from pillarbox.services.delivery.slots import Slots
from pillarbox.storage.interface.events import EventStore
from pillarbox.terms.clock import Clock

Key = tuple[str, int, str]

_log = logger("delivery")

_AT_ONCE = frozenset({Category.LOGIN_REFUSED.value, Category.TLS_FAILED.value})
"""What does not mend itself is not tried three times."""


@dataclass(slots=True)
class Way:
    """One server as several apps may share it: its breaker, and room for its connections."""

    breaker: Breaker
    slots: Slots


class Circuits:
    """Ways by `circuit_key`. Changes of a circuit are events."""

    def __init__(
        self,
        config: BreakerConfig,
        events: EventStore,
        clock: Clock,
        metrics: Metrics,
        news: News,
    ) -> None:
        self._config = config
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._news = news
        self._ways: dict[Key, Way] = {}
        self._by_server: dict[bytes, tuple[Server, Way]] = {}
        self._telling: set[asyncio.Task[None]] = set()

    def way(self, server: Server) -> Way:
        """The way to a server, made at first use; a changed connection limit changes its slots."""
        known = self._by_server.get(server.id)
        if known is not None and known[0] is server:
            return known[1]
        key = circuit_key(server)
        way = self._ways.get(key)
        if way is None:
            way = Way(
                Breaker(self._config),
                Slots(server.max_connections),
            )
            self._ways[key] = way
        else:
            way.slots.resize(server.max_connections)
        self._by_server[server.id] = (server, way)
        return way

    def peek(self, server: Server) -> Breaker | None:
        """The breaker, if the server was ever used by this process."""
        way = self._ways.get(circuit_key(server))
        return way.breaker if way is not None else None

    def succeeded(self, server: Server) -> int | None:
        """It took mail, or answered as it should. Gives what to do to the stored error count."""
        breaker = self.way(server).breaker
        had_errors = breaker.errors > 0 or server.errors > 0
        if breaker.succeeded():
            self._tell("server.recovered", server, ServerFacts(server.id, server.name))
        return 0 if had_errors else None

    def failed(self, server: Server, outcome: Outcome) -> int:
        """It was at fault. Gives what to do to the stored error count."""
        breaker = self.way(server).breaker
        pauses = breaker.failed(self._clock.now_ms(), at_once=outcome.category in _AT_ONCE)
        facts = ServerFacts(
            server.id, server.name, breaker.errors, outcome.category, outcome.words,
            breaker.until_at if pauses else 0,
        )  # fmt: skip
        if pauses:
            self._metrics.server_pauses[""] += 1
            self._tell("server.paused", server, facts)
        elif breaker.errors == 1:
            self._tell("server.failing", server, facts)
        return 1

    def _tell(self, kind: str, server: Server, facts: ServerFacts) -> None:
        """An event that changes no delivery: nobody waits for it, and none is lost to a stop."""
        now_ms = self._clock.now_ms()
        _log.warning(kind, server=server.name, words=facts.words)
        self._news.tell(now_ms, kind.partition(".")[2], server.name, facts.words)
        task = asyncio.ensure_future(self._append(now_ms, kind, server, facts))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _append(self, at: int, kind: str, server: Server, facts: ServerFacts) -> None:
        try:
            await self._events.append(at, server.app, kind, facts)
        except Exception as error:
            _log.error("event.lost", kind=kind, reason=str(error))
