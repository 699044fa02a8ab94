"""beside two thousand slow clients and a storm of failed logins, good clients lose nothing

Good clients hand mail in all the time, with TLS and a login, a few dozen messages on a connection and
then a new one. At first they are alone. Then two thousand clients come from forty addresses and send
a byte every ten seconds: in handshakes, in commands, and in content, logged in; who is cut off comes
again. Then, while these stand, one program tries passwords from one more address as fast as it can.

lost, refused 0
    Every message of the good clients was acknowledged at its first try, arrived once, and with its
    bytes, in every phase.
memory
    At its peak the process holds at most so much more than it held before the slow clients came as
    `BUDGET_BYTES` says.
engaged
    The address that tries passwords is sent away: 421, or a door that is shut before a handshake.

How long a message takes from MAIL to its 250 is recorded for each phase, and as a multiple of the
quiet one; it is not asserted. Settings are as shipped, but for the number of connections in all and of
one login. A run in which the slow clients did not stand, or nobody was sent away, is void.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.guarded import SERVER_NAME, GuardedPillarbox, Guards
from tests.bench.meter import wait_until
from tests.bench.peers import APP, ROOT
from tests.bench.place import disk_place
from tests.doubles.certificates import issue_certificate
from tests.doubles.dawdlers import Dawdlers, DawdlerSettings
from tests.doubles.guesser import GuesserProcess, GuesserSettings
from tests.doubles.journal import Fact, read_journal
from tests.doubles.judge import judge

BUDGET_BYTES = 200 * 2**20
_OPEN_FILES = 8192
_STOOD_SHARE = 0.95
_STAND_SECONDS = 120.0
_SETTLE_SECONDS = 60.0
_MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Scale:
    """How much."""

    slow: int
    interval_seconds: float
    """Between two bytes of a slow client."""
    rate: float
    """Messages a second, of all good clients together."""
    connections: int
    quiet_seconds: float
    slow_seconds: float
    attacked_seconds: float
    per_connection: int = 30
    filling_seconds: float = 5.0
    guessing_connections: int = 20


SCALES = {
    "small": Scale(
        slow=60, interval_seconds=0.5, rate=40, connections=6, quiet_seconds=1.5, slow_seconds=1.5,
        attacked_seconds=3, filling_seconds=0.5,
    ),
    # More than the 30 seconds after which handshakes and slow content are cut off.
    "full": Scale(
        slow=2000, interval_seconds=10, rate=120, connections=36, quiet_seconds=20, slow_seconds=45,
        attacked_seconds=60, guessing_connections=150,
    ),
}  # fmt: skip


@dataclass(slots=True)
class Phase:
    """What the good clients met in one part of the run."""

    facts: list[Fact] = field(default_factory=list)
    reconnections: int = 0

    @property
    def took_ms(self) -> list[float]:
        """From MAIL to 250, of every message."""
        return sorted(fact["took_ms"] for fact in self.facts if fact["event"] == "acknowledged")

    def share_ms(self, share: float) -> float:
        """What so many of the messages did not exceed."""
        took = self.took_ms
        return took[min(len(took) - 1, int(len(took) * share))] if took else 0.0

    def counts(self) -> dict[str, object]:
        """What must not happen, and how much there was."""
        events = [fact["event"] for fact in self.facts]
        return {
            "acknowledged": events.count("acknowledged"),
            "refused": events.count("refused"),
            "unanswered": events.count("unanswered"),
            "reconnections": self.reconnections,
        }

    def times(self, quiet: Phase) -> dict[str, float]:
        """In milliseconds, and beside the quiet phase."""
        if not self.took_ms:
            return {}
        found = {
            "p50_ms": self.share_ms(0.5), "p99_ms": self.share_ms(0.99), "most_ms": self.share_ms(1),
        }  # fmt: skip
        if self is not quiet and quiet.took_ms:
            found["p50_times"] = round(found["p50_ms"] / quiet.share_ms(0.5), 2)
            found["p99_times"] = round(found["p99_ms"] / quiet.share_ms(0.99), 2)
        return found


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    _open_more_files()
    with disk_place() as place:
        return asyncio.run(_Run(SCALES[size], place.path).prove())


class _Run:
    """One run, with all that takes part in it."""

    def __init__(self, scale: Scale, place: Path) -> None:
        self.scale = scale
        self.place = place
        self.guards = Guards(issue_certificate(place / "tls"))
        self.sink = self.guards.sink(place / "sink.jsonl")
        self.phases: dict[str, Phase] = {}
        self.runs = 0
        self.handed_over = 0

    async def prove(self) -> dict[str, object]:
        scale = self.scale
        async with self.sink:
            self.peer = GuardedPillarbox(
                self.place, self.sink.port, self.guards,
                f"smtp.max_sessions={2 * scale.slow + 1000}", "smtp.max_sessions_per_login=0",
            )  # fmt: skip
            async with self.peer:
                found = await self._phases()
                if not await asyncio.to_thread(
                    wait_until, lambda: not self.peer.waiting(), seconds=_SETTLE_SECONDS, every=0.2
                ):
                    raise AssertionError(f"{self.peer.waiting()} messages still wait")
            await asyncio.to_thread(self.sink.stop)
        self._assert_unharmed()
        return found

    async def _phases(self) -> dict[str, object]:
        scale = self.scale
        self.phases["quiet"] = await self._hand_in(scale.quiet_seconds)
        quiet_bytes = _forget_peak(self.peer.root())
        async with self._dawdlers() as dawdlers:
            self.phases["filling"] = await self._fill(dawdlers)
            self.phases["slow"] = await self._hand_in(scale.slow_seconds)
            stood = await self._all_standing(dawdlers)
            slow_bytes = _peak(self.peer.root())
            async with self._guesser() as guesser:
                attacked = await self._hand_in(scale.attacked_seconds)
                guesses = guesser.numbers()
            peak_bytes = _peak(self.peer.root())
            cut = dawdlers.standing()
        engaged_at = guesses.get("engaged_at", 0)
        assert engaged_at, f"void: nobody was sent away: {guesses}"
        before, after = _split(attacked, engaged_at)
        self.phases |= {"attacked": before, "throttled": after}
        assert after.facts, "void: the throttle engaged when it was all over"
        grown = peak_bytes - quiet_bytes
        assert grown <= BUDGET_BYTES, f"{grown / _MEGABYTE:.0f} MB more than without slow clients"
        quiet = self.phases["quiet"]
        return {
            "messages": self.handed_over,
            "lost": 0,
            "refused": 0,
            "slow_clients": {
                "stood": stood,
                "cut_off_and_back": cut["cut"],
                "turned_away": cut["turned_away"],
            },
            "failed_logins": {name: n for name, n in guesses.items() if name != "engaged_at"},
            "phases": {
                name: phase.counts() | phase.times(quiet) for name, phase in self.phases.items()
            },
            "memory_mb": {
                "quiet": round(quiet_bytes / _MEGABYTE, 1),
                "peak_beside_slow_clients": round(slow_bytes / _MEGABYTE, 1),
                "peak": round(peak_bytes / _MEGABYTE, 1),
                "budget": round((quiet_bytes + BUDGET_BYTES) / _MEGABYTE, 1),
            },
            "on": self.peer.about()["on"],
            "parameters": asdict(scale),
        }

    def _dawdlers(self) -> Dawdlers:
        made = json.loads(self.peer.tell("credential", "add", "slow", "--app", APP, "--json"))
        return Dawdlers(
            self.place / "dawdlers.out",
            DawdlerSettings(
                starttls_port=self.peer.port,
                tls_port=self.peer.tls_port,
                ca_file=self.guards.certificate.ca,
                username=made["username"],
                password=made["password"],
                clients=self.scale.slow,
                interval_seconds=self.scale.interval_seconds,
            ),
        )

    def _guesser(self) -> GuesserProcess:
        return GuesserProcess(
            self.place / "guesser.out",
            GuesserSettings(
                starttls_port=self.peer.port,
                tls_port=self.peer.tls_port,
                ca_file=self.guards.certificate.ca,
                username=self.peer.enters.username,
                connections=self.scale.guessing_connections,
            ),
        )

    async def _fill(self, dawdlers: Dawdlers) -> Phase:
        """Hand in until all the slow clients stand."""
        filling = Phase()
        deadline = time.monotonic() + _STAND_SECONDS
        while dawdlers.count() < self.scale.slow * _STOOD_SHARE:
            assert time.monotonic() < deadline, f"void: {dawdlers.standing()}\n{self._tail()}"
            part = await self._hand_in(self.scale.filling_seconds)
            filling.facts += part.facts
            filling.reconnections += part.reconnections
        return filling

    async def _all_standing(self, dawdlers: Dawdlers) -> dict[str, int]:
        """How they stand, by kind; whoever was cut off a moment ago is coming again."""
        least = self.scale.slow * _STOOD_SHARE
        stand = await asyncio.to_thread(
            wait_until, lambda: dawdlers.count() >= least, seconds=_STAND_SECONDS, every=0.2
        )
        assert stand, f"void: {dawdlers.standing()}\n{self._tail()}"
        return dawdlers.standing()["now"]

    async def _hand_in(self, seconds: float) -> Phase:
        """For so long, from a process of its own."""
        scale, peer = self.scale, self.peer
        self.runs += 1
        count = round(scale.rate * seconds)
        journal = self.place / f"clients-{self.runs}.jsonl"
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.doubles.load",
            "--smtp", f"127.0.0.1:{peer.port}", "--tls", "starttls",
            "--ca", str(self.guards.certificate.ca), "--server-name", SERVER_NAME,
            "--username", peer.enters.username, f"--password={peer.enters.password}",
            "--count", str(count), "--rate", str(scale.rate),
            "--connections", str(scale.connections),
            "--per-connection", str(scale.per_connection),
            "--size", "1k-10k", "--log", str(journal),
            "--max-seconds", str(seconds + _SETTLE_SECONDS),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )  # fmt: skip
        said, _ = await program.communicate()
        assert program.returncode == 0, f"the driver failed ({program.returncode})\n{self._tail()}"
        report: dict[str, Any] = json.loads(said)
        self.handed_over += count
        met = {name: report[name] for name in ("refused", "unanswered", "logins_refused")}
        assert report["acknowledged"] == count and not any(met.values()), (
            f"{report}\n{self._tail()}"
        )
        return Phase(read_journal(journal), report["reconnections"])

    def _assert_unharmed(self) -> None:
        facts = [fact for phase in self.phases.values() for fact in phase.facts]
        verdict = judge(facts, self.sink.facts())
        numbers = {
            "delivered": verdict.delivered,
            "copies": verdict.copies,
            "lost": verdict.lost,
            "phantoms": verdict.phantoms,
            "mismatches": verdict.mismatches,
        }
        wanted = dict.fromkeys(numbers, 0) | dict.fromkeys(
            ("delivered", "copies"), self.handed_over
        )
        assert numbers == wanted, f"{numbers} of {self.handed_over}\n{verdict}"

    def _tail(self) -> str:
        return self.peer.log_tail()


def _split(phase: Phase, at_ms: int) -> tuple[Phase, Phase]:
    """Before and after a moment. Whoever had to connect again counts as after it."""
    before = Phase([fact for fact in phase.facts if fact["at"] < at_ms])
    after = Phase([fact for fact in phase.facts if fact["at"] >= at_ms], phase.reconnections)
    return before, after


def _open_more_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _forget_peak(pid: int) -> int:
    """Begin to look for the highest use of memory from here on; bytes in use now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


def _peak(pid: int) -> int:
    """Most bytes that were resident at once since `_forget_peak`."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {name} of process {pid}")
