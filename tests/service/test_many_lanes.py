"""mail straight to many domains: a lane for each, and only those at work cost anything"""

from __future__ import annotations

import asyncio

from pillarbox.net.dns_servers import DnsConfig
from pillarbox.policy.delivery import State
from pillarbox.policy.mx import DirectConfig
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Kind
from tests.doubles.dns_server import silence
from tests.doubles.mx_farm import NETWORK, mx_farm
from tests.fix_house import Houses

DOMAINS = 150


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
            await running.until(receipt.message, lambda rows: rows[0].state is State.DEFERRED)
        lanes = running.house.worker._lanes
        async with asyncio.timeout(10):
            while len(lanes) > 64:
                await asyncio.sleep(0.01)
        farm.dns.twists.clear()
        for receipt in receipts:
            (row,) = await running.until(receipt.message)
            assert (row.state, row.attempts) == (State.DELIVERED, 2)
        assert len(host.messages) == DOMAINS
