"""mail of one app keeps its pace while another has tens of thousands of messages for a stalling server

Two apps of one Pillarbox, each with a server of its own. One hands over a few messages a second all
the time, and its server takes them. At first it is alone. Then the other app hands over its mass as
fast as it is taken, to a server that accepts connections and says nothing more; and then that mass
waits, and is tried, while the first app goes on. All of it twice:

borne
    The server falls silent at MAIL, and settings are as shipped: for five minutes each connection to
    it is borne, and the mass stands behind them.
given up
    It is silent from the beginning, and that is borne for two seconds. So its circuit opens, and all
    of the mass is tried and put off again and again.

lost 0, refused 0
    Every message of the quiet app arrives once, in every part of the run.
left 0
    Not one of the noisy app's messages is failed or lost: they all still wait in the end.
pace
    From MAIL to the arrival at the server, for each message of the quiet app: the 99th percentile
    is at most five seconds in every part. It is recorded as a multiple of that of the quiet part.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pillarbox.storage.connection import connect
from tests.bench.meter import wait_until
from tests.bench.nodes import Node, new_secret_key
from tests.bench.peers import APP, ROOT
from tests.bench.place import disk_place
from tests.doubles.journal import Fact, Journal, read_journal
from tests.doubles.judge import judge
from tests.doubles.load import LoadSettings, run_load
from tests.doubles.moody_server import Mood, MoodyServer
from tests.doubles.process import Program
from tests.doubles.sink import Sink

MOST_SECONDS: Final = 5.0
_QUIET_APP: Final = "quiet"
_LOGIN: Final = ("relay", "pb_upstream")
_SETTLE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Silence:
    """How the noisy app's server stalls, and what is set."""

    name: str
    mood: Mood
    settings: Mapping[str, float]


SILENCES = (
    Silence("borne", Mood.STALLING_AT_MAIL, {}),
    Silence("given up", Mood.STALLING_AT_BANNER, {"timeouts.banner_seconds": 2}),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    mass: int
    """Messages of the noisy app."""
    rate: float
    """Of the quiet app, a second."""
    part_seconds: float
    """Of the first and the last part; the one between lasts as long as the mass comes in."""
    connections: int = 8


SCALES = {
    "small": Scale(mass=2000, rate=5, part_seconds=4),
    "full": Scale(mass=50_000, rate=5, part_seconds=90),
}


@dataclass(slots=True)
class Part:
    """What the quiet app met in one part of the run."""

    facts: list[Fact] = field(default_factory=list)
    paces_ms: list[float] = field(default_factory=list)

    def figures(self, quiet: Part) -> dict[str, float]:
        """In milliseconds, and beside the quiet part."""
        found = {
            "messages": len(self.facts), "p50_ms": self._share(0.5), "p99_ms": self._share(0.99),
            "most_ms": self._share(1),
        }  # fmt: skip
        if self is not quiet:
            found |= {
                "p50_times": round(self._share(0.5) / quiet._share(0.5), 1),
                "p99_times": round(self._share(0.99) / quiet._share(0.99), 1),
            }
        return found

    def _share(self, share: float) -> float:
        ordered = sorted(self.paces_ms)
        return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1)


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    scale = SCALES[size]
    found = {}
    for silence in SILENCES:
        with disk_place() as place:
            found[silence.name] = asyncio.run(_prove(scale, silence, place.path))
    return {"lost": 0, "refused": 0, **found, "parameters": asdict(scale)}


async def _prove(scale: Scale, silence: Silence, place: Path) -> dict[str, object]:
    settings = [f"{name}={value}" for name, value in silence.settings.items()]
    node = Node(place, "node", "", new_secret_key(), *settings)
    async with node, Sink() as sink, MoodyServer(_LOGIN) as stalling:
        await stalling.become(silence.mood)
        run = _Run(scale, node, place, sink, stalling)
        await asyncio.to_thread(run.connect)
        return {**await run.prove(), "settings": dict(silence.settings)}


class _Run:
    """One run, with all that takes part in it."""

    def __init__(
        self, scale: Scale, node: Node, place: Path, sink: Sink, stalling: MoodyServer
    ) -> None:
        self.scale = scale
        self.node = node
        self.place = place
        self.sink = sink
        self.stalling = stalling
        self.parts: dict[str, Part] = {}
        self.username = self.password = ""
        self.rounds = 0

    def connect(self) -> None:
        """Two apps, a server for each, and a login for the quiet one."""
        tell = self.node.tell
        password = self.place / "password"
        password.write_text(_LOGIN[1] + "\n")
        password.chmod(0o600)
        clear = ("--host", "127.0.0.1", "--encryption", "none")
        tell("app", "add", _QUIET_APP)
        for app in (APP, _QUIET_APP):
            tell("app", "set", app, "--mode", "live", "--yes")
        tell("server", "add", "sink", "--app", _QUIET_APP, *clear, "--port", str(self.sink.port))
        tell(
            "server", "add", "stalling", "--app", APP, *clear, "--port", str(self.stalling.port),
            "--username", _LOGIN[0], "--password-file", str(password),
        )  # fmt: skip
        made = json.loads(tell("credential", "add", "quiet", "--app", _QUIET_APP, "--json"))
        self.username, self.password = made["username"], made["password"]

    async def prove(self) -> dict[str, object]:
        scale = self.scale
        await self._hand_over(1)  # connections and caches
        self.parts["quiet"] = await self._while_waiting()
        mass = self._mass()
        async with mass:
            self.parts["coming in"] = await self._until_ended(mass)
        said: dict[str, Any] = json.loads(mass.text().splitlines()[-1])
        assert said["acknowledged"] == scale.mass, f"{said}\n{self.node.log_tail()}"
        self.parts["waiting"] = await self._while_waiting()
        # What arrived a moment ago is settled a moment later.
        await asyncio.to_thread(
            wait_until, lambda: self._waiting() <= scale.mass, seconds=_SETTLE_SECONDS, every=0.1
        )
        waiting = self._waiting()
        assert waiting == scale.mass, f"{waiting} of {scale.mass} wait\n{self.node.log_tail()}"
        assert self.stalling.connections, "void: nobody ever called the stalling server"
        handed_over = self._assert_unharmed()
        for name, part in self.parts.items():
            p99 = part.figures(self.parts["quiet"])["p99_ms"]
            assert p99 <= MOST_SECONDS * 1000, f"{name}: {p99:.0f} ms"
            _say(f"{name}: {part.figures(self.parts['quiet'])}")
        return {
            "messages": handed_over,
            "mass_left": scale.mass - waiting,
            "connections_to_the_stalling_server": self.stalling.connections,
            "attempts_of_the_mass": self._attempts(),
            "parts": {name: part.figures(self.parts["quiet"]) for name, part in self.parts.items()},
            "mass_accepted_per_second": round(said["per_second"]),
        }

    def _mass(self) -> Program:
        """The noisy app's driver, a process of its own."""
        scale = self.scale
        return Program(
            [
                sys.executable, "-m", "tests.doubles.load",
                "--smtp", f"127.0.0.1:{self.node.port}", "--count", str(scale.mass),
                "--connections", str(scale.connections), "--overlap",
                "--max-seconds", "1800",
            ],
            output=self.place / "mass.out",
            cwd=ROOT,
        )  # fmt: skip

    async def _while_waiting(self) -> Part:
        return await self._part(
            await self._hand_over(round(self.scale.part_seconds * self.scale.rate))
        )

    async def _until_ended(self, mass: Program) -> Part:
        """Second by second, as long as the mass comes in."""
        facts: list[Fact] = []
        while mass.running:
            facts += await self._hand_over(max(1, round(self.scale.rate)))
        assert mass.returncode == 0, mass.text()
        return await self._part(facts)

    async def _part(self, facts: list[Fact]) -> Part:
        """When all of it has arrived."""
        wanted = {fact["id"] for fact in facts}
        at: dict[str, int] = {}

        def all_there() -> bool:
            at.update((fact["id"], fact["at"]) for fact in self.sink.taken)
            return wanted <= at.keys()

        try:
            await self.sink.until(all_there, seconds=_SETTLE_SECONDS)
        except TimeoutError:
            missing = len(wanted - at.keys())
            raise AssertionError(
                f"{missing} of {len(wanted)} did not arrive\n{self.node.log_tail()}"
            ) from None
        paces = [at[fact["id"]] - (fact["at"] - fact["took_ms"]) for fact in facts]
        return Part(facts, paces)

    async def _hand_over(self, count: int) -> list[Fact]:
        self.rounds += 1
        path = self.place / f"quiet-{self.rounds}.jsonl"
        journal = Journal(path)
        report = await run_load(
            LoadSettings(
                self.node.starttls_port, count, connections=1, rate=self.scale.rate,
                tls="starttls", ca_file=self.node.data / "ca.pem", seed=self.rounds,
                username=self.username, password=self.password, max_seconds=_SETTLE_SECONDS + count,
            ),
            journal,
        )  # fmt: skip
        journal.close()
        assert report.acknowledged == count, f"{report}\n{self.node.log_tail()}"
        return read_journal(path)

    def _assert_unharmed(self) -> int:
        clients = [
            fact
            for number in range(1, self.rounds + 1)
            for fact in read_journal(self.place / f"quiet-{number}.jsonl")
        ]
        verdict = judge(clients, self.sink.facts)
        numbers = (verdict.lost, verdict.phantoms, verdict.duplicates, verdict.mismatches)
        assert numbers == (0, 0, 0, 0), str(verdict)
        assert not verdict.refused and not verdict.notices, str(verdict)
        return verdict.acknowledged

    def _waiting(self) -> int:
        return self._count("SELECT count(*) FROM queue")

    def _attempts(self) -> int:
        return self._count("SELECT count(*) FROM event WHERE kind = 'delivery.deferred'")

    def _count(self, sql: str) -> int:
        connection = connect(self.node.data / "pillarbox.db", reading=True)
        ((count,),) = connection.execute(sql).fetchall()
        connection.close()
        return int(str(count))


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
