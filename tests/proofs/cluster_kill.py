"""three nodes on one PostgreSQL lose nothing and lease nothing twice, whatever dies

Each node has clients of its own, by SMTP (STARTTLS, login) and by HTTP (``"async": true``), and all
deliver to one upstream. Meanwhile, from a fixed seed:

a. a node is killed with SIGKILL in the middle of its traffic and started again, over and over; once
   the upstream is stopped until a node has mail in memory, the node is killed and stays away for more
   than a minute, and the others take over what it had;
b. PostgreSQL is stopped, in order or as in a crash, and started again; once a node is killed too,
   while the database is away;
c. every session of every node is ended at once;
d. the database is made read-only for half a minute.

While the database takes nothing, each node is asked what it does: a login nobody knows, a new login,
a session that was there before, a program over HTTP.

lost 0, phantoms 0
    As in `kill_loop`: what clients read, what the upstream took and what the database says are joined.
duplicates
    A second copy is explained only where the upstream had the first one open when its connection was
    lost, its history says ``delivery.uncertain``, and the node that sent the first was killed between
    the two. The database's absence doubles nothing: verdicts are kept, and offered again.
had by two 0
    The database itself notes every change of a lease, a start mark and a waiting delivery, and
    `tests.crash.audit` goes through them: nothing goes from one node to another that was not free or
    whose owner's life had not ended, and nobody marks or settles what is not his.
replies
    While no commit is possible nobody hears 250 or 2xx: 454 4.7.0 to a login that has to be looked up,
    451 4.3.0 at MAIL or at the end of content, 503 over HTTP.
taken over
    What a node that stays away had is free within a minute.

A run in which no kill met traffic, or no node was asked while the database was away, is void.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import audit
from tests.crash.cluster import Cluster, Node
from tests.crash.cluster_ledger import say
from tests.crash.probe import Prober, Replies
from tests.crash.relay import APP, steady_ports
from tests.doubles.journal import Fact, Journal, JournalTail, read_journal, wall_ms
from tests.doubles.judge import Verdict, judge
from tests.doubles.letters import Sizes
from tests.doubles.load import HttpTarget, LoadReport, LoadSettings, run_http_load, run_load
from tests.doubles.sink import SinkProcess

NEEDS = ("postgres",)

SEED = 6_089
NAMES = ("one", "two", "three")
SMTP_CLIENTS = 3
HTTP_CLIENTS = 1
_MOST_DELAY_SECONDS = 0.05
_START_KILLED_SHARE = 0.2
_LONGEST_START_SECONDS = 0.9
_TRAFFIC_SECONDS = 60.0
_TAKEN_OVER_SECONDS = 60.0
_BACK_SECONDS = 60.0
_DRAIN_SECONDS = 90.0
_PROBE_PAUSE_SECONDS = 4.0
_GATE_SECONDS = 5.0
_AWAY = {
    "AUTH unknown: 454 4.7.0", "AUTH: 454 4.7.0", "AUTH: 235",
    "MAIL: 250", "MAIL: 451 4.3.0", "content: 451 4.3.0", "HTTP: 503",
}  # fmt: skip
"""What may be heard while the database is away. Who is known may log in, and learns it at MAIL."""

_READ_ONLY = _AWAY | {"AUTH unknown: 535 5.7.8"}
_MUST_BE_HEARD = ("AUTH unknown: 454 4.7.0", "content: 451 4.3.0", "HTTP: 503")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    kills: int
    absent_seconds: float
    """A node stays away for so long; 0: none does."""
    restarts: int
    killed_while_away: int
    """At this restart of the database, counted from 1, a node is killed too; 0: at none."""
    cuts: int
    read_only_seconds: float
    smtp_rate: float = 30.0
    """Messages a second for each node; what was missed is made up for."""
    http_rate: float = 8.0
    smallest_bytes: int = 1024
    largest_bytes: int = 20 * 1024
    most_recipients: int = 2
    in_memory: int = 40
    """Deliveries that a node must have when it is killed to stay away."""


SCALES = {
    "small": Scale(3, 0.0, 1, 0, 1, 0.0),
    "full": Scale(20, 62.0, 10, 4, 6, 30.0),
}


@dataclass(slots=True)
class Figures:
    """What was done, and what was seen meanwhile."""

    kills: list[tuple[str, int]] = field(default_factory=list)
    """Host name and moment, in milliseconds since the epoch."""
    in_traffic: int = 0
    while_starting: int = 0
    slowest_start_seconds: float = 0.0
    taken_over: dict[str, float] = field(default_factory=dict)
    back_seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Until every node took mail again, by what had happened."""
    sessions_cut: list[int] = field(default_factory=list)
    phases: dict[str, list[int]] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note when it was."""
        self.phases[name] = [wall_ms()]
        print(f"phase {name}", file=sys.stderr)
        yield
        self.phases[name].append(wall_ms())


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with tempfile.TemporaryDirectory(prefix="pb-") as folder:
        Path(folder).chmod(0o755)
        return asyncio.run(_prove(SCALES[size], Path(folder)))


async def _prove(scale: Scale, folder: Path) -> dict[str, object]:
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(32))
    sink = SinkProcess(
        folder / "sink.jsonl", "--delay-ms", "2", "--jitter-ms", "10", "--defer-share", "0.02"
    )
    ports = steady_ports(2 * len(NAMES))
    settings = {
        name: {
            "smtp.starttls_ports": str(ports[2 * place]),
            "smtp.tls_ports": "",
            "http.port": str(ports[2 * place + 1]),
        }
        for place, name in enumerate(NAMES)
    }
    with Cluster(folder, settings) as cluster:
        async with sink:
            await cluster.start()
            await cluster.go_live(sink.port)
            await asyncio.to_thread(audit.install, cluster.url)
            trial = Trial(cluster, sink, scale, folder / "clients.jsonl")
            await trial.run()
            drained = await cluster.rest(seconds=_DRAIN_SECONDS)
            statuses = await cluster.stop()
            await asyncio.to_thread(sink.stop)
        found = await asyncio.to_thread(audit.read, cluster.url)
        faults, left, deliveries, taken_twice = await cluster.ask(
            lambda ledger: (
                ledger.faults(), ledger.waiting(), ledger.deliveries(),
                [name for name, n in Counter(ledger.identities().values()).items() if n > 1],
            )
        )  # fmt: skip
        ((version,),) = await asyncio.to_thread(say, cluster.url, "SHOW server_version")
    verdict = judge(read_journal(folder / "clients.jsonl"), sink.facts(), deliveries)
    figures = trial.figures
    duplicates = _duplicates(sink.facts(), figures)

    assert figures.in_traffic == scale.kills, f"void: {figures.in_traffic} kills met traffic"
    assert verdict.connections_lost and verdict.open_when_lost, "void: no transaction was open"
    assert verdict.unanswered, "void: no client was waiting for an answer"
    _assert_replies(trial)
    assert not found.faults, "\n".join(found.faults)
    _assert_unharmed(verdict)
    assert not faults, faults
    assert not left, f"still there: {left}"
    assert not taken_twice, f"taken in twice: {taken_twice[:10]}"
    assert not duplicates["without_a_kill"], f"{duplicates}"
    expected = int(scale.absent_seconds > 0)
    assert found.ended_by_others == expected, f"{found.ended_by_others} lives were ended by others"
    assert set(statuses.values()) == {0}, f"exit statuses {statuses} after SIGTERM"
    return {
        "nodes": len(NAMES),
        "acknowledged": verdict.acknowledged,
        "kills": len(figures.kills),
        "killed_while_starting": figures.while_starting,
        "database_restarts": scale.restarts,
        "sessions_cut": figures.sessions_cut,
        "lost": verdict.lost,
        "phantoms": verdict.phantoms,
        "had_by_two": sum(found.kinds.values()),
        "duplicates": verdict.duplicates,
        "duplicates_unexplained": verdict.duplicates_unexplained,
        "duplicates_unnamed": verdict.duplicates_unnamed,
        "duplicates_by_phase": duplicates,
        "taken_over": figures.taken_over,
        "replies_while_the_database_was_away": trial.away.numbers(),
        "replies_while_it_was_read_only": trial.read_only.numbers(),
        "slowest_reply_seconds": max(trial.away.slowest_seconds, trial.read_only.slowest_seconds),
        "seconds_until_all_took_mail_again": {
            what: [round(seconds, 1) for seconds in all_seconds]
            for what, all_seconds in figures.back_seconds.items()
        },
        "slowest_start_seconds": round(figures.slowest_start_seconds, 2),
        "drained_seconds": round(drained, 1),
        "audit": found.numbers(),
        "judge": verdict.numbers(),
        "parameters": asdict(scale)
        | {"seed": SEED, "smtp_clients": SMTP_CLIENTS, "http_clients": HTTP_CLIENTS},
        "versions": {"postgresql": str(version).split()[0]},
    }


class Trial:
    """What is done to a cluster under load."""

    def __init__(self, cluster: Cluster, sink: SinkProcess, scale: Scale, clients: Path) -> None:
        self.cluster = cluster
        self.sink = sink
        self.scale = scale
        self.figures = Figures()
        self.dice = random.Random(SEED)
        self.journal = Journal(clients)
        self.away = Replies()
        self.read_only = Replies()
        self._secrets = cluster.first.secrets
        self.prober = Prober(self._secrets, self.journal)
        self._tail = JournalTail(clients)
        self._answers: Counter[str] = Counter()

    async def run(self) -> None:
        """All phases."""
        loads = self._begin_load()
        figures, scale = self.figures, self.scale
        try:
            with figures.phase("a"):
                await self._kill_nodes()
                if scale.absent_seconds:
                    await self._kill_for_long()
            with figures.phase("b"):
                for number in range(scale.restarts):
                    await self._restart_database(number)
            with figures.phase("c"):
                for _ in range(scale.cuts):
                    await self._cut_sessions()
            if scale.read_only_seconds:
                with figures.phase("d"):
                    await self._refuse_writing()
            assert await self._traffic(10, *loads), "a client was not served to the end"
        finally:
            await _end(loads)
            self.journal.close()

    # --- load ---------------------------------------------------------------------------------

    def _begin_load(self) -> dict[str, asyncio.Task[LoadReport]]:
        scale, loads = self.scale, {}
        common: dict[str, Any] = {
            "count": 1_000_000,
            "sizes": Sizes(scale.smallest_bytes, scale.largest_bytes),
            "domains": ("one.test", "two.test", "three.test"),
            "max_recipients": scale.most_recipients,
            "max_seconds": 1800.0,
            "away_seconds": 600.0,
        }
        for place, (name, node) in enumerate(self.cluster.nodes.items()):
            by_smtp = LoadSettings(
                port=node.port("STARTTLS"), connections=SMTP_CLIENTS, tls="starttls",
                ca_file=node.ca_file, username=self._secrets["Username"],
                password=self._secrets["Password"], rate=scale.smtp_rate, seed=SEED + place,
                run=f"{name}-smtp", **common,
            )  # fmt: skip
            by_http = LoadSettings(
                port=0, connections=HTTP_CLIENTS, rate=scale.http_rate, seed=SEED + 100 + place,
                run=f"{name}-http", **common,
            )  # fmt: skip
            target = HttpTarget.parse(node.http_url, APP, self._secrets["Key"])
            loads[f"{name}-smtp"] = asyncio.create_task(run_load(by_smtp, self.journal))
            loads[f"{name}-http"] = asyncio.create_task(
                run_http_load(by_http, target, self.journal)
            )
        return loads

    async def _traffic(self, more: int, *names: str) -> bool:
        """Until clients of each of these, nodes or loads, have read so many positive answers more."""
        self._count_answers()
        wanted = {name: self._answers[name] + more for name in names}
        deadline = time.monotonic() + _TRAFFIC_SECONDS
        while any(self._answers[name] < count for name, count in wanted.items()):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.005)
            self._count_answers()
        return True

    def _count_answers(self) -> None:
        for fact in self._tail.new_facts():
            if fact["event"] == "acknowledged" and fact["id"].startswith("exp-"):
                _, name, channel = fact["id"].split("-")[:3]
                self._answers[name] += 1
                self._answers[f"{name}-{channel}"] += 1

    # --- what dies ----------------------------------------------------------------------------

    def _any_node(self) -> Node:
        return self.cluster.nodes[self.dice.choice(NAMES)]

    async def _kill(self, node: Node) -> None:
        await asyncio.to_thread(node.kill)
        self.figures.kills.append((node.hostname, wall_ms()))

    async def _start(self, node: Node) -> None:
        began = time.monotonic()
        await node.start()
        took = time.monotonic() - began
        self.figures.slowest_start_seconds = max(self.figures.slowest_start_seconds, took)

    async def _kill_nodes(self) -> None:
        dice, figures = self.dice, self.figures
        for number in range(self.scale.kills):
            node = self._any_node()
            in_traffic = await self._traffic(dice.randrange(20, 80), node.name)
            await asyncio.sleep(dice.uniform(0, _MOST_DELAY_SECONDS))
            await self._kill(node)
            figures.in_traffic += in_traffic
            if dice.random() < _START_KILLED_SHARE:
                node.launch()
                await asyncio.sleep(dice.uniform(0, _LONGEST_START_SECONDS))
                await self._kill(node)
                figures.while_starting += 1
            await self._start(node)
            print(f"kill {number + 1}: {node.name}", file=sys.stderr)

    async def _kill_for_long(self) -> None:
        """Its mail is in its memory when it dies; the others have to notice."""
        cluster, node = self.cluster, self._any_node()
        await self._traffic(20, *NAMES)
        life = await cluster.ask(lambda ledger: ledger.life(node.name))
        self.sink.signal(signal.SIGSTOP)
        try:
            await cluster.until(
                lambda ledger: ledger.owned(life)[0] >= self.scale.in_memory, "mail in memory"
            )
            await self._kill(node)
        finally:
            self.sink.signal(signal.SIGCONT)
        began = time.monotonic()
        deliveries, shards = await cluster.ask(lambda ledger: ledger.owned(life))
        took = await cluster.until(
            lambda ledger: ledger.owned(life) == (0, 0), "taken over", seconds=_TAKEN_OVER_SECONDS
        )
        took = time.monotonic() - began
        self.figures.taken_over = {
            "deliveries": deliveries, "shards": shards, "seconds": round(took, 1),
        }  # fmt: skip
        print(f"taken over: {self.figures.taken_over}", file=sys.stderr)
        assert deliveries, "void: it had nothing in memory"
        await asyncio.sleep(max(0.0, self.scale.absent_seconds - took))
        await self._start(node)

    async def _restart_database(self, number: int) -> None:
        cluster, scale = self.cluster, self.scale
        mode = ("immediate", "fast")[number % 2]
        assert await self._traffic(10, *NAMES), "void: no mail"
        prober, nodes = self.prober, cluster.nodes.values()
        before = [await prober.session(node) for node in nodes]
        await cluster.stop_database(mode)
        try:
            asked = [prober.ask(node, self.away) for node in nodes]
            await asyncio.gather(*asked, *(prober.use(session, self.away) for session in before))
            if not number % 2:
                # Once a look at the database has closed the gate, MAIL itself is refused.
                await self._until_refused_at_mail()
            killed = self._any_node() if number + 1 == scale.killed_while_away else None
            if killed is not None:
                await self._kill(killed)
        finally:
            await cluster.start_database()
        if killed is not None:
            await self._start(killed)
        await self._until_all_take(f"restart, {mode}")

    async def _until_refused_at_mail(self) -> None:
        refused = self.away.heard["MAIL: 451 4.3.0"] + len(NAMES)
        deadline = time.monotonic() + _GATE_SECONDS
        while self.away.heard["MAIL: 451 4.3.0"] < refused and time.monotonic() < deadline:
            nodes = self.cluster.nodes.values()
            await asyncio.gather(*(self.prober.ask(node, self.away) for node in nodes))
            await asyncio.sleep(0.2)

    async def _cut_sessions(self) -> None:
        assert await self._traffic(10, *NAMES), "void: no mail"
        self.figures.sessions_cut.append(await self.cluster.cut_sessions())
        await self._until_all_take("cut")

    async def _refuse_writing(self) -> None:
        cluster = self.cluster
        assert await self._traffic(10, *NAMES), "void: no mail"
        nodes = cluster.nodes.values()
        await cluster.read_only(on=True)
        deadline = time.monotonic() + self.scale.read_only_seconds
        try:
            while time.monotonic() < deadline:
                asked = [self.prober.ask(node, self.read_only) for node in nodes]
                await asyncio.gather(*asked)
                await asyncio.sleep(_PROBE_PAUSE_SECONDS)
        finally:
            await cluster.read_only(on=False)
        await self._until_all_take("read-only")

    async def _until_all_take(self, what: str) -> None:
        began = time.monotonic()
        for node in self.cluster.nodes.values():
            while not await self.prober.takes(node):
                assert time.monotonic() - began < _BACK_SECONDS, f"{node.name} takes nothing"
                await asyncio.sleep(0.1)
        took = time.monotonic() - began
        self.figures.back_seconds[what].append(took)
        print(f"{what}: back in {took:.1f} s", file=sys.stderr)


async def _end(loads: dict[str, asyncio.Task[LoadReport]]) -> None:
    """A worker that is just being told something may miss one call."""
    for load in loads.values():
        while not load.done():
            load.cancel()
            await asyncio.wait([load], timeout=0.05)


def _duplicates(facts: Sequence[Fact], figures: Figures) -> dict[str, int]:
    """By the phase of the first copy; and those whose sender was not killed before the second."""
    copies: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    for fact in facts:
        if fact["event"] == "taken":
            for recipient in fact["recipients"]:
                copies[fact["id"], recipient].append((fact["at"], fact["hello"]))
    found = dict.fromkeys([*figures.phases, "afterwards", "without_a_kill"], 0)
    for several in copies.values():
        several.sort()
        for (at, sender), (again_at, _) in itertools.pairwise(several):
            phase = next((p for p, (a, b) in figures.phases.items() if a <= at < b), "afterwards")
            found[phase] += 1
            found["without_a_kill"] += not any(
                who == sender and at <= when <= again_at for who, when in figures.kills
            )
    return found


def _assert_replies(trial: Trial) -> None:
    for replies, allowed in ((trial.away, _AWAY), (trial.read_only, _READ_ONLY)):
        assert not replies.took, f"said without a commit: {replies.took[:5]}"
        unwanted = set(replies.heard) - allowed
        assert not unwanted, f"{unwanted} among {replies.numbers()}"
    missing = [reply for reply in _MUST_BE_HEARD if not trial.away.heard[reply]]
    assert not missing, f"void: {missing} never came up: {trial.away.numbers()}"


def _assert_unharmed(verdict: Verdict) -> None:
    unwanted = (
        "lost", "waiting", "refused_downstream", "phantoms", "duplicates_unexplained",
        "duplicates_unnamed", "mismatches", "bare_line_ends", "notices", "ledger_missing",
        "ledger_lies", "ledger_denials", "ledger_unsettled",
    )  # fmt: skip
    assert not any(getattr(verdict, name) for name in unwanted), str(verdict)
