"""builds every room and joins them: the only place where concrete things are chosen"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from pillarbox import __version__
from pillarbox.api.app import build_app
from pillarbox.api.rooms import Rooms, SmtpFacts
from pillarbox.handover.accept import Door
from pillarbox.handover.errors import NodeDraining
from pillarbox.handover.gate import Gate
from pillarbox.handover.mirror import Mirror
from pillarbox.handover.settle import Settler
from pillarbox.handover.signers import Signers
from pillarbox.handover.sorting import Sorter
from pillarbox.handover.tracking import Tracking
from pillarbox.net.access_tokens import AccessTokens
from pillarbox.net.certificates import Certificates
from pillarbox.net.consents import Consents
from pillarbox.net.dialling import is_own_address
from pillarbox.net.listener import Listener
from pillarbox.net.pool import Pool
from pillarbox.net.resolver import Resolver
from pillarbox.net.workers import Workers
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.retry import RetryPolicy
from pillarbox.policy.server import Server
from pillarbox.policy.throttle import LoginThrottle
from pillarbox.services.delivery.atlas import Atlas
from pillarbox.services.delivery.attempt import Attempts
from pillarbox.services.delivery.carrier import Carrier
from pillarbox.services.delivery.check import Checker
from pillarbox.services.delivery.circuits import Circuits
from pillarbox.services.delivery.itinerary import Itinerary
from pillarbox.services.delivery.lane_tools import LaneTools
from pillarbox.services.delivery.line import Lines
from pillarbox.services.delivery.marks import Marks
from pillarbox.services.delivery.notices import Notices
from pillarbox.services.delivery.offer import Offers
from pillarbox.services.delivery.rehearser import Rehearser
from pillarbox.services.delivery.senders import Senders
from pillarbox.services.delivery.transaction import Transactions
from pillarbox.services.delivery.worker import Worker
from pillarbox.services.people.passwords import Passwords
from pillarbox.services.people.sign_in import SignIn
from pillarbox.services.submission.authenticate import Authenticator
from pillarbox.services.submission.desk import Desk
from pillarbox.services.submission.entrance import Entrance
from pillarbox.services.upkeep.rounds import Rounds
from pillarbox.settings import Settings
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.nodes import NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.clock import Clock, SystemClock
from pillarbox.wiring.acme_rooms import AcmeRooms, build_acme
from pillarbox.wiring.counting import counting
from pillarbox.wiring.domain_rooms import DomainRooms, build_domains
from pillarbox.wiring.porch import MEGABYTE, build_listener, facts_of
from pillarbox.wiring.presets import load_presets
from pillarbox.wiring.recipes import load_recipes
from pillarbox.wiring.tls_rooms import TlsRooms, build_tls
from pillarbox.wiring.tokens import access_tokens
from pillarbox.wiring.tracking_rooms import TrackingRooms, build_tracking
from pillarbox.wiring.ways_out import build_pool, build_rehearser, build_renderer, build_straight

_MARKED: Final = 64
"""Fresh messages that carry their start mark ahead of time; after a crash so many are uncertain."""


@dataclass(slots=True)
class House:
    """All rooms, built and joined, nothing running yet."""

    settings: Settings
    clock: Clock
    storage: Storage
    metrics: Metrics
    news: News
    mirror: Mirror
    gate: Gate
    door: Door
    authenticator: Authenticator
    sign_in: SignIn
    listener: Listener
    certificates: Certificates
    pool: Pool[Server, Carrier]
    tokens: AccessTokens
    consents: Consents
    circuits: Circuits
    resolver: Resolver
    tls: TlsRooms
    tracking: TrackingRooms
    acme: AcmeRooms
    worker: Worker
    workers: Workers
    rehearser: Rehearser
    checker: Checker
    notices: Notices
    rounds: Rounds
    domains: DomainRooms
    ca_path: Path | None
    started_at: int

    def app(self, *, owner: bool) -> ASGIApp:
        """The REST face; `owner` only for the socket in the data directory."""
        app = build_app(
            Rooms(
                storage=self.storage,
                door=self.door,
                authenticator=self.authenticator,
                checker=self.checker,
                rehearser=self.rehearser,
                sign_in=self.sign_in,
                clock=self.clock,
                hostname=self.settings.hostname,
                version=__version__,
                started_at=self.started_at,
                metrics_text=self.metrics_text,
                smtp_facts=self.smtp_facts,
                tracking_facts=self.tracking.facts,
                connect=self.settings.connect,
                recipes=load_recipes,
                presets=load_presets,
                consents=self.consents,
                gate=self.gate,
                tls_of=self.tls.plans.of_domain,
                domain_look=self.domains.look,
                renewals=self.acme.renewals,
                note_refusal=self.note_refusal,
                config=self.settings.api,
                retry=RetryPolicy(self.settings.retry),
                lane_report=self.worker.report,
                circuit=self.circuits.peek,
                held_against=self.circuits.held_against,
            ),
            owner=owner,
        )
        return counting(app, self.metrics.http_requests)

    def metrics_text(self) -> bytes:
        """What is scraped; how many connections are open is looked at now."""
        self.metrics.smtp_sessions[""] = self.listener.sessions
        self.metrics.server_connections[""] = self.pool.open
        self.metrics.node_lease[""] = int(self.storage.nodes.holds)
        self.metrics.tls_certificate_left[""] = self.certificates.seconds_left()
        return self.metrics.render()

    async def stop_delivering(self, seconds: float) -> None:
        """Let what is on its way be settled, then tell the other nodes what was learnt of servers."""
        await self.worker.stop(seconds)
        await self.workers.close()
        await self.rehearser.close()
        await self.circuits.stop()

    def load(self) -> NodeLoad:
        """What this node says of itself to the others."""
        return NodeLoad(
            # What was read back from storage is not in the mirror: while any of it is on its way,
            # there is one at least.
            messages=self.mirror.messages or int(self.worker.busy),
            sessions=self.listener.sessions,
            accepted=int(sum(self.metrics.messages_accepted.values())),
            settled=int(sum(self.metrics.deliveries_settled.values())),
            draining=isinstance(self.gate.trouble, NodeDraining),
        )

    def note_refusal(self, code: str, name: str, sentence: str) -> None:
        """A submission over HTTP was refused."""
        self.metrics.messages_rejected["http", code] += 1
        self.news.tell(self.clock.now_ms(), "refused", name, sentence)

    def smtp_facts(self) -> SmtpFacts:
        """The ports as they were opened, for whoever must configure a program."""
        return facts_of(self.listener.open_ports, self.ca_path)


async def build(
    settings: Settings,
    *,
    on_broken: Callable[[StorageBroken], None],
    news: News,
    metrics: Metrics | None = None,
) -> House:
    """Open storage and build all rooms over it; `metrics` count on from a house before this one.

    Raises what opening storage raises.
    """
    clock = SystemClock()
    metrics = metrics or Metrics(version=__version__)

    def committed(members: int, seconds: float) -> None:
        metrics.commit_members[""] += members
        metrics.commit_latency.observe(seconds)

    storage = await open_storage(
        settings.data_dir, now_ms=clock.now_ms(), on_broken=on_broken, on_commit=committed,
        database=settings.database_url.reveal(), secret_key=settings.secret_key.reveal(),
        node=settings.node, version=__version__, roles=settings.roles,
    )  # fmt: skip
    try:
        return _build_over(storage, settings, clock, metrics, news)
    except BaseException:
        await storage.close()
        raise


def _build_over(
    storage: Storage, settings: Settings, clock: Clock, metrics: Metrics, news: News
) -> House:
    accept, delivery = settings.accept, settings.delivery
    mirror = Mirror(
        most_messages=accept.mirror_messages,
        most_bytes=accept.mirror_mb * MEGABYTE,
        most_marked=_MARKED,
    )
    gate = Gate(
        settings.smtp.max_message_mb * MEGABYTE, settings.retention.disk_floor_mb * MEGABYTE
    )
    signers = Signers(storage.domains)
    tracking = Tracking(settings.tracking, storage.keys, clock)
    door = Door(
        storage.queue, Sorter(storage.directory, storage.queue), signers, tracking, mirror, clock,
        settings.hostname, accept, metrics=metrics, news=news,
    )  # fmt: skip
    authenticator = Authenticator(storage.directory, clock)
    settler = Settler(storage.queue, RetryPolicy(settings.retry), metrics, news)
    tokens, consents = access_tokens(storage.directory, clock)
    lines = Lines(settings.hostname, settings.timeouts, tokens, settings.direct.connect_seconds)
    resolver = Resolver(settings.dns, clock)
    tls = build_tls(
        settings, storage, door, resolver, clock,
        port=settings.direct.port, allowed_networks=settings.direct.allowed_networks,
    )  # fmt: skip
    atlas = Atlas(
        settings.direct, resolver, hostname=settings.hostname, is_own_address=is_own_address
    )
    pool = build_pool(settings, lines, clock, metrics, tls.sessions)
    circuits = Circuits(settings.breaker, storage.events, storage.limits, clock, metrics, news)
    senders = Senders(clock)
    renderer, workers = build_renderer(settings, storage, clock)
    transactions = Transactions(
        pool,
        storage.events,
        storage.messages,
        storage.nodes,
        Marks(storage.queue, mirror),
        senders,
        renderer,
        clock,
        most_per_connection=delivery.transactions_per_connection,
    )
    attempts = Attempts(
        storage.directory,
        circuits,
        transactions,
        Offers(transactions, senders, storage.messages),
        settler,
        build_straight(settings, atlas, clock, tls.plans),
        clock,
        recipients_per_transaction=delivery.recipients_per_transaction,
    )
    tools = LaneTools(
        storage.queue, storage.messages, mirror, attempts, clock, delivery.window,
        round(delivery.catch_up_seconds * 1000),
    )  # fmt: skip
    entrance = Entrance(
        authenticator, LoginThrottle(settings.logins), storage.problems, clock, metrics, news,
        settings.smtp.max_sessions_per_login,
    )  # fmt: skip
    desk = Desk(
        door, gate, storage.queue, entrance, clock, metrics, news, settings.hostname,
        settings.smtp.local_credential,
    )  # fmt: skip
    worker = Worker(tools, poll_seconds=delivery.poll_seconds)
    circuits.listen(worker.catch_up, worker.try_one)
    listener, certificates, ca_path = build_listener(settings, clock, metrics, desk)
    tracking_rooms = build_tracking(settings, storage, resolver, clock, metrics, certificates)
    return House(
        settings=settings,
        clock=clock,
        storage=storage,
        metrics=metrics,
        news=news,
        mirror=mirror,
        gate=gate,
        door=door,
        authenticator=authenticator,
        # Not the throttle of SMTP: behind a proxy all people come from one address.
        sign_in=SignIn(
            storage.users, Passwords(), LoginThrottle(settings.logins), clock, metrics, news
        ),
        listener=listener,
        certificates=certificates,
        pool=pool,
        tokens=tokens,
        consents=consents,
        circuits=circuits,
        resolver=resolver,
        tls=tls,
        tracking=tracking_rooms,
        acme=build_acme(settings, storage, clock, (certificates, tracking_rooms.own)),
        worker=worker,
        workers=workers,
        rehearser=build_rehearser(settings, storage, signers, tracking, clock),
        checker=Checker(
            lines, storage.directory, circuits, clock, news,
            hostname=settings.hostname, seconds=delivery.check_seconds,
            hosts_of=Itinerary(settings.direct, atlas, tls.plans).hosts,
        ),
        notices=Notices(
            storage, door, clock, metrics,
            hostname=settings.hostname, poll_seconds=delivery.poll_seconds,
        ),
        rounds=Rounds(
            storage, gate, settler, clock, metrics, settings.retention,
            on_duty="upkeep" in settings.roles,
        ),
        domains=build_domains(settings, storage, resolver, clock, tracking_rooms.shown),
        ca_path=ca_path,
        started_at=clock.now_ms(),
    )  # fmt: skip
