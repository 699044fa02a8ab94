"""what is scraped is what happened"""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from pillarbox.services.upkeep.presence import Presence
from pillarbox.storage.interface.queue import Recovered
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


async def test_a_lease_and_what_was_taken_over_are_told(running: Running, monkeypatch) -> None:
    house = running.house
    assert scraped(running)["pillarbox_node_lease"] == 1
    dead = [("two", Recovered(3, 1, 0, 0)), ("three", Recovered(0, 0, 0, 0))]

    async def take_over(now_ms: int) -> list[tuple[str, Recovered]]:
        return [dead.pop()] if dead else []

    monkeypatch.setattr(house.storage.nodes, "take_over", take_over)
    presence = Presence(
        house.storage, house.gate, house.clock, house.load, house.worker.drain, house.metrics
    )
    for _ in range(3):
        await presence.beat()
    monkeypatch.setattr(house.storage.nodes._engine.tenure, "lost", True)
    now = scraped(running)
    assert now["pillarbox_node_takeovers_total"] == 2
    assert now["pillarbox_node_leases_lost_total"] == 0
    assert now["pillarbox_node_lease"] == 0


async def test_a_node_says_at_once_that_it_has_heard_of_draining(running: Running) -> None:
    house = running.house
    nodes = house.storage.nodes
    presence = Presence(
        house.storage, house.gate, house.clock, house.load, house.worker.drain, house.metrics
    )
    (name,) = [node.name for node in await nodes.nodes()]
    task = asyncio.create_task(presence.run())

    async def heard(draining: bool) -> None:
        await nodes.drain(name, draining=draining)
        async with asyncio.timeout(2):  # a beat comes every four seconds
            while (await nodes.nodes())[0].load.draining is not draining:
                await asyncio.sleep(0.01)

    await heard(True)
    assert house.gate.trouble is not None
    assert house.gate.trouble.error_code == "node_draining"
    await heard(False)
    assert house.gate.trouble is None
    presence.stop()
    async with asyncio.timeout(2):
        await task


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
