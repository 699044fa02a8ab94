"""the rooms that TLS with the hosts of recipients takes: policies, counted sessions, reports"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pillarbox.handover.accept import Door
from pillarbox.net.errors import Broken
from pillarbox.net.mta_sts import StsFetcher
from pillarbox.net.resolver import Resolver
from pillarbox.net.web_client import WebClient
from pillarbox.net.web_stream import LookUp
from pillarbox.policy.lookup import Status
from pillarbox.policy.networks import is_address, is_public, is_within
from pillarbox.services.delivery.tls_plans import TlsPlans
from pillarbox.services.delivery.tls_sessions import TlsSessions
from pillarbox.services.upkeep.tls_reports import TlsReports
from pillarbox.settings import Settings
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock

_OK: Final = 2


@dataclass(frozen=True, slots=True)
class TlsRooms:
    """What delivery and upkeep are given."""

    plans: TlsPlans
    sessions: TlsSessions
    reports: TlsReports
    client: WebClient

    async def close(self) -> None:
        """End what is being fetched, then the connections."""
        await self.plans.close()
        await self.client.close()


def build_tls(
    settings: Settings,
    storage: Storage,
    door: Door,
    resolver: Resolver,
    clock: Clock,
    *,
    port: int = 25,
    allowed_networks: Sequence[str] = (),
) -> TlsRooms:
    """`port` is where MX hosts listen. Hosts of policies and reports have public addresses, or such
    as lie in `allowed_networks`. Raises `TlsFilesUnusable`.
    """
    config = settings.tls_policy
    client = WebClient(
        ca_file=config.ca_file,
        permits=lambda address: is_public(address) or is_within(allowed_networks, address),
        look_up=by_resolver(resolver),
    )
    sessions = TlsSessions(storage.tls, clock)
    fetcher = StsFetcher(client, config.policy_port)
    plans = TlsPlans(
        config, resolver, storage.tls, fetcher.fetch, sessions, clock, port=port
    )  # fmt: skip

    async def post(url: str, packed: bytes) -> bool:
        fields = {"content-type": "application/tlsrpt+gzip"}
        answer = await client.post(url, packed, fields=fields)
        return answer.status // 100 == _OK

    reports = TlsReports(
        storage, door, resolver, post, clock, settings.tls_reports,
        hostname=settings.hostname, on_duty="upkeep" in settings.roles,
    )  # fmt: skip
    return TlsRooms(plans, sessions, reports, client)


def by_resolver(resolver: Resolver) -> LookUp:
    """Names as delivery looks them up: the same servers, the same answers."""

    async def look_up(host: str, port: int, seconds: float) -> Sequence[tuple[str, int]]:
        if is_address(host):
            return [(host, port)]
        try:
            async with asyncio.timeout(seconds):
                answers = [await resolver.lookup(host, kind) for kind in ("A", "AAAA")]
        except TimeoutError:
            raise Broken("connect", f"the name {host} could not be looked up in time") from None
        found = [(address, port) for answer in answers for address in answer.texts]
        if not found:
            trouble = next((a.words for a in answers if a.status is Status.TROUBLE), "")
            why = f"could not be looked up: {trouble}" if trouble else "has no address"
            raise Broken("connect", f"the name {host} {why}")
        return found

    return look_up
