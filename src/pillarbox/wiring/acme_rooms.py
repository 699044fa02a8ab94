"""the rooms that certificates from an authority take: asking, showing, answering its look"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pillarbox.api.challenges import build_challenges
from pillarbox.net.acme import AcmeClient
from pillarbox.net.certificates import Certificates, ObtainedPair
from pillarbox.net.http_server import HttpServer
from pillarbox.net.web_client import WebClient
from pillarbox.services.certificates.renewals import Renewals
from pillarbox.settings import Settings
from pillarbox.storage.interface.certificates import CertificatePair
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock


@dataclass(frozen=True, slots=True)
class AcmeRooms:
    """What life starts and stops."""

    renewals: Renewals
    client: AcmeClient

    async def close(self) -> None:
        """Break off what is asked."""
        await self.client.close()


def build_acme(
    settings: Settings, storage: Storage, clock: Clock, shown: Sequence[Certificates | None]
) -> AcmeRooms:
    """What is obtained goes to all that are `shown`. Raises `TlsFilesUnusable`."""
    config = settings.acme
    # Whoever runs this named the authority: it may well be one inside their network.
    client = AcmeClient(config, WebClient(ca_file=config.ca_file))

    def show(pairs: Sequence[CertificatePair]) -> None:
        obtained = [ObtainedPair(pair.host, pair.chain, pair.key) for pair in pairs]
        for certificates in shown:
            if certificates is not None:
                certificates.hold(obtained)

    renewals = Renewals(
        storage, client, show, clock,
        hosts=config.hosts, agreed=config.agree_terms, on_duty="upkeep" in settings.roles,
    )  # fmt: skip
    return AcmeRooms(renewals, client)


def bind_challenges(
    stack: AsyncExitStack, settings: Settings, storage: Storage, clock: Clock
) -> list[HttpServer]:
    """The ports on which an authority looks; closed with the stack. Raises what a busy port raises."""

    async def said(token: str) -> str | None:
        return await storage.certificates.answer(token, clock.now_ms())

    servers = []
    for port in settings.acme.ports:
        app = build_challenges(said)
        server = HttpServer(app, host=settings.acme.listen, port=port)
        stack.push_async_callback(server.stop)
        servers.append(server)
    return servers
