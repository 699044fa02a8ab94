"""what a load driver still has to hand over, and what it was answered"""

from __future__ import annotations

import asyncio
import collections
import os
import random
import ssl
import time
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.doubles.journal import Fact, Journal, encode_fact, wall_ms
from tests.doubles.letters import Letter, Letters, Sizes

MAX_LATENCIES = 200_000
_TRIES_PER_MESSAGE = 200


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What is handed over, how, and to whom."""

    port: int
    count: int
    host: str = "127.0.0.1"
    connections: int = 8
    per_connection: int = 0
    """Messages before QUIT and a new connection; 0: as many as there are."""
    tls: Literal["none", "starttls", "implicit"] = "none"
    ca_file: Path | None = None
    server_name: str = "localhost"
    username: str | None = None
    password: str = ""
    mechanism: Literal["PLAIN", "LOGIN"] = "PLAIN"
    sizes: Sizes = field(default=Sizes(1024, 1024))
    attachment_share: float = 0.2
    seed: int = 1
    run: str = ""
    """Part of every id; empty: random, so that two runs never share an id."""
    return_path: str = "orders@example.test"
    domains: Sequence[str] = ("example.test",)
    """Recipients are spread over these."""
    max_recipients: int = 1
    """Each message gets between one and so many, drawn from `seed`."""
    bad_share: float = 0.0
    """Share of recipients whose local part begins with ``bad-``: the sink refuses them."""
    deferring_share: float = 0.0
    """Share of recipients whose local part begins with ``defer-``: the sink defers them first."""
    pipelined: bool = True
    """Send an envelope in one piece where the server offers PIPELINING."""
    overlap: bool = False
    """Send the next envelope together with the content before it: for benchmarks."""
    rate: float = 0.0
    """At most so many messages a second, all connections together; 0: as fast as it goes."""
    max_seconds: float = 120.0
    away_seconds: float = 30.0
    """How long a connection may be refused before its worker gives up."""
    answer_seconds: float = 60.0
    """How long an answer may take before the connection is cut."""
    hello_name: str = "load.example.test"

    def client_context(self) -> ssl.SSLContext | None:
        """The TLS context to use, verifying against `ca_file`; None where no TLS is asked for."""
        if self.tls == "none":
            return None
        return ssl.create_default_context(
            cafile=None if self.ca_file is None else str(self.ca_file)
        )


@dataclass(slots=True)
class LoadReport:
    """What came of it, in numbers. Messages, not recipients."""

    acknowledged: int = 0
    unanswered: int = 0
    """Handed over completely, connection lost before an answer was read."""
    refused: int = 0
    """Messages of which at least one recipient, or all, were refused."""
    left_over: int = 0
    """Never handed over: time was up or the server stayed away."""
    connections: int = 0
    reconnections: int = 0
    """Connections lost without QUIT, and attempts to connect that failed."""
    logins_refused: int = 0
    """For good (5xx); a worker that meets this ends."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    bytes_handed_over: int = 0
    channels: dict[str, int] = field(default_factory=dict)
    """Connections under TLS by version and cipher; those that resumed a session say so."""
    latencies: list[float] = field(default_factory=list)
    """Seconds from the final dot (or request) to the answer read, of the first messages."""

    @property
    def per_second(self) -> float:
        """Acknowledged messages a second."""
        return self.acknowledged / self.seconds if self.seconds else 0.0

    def latency(self, share: float) -> float:
        """The latency that this share of the messages did not exceed; 0 without any."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0

    def numbers(self) -> dict[str, Any]:
        """For printing: all numbers, latencies condensed."""
        numbers = asdict(self)
        del numbers["latencies"]
        numbers["per_second"] = round(self.per_second, 1)
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            numbers[f"latency_{name}_ms"] = round(self.latency(share) * 1000, 2)
        return numbers


@dataclass(slots=True)
class Errand:
    """One message on its way to the server."""

    number: int
    identity: str
    recipients: list[str]
    tries: int = 0
    met_refusal: bool = False


class Outbox:
    """What is still to be handed over, and where the answers are written down."""

    def __init__(self, settings: LoadSettings, journal: Journal | None) -> None:
        self.settings = settings
        self.journal = journal
        self.report = LoadReport()
        self.run = settings.run or os.urandom(4).hex()
        self.letters = Letters(
            settings.sizes, seed=settings.seed, attachment_share=settings.attachment_share
        )
        self.facts: list[Fact] = []
        """What would be in the journal, where there is none."""
        self._dice = random.Random(settings.seed)
        self._next = 0
        self._back: collections.deque[Errand] = collections.deque()
        self._begun = time.monotonic()
        self.deadline = self._begun + settings.max_seconds
        self.in_hand = 0
        """Errands taken and not yet settled."""

    @property
    def over(self) -> bool:
        """Nothing is left to take, or time is up."""
        if time.monotonic() > self.deadline:
            return True
        return not self._back and self._next >= self.settings.count

    def take(self) -> Errand | None:
        """The next errand, or None where there is none."""
        if self._back:
            self.in_hand += 1
            return self._back.popleft()
        if self._next >= self.settings.count:
            return None
        number = self._next
        self._next += 1
        self.in_hand += 1
        return Errand(number, f"exp-{self.run}-{number:08d}", self._recipients(number))

    def pause_seconds(self) -> float:
        """How long the next message has to wait to keep the rate; at most 0: not at all."""
        rate = self.settings.rate
        return self._begun + self._next / rate - time.monotonic() if rate > 0 else 0.0

    def letter(self, errand: Errand) -> Letter:
        """The errand's message."""
        return self.letters.letter(errand.number, errand.identity, errand.recipients)

    def give_back(self, errand: Errand) -> None:
        """It was not handed over: somebody else may try."""
        self.in_hand -= 1
        errand.tries += 1
        if errand.tries < _TRIES_PER_MESSAGE:
            self._back.append(errand)
        else:
            self.report.left_over += 1

    def acknowledged(
        self,
        errand: Errand,
        recipients: list[str],
        sha256: str | None,
        size: int,
        reply: str,
        *,
        seconds: float = 0.0,
    ) -> None:
        """A positive answer was read, so many seconds after it was begun: the errand is done."""
        self.report.acknowledged += 1
        self.report.bytes_handed_over += size
        self._write(
            "acknowledged", errand, recipients, sha256=sha256, size=size, reply=reply[:300],
            took_ms=round(seconds * 1000, 2),
        )  # fmt: skip
        self.done_with(errand)

    def unanswered(self, errand: Errand, recipients: list[str], sha256: str | None) -> None:
        """It was handed over and no answer came: the errand is done."""
        self.report.unanswered += 1
        self._write("unanswered", errand, recipients, sha256=sha256)
        self.done_with(errand)

    def refused(self, errand: Errand, recipients: list[str], reply: str) -> None:
        """A negative answer for these recipients was read; `done_with` says when that is all."""
        if not errand.met_refusal:
            errand.met_refusal = True
            self.report.refused += 1
        self._write("refused", errand, recipients, reply=reply[:300])

    def done_with(self, errand: Errand) -> None:
        """Nothing more will be tried for it."""
        self.in_hand -= 1

    def note_latency(self, seconds: float) -> None:
        """Keep how long an answer took."""
        if len(self.report.latencies) < MAX_LATENCIES:
            self.report.latencies.append(seconds)

    def close(self) -> LoadReport:
        """Count what is left; the report."""
        self.report.left_over += self.settings.count - self._next + len(self._back) + self.in_hand
        self.report.seconds = time.monotonic() - self._begun
        return self.report

    def _recipients(self, number: int) -> list[str]:
        settings = self.settings
        most = settings.max_recipients
        count = 1 if most <= 1 else self._dice.randint(1, most)
        return [
            f"{self._prefix()}r{number}-{ordinal}"
            f"@{settings.domains[(number + ordinal) % len(settings.domains)]}"
            for ordinal in range(count)
        ]

    def _prefix(self) -> str:
        settings = self.settings
        if not settings.bad_share and not settings.deferring_share:
            return ""
        drawn = self._dice.random()
        if drawn < settings.bad_share:
            return "bad-"
        return "defer-" if drawn < settings.bad_share + settings.deferring_share else ""

    def _write(self, event: str, errand: Errand, recipients: list[str], **more: Any) -> None:
        fact: Fact = {
            "event": event,
            "at": wall_ms(),
            "id": errand.identity,
            "recipients": recipients,
            **more,
        }
        if self.journal is None:
            self.facts.append(fact)
        else:
            self.journal.write_lines(encode_fact(fact))


async def drive(outbox: Outbox, workers: Sequence[Coroutine[Any, Any, None]]) -> LoadReport:
    """Run these workers until the outbox is empty or time is up."""
    cpu_before = time.process_time()
    tasks = [asyncio.ensure_future(worker) for worker in workers]
    grace_seconds = 5.0
    try:
        await asyncio.wait(tasks, timeout=outbox.settings.max_seconds + grace_seconds)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
    outbox.report.cpu_seconds = time.process_time() - cpu_before
    return outbox.close()
