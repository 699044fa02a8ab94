"""what is scraped is what happened"""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.doubles.bad_server import BadServer
from tests.doubles.ports import free_port
from tests.fix_house import Running


def scraped(running: Running) -> dict[str, float]:
    """Values by name; those with labels are added up."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(running.house.metrics_text().decode()):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


async def test_connections_and_commits_are_counted(running: Running) -> None:
    before = scraped(running)
    async with BadServer() as server:
        await running.add_server("gone", free_port(), priority=0)
        await running.add_server("here", server.port, priority=1)
        receipt = await running.submit()
        await running.until(receipt.message)
        now = scraped(running)
    assert now["pillarbox_server_connections"] == 1
    assert now["pillarbox_server_connections_opened_total"] == 2
    members = now["pillarbox_commit_members_total"] - before["pillarbox_commit_members_total"]
    groups = (
        now["pillarbox_commit_latency_seconds_count"]
        - before["pillarbox_commit_latency_seconds_count"]
    )
    assert members >= groups >= 2, "an acceptance and a settlement at least"
    assert now["pillarbox_commit_latency_seconds_sum"] > 0


async def test_the_oldest_that_waits_has_an_age(running: Running) -> None:
    await running.house.rounds.count()
    assert scraped(running)["pillarbox_queue_oldest_age_seconds"] == 0
    await running.submit()
    while not scraped(running)["pillarbox_queue_oldest_age_seconds"]:
        await running.house.rounds.count()
    assert scraped(running)["pillarbox_queue_oldest_age_seconds"] < 60


async def test_sessions_and_answers_are_counted(running: Running) -> None:
    (port, *_) = running.house.listener.open_ports
    reader, writer = await asyncio.open_connection(port.host, port.port)
    assert (await reader.readline()).startswith(b"220 ")
    now = scraped(running)
    assert now["pillarbox_smtp_sessions"] == now["pillarbox_smtp_sessions_opened_total"] == 1
    writer.write(b"QUIT\r\n")
    await reader.read()
    writer.close()
    while running.house.listener.sessions:
        await asyncio.sleep(0.01)
    assert scraped(running)["pillarbox_smtp_sessions"] == 0

    for path, status in (("/healthz", b" 200 "), ("/nowhere", b" 404 ")):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.http_port)
        writer.write(b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert status in await reader.readline()
        writer.close()
    answers = running.house.metrics.http_requests
    assert (answers["2xx"], answers["4xx"]) == (1, 1)
