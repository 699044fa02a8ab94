"""no acknowledged message is lost to kill -9, and none comes twice but those open at the kill

Eight SMTP clients (STARTTLS, login) and two HTTP clients (``"async": true``) hand messages over as
fast as they are taken, while the process is killed with SIGKILL again and again and started at
once. When each kill comes is drawn from `SEED`: so many answers later, and up to 50 ms after that;
now and then the process that is just starting is killed, too. In the end all mail is delivered,
and three accounts are joined: what the clients read, what the upstream took, what the ledger says.

lost 0
    Every recipient of a message for which a client read 250 or 2xx is at the upstream.
phantoms 0
    Nothing is at the upstream that a client did not hand over completely.
duplicates
    A second copy is explained only where the upstream had the transaction open (its final dot had
    come, and neither the next final dot nor QUIT) when a kill cut the connection. The history of
    each names it: ``delivery.uncertain``. Only some of these had not been answered yet; for the
    others the answer was on its way, or read and not yet on disk. Both are counted, and no relay
    can do without the second kind: it writes down an answer after it has come (RFC 1047).

A run in which no kill met a message on its way proves nothing and is no proof: it is void.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.crash.ledger import look
from tests.crash.relay import APP, QUICK, Relay, steady_ports
from tests.doubles.journal import Journal, JournalTail, read_journal
from tests.doubles.judge import Verdict, judge
from tests.doubles.letters import Sizes
from tests.doubles.load import (
    HttpTarget,
    LoadReport,
    LoadSettings,
    run_http_load,
    run_load,
)
from tests.doubles.sink import SinkProcess

SEED = 5_321
SMTP_CLIENTS = 8
HTTP_CLIENTS = 2
_MOST_DELAY_SECONDS = 0.05
_START_KILLED_SHARE = 0.2
_LONGEST_START_SECONDS = 0.9
_DRAIN_SECONDS = 60.0
_TRAFFIC_SECONDS = 60.0
"""For the next answer to come; when none does, nobody is working any more."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    messages: int
    kills: int
    http_share: float = 0.2
    smallest_bytes: int = 1024
    largest_bytes: int = 50 * 1024
    most_recipients: int = 2

    @property
    def http_messages(self) -> int:
        """Handed over by HTTP; the others come by SMTP."""
        return int(self.messages * self.http_share)


SCALES = {"small": Scale(500, 5), "full": Scale(10_000, 50)}


@dataclass(slots=True)
class Kills:
    """What was done to the process."""

    in_traffic: int = 0
    while_starting: int = 0
    answers_before: list[int] = field(default_factory=list)
    """Answers that clients read in each life."""
    slowest_start_seconds: float = 0.0

    def note_start(self, seconds: float) -> None:
        """Keep the slowest."""
        self.slowest_start_seconds = round(max(self.slowest_start_seconds, seconds), 2)


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with tempfile.TemporaryDirectory(prefix="kill-loop-") as folder:
        return asyncio.run(_prove(SCALES[size], Path(folder)))


async def _prove(scale: Scale, folder: Path) -> dict[str, object]:
    sink = SinkProcess(
        folder / "sink.jsonl", "--delay-ms", "2", "--jitter-ms", "10", "--defer-share", "0.02"
    )
    starttls, http = steady_ports(2)
    settings = {
        **QUICK,
        "smtp.starttls_ports": str(starttls),
        "smtp.tls_ports": "",
        "http.port": str(http),
    }
    relay = Relay(folder / "data", folder / "relay.log", settings)
    clients = folder / "clients.jsonl"
    async with sink, relay:
        await relay.go_live(sink.port)
        reports, kills = await _kill_in_traffic(relay, scale, clients)
        await relay.rest(seconds=_DRAIN_SECONDS)
        status = await asyncio.to_thread(relay.stop)
        await asyncio.to_thread(sink.stop)
    with look(relay.data_dir) as ledger:
        faults, left, deliveries = ledger.faults(), ledger.waiting(), ledger.deliveries()
        taken_twice = len(ledger.identities()) - len(set(ledger.identities().values()))
    verdict = judge(read_journal(clients), sink.facts(), deliveries)

    assert kills.in_traffic == scale.kills, f"void: {kills.in_traffic} kills met traffic"
    assert verdict.connections_lost and verdict.open_when_lost, "void: no transaction was open"
    assert verdict.unanswered, "void: no client was waiting for an answer"
    handed_over = sum(r.acknowledged + r.unanswered for r in reports)
    assert handed_over == scale.messages, f"{handed_over} handed over; {reports}"
    _assert_unharmed(verdict)
    assert not faults, faults
    assert not left, f"still there: {left}"
    assert not taken_twice, f"{taken_twice} messages were taken in twice"
    assert status == 0, f"exit status {status} after SIGTERM\n{relay.text()[-2000:]}"
    return {
        "messages": scale.messages,
        "kills": scale.kills,
        "killed_while_starting": kills.while_starting,
        "lost": verdict.lost,
        "phantoms": verdict.phantoms,
        "duplicates": verdict.duplicates,
        "open_when_lost": verdict.open_when_lost,
        "open_and_not_yet_answered": verdict.unanswered_when_lost,
        "duplicates_unexplained": verdict.duplicates_unexplained,
        "duplicates_unnamed": verdict.duplicates_unnamed,
        "judge": verdict.numbers(),
        "clients": [report.numbers() for report in reports],
        "answers_in_each_life": kills.answers_before,
        "slowest_start_seconds": kills.slowest_start_seconds,
        "parameters": asdict(scale)
        | {"seed": SEED, "smtp_clients": SMTP_CLIENTS, "http_clients": HTTP_CLIENTS},
    }


def _assert_unharmed(verdict: Verdict) -> None:
    unwanted = (
        "lost", "waiting", "refused", "refused_downstream", "phantoms", "duplicates_unexplained",
        "duplicates_unnamed", "mismatches", "bare_line_ends", "notices", "ledger_missing",
        "ledger_lies", "ledger_denials", "ledger_unsettled",
    )  # fmt: skip
    assert not any(getattr(verdict, name) for name in unwanted), str(verdict)


async def _kill_in_traffic(
    relay: Relay, scale: Scale, clients: Path
) -> tuple[list[LoadReport], Kills]:
    secrets = relay.secrets
    common = {
        "sizes": Sizes(scale.smallest_bytes, scale.largest_bytes),
        "domains": ("one.test", "two.test", "three.test"),
        "max_recipients": scale.most_recipients,
        "max_seconds": 1800.0,
        "away_seconds": 60.0,
    }
    by_smtp = LoadSettings(
        port=relay.port("STARTTLS"), count=scale.messages - scale.http_messages,
        connections=SMTP_CLIENTS, tls="starttls", ca_file=relay.ca_file,
        username=secrets["Username"], password=secrets["Password"], seed=SEED, run="smtp",
        **common,  # type: ignore[arg-type]
    )  # fmt: skip
    by_http = LoadSettings(
        port=0, count=scale.http_messages, connections=HTTP_CLIENTS, seed=SEED + 1, run="http",
        **common,  # type: ignore[arg-type]
    )  # fmt: skip
    target = HttpTarget.parse(relay.http_url, APP, secrets["Key"])
    journal = Journal(clients)
    loads = [
        asyncio.create_task(run_load(by_smtp, journal)),
        asyncio.create_task(run_http_load(by_http, target, journal)),
    ]
    try:
        kills = await _kill(relay, scale, JournalTail(clients), loads)
        return [await load for load in loads], kills
    finally:
        while not all(load.done() for load in loads):
            for load in loads:
                load.cancel()
            await asyncio.wait(loads, timeout=0.05)
        journal.close()


async def _kill(
    relay: Relay, scale: Scale, tail: JournalTail, loads: Sequence[asyncio.Task[LoadReport]]
) -> Kills:
    """Each kill comes when so many answers more were read, and a moment later."""
    dice = random.Random(SEED)
    first, last = scale.messages // 100, scale.messages * 95 // 100
    due = sorted(dice.randrange(first, last) for _ in range(scale.kills))
    kills = Kills()
    answers = 0

    def over() -> bool:
        return all(load.done() for load in loads)

    async def answered(count: int) -> bool:
        nonlocal answers
        deadline = time.monotonic() + _TRAFFIC_SECONDS
        while answers < count:
            if over() or time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.005)
            answers += len(tail.new_facts())
        return not over()

    for count in due:
        at_start = answers
        in_traffic = await answered(max(count, at_start + 1))
        await asyncio.sleep(dice.uniform(0, _MOST_DELAY_SECONDS))
        await asyncio.to_thread(relay.kill)
        answers += len(tail.new_facts())
        kills.in_traffic += in_traffic
        kills.answers_before.append(answers - at_start)
        if dice.random() < _START_KILLED_SHARE:
            relay.launch()
            await asyncio.sleep(dice.uniform(0, _LONGEST_START_SECONDS))
            await asyncio.to_thread(relay.kill)
            kills.while_starting += 1
        began = time.monotonic()
        await relay.start()
        kills.note_start(time.monotonic() - began)
        print(f"kill {len(kills.answers_before)}: {answers} answered", file=sys.stderr)
    return kills
