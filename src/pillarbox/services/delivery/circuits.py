"""the ways to servers: circuit, quota and connection slots of each, shared by all lanes of this node

A node decides by what it knows itself, at once; what it learns is told to the other nodes beside the
way of mail, and what they learnt is heard every few seconds (`sharing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.breaker import Breaker, BreakerConfig, Circuit
from pillarbox.policy.events import ServerFacts
from pillarbox.policy.meaning import Category, Stage
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.own_settings import is_about_settings
from pillarbox.policy.quota import RESTS, is_limited, rest_ms
from pillarbox.policy.server import Server
from pillarbox.services.delivery.allowance import Allowance
from pillarbox.services.delivery.server_events import ServerEvents
from pillarbox.services.delivery.sharing import Sharing
from pillarbox.services.delivery.ways import OwnCircuit, Row, Way, Ways
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.events import EventStore
from pillarbox.storage.interface.limits import FailureCounted, LimitStore, SharedCircuit
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId

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


class Circuits:
    """The circuits of all ways. Changes of a circuit are events.

    What is held against the settings of single servers is known to this node alone: another one
    finds it out by itself, with one message.
    """

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
        self._events = ServerEvents(events, clock, metrics, news)
        self._limits = limits
        self._sharing = Sharing(limits)
        self._clock = clock
        self._metrics = metrics
        self._ways = Ways(config)
        self._heard: dict[bytes, SharedCircuit] = {}
        self._stopped = asyncio.Event()
        self._wakes: dict[int, asyncio.TimerHandle] = {}
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
        for way in self._ways.all():
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
        return self.row(server).way

    def row(self, server: Server) -> Row:
        """A server on its way, as `way`."""
        known = self._ways.known(server)
        if known is not None:
            return known
        row, fresh = self._ways.at(server, self._clock.now_ms())
        way = row.way
        if fresh:
            self._follow(way, self._heard)
        if way.allowance is not None:
            way.allowance.set_limits(server)
        elif is_limited(server):
            self._limit(way)
        if row.own.breaker.circuit is Circuit.OPEN:
            self._wake(way, row.own)
        return row

    def peek(self, server: Server) -> Breaker | None:
        """The breaker that counts, if the server was ever used by this process."""
        return self._ways.peek(server)

    def held_against(self, server: Server) -> SharedCircuit | None:
        """What this node holds against the settings of a server; None where that is nothing."""
        return self._ways.held_against(server)

    async def may_try(self, row: Row, now_ms: int) -> bool:
        """Whether an attempt may begin though a circuit is not closed: it is the trial then, and
        where the host was paused the only one on all nodes.
        """
        way, own = row.way, row.own
        breaker = way.breaker
        if row.paused(now_ms) or not own.breaker.may_use(now_ms):
            return False
        if breaker.circuit is not Circuit.CLOSED:
            breaker.may_use(now_ms)
            lease_ms = breaker.pause_ms
            if not await self._sharing.may_try(way.name, now_ms, lease_ms):
                breaker.put_off(now_ms + min(lease_ms, round(_HEAR_SECONDS * 1000)))
                self._wake(way)
                if own.breaker.circuit is Circuit.TRIAL:
                    self._put_off(way, own, breaker.until_at)
                return False
            way.known = True
        self._events.tell("server.tried", row.server)
        return True

    def succeeded(self, server: Server) -> int | None:
        """It took mail, or answered as it should. Gives what to do to the stored error count."""
        row = self.row(server)
        way, own = row.way, row.own
        had_errors = way.breaker.errors > 0 or own.breaker.errors > 0 or server.errors > 0
        recovered = way.breaker.succeeded()
        if recovered or way.known:
            self._works(way, server, recovered=recovered)
        if own.breaker.succeeded():
            way.note_own()
            if not recovered:
                self._events.tell("server.recovered", server)
                self._free(self._ways.apps_of(way, own))
        allowance = way.allowance
        if allowance is not None and allowance.rests_until and allowance.is_over():
            self._sharing.worked(RESTS + way.name, _heard_nothing)
            self._events.tell("server.quota_over", server)
            self._go_on(way)
        return 0 if had_errors else None

    def failed(self, server: Server, outcome: Outcome, recipients: int = 0) -> int | None:
        """It was at fault, or takes no more. Gives what to do to the stored error count."""
        row = self.row(server)
        way = row.way
        if way.allowance is not None and is_unspent(outcome):
            way.allowance.give_back(recipients)
        if outcome.category == Category.QUOTA_REACHED:
            self._rests(way, server, outcome)
            return None
        own = is_about_settings(outcome)
        breaker = row.own.breaker if own else way.breaker
        category = outcome.category
        at_once = category in _AT_ONCE or (
            category in _AT_ONCE_FROM_STRANGERS and not breaker.worked
        )
        if own:
            self._mistaken(row, outcome, at_once=at_once)
        else:
            self._broke(row, outcome, at_once=at_once)
        return 1

    # --- failures -----------------------------------------------------------------------------

    def _mistaken(self, row: Row, outcome: Outcome, *, at_once: bool) -> None:
        """The host is there; it is the settings with which this does not work."""
        way, own, server, now_ms = row.way, row.own, row.server, self._clock.now_ms()
        if way.breaker.circuit is Circuit.TRIAL:
            way.breaker.succeeded()
            self._works(way, server, recovered=True)
        pauses = own.breaker.failed(now_ms, at_once=at_once)
        own.words, own.failed_at = f"{server.label} {outcome.words}", now_ms
        way.note_own()
        if pauses:
            self._metrics.server_pauses[""] += 1
            self._wake(way, own)
            self._events.tell_failure("server.paused", server, own.breaker, outcome)
        elif own.breaker.errors == 1:
            self._events.tell_failure("server.failing", server, own.breaker, outcome)

    def _broke(self, row: Row, outcome: Outcome, *, at_once: bool) -> None:
        """The host is at fault, for everybody who sends through it."""
        way, server, breaker, now_ms = row.way, row.server, row.way.breaker, self._clock.now_ms()
        if row.own.breaker.circuit is Circuit.TRIAL:
            # The trial of the settings found out nothing about them.
            self._put_off(way, row.own, now_ms + row.own.breaker.pause_ms)
        pauses = breaker.failed(now_ms, at_once=at_once)
        if pauses:
            self._wake(way)
        elif breaker.errors == 1:
            self._events.tell_failure("server.failing", server, breaker, outcome)
        way.known = True
        said = f"{server.label} {outcome.words}"

        def told(counted: FailureCounted) -> None:
            # On all nodes together it may have been once too often.
            began = breaker.adopt(0, 1, counted.until if not pauses else 0, self._clock.now_ms())
            if counted.paused or (pauses and counted.until <= now_ms):
                self._events.tell_failure("server.paused", server, breaker, outcome)
            if began:
                self._wake(way)

        if pauses:
            self._metrics.server_pauses[""] += 1
        after = 1 if pauses else breaker.pauses_after
        pause_ms = breaker.pause_ms or round(self._config.pause_seconds * 1000)
        self._sharing.failed(way.name, now_ms, after, pause_ms, said, told)

    def _put_off(self, way: Way, own: OwnCircuit, until_at: int) -> None:
        own.breaker.put_off(until_at)
        self._wake(way, own)

    # --- what follows --------------------------------------------------------------------------

    def _limit(self, way: Way) -> Allowance:
        def told(kind: str, used: int, most: int, until: int) -> None:
            server = way.server
            words = f"was given {used} of {most} recipients in 24 hours"
            category = Category.LIMIT_REACHED.value
            self._events.tell(
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
        self._events.tell("server.quota_reached", server, facts)

    def _works(self, way: Way, server: Server, *, recovered: bool) -> None:
        way.known = False
        if recovered:
            self._go_on(way)

        def told(ended: bool) -> None:
            if ended or recovered:
                self._events.tell("server.recovered", server)

        self._sharing.worked(way.name, told)

    def _apply(self, heard: dict[bytes, SharedCircuit]) -> None:
        self._heard = heard
        for way in self._ways.all():
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

    def _wake(self, way: Way, own: OwnCircuit | None = None) -> None:
        """When the pause is over, one message shall find out, though none may be due."""
        breaker = way.breaker if own is None else own.breaker
        if (before := self._wakes.pop(id(breaker), None)) is not None:
            before.cancel()
        seconds = max(breaker.until_at - self._clock.now_ms(), 0) / 1000 + 0.01
        loop = asyncio.get_running_loop()
        self._wakes[id(breaker)] = loop.call_later(seconds, self._pause_over, way, own)

    def _pause_over(self, way: Way, own: OwnCircuit | None) -> None:
        breaker = way.breaker if own is None else own.breaker
        self._wakes.pop(id(breaker), None)
        if breaker.circuit is Circuit.OPEN:
            self._try(self._ways.apps_of(way, own))

    def _go_on(self, way: Way) -> None:
        self._free(self._ways.apps_of(way))


def is_unspent(outcome: Outcome) -> bool:
    """Whether an attempt ended before any provider counts its recipients."""
    return outcome.stage in _UNSPENT


def _nobody(apps: frozenset[ObjectId]) -> None:
    """As long as nobody listens."""


def _heard_nothing(ended: bool) -> None:
    """What was said of it is over already."""
