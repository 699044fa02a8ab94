"""mail goes on by the second server whatever the best one does, and returns to the best one

An app has two servers. All the while a client hands mail over at a steady rate. The better server
falls ill in one way after the other, and works again in between: nobody listens at its port, it
stalls at its banner, it stalls at MAIL, it answers 535 to our login, and 454. In the end both are
away for a while, so that mail piles up. Each illness begins by cutting every connection.

lost, failed, phantoms 0
    Every message that was acknowledged arrives with its body; no delivery fails and no notice is
    written.
duplicates
    Only of messages that were open when a connection was cut behind their final dot.
takeover
    From the beginning of each illness until the second server takes a message: at most 30 seconds.
return
    From each recovery until the better server takes a message: at most 5 minutes.
attempts
    Counted are all attempts for all recipients, first ones and later ones, in whole seconds of the
    wall clock, from the first to the last: in none are there more than three times the mean. A few
    hundred messages have no mean worth the name, so in the small size this is only recorded.

The times that Pillarbox waits are short, so that an illness lasts seconds here: see `settings` in the
record. As shipped, it waits for a greeting for 30 seconds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from pillarbox.storage.connection import connect
from tests.bench.nodes import Node, new_secret_key
from tests.bench.peers import APP
from tests.bench.place import disk_place
from tests.doubles.journal import Fact, Journal, read_journal, wall_ms
from tests.doubles.judge import Verdict, judge
from tests.doubles.load import LoadSettings, run_load
from tests.doubles.moody_server import Mood, MoodyServer
from tests.doubles.sink import Sink

TAKEOVER_SECONDS: Final = 30.0
RETURN_SECONDS: Final = 300.0
HERD_TIMES: Final = 3.0
_LOGIN: Final = ("relay", "pb_upstream")
_ILLNESSES: Final = tuple(mood for mood in Mood if mood is not Mood.WORKING)
_SETTLE_SECONDS: Final = 120.0
_KINDS: Final = (
    "delivery.handed_over", "delivery.delivered", "delivery.deferred", "delivery.uncertain",
    "delivery.failed", "delivery.expired",
)  # fmt: skip
_SETTINGS: Final = {
    "timeouts.connect_seconds": 2,
    "timeouts.banner_seconds": 2,
    "timeouts.auth_seconds": 2,
    "timeouts.envelope_seconds": 2,
    "breaker.pause_seconds": 2,
    "breaker.ceiling_seconds": 8,
    "retry.ceiling_seconds": 40,
    "delivery.poll_seconds": 0.5,
}


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    messages: int
    rate: float
    """Handed over a second."""
    first_seconds: float
    """Before a message that was deferred is tried again."""
    spread: bool
    """Whether it is asserted that attempts are spread over time."""


SCALES = {
    "small": Scale(messages=300, rate=30, first_seconds=2, spread=False),
    "full": Scale(messages=5000, rate=60, first_seconds=10, spread=True),
}


@dataclass(slots=True)
class Episode:
    """One illness, and the recovery from it."""

    illness: str
    began_at: int
    ended_at: int = 0
    messages: int = 0
    met: int = 0
    """Connections that the ill server had."""
    takeover_seconds: float = 0.0
    slowest_seconds: float = 0.0
    """From the acknowledgement of a message to its arrival, of those handed over in the illness."""
    return_seconds: float = 0.0


@dataclass(slots=True)
class _Run:
    scale: Scale
    node: Node
    place: Path
    best: MoodyServer
    second: Sink
    rounds: int = 0
    acknowledged: int = 0
    over: bool = False
    episodes: list[Episode] = field(default_factory=list)

    async def prove(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hand_over())
            try:
                await self._pass_through()
            finally:
                self.over = True
        await self._until(lambda: self._arrived() >= self.acknowledged)
        await self._until(lambda: not self._waiting())

    async def _pass_through(self) -> None:
        share = self.scale.messages // (2 * len(_ILLNESSES) + 2)
        await self._until(lambda: len(self.best.taken()) >= share)
        for illness in _ILLNESSES:
            self.episodes.append(await self._fall_ill(illness, share))
        await self._both_away(share)
        await self._until(lambda: self.acknowledged >= self.scale.messages)

    async def _fall_ill(self, illness: Mood, share: int) -> Episode:
        await self.best.become(illness)
        episode = Episode(illness.value, wall_ms())
        await self._until(lambda: len(_since(episode.began_at, self.second.taken)) >= share)
        by_second = _since(episode.began_at, self.second.taken)
        episode.messages = len(by_second)
        episode.takeover_seconds = (by_second[0]["at"] - episode.began_at) / 1000
        assert episode.takeover_seconds <= TAKEOVER_SECONDS, episode
        episode.met = await self.best.become(Mood.WORKING)
        assert episode.met or illness is Mood.REFUSING, f"void: {illness} met nobody"
        episode.ended_at = wall_ms()
        await self._until(
            lambda: len(_since(episode.ended_at, self.best.taken())) >= share, RETURN_SECONDS
        )
        back = _since(episode.ended_at, self.best.taken())
        episode.return_seconds = (back[0]["at"] - episode.ended_at) / 1000
        _say(
            f"{illness}: the second server took over in {episode.takeover_seconds:.2f} s, "
            f"and mail was back in {episode.return_seconds:.2f} s"
        )
        return episode

    async def _both_away(self, share: int) -> None:
        """Mail piles up, and must not come down at once."""
        await self.best.become(Mood.REFUSING)
        await self.second.stop()
        wanted = self._deferrals() + share + share // 2
        await self._until(lambda: self._deferrals() >= wanted)
        waiting = self._waiting()
        self.second.settings = replace(self.second.settings, port=self.second.port)
        await self.second.start()
        await self.best.become(Mood.WORKING)
        _say(f"both were away, and {waiting} messages waited for them")

    async def _hand_over(self) -> None:
        """At the rate, second by second, until all is over."""
        while not self.over:
            self.rounds += 1
            count = round(self.scale.rate)
            journal = Journal(self.place / f"client-{self.rounds}.jsonl")
            settings = LoadSettings(
                self.node.port, count, connections=4, rate=self.scale.rate, seed=self.rounds
            )
            report = await run_load(settings, journal)
            journal.close()
            assert report.acknowledged == count, f"{report}\n{self.node.log_tail()}"
            self.acknowledged += count

    def _arrived(self) -> int:
        return len({fact["id"] for fact in (*self.best.taken(), *self.second.taken)})

    async def _until(self, condition: Callable[[], bool], seconds: float = _SETTLE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (
                f"{self._arrived()} of {self.acknowledged} arrived, {self._waiting()} wait\n"
                f"{self.node.log_tail()}"
            )
            await asyncio.sleep(0.05)

    def _waiting(self) -> int:
        return int(str(self._ask("SELECT count(*) FROM queue")[0][0]))

    def _deferrals(self) -> int:
        asked = "SELECT count(*) FROM event WHERE kind = 'delivery.deferred'"
        return int(str(self._ask(asked)[0][0]))

    def _ask(self, sql: str) -> list[tuple[object, ...]]:
        connection = connect(self.node.data / "pillarbox.db", reading=True)
        try:
            return [tuple(row) for row in connection.execute(sql).fetchall()]
        finally:
            connection.close()

    def attempts(self) -> Counter[str]:
        """How many came to what."""
        return Counter(str(kind) for _, kind in self._attempts())

    def seconds(self) -> list[int]:
        """Attempts in every second from the first to the last."""
        counted = Counter(int(str(at)) for at, _ in self._attempts())
        return [counted[second] for second in range(min(counted), max(counted) + 1)]

    def _attempts(self) -> list[tuple[object, ...]]:
        kinds = ", ".join(f"'{kind}'" for kind in _KINDS)
        return self._ask(f"SELECT at / 1000, kind FROM event WHERE kind IN ({kinds})")

    def circuits(self) -> Counter[str]:
        """Events of servers."""
        rows = self._ask("SELECT kind FROM event WHERE kind LIKE 'server.%'")
        return Counter(str(kind) for (kind,) in rows)


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    with disk_place() as place:
        return asyncio.run(_prove(SCALES[size], place.path))


async def _prove(scale: Scale, place: Path) -> dict[str, object]:
    short = {**_SETTINGS, "retry.first_seconds": scale.first_seconds}
    settings = [f"{name}={value}" for name, value in short.items()]
    node = Node(place, "node", "", new_secret_key(), *settings)
    second = Sink()
    await second.start()
    try:
        async with node, MoodyServer(_LOGIN) as best:
            run = _Run(scale, node, place, best, second)
            await asyncio.to_thread(_connect, node, best.port, second.port, place)
            await run.prove()
            counted, seconds, circuits = run.attempts(), run.seconds(), run.circuits()
        clients = [
            fact
            for number in range(1, run.rounds + 1)
            for fact in read_journal(place / f"client-{number}.jsonl")
        ]
        facts = [*best.facts, *second.facts]
        verdict = judge(clients, facts)
        arrived = {fact["id"]: fact["at"] for fact in reversed(facts) if fact["event"] == "taken"}
        for episode in run.episodes:
            episode.slowest_seconds = _slowest(episode, clients, arrived)
    finally:
        await second.stop()
    return _found(run, verdict, counted, seconds, circuits)


def _found(
    run: _Run, verdict: Verdict, counted: Counter[str], seconds: list[int], circuits: Counter[str]
) -> dict[str, object]:
    mean = sum(seconds) / len(seconds)
    assert (verdict.lost, verdict.phantoms, verdict.mismatches) == (0, 0, 0), str(verdict)
    assert not verdict.duplicates_unexplained, str(verdict)
    assert not verdict.notices, str(verdict)
    assert not counted["delivery.failed"] and not counted["delivery.expired"], counted
    paused = circuits["server.paused"]
    assert paused >= len(_ILLNESSES), f"void: {circuits}"
    assert circuits["server.recovered"] >= len(_ILLNESSES), circuits
    if run.scale.spread:
        assert max(seconds) <= HERD_TIMES * mean, f"{max(seconds)} in a second, {mean:.1f} the mean"
    return {
        "messages": verdict.acknowledged,
        "lost": verdict.lost,
        "failed": counted["delivery.failed"] + counted["delivery.expired"],
        "duplicates": verdict.duplicates,
        "duplicates_unexplained": verdict.duplicates_unexplained,
        "takeover_seconds": max(episode.takeover_seconds for episode in run.episodes),
        "return_seconds": max(episode.return_seconds for episode in run.episodes),
        "episodes": [asdict(episode) for episode in run.episodes],
        "attempts": sum(counted.values()),
        "attempts_deferred": counted["delivery.deferred"],
        "attempts_uncertain": counted["delivery.uncertain"],
        "attempts_a_second": {"mean": round(mean, 1), "most": max(seconds)},
        "servers": dict(circuits),
        "settings": dict(_SETTINGS) | {"retry.first_seconds": run.scale.first_seconds},
        "parameters": asdict(run.scale),
    }


def _connect(node: Node, best: int, second: int, place: Path) -> None:
    password = place / "password"
    password.write_text(_LOGIN[1] + "\n")
    password.chmod(0o600)
    clear = ("--app", APP, "--host", "127.0.0.1", "--encryption", "none")
    node.tell("app", "set", APP, "--mode", "live", "--yes")
    node.tell(
        "server", "add", "best", *clear, "--port", str(best), "--priority", "0",
        "--username", _LOGIN[0], "--password-file", str(password),
    )  # fmt: skip
    node.tell("server", "add", "second", *clear, "--port", str(second), "--priority", "1")


def _since(at: int, facts: list[Fact]) -> list[Fact]:
    return [fact for fact in facts if fact["at"] >= at]


def _slowest(episode: Episode, clients: list[Fact], arrived: Mapping[str, int]) -> float:
    """Seconds from the acknowledgement of a message to its arrival, of those of the illness."""
    took = [
        arrived[fact["id"]] - fact["at"]
        for fact in clients
        if episode.began_at <= fact["at"] < episode.ended_at
    ]
    longest: int = max(took, default=0)
    return longest / 1000


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
