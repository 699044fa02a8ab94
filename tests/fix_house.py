"""a whole Pillarbox in this process: real storage, real sockets, short times"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from pillarbox.api.config import ApiConfig
from pillarbox.handover.config import DoorConfig, TrackingConfig
from pillarbox.handover.receipt import Content, Receipt
from pillarbox.message.facts import Origin
from pillarbox.net.acme import AcmeConfig
from pillarbox.net.certificates import TlsConfig
from pillarbox.net.client_facts import ClientTimeouts
from pillarbox.net.dns_servers import DnsConfig
from pillarbox.net.http_server import HttpConfig
from pillarbox.net.smtp_ports import SmtpConfig
from pillarbox.net.workers import WorkersConfig
from pillarbox.observe.log import LogConfig
from pillarbox.observe.news import News
from pillarbox.policy.breaker import BreakerConfig
from pillarbox.policy.connecting import ConnectConfig
from pillarbox.policy.delivery import WAITING
from pillarbox.policy.directory import Account, App, Mode, Uncertain
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.mx import DirectConfig
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Encryption, Server
from pillarbox.policy.site import SiteConfig
from pillarbox.policy.submitter import Submitter, SubmitterKind
from pillarbox.policy.throttle import ThrottleConfig
from pillarbox.services.delivery.config import DeliveryConfig
from pillarbox.services.delivery.tls_plans import TlsPolicyConfig
from pillarbox.services.domains.look import DomainsConfig
from pillarbox.services.tracking.config import TrackingHostConfig
from pillarbox.services.upkeep.rounds import UpkeepConfig
from pillarbox.services.upkeep.tls_reports import TlsReportConfig
from pillarbox.settings import Settings
from pillarbox.settings.process import ROLES
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.queue import DeliveryRow
from pillarbox.terms.ids import MessageId, new_object_id
from pillarbox.terms.secret import Secret
from pillarbox.wiring.first_run import FirstSecrets, begin
from pillarbox.wiring.house import House, build
from pillarbox.wiring.life import bind_ports, open_rooms

QUICK = ClientTimeouts(
    connect_seconds=1.0,
    banner_seconds=1.0,
    ehlo_seconds=1.0,
    tls_seconds=1.0,
    auth_seconds=1.0,
    envelope_seconds=1.0,
    elsewhere_seconds=1.0,
    block_seconds=1.0,
    verdict_seconds=1.0,
    quit_seconds=0.5,
)
SAMPLE = b"From: ann@example.com\r\nSubject: hello\r\n\r\nGood morning.\r\n"


def settings_at(data_dir: Path, **sections: object) -> Settings:
    """Settings for a test: ports of the system's choice, retries within a second."""
    given: dict[str, object] = {
        "smtp": SmtpConfig(starttls_ports=(0,), tls_ports=(), idle_seconds=30),
        "http": HttpConfig(port=0),
        "api": ApiConfig(),
        "logins": ThrottleConfig(),
        "tls": TlsConfig(),
        "acme": AcmeConfig(),
        "connect": ConnectConfig(),
        "accept": DoorConfig(),
        "tracking": TrackingConfig(),
        "rendering": WorkersConfig(),
        "tracking_host": TrackingHostConfig(),
        "tracking_tls": TlsConfig(),
        "delivery": DeliveryConfig(poll_seconds=0.05),
        "retry": RetryConfig(first_seconds=0.1, ceiling_seconds=0.4),
        "breaker": BreakerConfig(pause_seconds=0.2, ceiling_seconds=0.5),
        "timeouts": QUICK,
        "dns": DnsConfig(servers=("127.0.0.1:9",), timeout_seconds=0.2),
        "direct": DirectConfig(connect_seconds=1.0),
        "sites": SiteConfig(),
        "tls_policy": TlsPolicyConfig(),
        "tls_reports": TlsReportConfig(),
        "domains": DomainsConfig(),
        "retention": UpkeepConfig(disk_floor_mb=1),
        "log": LogConfig(),
    }
    above: dict[str, object] = {
        "database_url": Secret(""), "secret_key": Secret(""), "node": "", "roles": ROLES,
    }  # fmt: skip
    return Settings(data_dir=data_dir, hostname="relay.test", **above | given | sections)  # type: ignore[arg-type]


@dataclass
class Running:
    """A house at work, and hands for a test."""

    house: House
    app: App
    account: Account
    first: FirstSecrets | None
    http_port: int
    broken: list[StorageBroken] = field(default_factory=list)

    async def add_server(self, name: str, port: int, **facts: object) -> Server:
        """A server on loopback, in clear unless said otherwise."""
        values: dict[str, object] = {"encryption": Encryption.NONE, "priority": 10} | facts
        server = Server(new_object_id(), self.app.id, name, "127.0.0.1", port, **values)  # type: ignore[arg-type]
        directory = self.house.storage.directory
        await directory.save_server(server)
        return await directory.server(server.id)

    async def set_mode(self, mode: Mode) -> None:
        """Change the app's mode."""
        self.app = replace(self.app, mode=mode)
        await self.house.storage.directory.save_app(self.app)

    def submitter(self, uncertain: Uncertain = Uncertain.RETRY) -> Submitter:
        """Somebody who may submit to the app."""
        return Submitter(
            SubmitterKind.CREDENTIAL, self.app.id, "first-app", self.account, self.app,
            self.app.mode, uncertain,
        )  # fmt: skip

    async def submit(
        self,
        *recipients: str,
        content: bytes = SAMPLE,
        return_path: str = "ann@example.com",
        uncertain: Uncertain = Uncertain.RETRY,
        answer_by: int | None = None,
    ) -> Receipt:
        """Hand a message to the door."""
        envelope = Envelope(
            return_path, tuple(Recipient(r) for r in recipients or ("bob@example.org",))
        )
        return await self.house.door.accept(
            envelope, Content(content), self.submitter(uncertain), Origin("smtp"),
            answer_by=answer_by,
        )  # fmt: skip

    async def deliveries(self, message: MessageId) -> list[DeliveryRow]:
        """Every recipient's standing."""
        return await self.house.storage.messages.deliveries(message)

    async def until(
        self,
        message: MessageId,
        wanted: Callable[[Sequence[DeliveryRow]], bool] | None = None,
        seconds: float = 15.0,
    ) -> list[DeliveryRow]:
        """Wait for the standing that is wanted; final everywhere, if nothing is said."""
        rows: list[DeliveryRow] = []
        try:
            async with asyncio.timeout(seconds):
                while True:
                    rows = await self.deliveries(message)
                    if (wanted or _final)(rows):
                        return rows
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(
                f"still waiting: {[(r.recipient, r.state) for r in rows]}"
            ) from None

    async def kinds(self, row: DeliveryRow) -> list[str]:
        """The kinds of event in a delivery's history."""
        return [e.kind for e in await self.house.storage.events.history(row.last_event)]


def _final(rows: Sequence[DeliveryRow]) -> bool:
    return bool(rows) and not any(row.state in WAITING for row in rows)


class Houses:
    """Starts houses, several in a row over one data directory if need be."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._stack: AsyncExitStack | None = None

    async def start(self, mode: Mode = Mode.LIVE, **sections: object) -> Running:
        """Stop the one that runs, start the next."""
        await self.stop()
        self._stack = stack = AsyncExitStack()
        settings = settings_at(self.data_dir, **sections)
        broken: list[StorageBroken] = []
        house = await build(settings, on_broken=broken.append, news=News())
        stack.push_async_callback(house.storage.close)
        directory = house.storage.directory
        faces = bind_ports(stack, house, take_next_port=False)
        first = await begin(directory, house.clock.now_ms())
        await house.storage.queue.recover(house.clock.now_ms())
        house.gate.look(await house.storage.health())
        await open_rooms(stack, house, faces)
        (app,), (account,) = await directory.apps(), await directory.accounts()
        running = Running(house, app, account, first, faces.http.port, broken)
        await running.set_mode(mode)
        return running

    async def stop(self) -> None:
        """In good order."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()


class HousesOverDatabase(Houses):
    """Their mail rests in a database; with an empty URL in the data directory."""

    def __init__(self, data_dir: Path, database: str) -> None:
        super().__init__(data_dir)
        self._database = database

    async def start(self, mode: Mode = Mode.LIVE, **sections: object) -> Running:
        return await super().start(mode, database_url=Secret(self._database), **sections)


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Houses]:
    """Starts Pillarboxes over one data directory; ends the last one."""
    found = Houses(tmp_path / "data")
    yield found
    await found.stop()


@pytest.fixture
async def running(houses: Houses) -> Running:
    """A Pillarbox at work, its app live, no servers yet."""
    return await houses.start()
