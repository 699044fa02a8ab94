"""what is told of servers: events that change no delivery, log lines, news and counts"""

from __future__ import annotations

import asyncio

from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.breaker import Breaker
from pillarbox.policy.events import ServerFacts
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import Server
from pillarbox.storage.interface.events import EventStore
from pillarbox.terms.clock import Clock

_log = logger("delivery")


class ServerEvents:
    """Nobody waits for what is told here, and none of it is lost to a stop."""

    def __init__(self, events: EventStore, clock: Clock, metrics: Metrics, news: News) -> None:
        self._events = events
        self._clock = clock
        self._metrics = metrics
        self._news = news
        self._telling: set[asyncio.Task[None]] = set()

    def tell(self, kind: str, server: Server, facts: ServerFacts | None = None) -> None:
        """One event; where nothing is to be said of it, that it happened to this server."""
        now_ms = self._clock.now_ms()
        if facts is None:
            facts = ServerFacts(server.id, server.name)
        if kind == "server.quota_reached":
            self._metrics.server_quotas_reached[""] += 1
        _log.warning(kind, server=server.name, words=facts.words)
        self._news.tell(now_ms, kind.partition(".")[2], server.name, facts.words)
        task = asyncio.ensure_future(self._append(now_ms, kind, server, facts))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def tell_failure(self, kind: str, server: Server, breaker: Breaker, outcome: Outcome) -> None:
        """What a failure has led to: to a pause, if the circuit is not closed."""
        words, until_at = outcome.words, breaker.until_at
        facts = ServerFacts(
            server.id, server.name, breaker.errors, outcome.category, words, until_at
        )
        self.tell(kind, server, facts)

    async def _append(self, at: int, kind: str, server: Server, facts: ServerFacts) -> None:
        try:
            await self._events.append(at, server.app, kind, facts)
        except Exception as error:
            _log.error("event.lost", kind=kind, reason=str(error))
