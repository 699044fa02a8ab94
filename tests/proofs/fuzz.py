"""an hour of coverage-guided fuzzing makes no session crash, hang, grow or say what it should not

Every target of `tests/fuzz/targets` under libFuzzer (through atheris), one process each, two at a time.
The package's own source is instrumented, so mutation follows the branches of the code. A target does
more than wait for a crash: the server session is compared octet by octet with a second one that was
written for nothing but this, fed whole, in portions, and answered late; the connection is the program
as it is wired, with a store that fails now and then, and what it answered 250 is read back.

executions, edges
    As the engine prints them. ``edges_of_seeds`` is what the seeds cover before the first mutation.
findings
    Must be none. An input that raises, takes more than `CPU_SECONDS` of the processor or `HANG_SECONDS`
    on the clock, or brings the process above `MEMORY_MB`, ends the proof, and is printed as small as it
    could be made, to be kept under ``tests/fuzz/found``.

Small is the same with a number of executions for each target, from the same seed: the same inputs every
time, but for the connection, whose store has threads.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Final

from tests.fuzz.campaign import HANG_SECONDS, MEMORY_MB, Outcome, fuzz

NEEDS = ("atheris",)

SEED: Final = 20261126
LANES: Final = (
    ("session", "header", "path", "proxy", "features"),
    ("connection", "client", "styles"),
)
"""Which targets run one after the other; the lanes run side by side, one for each core."""
RUNS: Final = {
    "session": 9000, "header": 40_000, "path": 100_000, "connection": 2400, "client": 8000, "proxy": 40_000,
    "features": 1500, "styles": 3000,
}  # fmt: skip
SECONDS: Final = {
    "session": 1800,
    "header": 500,
    "path": 300,
    "proxy": 200,
    "features": 800,
    "connection": 2000,
    "client": 1000,
    "styles": 600,
}
"""An hour for each lane."""
_ROOM_BYTES: Final = 1 << 30


def prove(size: str) -> dict[str, object]:
    """Do it; see the module for what is asserted."""
    full = size == "full"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzzing-", dir=_memory()) as name:
        folder = Path(name)

        def lane(targets: tuple[str, ...]) -> list[Outcome]:
            return [_one(target, folder / target, full=full) for target in targets]

        with ThreadPoolExecutor(len(LANES)) as pool:
            outcomes = [outcome for done in pool.map(lane, LANES) for outcome in done]
    findings = [outcome.finding for outcome in outcomes if outcome.finding is not None]
    assert not findings, "\n\n".join(map(str, findings))
    for outcome in outcomes:
        wanted = 1 if full else RUNS[outcome.target]
        assert outcome.executions >= wanted, f"{outcome.target} ran {outcome.executions} times only"
        assert outcome.edges >= outcome.edges_of_seeds > 0, (
            f"nothing of {outcome.target} is covered"
        )
    return {
        "executions": sum(outcome.executions for outcome in outcomes),
        "crashes": 0,
        "hangs": 0,
        "beyond_memory": 0,
        "targets": {outcome.target: outcome.figures() for outcome in outcomes},
        "seconds": round(time.monotonic() - began),
        "parameters": {
            "seed": SEED,
            "seconds" if full else "runs": SECONDS if full else RUNS,
            "hang_seconds": HANG_SECONDS,
            "memory_mb": MEMORY_MB,
        },
        "versions": {"atheris": metadata.version("atheris")},
    }


def _memory() -> str | None:
    """Where a store commits without a disk, which this is not about; None where there is no such room."""
    place = "/dev/shm"
    roomy = os.access(place, os.W_OK) and shutil.disk_usage(place).free > _ROOM_BYTES
    return place if roomy else None


def _one(target: str, folder: Path, *, full: bool) -> Outcome:
    if full:
        return fuzz(target, folder, seconds=SECONDS[target], seed=SEED)
    return fuzz(target, folder, runs=RUNS[target], seed=SEED)
