"""one turn through logins: the load driver in front, a sink with TLS behind, each message judged

smtp-source and smtp-sink know neither TLS nor logins, so both ends are our own. They cost more than
those, the same for either relay, which is why CPU is taken from the processes of the relay alone,
and why nothing is said here about rates. In return every message has an id and a body of its own,
and a turn counts only if each arrived once, with its bytes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bench.cells import RECIPIENT, Cell, Mail
from tests.bench.guarded import SERVER_NAME, GuardedPeer, Guards
from tests.bench.peers import ROOT
from tests.bench.turn import BenchError, Turn, follow, timed
from tests.doubles.journal import Fact, JournalTail, read_journal
from tests.doubles.judge import judge
from tests.doubles.letters import Letters, Sizes

_LETTERS = 32
"""So many different ones there are."""


class JudgingSink:
    """A sink with TLS and a login that writes down what it took, as a context manager."""

    def __init__(self, name: str, place: Path, guards: Guards) -> None:
        self._sink = guards.sink(place / f"{name}-guarded-sink.jsonl")
        self._counted = JournalTail(self._sink.journal)
        self._read = JournalTail(self._sink.journal)
        self._count = 0

    async def __aenter__(self) -> Self:
        await self._sink.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._sink.__aexit__()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._sink.pid

    @property
    def port(self) -> int:
        """Where it takes mail."""
        return self._sink.port

    def count(self) -> int:
        """Messages taken so far."""
        self._count += self._counted.count_new("taken")
        return self._count

    def new_facts(self) -> list[Fact]:
        """What it wrote down since the last call."""
        return self._read.new_facts()


@dataclass(slots=True)
class Agreed:
    """What was spoken on the connections of one relay, over all turns."""

    entering: Counter[str] = field(default_factory=Counter)
    """Connections of clients, by version and cipher."""
    leaving: Counter[str] = field(default_factory=Counter)
    """Connections to the sink that carried mail, likewise."""

    def facts(self) -> dict[str, dict[str, int]]:
        """For the record."""
        return {"entering": dict(self.entering), "leaving": dict(self.leaving)}


@dataclass(frozen=True, slots=True)
class GuardedContender:
    """A relay with TLS and a login on either side, and how it is driven."""

    peer: GuardedPeer
    sink: JudgingSink
    guards: Guards
    place: Path
    agreed: Agreed = field(default_factory=Agreed)

    def turn(self, cell: Cell, mail: Mail, count: int) -> Turn:
        """Raises `BenchError` unless each message arrived once, under TLS, with its bytes."""
        peer, sink = self.peer, self.sink
        sink.new_facts()
        counted = sink.count()
        log = self.place / f"{peer.name}-clients.jsonl"
        log.unlink(missing_ok=True)
        report = log.with_suffix(".report")

        def drive(began: float) -> tuple[float, float]:
            with report.open("wb") as out:
                source = subprocess.Popen(
                    self._command(cell, count, log),
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.PIPE,
                    cwd=ROOT,
                )
            return follow(
                [source], sink, counted, count, began,
                lambda words: BenchError(f"{peer.name}, {cell.name}: {words}\n{peer.log_tail()}"),
            )  # fmt: skip

        turn = timed(peer, sink.pid, count, drive)
        self._judge(cell, count, json.loads(report.read_bytes()), read_journal(log))
        return turn

    def _command(self, cell: Cell, count: int, log: Path) -> list[str]:
        peer = self.peer
        return [
            sys.executable, "-m", "tests.doubles.load",
            "--smtp", f"127.0.0.1:{peer.tls_port if cell.tls == 'implicit' else peer.port}",
            "--tls", cell.tls,
            "--ca", str(self.guards.certificate.ca), "--server-name", SERVER_NAME,
            "--username", peer.enters.username, f"--password={peer.enters.password}",
            "--count", str(count),
            "--connections", str(min(cell.sessions, count)),
            "--per-connection", "0" if cell.kept else "1",
            "--size", f"{cell.kilobytes}k", "--attachment-share", "0",
            "--log", str(log),
        ]  # fmt: skip

    def _judge(
        self, cell: Cell, count: int, report: dict[str, Any], clients: Sequence[Fact]
    ) -> None:
        facts = self.sink.new_facts()
        verdict = judge(clients, facts)
        taken = [fact for fact in facts if fact["event"] == "taken"]
        numbers = {
            "acknowledged": report["acknowledged"],
            "delivered": verdict.delivered,
            "copies": verdict.copies,
            "bodies_compared": verdict.bodies_compared,
            "message_ids": len({fact["message_id"] for fact in taken}),
            "under_tls_and_login": sum(
                bool(fact["channel"]) and fact["username"] == self.guards.leaves.username
                for fact in taken
            ),
            "unanswered": report["unanswered"],
            "refused": report["refused"],
            "logins_refused": report["logins_refused"],
            "mismatches": verdict.mismatches,
            "bare_line_ends": verdict.bare_line_ends,
        }
        wanted = dict.fromkeys(numbers, 0) | dict.fromkeys(list(numbers)[:6], count)
        if numbers != wanted:
            raise BenchError(
                f"{self.peer.name}, {cell.name}: {numbers}\n{verdict}\n{self.peer.log_tail()}"
            )
        self.agreed.entering.update(report["channels"])
        sessions = {fact["session"]: fact["channel"] for fact in taken}
        self.agreed.leaving.update(sessions.values())


def guarded_mail(place: Path, kilobytes: int) -> Mail:
    """What the driver hands over, as far as size is concerned: the mean of its letters."""
    letters = Letters(Sizes(kilobytes * 1024, kilobytes * 1024), seed=1, attachment_share=0.0)
    sizes = [
        len(letters.letter(number, "exp-00000000-00000000", [RECIPIENT]).content)
        for number in range(_LETTERS)
    ]
    return Mail(place, round(statistics.mean(sizes)))
