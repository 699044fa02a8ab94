"""the ways to servers: circuit, quota and connection slots of each, shared by all lanes of this node

A node decides by what it knows itself, at once; what it learns is told to the other nodes beside the
way of mail, and what they learnt is heard every few seconds (`sharing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.breaker import Breaker, BreakerConfig, Circuit, circuit_key, shared_name
from pillarbox.policy.events import ServerFacts
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.quota import RESTS, is_limited, rest_ms
from pillarbox.policy.server import Server
from pillarbox.services.delivery.allowance import Allowance
from pillarbox.services.delivery.sharing import Sharing
from pillarbox.services.delivery.slots import Slots
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.events import EventStore
from pillarbox.storage.interface.limits import FailureCounted, LimitStore, SharedCircuit
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId

Key = tuple[str, int, str]

_log = logger("delivery")

_HEAR_SECONDS: Final = 4.0
_FINISH_SECONDS: Final = 5.0
_AT_ONCE: Final = frozenset(
    {Category.LOGIN_REFUSED.value, Category.TLS_FAILED.value, Category.LOGIN_REQUIRED.value}
)
"""What does not mend itself is not tried three times."""
_AT_ONCE_FROM_STRANGERS: Final = frozenset(
    {Category.RELAY_DENIED.value, Category.SENDER_REFUSED.value}
)
"""The same, but of a server that takes mail: then it may be about one message of many."""
_UNSPENT: Final = frozenset(
    {Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL}
)
"""Where an attempt ends here, no provider counts its recipients."""


@dataclass(slots=True)
class Way:
    """One server as several apps may share it: its breaker, its quota, room for its connections."""

    breaker: Breaker
    slots: Slots
    name: bytes
    server: Server
    """As it was last seen, for what is told of it."""
    allowance: Allowance | None = None
    """None where no limits are set and none were heard of."""
    known: bool = False
    """Whether storage may hold failures of it."""


class Circuits:
    """Ways by `circuit_key`. Changes of a circuit are events."""

    def __init__(
        self,
        config: BreakerConfig,
        events: EventStore,
        limits: LimitStore,
        clock: Clock,
        metrics: Metrics,
        news: News,
    ) -> None:
        self._config = config
        self._events = events
        self._limits = limits
        self._sharing = Sharing(limits)
        self._clock = clock
        self._metrics = metrics
        self._news = news
        self._ways: dict[Key, Way] = {}
        self._by_server: dict[bytes, tuple[Server, Way]] = {}
        self._heard: dict[bytes, SharedCircuit] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()
        self._wakes: dict[Key, asyncio.TimerHandle] = {}
        self._free: Callable[[frozenset[ObjectId]], None] = _nobody
        self._try: Callable[[frozenset[ObjectId]], None] = _nobody

    def listen(
        self,
        free: Callable[[frozenset[ObjectId]], None],
        try_one: Callable[[frozenset[ObjectId]], None],
    ) -> None:
        """`free` hears of apps whose mail may go on early, a server of theirs being back; `try_one`
        of those of whose mail one message is wanted for a trial.
        """
        self._free, self._try = free, try_one

    async def run(self) -> None:
        """Hear what other nodes learn, until `stop`; at first what was known before this start."""
        while not self._stopped.is_set():
            with suppress(StorageTrouble):
                self._apply(await self._sharing.hear())
            with suppress(TimeoutError):
                async with asyncio.timeout(_HEAR_SECONDS):
                    await self._stopped.wait()

    def close_lines(self) -> None:
        """Nobody shall wait for his turn any more: what still goes goes now."""
        for way in self._ways.values():
            if way.allowance is not None:
                way.allowance.close()

    async def stop(self) -> None:
        """Once everything that was learnt is told, or storage has had its time for that."""
        self._stopped.set()
        for wake in self._wakes.values():
            wake.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_FINISH_SECONDS):
                await self._sharing.finish()

    def way(self, server: Server) -> Way:
        """The way to a server, made at first use; changed limits change it."""
        known = self._by_server.get(server.id)
        if known is not None and known[0] is server:
            return known[1]
        key = circuit_key(server)
        way = self._ways.get(key)
        if way is None:
            way = Way(
                Breaker(self._config), Slots(server.max_connections), shared_name(server), server
            )
            self._ways[key] = way
            self._follow(way, self._heard)
        else:
            way.slots.resize(server.max_connections)
            way.server = server
        if way.allowance is not None:
            way.allowance.set_limits(server)
        elif is_limited(server):
            self._limit(way)
        self._by_server[server.id] = (server, way)
        return way

    def peek(self, server: Server) -> Breaker | None:
        """The breaker, if the server was ever used by this process."""
        way = self._ways.get(circuit_key(server))
        return way.breaker if way is not None else None

    async def may_try(self, way: Way, now_ms: int) -> bool:
        """Whether an attempt may begin though the circuit is not closed: it is the trial then, and
        the only one on all nodes.
        """
        breaker = way.breaker
        if not breaker.may_use(now_ms):
            return False
        lease_ms = breaker.pause_ms
        if not await self._sharing.may_try(way.name, now_ms, lease_ms):
            breaker.put_off(now_ms + min(lease_ms, round(_HEAR_SECONDS * 1000)))
            self._wake(way)
            return False
        way.known = True
        self._tell("server.tried", way.server, ServerFacts(way.server.id, way.server.name))
        return True

    def succeeded(self, server: Server) -> int | None:
        """It took mail, or answered as it should. Gives what to do to the stored error count."""
        way = self.way(server)
        breaker = way.breaker
        had_errors = breaker.errors > 0 or server.errors > 0
        recovered = breaker.succeeded()
        if recovered or way.known:
            self._works(way, server, recovered=recovered)
        allowance = way.allowance
        if allowance is not None and allowance.rests_until and allowance.is_over():
            self._sharing.worked(RESTS + way.name, _heard_nothing)
            self._tell("server.quota_over", server, ServerFacts(server.id, server.name))
            self._go_on(way)
        return 0 if had_errors else None

    def failed(self, server: Server, outcome: Outcome, recipients: int = 0) -> int | None:
        """It was at fault, or takes no more. Gives what to do to the stored error count."""
        way = self.way(server)
        if way.allowance is not None and outcome.stage in _UNSPENT:
            way.allowance.give_back(recipients)
        if outcome.category == Category.QUOTA_REACHED:
            self._rests(way, server, outcome)
            return None
        breaker, now_ms, category = way.breaker, self._clock.now_ms(), outcome.category
        at_once = category in _AT_ONCE or (
            category in _AT_ONCE_FROM_STRANGERS and not breaker.worked
        )
        pauses = breaker.failed(now_ms, at_once=at_once)
        facts = ServerFacts(
            server.id, server.name, breaker.errors, category, outcome.words,
            breaker.until_at if pauses else 0,
        )  # fmt: skip
        if pauses:
            self._wake(way)
        elif breaker.errors == 1:
            self._tell("server.failing", server, facts)
        way.known = True
        said = f"{server.label} {outcome.words}"

        def told(counted: FailureCounted) -> None:
            # On all nodes together it may have been once too often.
            began = breaker.adopt(0, 1, counted.until if not pauses else 0, self._clock.now_ms())
            if counted.paused or (pauses and counted.until <= now_ms):
                self._tell("server.paused", server, _until(facts, breaker))
            if began:
                self._wake(way)

        if pauses:
            self._metrics.server_pauses[""] += 1
        after = 1 if pauses else breaker.pauses_after
        pause_ms = breaker.pause_ms or round(self._config.pause_seconds * 1000)
        self._sharing.failed(way.name, now_ms, after, pause_ms, said, told)
        return 1

    # --- what follows --------------------------------------------------------------------------

    def _limit(self, way: Way) -> Allowance:
        def told(kind: str, used: int, most: int, until: int) -> None:
            server = way.server
            words = f"was given {used} of {most} recipients in 24 hours"
            category = Category.LIMIT_REACHED.value
            self._tell(
                kind, server, ServerFacts(server.id, server.name, 0, category, words, until, used, most)
            )  # fmt: skip
            if kind == "server.quota_over":
                self._go_on(way)

        allowance = way.allowance = Allowance(way.server, self._limits, self._clock, told)
        return allowance

    def _rests(self, way: Way, server: Server, outcome: Outcome) -> None:
        now_ms, length_ms = self._clock.now_ms(), rest_ms(outcome.text)
        allowance = way.allowance or self._limit(way)
        if not allowance.rest(now_ms + length_ms):
            return
        facts = ServerFacts(
            server.id, server.name, 0, outcome.category, outcome.words, now_ms + length_ms
        )
        said = f"{server.label} {outcome.words}"
        self._sharing.rests(RESTS + way.name, now_ms, length_ms, said)
        self._tell("server.quota_reached", server, facts)

    def _works(self, way: Way, server: Server, *, recovered: bool) -> None:
        way.known = False
        if recovered:
            self._go_on(way)

        def told(ended: bool) -> None:
            if ended or recovered:
                self._tell("server.recovered", server, ServerFacts(server.id, server.name))

        self._sharing.worked(way.name, told)

    def _apply(self, heard: dict[bytes, SharedCircuit]) -> None:
        self._heard = heard
        for way in list(self._ways.values()):
            self._follow(way, heard)

    def _follow(self, way: Way, heard: dict[bytes, SharedCircuit]) -> None:
        """Do as the other nodes do, where this one has not learnt better meanwhile."""
        now_ms, breaker = self._clock.now_ms(), way.breaker
        rest = heard.get(RESTS + way.name)
        if rest is not None and rest.until > now_ms and self._sharing.untouched(rest.name):
            (way.allowance or self._limit(way)).rest(rest.until)
        if not self._sharing.untouched(way.name):
            return
        shared = heard.get(way.name)
        if shared is not None:
            way.known = True
            if breaker.adopt(shared.errors, shared.pauses, shared.until, now_ms):
                self._wake(way)
        elif way.known and breaker.circuit is not Circuit.TRIAL:
            way.known = False
            if breaker.succeeded():
                self._go_on(way)

    def _wake(self, way: Way) -> None:
        """When the pause is over, one message shall find out, though none may be due."""
        key = circuit_key(way.server)
        if (before := self._wakes.pop(key, None)) is not None:
            before.cancel()
        seconds = max(way.breaker.until_at - self._clock.now_ms(), 0) / 1000 + 0.01
        loop = asyncio.get_running_loop()
        self._wakes[key] = loop.call_later(seconds, self._pause_over, key)

    def _pause_over(self, key: Key) -> None:
        self._wakes.pop(key, None)
        way = self._ways[key]
        if way.breaker.circuit is Circuit.OPEN:
            self._try(self._apps_of(way))

    def _go_on(self, way: Way) -> None:
        self._free(self._apps_of(way))

    def _apps_of(self, way: Way) -> frozenset[ObjectId]:
        return frozenset(server.app for server, known in self._by_server.values() if known is way)

    def _tell(self, kind: str, server: Server, facts: ServerFacts) -> None:
        """An event that changes no delivery: nobody waits for it, and none is lost to a stop."""
        now_ms = self._clock.now_ms()
        if kind == "server.quota_reached":
            self._metrics.server_quotas_reached[""] += 1
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


def _nobody(apps: frozenset[ObjectId]) -> None:
    """As long as nobody listens."""


def _heard_nothing(ended: bool) -> None:
    """What was said of it is over already."""


def _until(facts: ServerFacts, breaker: Breaker) -> ServerFacts:
    return ServerFacts(
        facts.server, facts.name, breaker.errors, facts.category, facts.words, breaker.until_at
    )
