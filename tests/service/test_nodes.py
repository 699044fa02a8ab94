"""nodes as their operator has them: processes on one PostgreSQL, drained, stopped, removed"""

from __future__ import annotations

import asyncio
import json
import smtplib
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from pillarbox.cli.errors import Exit
from pillarbox.net.http_client import Answer, LocalClient
from tests.crash.relay import IN_CLEAR, PILLARBOX, Relay
from tests.doubles.bad_server import BadServer
from tests.doubles.postgres import PostgresServer
from tests.doubles.process import clean_environment
from tests.doubles.script import Gate, Script, Stage, say, stall, usual

pytestmark = [pytest.mark.needs("postgres"), pytest.mark.timeout(60)]

KEY = "11" * 32
PASSWORD = "correct-horse"
LETTER = "From: ann@example.com\r\nSubject: {}\r\n\r\nGood morning.\r\n"
SHARDS_OF = """
SELECT i.node, count(*) FROM lease l JOIN incarnation i ON i.id = l.owner GROUP BY i.node
"""
TAKEN_OVER = """
UPDATE incarnation SET ended_at = 1, recovered = 1 WHERE node = 'one';
SELECT pg_notify('pillarbox', '0 nodes');
"""


class Pair:
    """Nodes by name over one database, and what is said to them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        # The server trusts whoever comes, so the password only has to be kept.
        self.url = url.replace("postgres@", f"postgres:{PASSWORD}@")

    def node(self, name: str, **settings: str) -> Relay:
        said = {**IN_CLEAR, "database_url": self.url, "node": name, **settings}
        relay = Relay(self.folder / name, self.folder / f"{name}.log", said)
        relay.env["PILLARBOX_SECRET_KEY"] = KEY
        return relay

    async def shards(self) -> dict[str, int]:
        """How many shards of lanes each node has leased."""
        connection = await asyncpg.connect(self.url)
        try:
            return dict(await connection.fetch(SHARDS_OF))
        finally:
            await connection.close()

    async def execute(self, sql: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


@pytest.fixture
async def pair(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Pair]:
    yield Pair(tmp_path, postgres.database())


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


async def owned(relay: Relay, path: str) -> Answer:
    """What it tells its owner, over the socket in its data directory."""

    def ask() -> Answer:
        with LocalClient(relay.data_dir / "pillarbox.sock") as client:
            return client.request("GET", path)

    return await asyncio.to_thread(ask)


async def nodes_of(asked: Relay) -> dict[str, dict[str, Any]]:
    listed = (await owned(asked, "/pillarbox/v1/nodes")).json()
    return {node["name"]: node for node in listed["items"]}


async def states(asked: Relay) -> dict[str, str]:
    return {name: node["state"] for name, node in (await nodes_of(asked)).items()}


async def node_in_status(asked: Relay) -> dict[str, Any]:
    found: dict[str, Any] = (await owned(asked, "/pillarbox/v1/status")).json()["node"]
    return found


async def send(relay: Relay, *recipients: str) -> None:
    def hand_in() -> None:
        with smtplib.SMTP("127.0.0.1", relay.port("plain"), timeout=10) as client:
            for recipient in recipients:
                client.sendmail("ann@example.com", [recipient], LETTER.format(recipient))

    await asyncio.to_thread(hand_in)


async def begin(client: smtplib.SMTP) -> tuple[int, bytes]:
    """Say MAIL, and take it back."""
    answer = await asyncio.to_thread(client.docmd, "MAIL", "FROM:<ann@example.com>")
    await asyncio.to_thread(client.rset)
    return answer


async def http(relay: Relay, key: str, method: str, path: str, document: Any = None) -> Answer:
    def ask() -> Answer:
        with LocalClient(relay.http_url, headers={"authorization": f"Bearer {key}"}) as client:
            return client.request(method, f"/pillarbox/v1{path}", document)

    return await asyncio.to_thread(ask)


def recipients_of(server: BadServer) -> list[str]:
    return sorted(each.address for message in server.delivered for each in message.recipients)


async def test_a_node_is_drained_resumed_stopped_and_removed_while_the_other_goes_on(
    pair: Pair,
) -> None:
    gate = Gate()
    held_up = Script().on(Stage.DOT, stall(gate), usual(), times=1)
    held_up.on(Stage.RCPT, say(451, "4.2.1 later"), recipient="later@example.org")
    one, two = pair.node("one"), pair.node("two")
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(BadServer(held_up))
        for relay in (one, two):
            stack.push_async_callback(asyncio.to_thread, relay.stop)
        await asyncio.gather(one.start(), two.start())
        assert (one.said["node"], two.said["node"]) == ("one", "two")
        for relay in (one, two):
            assert relay.said["database"].startswith("postgresql://postgres@/")
            assert PASSWORD not in relay.text()
        (begun,) = [relay for relay in (one, two) if (relay.data_dir / "first-run.txt").exists()]
        key = begun.secrets["Key"]
        listed = await two.ask("node", "list")
        assert [node["state"] for node in listed["items"]] == ["working", "working"]
        assert (await node_in_status(one))["nodes_alive"] == 2
        await one.go_live(upstream.port)

        # Mail that is on its way out of the first node, and mail that both of them work on.
        await send(one, "slow@example.org")
        await gate.reached()
        await send(one, *["later@example.org"] * 24)
        await until(lambda: both_have_shards(pair))

        client = await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", one.port("plain"))
        stack.callback(client.close)
        await asyncio.to_thread(client.ehlo)
        assert (await begin(client))[0] == 250
        drained = await two.ask("node", "drain", "one")
        assert drained["draining"] is True

        await until(lambda: answers(client, 451))
        assert (await begin(client))[1].startswith(b"4.3.2 ")
        letter = {"from": "ann@example.com", "to": "bob@example.org", "text": "Hi"}
        refused = await http(one, key, "POST", "/messages", letter)
        assert (refused.status, refused.json()["code"]) == (503, "node_draining")
        assert (await http(one, key, "GET", "/messages")).status == 200
        await until(lambda: only_has_shards(pair, "two"))
        nodes = await nodes_of(one)
        assert nodes["one"]["state"] == "draining", "what it accepted is still on its way"
        assert nodes["one"]["load"]["messages"] >= 1
        assert nodes["two"]["state"] == "working"

        # What it has leaves; whoever waits for that hears of it.
        waiting = asyncio.create_task(two.ask("node", "drain", "one", "--wait"))
        await asyncio.sleep(0.2)
        assert recipients_of(upstream) == []
        gate.release()
        assert (await waiting)["state"] == "drained"
        assert recipients_of(upstream) == ["slow@example.org"]
        await send(two, "bob@example.org")
        await upstream.until(lambda: len(upstream.delivered) == 2)

        resumed = await one.ask("node", "drain", "one", "--resume")
        assert resumed["state"] == "working"
        await until(lambda: answers(client, 250))

        # It stops, and the other one delivers what is left of its mail.
        await send(one, *["later@example.org"] * 4)
        assert await asyncio.to_thread(one.stop) == 0
        assert await states(two) == {"one": "stopped", "two": "working"}
        upstream.script = Script()
        await upstream.until(lambda: len(upstream.delivered) == 30, seconds=15)
        assert recipients_of(upstream).count("later@example.org") == 28
        assert await asyncio.to_thread(removed, two, "two") == Exit.CONFLICT
        assert await asyncio.to_thread(removed, two, "one") == Exit.DONE
        assert await states(two) == {"two": "working"}
        assert (await node_in_status(two))["nodes_alive"] == 1


async def test_a_node_that_was_taken_over_begins_anew_and_counts_it(pair: Pair) -> None:
    async with pair.node("one", roles="deliver,upkeep") as one:
        assert (one.said["http_url"], one.said["smtp"]) == ("", [])
        assert one.said["roles"] == ["deliver", "upkeep"]
        assert "first-run.txt" in one.said["secrets_file"]
        await pair.execute(TAKEN_OVER)
        await one.until(lambda: len(starts(one)) == 2)
        assert PASSWORD not in one.text()
        metrics = (await owned(one, "/metrics")).body.decode()
        assert "pillarbox_node_leases_lost_total 1.0" in metrics
        assert "pillarbox_node_lease 1.0" in metrics
        assert "pillarbox_node_takeovers_total 0.0" in metrics
        assert await states(one) == {"one": "working"}
        assert (await node_in_status(one))["roles"] == ["deliver", "upkeep"]


def starts(relay: Relay) -> list[dict[str, Any]]:
    """What it said each time it was ready."""
    lines = relay.text().splitlines()
    return [json.loads(line) for line in lines if line.startswith('{"word": "started"')]


def removed(asked: Relay, name: str) -> int:
    """The exit code of removing a node."""
    words = [*PILLARBOX, "--data-dir", str(asked.data_dir), "node", "remove", name, "--yes"]
    return subprocess.run(words, env=clean_environment(asked.env), check=False).returncode


async def both_have_shards(pair: Pair) -> bool:
    return set(await pair.shards()) == {"one", "two"}


async def only_has_shards(pair: Pair, name: str) -> bool:
    return set(await pair.shards()) == {name}


async def answers(client: smtplib.SMTP, code: int) -> bool:
    return (await begin(client))[0] == code
