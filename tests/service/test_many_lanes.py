"""mail straight to many domains: a lane for each, and only those at work cost anything"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pillarbox.net.dns_servers import DnsConfig
from pillarbox.policy.delivery import State
from pillarbox.policy.mx import DirectConfig
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Kind
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.dns_server import silence
from tests.doubles.mx_farm import NETWORK, mx_farm
from tests.fix_house import Houses

DOMAINS = 150


def deferred(rows: Sequence[DeliveryRow]) -> bool:
    return rows[0].attempts >= 1


async def test_lanes_at_rest_are_forgotten_and_their_mail_goes_out_when_it_is_due(
    houses: Houses,
) -> None:
    async with mx_farm() as farm:
        host = await farm.host("mx.example.net")
        for number in range(DOMAINS):
            farm.domain(f"d{number}.example", (10, "mx.example.net"))
        farm.dns.twists["*"] = silence
        running = await houses.start(
            direct=DirectConfig(port=farm.port, allowed_networks=(NETWORK,)),
            dns=DnsConfig(servers=(farm.dns.address,), timeout_seconds=0.2, rounds=1),
            retry=RetryConfig(first_seconds=5.0, jitter=0.0),
        )
        await running.add_server("direct", 25, kind=Kind.DIRECT)
        receipts = [await running.submit(f"u@d{number}.example") for number in range(DOMAINS)]
        for receipt in receipts:
            await running.until(receipt.message, deferred)
        lanes = running.house.worker._lanes
        async with asyncio.timeout(30):
            while len(lanes) > 64:
                await asyncio.sleep(0.01)
        farm.dns.twists.clear()
        for receipt in receipts:
            (row,) = await running.until(receipt.message, seconds=30.0)
            assert row.state is State.DELIVERED and row.attempts >= 2
        assert len(host.messages) == DOMAINS
