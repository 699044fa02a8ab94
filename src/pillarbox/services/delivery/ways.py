"""the ways to servers: what those share that are one to their host, and what each has for itself"""

from __future__ import annotations

from dataclasses import dataclass, field

from pillarbox.policy.breaker import Breaker, BreakerConfig, Circuit, circuit_key, shared_name
from pillarbox.policy.own_settings import OwnSettings, own_settings
from pillarbox.policy.server import Server
from pillarbox.services.delivery.allowance import Allowance
from pillarbox.services.delivery.slots import Slots
from pillarbox.storage.interface.limits import SharedCircuit
from pillarbox.terms.ids import ObjectId

Key = tuple[ObjectId, str, int, str]


@dataclass(slots=True)
class OwnCircuit:
    """The circuit of servers whose settings are the same: what is held against these alone."""

    breaker: Breaker
    settings: OwnSettings
    words: str = ""
    """What was said of the last failure."""
    failed_at: int = 0


@dataclass(slots=True)
class Way:
    """One server as several apps may share it: its breaker, its quota, room for its connections."""

    breaker: Breaker
    """Of what is the host's fault."""
    slots: Slots
    name: bytes
    server: Server
    """As it was last seen, for what is told of it."""
    allowance: Allowance | None = None
    """None where no limits are set and none were heard of."""
    known: bool = False
    """Whether storage may hold failures of it."""
    own: dict[OwnSettings, OwnCircuit] = field(default_factory=dict)
    """By the settings that servers on this way have now."""
    marred: bool = False
    """Whether the circuit of some settings may not be closed."""

    def note_own(self) -> None:
        """One of those circuits has changed."""
        self.marred = any(one.breaker.circuit is not Circuit.CLOSED for one in self.own.values())


@dataclass(slots=True)
class Row:
    """A server of one app, on its way."""

    server: Server
    way: Way
    own: OwnCircuit

    @property
    def in_use(self) -> bool:
        """Whether both of its circuits are closed."""
        closed = self.way.breaker.circuit is Circuit.CLOSED
        return closed and self.own.breaker.circuit is Circuit.CLOSED

    def paused(self, now_ms: int) -> bool:
        """Whether it would be refused now by either; looks only."""
        return self.way.breaker.paused(now_ms) or self.own.breaker.paused(now_ms)


class Ways:
    """Ways by `circuit_key`, and the servers that were seen on them."""

    def __init__(self, config: BreakerConfig) -> None:
        """None yet."""
        self._config = config
        self._ways: dict[Key, Way] = {}
        self._rows: dict[ObjectId, Row] = {}

    def all(self) -> list[Way]:
        """Every way there is."""
        return list(self._ways.values())

    def known(self, server: Server) -> Row | None:
        """What was made of exactly this server; None where it is new, or was changed."""
        row = self._rows.get(server.id)
        return row if row is not None and row.server is server else None

    def at(self, server: Server, now_ms: int) -> tuple[Row, bool]:
        """What is to be made of a new or changed server, and whether nobody was on its way before.

        One that was paused for its settings, and has others now, may be tried at once.
        """
        key = circuit_key(server)
        way = self._ways.get(key)
        fresh = way is None
        if way is None:
            slots = Slots(server.max_connections)
            way = Way(Breaker(self._config), slots, shared_name(server), server)
            self._ways[key] = way
        else:
            way.slots.resize(server.max_connections)
            way.server = server
        settings = own_settings(server)
        own = way.own.get(settings)
        if own is None:
            own = way.own[settings] = OwnCircuit(Breaker(self._config), settings)
        before = self._rows.get(server.id)
        row = self._rows[server.id] = Row(server, way, own)
        if before is not None and before.own is not own:
            self._succeed(before.own.breaker, own, now_ms)
            self._forget(before)
            way.note_own()
        return row, fresh

    def peek(self, server: Server) -> Breaker | None:
        """Of the server's two breakers the one that keeps it from being used, or keeps it longer;
        None where it was never used by this process.
        """
        way = self._ways.get(circuit_key(server))
        if way is None:
            return None
        own = way.own.get(own_settings(server))
        if own is None or own.breaker.circuit is Circuit.CLOSED:
            return way.breaker
        if way.breaker.circuit is Circuit.CLOSED:
            return own.breaker
        return max(own.breaker, way.breaker, key=lambda breaker: breaker.until_at)

    def held_against(self, server: Server) -> SharedCircuit | None:
        """What is held on this node against the settings of a server; None where nothing is."""
        way = self._ways.get(circuit_key(server))
        own = way.own.get(own_settings(server)) if way is not None else None
        if own is None or not own.breaker.errors:
            return None
        breaker = own.breaker
        until = breaker.until_at if breaker.circuit is not Circuit.CLOSED else 0
        trying = breaker.circuit is Circuit.TRIAL
        return SharedCircuit(
            b"", breaker.errors, int(until > 0), until, trying, own.words, own.failed_at
        )

    def apps_of(self, way: Way, own: OwnCircuit | None = None) -> frozenset[ObjectId]:
        """Whose servers are on a way, or have these settings on it."""
        return frozenset(
            row.server.app
            for row in self._rows.values()
            if row.way is way and (own is None or row.own is own)
        )

    def _succeed(self, before: Breaker, own: OwnCircuit, now_ms: int) -> None:
        """What waited for the settings to be mended waits for a trial of the new ones."""
        breaker = own.breaker
        if before.circuit is Circuit.CLOSED or breaker.errors or breaker.worked:
            return
        breaker.failed(now_ms, at_once=True)
        breaker.put_off(now_ms)

    def _forget(self, before: Row) -> None:
        """Settings that no server has any more are not kept: there may be secrets among them."""
        own = before.own
        if any(row.own is own for row in self._rows.values()):
            return
        before.way.own.pop(own.settings, None)
        before.way.note_own()
