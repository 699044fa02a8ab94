"""a node cut off from the database stops sending within its lease, and its mail goes out once

Four hosts, as network namespaces: the database, two nodes, the upstream. The upstream is slow, so that
node *a* has a few hundred messages in memory when the cable between it and the database is pulled:
nothing is closed, packets only stop arriving. It still reaches the upstream.

stops within the lease
    The upstream writes down who sends what and when. After the end of its lease, thirty seconds after
    the last sign of life that the database has from it, node *a* sends nothing more. In the second
    round (in full) the upstream keeps back its answer to DATA until the lease is over and the other
    node has taken over, on connections that node *a* had open: then it is asked for content, and must
    not send it.
goes out once
    Node *b* delivers what *a* had in memory. Lost 0, phantoms 0; a second copy only of what *a* had
    sent without being able to write down the verdict, one at most for each of its connections, each
    with ``delivery.uncertain`` in its history. What node *a* is offered while it is cut off, it refuses.
comes back
    When the cable is plugged in again *a* finds that its place was taken, joins again with a new life,
    and takes and delivers mail.

A round in which *a* had nothing in memory, or in the second no open connection, is void.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.crash import audit
from tests.crash.cluster import Cluster
from tests.crash.cluster_ledger import say
from tests.crash.hosts import Hosts
from tests.crash.relay import ROOT
from tests.doubles.journal import Fact, read_journal, wall_ms
from tests.doubles.judge import Verdict, judge
from tests.doubles.process import clean_environment
from tests.doubles.sink import SinkProcess

NEEDS = ("postgres", "root", "namespaces", "ip")

SMTP_PORT = 2587
SINK_PORT = 2525
_OFFERED_SECONDS = 40.0
_TAKEN_OVER_SECONDS = 60.0
_BACK_SECONDS = 90.0
_DRAIN_SECONDS = 90.0
_QUIET_SECONDS = 1.5
"""Longer than the upstream takes for any answer."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    rounds: int
    messages: int
    """Handed to node a in each round."""
    beside: int
    """Handed to node b meanwhile."""
    while_cut: int = 4
    """Offered to node a while it is cut off."""
    afterwards: int = 20
    """Handed to node a when it is back."""
    before_cut: int = 40
    """Delivered by it before the cable is pulled."""
    connections: int = 6
    delay_ms: int = 250
    jitter_ms: int = 100


SCALES = {"small": Scale(1, 150, 30), "full": Scale(2, 400, 100)}


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    networks = {"inside": ("store", "a", "b"), "outside": ("post", "a", "b")}
    with Hosts(networks) as hosts, tempfile.TemporaryDirectory(prefix="pb-") as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_prove(SCALES[size], hosts, Path(folder)))


async def _prove(scale: Scale, hosts: Hosts, folder: Path) -> dict[str, object]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(16))
    sink = SinkProcess(
        folder / "sink.jsonl", "--host", "0.0.0.0", "--port", str(SINK_PORT),
        "--delay-ms", str(scale.delay_ms), "--jitter-ms", str(scale.jitter_ms),
    )  # fmt: skip
    sink.command = [*hosts.before("post"), *sink.command]
    settings = {
        "smtp.starttls_ports": str(SMTP_PORT), "smtp.tls_ports": "", "http.port": "8480",
    }  # fmt: skip
    cluster = Cluster(
        folder, {"a": settings, "b": settings}, host=hosts.address("store", "inside"),
        before=lambda name: hosts.before(name or "store"), trusted=hosts.everybody("inside"),
    )  # fmt: skip
    with cluster:
        async with sink:
            await cluster.start()
            await cluster.go_live(
                SINK_PORT, host=hosts.address("post", "outside"), connections=scale.connections
            )
            await asyncio.to_thread(audit.install, cluster.url)
            trial = Trial(hosts, cluster, sink, scale, folder / "clients.jsonl")
            rounds = [await trial.round(number) for number in range(scale.rounds)]
            await cluster.rest(seconds=_DRAIN_SECONDS)
            statuses = await cluster.stop()
            await asyncio.to_thread(sink.stop)
        found = await asyncio.to_thread(audit.read, cluster.url)
        faults, deliveries = await cluster.ask(
            lambda ledger: (ledger.faults(), ledger.deliveries())
        )
        ((version,),) = await asyncio.to_thread(say, cluster.url, "SHOW server_version")
    verdict = judge(read_journal(folder / "clients.jsonl"), sink.facts(), deliveries)

    _assert_once(verdict, sink.facts())
    assert not found.faults, "\n".join(found.faults)
    assert not faults, faults
    assert found.ended_by_others == scale.rounds, f"{found.ended_by_others} lives ended"
    assert set(statuses.values()) == {0}, f"exit statuses {statuses} after SIGTERM"
    return {
        "rounds": rounds,
        "lost": verdict.lost,
        "phantoms": verdict.phantoms,
        "had_by_two": sum(found.kinds.values()),
        "duplicates": verdict.duplicates,
        "duplicates_unexplained": verdict.duplicates_unexplained,
        "duplicates_unnamed": verdict.duplicates_unnamed,
        "audit": found.numbers(),
        "judge": verdict.numbers(),
        "parameters": asdict(scale),
        "versions": {"postgresql": str(version).split()[0]},
    }


class Trial:
    """What is done to node a."""

    def __init__(
        self, hosts: Hosts, cluster: Cluster, sink: SinkProcess, scale: Scale, clients: Path
    ) -> None:
        self.hosts = hosts
        self.cluster = cluster
        self.sink = sink
        self.scale = scale
        self.clients = clients
        self._secrets = cluster.first.secrets

    async def round(self, number: int) -> dict[str, object]:
        """Cut it off, wait for the others, plug it in again. In the second the upstream holds."""
        cluster, sink, scale = self.cluster, self.sink, self.scale
        node, holding = cluster.nodes["a"], number == 1
        lives, life = node.lives, await cluster.ask(lambda ledger: ledger.life("a"))
        sent = self._sent_by_a()
        reports = await asyncio.gather(
            self._hand_over("a", f"{number}-a", scale.messages),
            self._hand_over("b", f"{number}-b", scale.beside),
        )
        handed = [report["acknowledged"] for report in reports]
        assert handed == [scale.messages, scale.beside], f"taken: {handed}"
        await sink.until(lambda: self._sent_by_a() - sent >= scale.before_cut)
        if holding:
            await self._hold()
        in_memory, _ = await cluster.ask(lambda ledger: ledger.owned(life))
        assert in_memory > scale.connections, f"void: {in_memory} in its memory"

        self.hosts.cut("a", "inside")
        cut_at, began = wall_ms(), time.monotonic()
        offered = asyncio.create_task(
            self._hand_over("a", f"{number}-cut", scale.while_cut, seconds=_OFFERED_SECONDS)
        )
        taken_over = await cluster.until(
            lambda ledger: bool(ledger.ended(life)[0]) and ledger.owned(life) == (0, 0),
            "taken over", seconds=_TAKEN_OVER_SECONDS,
        )  # fmt: skip
        ended_at, until = await cluster.ask(lambda ledger: ledger.ended(life))
        print(f"round {number + 1}: taken over after {taken_over:.1f} s", file=sys.stderr)
        if holding:
            sink.go_on()
        emptied = await cluster.until(
            lambda ledger: not ledger.waiting(), "delivered elsewhere", seconds=_DRAIN_SECONDS
        )
        self.hosts.mend("a", "inside")
        mended = time.monotonic()
        await node.until(lambda: node.lives > lives, seconds=_BACK_SECONDS)
        back = time.monotonic() - mended
        print(f"round {number + 1}: back after {back:.1f} s", file=sys.stderr)
        answers = await offered
        assert not answers["acknowledged"], "it took mail without a commit"

        late = [f for f in sink.taken() if f["hello"] == "a.test" and f["at"] > until]
        assert not late, f"{len(late)} sent after the lease was over: {late[:3]}"
        last = max(f["at"] for f in sink.taken() if f["hello"] == "a.test" and f["at"] <= until)
        asked_for = self._asked_for_content_late(until) if holding else 0
        assert asked_for or not holding, "void: it had no connection open"
        new_life = await cluster.ask(lambda ledger: ledger.life("a"))
        assert new_life > life, "it goes on with its old life"
        sent = self._sent_by_a()
        served = await self._hand_over("a", f"{number}-back", scale.afterwards)
        assert served["acknowledged"] == scale.afterwards, f"when it was back: {served}"
        await cluster.rest(seconds=_DRAIN_SECONDS)
        assert self._sent_by_a() > sent, "it sends nothing when it is back"
        return {
            "in_memory_when_cut": in_memory,
            "the_lease_ended_seconds_after_the_cut": round((until - cut_at) / 1000, 1),
            "last_sent_seconds_after_the_cut": round((last - cut_at) / 1000, 2),
            "sent_after_the_lease": len(late),
            "asked_for_content_after_the_lease": asked_for,
            "ended_seconds_after_the_cut": round(((ended_at or 0) - cut_at) / 1000, 1),
            "taken_over_seconds_after_the_cut": round(taken_over, 1),
            "delivered_elsewhere_seconds_after_the_cut": round(taken_over + emptied, 1),
            "offered_while_cut": {
                what: answers[what] for what in ("acknowledged", "refused", "unanswered")
            },
            "back_seconds_after_the_mend": round(back, 1),
            "seconds": round(time.monotonic() - began, 1),
        }

    def _sent_by_a(self) -> int:
        return sum(fact["hello"] == "a.test" for fact in self.sink.taken())

    def _asked_for_content_late(self, until: int) -> int:
        """Connections of node a that were asked for content too late, and ended in it."""
        return sum(
            fact["event"] == "lost"
            and fact["hello"] == "a.test"
            and fact["in_content"]
            and fact["at"] > until
            for fact in self.sink.facts()
        )

    async def _hold(self) -> None:
        """Every connection waits for its 354, and none for the answer to its content."""
        self.sink.hold()
        await self.sink.until(lambda: any(f["event"] == "holding" for f in self.sink.facts()))
        quiet_since, count = time.monotonic(), len(self.sink.taken())
        while time.monotonic() - quiet_since < _QUIET_SECONDS:
            await asyncio.sleep(0.05)
            if len(self.sink.taken()) != count:
                quiet_since, count = time.monotonic(), len(self.sink.taken())

    async def _hand_over(
        self, host: str, run: str, count: int, *, seconds: float = 120.0
    ) -> dict[str, Any]:
        """From a program on the same host as the node; what it reports."""
        node = self.cluster.nodes[host]
        command = [
            *self.hosts.before(host), sys.executable, "-m", "tests.doubles.load",
            "--smtp", f"127.0.0.1:{SMTP_PORT}", "--tls", "starttls", "--ca", str(node.ca_file),
            "--username", self._secrets["Username"], f"--password={self._secrets['Password']}",
            "--count", str(count), "--connections", "4", "--run", run, "--size", "1k-8k",
            "--log", str(self.clients), "--max-seconds", str(seconds),
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT, env=clean_environment()
        )
        try:
            said, _ = await process.communicate()
        except BaseException:
            process.kill()
            raise
        report: dict[str, Any] = json.loads(said)
        return report


def _assert_once(verdict: Verdict, facts: Sequence[Fact]) -> None:
    unwanted = (
        "lost", "waiting", "refused_downstream", "phantoms", "duplicates_unexplained",
        "duplicates_unnamed", "mismatches", "notices", "ledger_missing", "ledger_lies",
        "ledger_denials", "ledger_unsettled",
    )  # fmt: skip
    assert not any(getattr(verdict, name) for name in unwanted), str(verdict)
    senders: dict[str, list[str]] = defaultdict(list)
    for fact in sorted(facts, key=lambda fact: int(fact["at"])):
        if fact["event"] == "taken":
            senders[fact["id"]].append(fact["hello"])
    twice = [several for several in senders.values() if len(several) > 1]
    assert all(several == ["a.test", "b.test"] for several in twice), twice
