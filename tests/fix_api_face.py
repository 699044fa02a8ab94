"""the REST face over a real store, asked in memory, with deliveries that follow a script"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pillarbox.api.app import build_app
from pillarbox.api.config import ApiConfig
from pillarbox.api.rooms import ListenerFact, Rooms, SmtpFacts
from pillarbox.handover.accept import Door
from pillarbox.handover.config import DoorConfig, TrackingConfig
from pillarbox.handover.gate import Gate
from pillarbox.handover.mirror import Mirror
from pillarbox.handover.receipt import Receipt
from pillarbox.handover.signers import Signers
from pillarbox.handover.sorting import Sorter
from pillarbox.handover.tracking import Tracking
from pillarbox.net.acme import Issued, Publish
from pillarbox.net.client_facts import ClientTimeouts
from pillarbox.net.workers import Workers, WorkersConfig
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.policy.breaker import BreakerConfig
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Account, App, Key, Mode
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.throttle import LoginThrottle, ThrottleConfig
from pillarbox.policy.tls_plan import TlsPlan
from pillarbox.services.certificates.renewals import Renewals
from pillarbox.services.delivery.check import Checker
from pillarbox.services.delivery.circuits import Circuits
from pillarbox.services.delivery.line import Lines
from pillarbox.services.delivery.rehearsal_job import MODULE
from pillarbox.services.delivery.rehearser import Rehearser
from pillarbox.services.delivery.renderer import StoredKeys
from pillarbox.services.people.passwords import Passwords
from pillarbox.services.people.sign_in import SignIn
from pillarbox.services.submission.authenticate import (
    Authenticator,
    hash_secret,
    new_key_secret,
)
from pillarbox.storage.interface.settlement import Settlement, Verdict
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.clock import SystemClock
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from pillarbox.wiring.presets import load_presets
from tests.waited import settle

CLOCK = SystemClock()
TRACKING = TrackingConfig(host="track.example.com")
LOOPBACK = ("127.0.0.1", 40000)

Script = Callable[["Face", Receipt], Awaitable[None]]


class _NeverAsked:
    """An authority; requests are noted and nobody goes round."""

    directory = "https://acme.example.test/dir"

    async def open_account(self, key: Secret) -> str:
        raise AssertionError

    async def obtain(self, host: str, account: str, key: Secret, publish: Publish) -> Issued:
        raise AssertionError


@dataclass(frozen=True)
class Answer:
    """What the face said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The document."""
        return json.loads(self.body)


@dataclass
class Face:
    """Both variants of the face, the store under them, and a key for everything."""

    storage: Storage
    door: ScriptedDoor
    rooms: Rooms
    app: App
    account: Account
    key: str
    public: Any = None
    owner: Any = None
    scripts: list[Any] = field(default_factory=list)

    def rebuild(self, config: ApiConfig | None = None, gate: Gate | None = None) -> None:
        """The same rooms under another config."""
        self.rooms = replace(self.rooms, config=config or self.rooms.config, gate=gate)
        self.public = build_app(self.rooms)
        self.owner = build_app(self.rooms, owner=True)

    async def ask(
        self,
        method: str,
        path: str,
        document: Any = None,
        *,
        key: str | None = "",
        owner: bool = False,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        client: tuple[str, int] | None = LOOPBACK,
        chunks: list[bytes] | None = None,
    ) -> Answer:
        """One request; ``key=None`` shows none, and an empty one stands for the fixture's."""
        sent = {"host": "test", **(headers or {})}
        if document is not None:
            body = json.dumps(document).encode()
            sent.setdefault("content-type", "application/json")
        if key is not None and not owner and path.startswith("/pillarbox"):
            sent.setdefault("authorization", f"Bearer {key or self.key}")
        app = self.owner if owner else self.public
        return await call(
            app, method, path, chunks or [body or b""], sent, None if owner else client
        )

    async def own(self, method: str, path: str, document: Any = None, **more: Any) -> Answer:
        """A request to our own API."""
        return await self.ask(method, f"/pillarbox/v1{path}", document, **more)

    async def post_email(
        self, document: Any = None, *, service: str = "first-app", **more: Any
    ) -> Answer:
        """A message for the email service."""
        headers = {"x-dreamfactory-api-key": self.key, **more.pop("headers", {})}
        return await self.ask("POST", f"/api/v2/{service}", document, headers=headers, **more)

    async def go_live(self) -> None:
        """Mail of the app leaves from now on."""
        self.app = replace(self.app, mode=Mode.LIVE)
        await self.storage.directory.save_app(self.app)

    async def new_key(self, **more: Any) -> str:
        """A further key; its secret."""
        secret = new_key_secret()
        key = Key(
            id=new_object_id(),
            account=self.account.id,
            name=more.pop("name", f"key-{new_object_id().hex()}"),
            secret_hash=hash_secret(secret),
            hint=secret.reveal()[:8],
            **more,
        )
        await self.storage.directory.save_key(key)
        return secret.reveal()

    async def new_app(self, name: str, **more: Any) -> App:
        """A further app of the account."""
        app = App(id=new_object_id(), account=self.account.id, name=name, **more)
        await self.storage.directory.save_app(app)
        return app

    async def settle(
        self, receipt: Receipt, *outcomes: tuple[State, AttemptFacts], uncertain: bool = False
    ) -> None:
        """Give each recipient, in order, an outcome, as delivery would."""
        rows = await self.storage.messages.deliveries(receipt.message)
        verdicts = [
            Verdict(
                row.delivery,
                row.recipient.encode(),
                state,
                row.attempts + 1,
                row.last_event,
                f"delivery.{state.value}",
                facts,
                CLOCK.now_ms() + 60_000 if state is State.DEFERRED else 0,
                uncertain,
            )
            for row, (state, facts) in zip(rows, outcomes, strict=False)
        ]
        await settle(self.storage.queue, Settlement(CLOCK.now_ms(), self.app.id, verdicts))

    async def content(self, receipt_or_id: Any) -> bytes:
        """What is stored of a message."""
        return await self.storage.messages.content(receipt_or_id)


async def _no_hosts(domain: str) -> list[tuple[str, TlsPlan]]:
    return []


class ScriptedDoor(Door):
    """The real door; behind it, a script stands in for delivery."""

    face: Face
    script: Script | None = None
    receipts: list[Receipt]
    running: list[asyncio.Task[None]]

    async def accept(self, *args: Any, **more: Any) -> Receipt:
        """As the door, and the script begins."""
        receipt = await super().accept(*args, **more)
        self.receipts.append(receipt)
        self.envelopes.append(args[0])
        self.asked.append(more)
        if self.script is not None:
            self.running.append(asyncio.ensure_future(self.script(self.face, receipt)))
        return receipt


async def call(
    app: Any,
    method: str,
    path: str,
    chunks: list[bytes],
    headers: Mapping[str, str],
    client: tuple[str, int] | None,
) -> Answer:
    """One request to an ASGI application."""
    bare, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": bare,
        "raw_path": bare.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        "client": client,
        "server": ("test", 80),
    }
    waiting = list(chunks)
    started: dict[str, Any] = {}
    blocks: list[bytes] = []
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if waiting:
            block = waiting.pop(0)
            return {"type": "http.request", "body": block, "more_body": bool(waiting)}
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert not started
            started.update(message)
        else:
            blocks.append(message.get("body", b""))

    await app(scope, receive, send)
    gone.set()
    return Answer(
        started["status"],
        {name.decode().lower(): text.decode() for name, text in started["headers"]},
        b"".join(blocks),
    )


def _checker(storage: Storage) -> Checker:
    metrics, news = Metrics(version="1"), News()
    return Checker(
        Lines("mail.example.com", ClientTimeouts(quit_seconds=0.2)),
        storage.directory,
        Circuits(BreakerConfig(), storage.events, storage.limits, CLOCK, metrics, news),
        CLOCK,
        news,
        hostname="mail.example.com",
        seconds=10.0,
    )


@pytest.fixture
async def face(tmp_path: Path) -> AsyncIterator[Face]:
    """A face with one account, one app in the sandbox and one key for everything."""
    storage = await open_storage(
        tmp_path / "data", now_ms=CLOCK.now_ms(), on_broken=lambda error: None,
        node="one", version="1.2.3", roles=("smtp", "http", "deliver"),
    )  # fmt: skip
    account = Account(new_object_id(), "default")
    app = App(new_object_id(), account.id, "first-app", from_address="shop@example.com")
    await storage.directory.save_account(account)
    await storage.directory.save_app(app)
    mirror = Mirror(most_messages=10, most_bytes=1 << 20, most_marked=10)
    signers, tracking = Signers(storage.domains), Tracking(TRACKING, storage.keys, CLOCK)
    door = ScriptedDoor(
        storage.queue,
        Sorter(storage.directory, storage.queue),
        signers,
        tracking,
        mirror,
        CLOCK,
        "mail.example.com",
        DoorConfig(),
        metrics=Metrics(version="1"),
        news=News(),
    )
    door.receipts, door.running, door.envelopes, door.asked = [], [], [], []
    rehearser = Rehearser(
        StoredKeys(storage.keys, storage.domains), signers, tracking,
        Workers(MODULE, WorkersConfig(processes=1)),
        CLOCK, "mail.example.com", DoorConfig(),
    )  # fmt: skip
    rooms = Rooms(
        storage=storage,
        door=door,
        authenticator=Authenticator(storage.directory, CLOCK),
        checker=_checker(storage),
        rehearser=rehearser,
        sign_in=SignIn(
            storage.users,
            Passwords(),
            LoginThrottle(ThrottleConfig()),
            CLOCK,
            Metrics(version="1"),
            News(),
        ),
        clock=CLOCK,
        hostname="mail.example.com",
        version="1.2.3",
        started_at=CLOCK.now_ms(),
        metrics_text=lambda: b"pillarbox_up 1\n",
        smtp_facts=lambda: SmtpFacts(
            (ListenerFact("127.0.0.1", 2525, "STARTTLS"),), "/data/ca.pem"
        ),
        config=ApiConfig(),
        presets=load_presets,
        tls_of=_no_hosts,
        renewals=Renewals(storage, _NeverAsked(), lambda _: None, CLOCK, agreed=True),
    )
    made = Face(storage, door, rooms, app, account, "")
    door.face = made
    made.key = await made.new_key(name="everything")
    made.rebuild()
    try:
        yield made
    finally:
        await asyncio.gather(*door.running)
        await rehearser.close()
        await storage.close()
