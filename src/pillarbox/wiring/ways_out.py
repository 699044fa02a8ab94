"""what mail leaves by: connections, the direct way, who renders it, and who shows that beforehand"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pillarbox.handover.signers import Signers
from pillarbox.handover.tracking import Tracking
from pillarbox.net.errors import Broken
from pillarbox.net.pool import Pool
from pillarbox.net.workers import Workers
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.server import Server
from pillarbox.services.delivery.atlas import Atlas
from pillarbox.services.delivery.carrier import Carrier
from pillarbox.services.delivery.line import Lines
from pillarbox.services.delivery.mx_hosts import MxHosts
from pillarbox.services.delivery.rehearsal_job import MODULE
from pillarbox.services.delivery.rehearser import Rehearser
from pillarbox.services.delivery.renderer import Renderer, StoredKeys
from pillarbox.services.delivery.sites import Sites
from pillarbox.services.delivery.straight import Straight
from pillarbox.services.delivery.tls_plans import TlsPlans
from pillarbox.services.delivery.tls_sessions import TlsSessions
from pillarbox.settings import Settings
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock

_RENDER_MODULE: Final = "pillarbox.services.delivery.render_child"
_NO_LIMIT: Final = 1 << 62


def build_renderer(settings: Settings, storage: Storage, clock: Clock) -> tuple[Renderer, Workers]:
    """Who renders, and the children that help."""
    workers = Workers(_RENDER_MODULE, settings.rendering)
    keys = StoredKeys(storage.keys, storage.domains)
    return Renderer(keys, storage.images, storage.events, workers, clock), workers


def build_rehearser(
    settings: Settings, storage: Storage, signers: Signers, tracking: Tracking, clock: Clock
) -> Rehearser:
    """Who shows what would leave; `signers` and `tracking` are those of the door."""
    keys = StoredKeys(storage.keys, storage.domains)
    # Apart from those of delivery: whoever looks at mail never keeps mail waiting.
    alone = Workers(MODULE, replace(settings.rendering, processes=1))
    return Rehearser(keys, signers, tracking, alone, clock, settings.hostname, settings.accept)


def build_straight(settings: Settings, atlas: Atlas, clock: Clock, plans: TlsPlans) -> Straight:
    """The direct way."""
    hosts = MxHosts(settings.breaker, clock)
    return Straight(settings.direct, atlas, Sites(settings.sites, clock), hosts, clock, plans)


def build_pool(
    settings: Settings, lines: Lines, clock: Clock, metrics: Metrics, sessions: TlsSessions
) -> Pool[Server, Carrier]:
    """Connections to servers, those that fail counted."""

    async def open_connection(server: Server) -> Carrier:
        try:
            connection = await lines.open(server)
        except Broken as broken:
            metrics.server_connections_opened["failed"] += 1
            sessions.broke(server, broken)
            raise
        metrics.server_connections_opened["opened"] += 1
        sessions.opened(server, connection.facts)
        return Carrier(server, connection)

    # Transactions are counted by the delivery service, which must not say goodbye before the last
    # one is recorded.
    return Pool(
        open_connection,
        clock,
        idle_seconds=settings.delivery.idle_seconds,
        max_transactions=_NO_LIMIT,
        group_of=lambda server: server.id,
    )
