"""the rooms of the tracking host: what answers, where it listens, and what is done beside it"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

from pillarbox.api.rooms import ListenerFact, TrackingFacts
from pillarbox.net.certificates import Certificates, TlsConfig
from pillarbox.net.errors import TlsFilesUnusable
from pillarbox.net.http_server import HttpServer, Patience
from pillarbox.net.resolver import Resolver
from pillarbox.net.web_client import WebClient
from pillarbox.net.web_stream import Permits
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.networks import is_public, is_within
from pillarbox.services.tracking.book import Book
from pillarbox.services.tracking.config import TrackingHostConfig, read_place
from pillarbox.services.tracking.host import TrackingHost
from pillarbox.services.tracking.image import Images
from pillarbox.services.tracking.preference import Preferences
from pillarbox.services.tracking.tidying import Tidying
from pillarbox.services.tracking.unsubscribe import Unsubscribing
from pillarbox.services.tracking.visit import Visits
from pillarbox.settings import Settings
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock
from pillarbox.wiring.tls_rooms import by_resolver

_log = logger("tracking")

_FETCHES: Final = 16
_PATIENCE: Final = Patience(head_seconds=10.0, body_window_seconds=10.0, unread_seconds=60.0)
"""Readers wait in front of a page; who sends so slowly is none."""
_STOP_SECONDS: Final = 10.0


@dataclass(slots=True)
class TrackingRooms:
    """What the tracking host is made of."""

    name: str
    """What links name; empty where there is none."""
    config: TrackingHostConfig
    host: TrackingHost
    book: Book
    images: Images
    tidying: Tidying
    client: WebClient
    shown: Certificates
    """What is shown under TLS."""
    own: Certificates | None
    """The same, where the tracking host has some of its own, which somebody must look after."""
    tidies: bool
    servers: list[HttpServer]

    def bind(self, stack: AsyncExitStack) -> None:
        """Open the ports; visitors wait until `open`. Raises what a busy port raises."""
        for places, under_tls in ((self.config.listen, False), (self.config.listen_tls, True)):
            for place in places:
                host, port = read_place(place)
                server = HttpServer(
                    self.host, host=host, port=port, patience=_PATIENCE,
                    tls=self.shown.always() if under_tls else None,
                )  # fmt: skip
                self.servers.append(server)
                stack.push_async_callback(server.stop)

    async def open(self, stack: AsyncExitStack) -> None:
        """Answer from now on; leaving the stack writes down all who came."""
        tasks = [asyncio.create_task(self.book.run(), name="visits")]
        if self.tidies:
            tasks.append(asyncio.create_task(self.tidying.run(), name="images"))
        if self.own is not None:
            tasks.append(asyncio.create_task(self.own.run(), name="tracking-tls"))

        async def stop() -> None:
            self.book.stop()
            self.tidying.stop()
            if self.own is not None:
                self.own.stop()
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)
            await self.images.close()
            await self.client.close()

        stack.push_async_callback(stop)
        if self.servers:
            _log.info("tracking.opened", ports=self.ports)
        for server in self.servers:
            await server.start()
            stack.push_async_callback(server.stop)

    @property
    def ports(self) -> list[int]:
        """Where it listens: the ports in clear first, then those under TLS."""
        return [server.port for server in self.servers]

    def facts(self) -> TrackingFacts:
        """Where links lead, and where this node answers for it."""
        places = [(each, "plain") for each in self.config.listen]
        places += [(each, "TLS") for each in self.config.listen_tls]
        return TrackingFacts(
            self.name,
            tuple(
                ListenerFact(read_place(place)[0], server.port, security)
                for server, (place, security) in zip(self.servers, places, strict=False)
            ),
        )


def build_tracking(
    settings: Settings,
    storage: Storage,
    resolver: Resolver,
    clock: Clock,
    metrics: Metrics,
    certificates: Certificates,
) -> TrackingRooms:
    """`certificates` are shown where [tracking_tls] names none. Raises `TlsFilesUnusable`.

    Files that nothing would show stop no start; one that cannot be used is logged all the same.
    """
    config = settings.tracking_host
    pairs = settings.tracking_tls.pairs if config.listen_tls else ()
    own = Certificates(pairs, clock) if pairs else None
    if not config.listen_tls:
        _warn_of_unusable(settings.tracking_tls, clock)
    client = WebClient(
        clear=True,
        permits=_permits(config.fetch_networks),
        look_up=by_resolver(resolver),
        max_connections=_FETCHES,
    )
    images = Images(storage.images, client, clock, metrics, config.fetch_seconds)
    preferences = Preferences(
        storage.directory, storage.visits,
        personal_data=config.personal_data, serves_images=config.images == "serve",
    )  # fmt: skip
    book = Book(storage.visits, clock, metrics, preferences)
    leaving = Unsubscribing(storage.visits, clock, metrics, preferences)
    visits = Visits(
        storage.keys, book, images, clock, metrics, preferences, unsubscribe=leaving.answer
    )

    async def proof(token: str) -> str | None:
        return await storage.certificates.answer(token, clock.now_ms())

    return TrackingRooms(
        name=settings.tracking.host,
        config=config,
        host=TrackingHost(visits, metrics, config.proxies, proof),
        book=book,
        images=images,
        tidying=Tidying(storage, clock, config),
        client=client,
        shown=own or certificates,
        own=own,
        tidies="upkeep" in settings.roles,
        servers=[],
    )


def _warn_of_unusable(config: TlsConfig, clock: Clock) -> None:
    """Whoever sets files before the ports learns now that they are wrong, not on the day it counts."""
    if not config.pairs:
        return
    try:
        Certificates(config.pairs, clock)
    except TlsFilesUnusable as error:
        _log.error(
            "tracking.certificate_unusable", words=f"tracking_tls: {error.sentence}",
            fix=f"{error.fix}; nothing shows it while tracking_host.listen_tls is empty",
        )  # fmt: skip


def _permits(networks: Sequence[str]) -> Permits:
    def permits(address: str) -> bool:
        return is_public(address) or is_within(networks, address)

    return permits
