"""targets under the engine, one process each: started, bounded, read, and what they found made small"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = Path(__file__).parent / "found"

HANG_SECONDS: Final = 60
"""For one input: however slow the machine, by then it stands still."""
MEMORY_MB: Final = 700
_GRACE_SECONDS: Final = 300
_SHRINKING_SECONDS: Final = 120
_TAIL: Final = 4000

_PULSE: Final = re.compile(
    r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/(\d+)(b|Kb|Mb)", re.MULTILINE
)
_STATISTIC: Final = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_KINDS: Final = {"crash": "crash", "timeout": "hang", "oom": "memory", "leak": "memory"}


@dataclass(frozen=True, slots=True)
class Finding:
    """An input that broke something, as small as it could be made."""

    target: str
    kind: str
    """``crash``, ``hang`` or ``memory``."""
    data: bytes
    said: str

    def __str__(self) -> str:
        return (
            f"{self.kind} of target {self.target}: {self.data!r}\n"
            f"Keep it as tests/fuzz/found/{self.target}/NAME; in hex: {self.data.hex()}\n{self.said}"
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process did; figures are those that the engine prints."""

    target: str
    executions: int
    edges_of_seeds: int
    edges: int
    features: int
    corpus: int
    corpus_bytes: int
    peak_memory_mb: int
    slowest_input_seconds: int
    finding: Finding | None

    def figures(self) -> dict[str, int]:
        """As a record has them."""
        return {
            "executions": self.executions,
            "edges_of_seeds": self.edges_of_seeds,
            "edges": self.edges,
            "features": self.features,
            "corpus": self.corpus,
            "corpus_bytes": self.corpus_bytes,
            "peak_memory_mb": self.peak_memory_mb,
            "slowest_input_seconds": self.slowest_input_seconds,
        }


def fuzz(target: str, folder: Path, *, runs: int = 0, seconds: int = 0, seed: int = 1) -> Outcome:
    """Run one target for so many executions, or so many seconds; `folder` is new and gets all of its
    files. Ends by itself, and is ended where it does not.
    """
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    places = (str(folder), str(FOUND / target))
    prepared = _python("tests.fuzz.prepare", target, *places, temporary=temporary)
    assert prepared.returncode == 0, prepared.stdout[-_TAIL:]
    options = [
        f"-runs={runs or -1}", f"-max_total_time={seconds}", f"-seed={seed}",
        f"-dict={folder / 'words'}", f"-seed_inputs=@{folder / 'seeds.list'}",
        f"-artifact_prefix={folder}/", f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
        "-print_final_stats=1", "-reload=0",
    ]  # fmt: skip
    done = _python(
        "tests.fuzz.engine", target, *options,
        temporary=temporary, seconds=(seconds or _GRACE_SECONDS) + _GRACE_SECONDS,
    )  # fmt: skip
    return _outcome(target, folder, done.stdout, done.returncode)


def _outcome(target: str, folder: Path, text: str, code: int) -> Outcome:
    pulses = _PULSE.findall(text)
    statistics = {name: int(value) for name, value in _STATISTIC.findall(text)}
    inited = re.findall(r"INITED\s+cov: (\d+)", text)
    last = pulses[-1] if pulses else ("0", "0", "0", "0", "0", "b")
    size = int(last[4]) * {"b": 1, "Kb": 1 << 10, "Mb": 1 << 20}[last[5]]
    finding = _finding(target, folder, text) if code else None
    assert code == 0 or finding is not None, f"{target} ended with {code}:\n{text[-_TAIL:]}"
    return Outcome(
        target,
        executions=statistics.get("number_of_executed_units", int(last[0])),
        edges_of_seeds=int(inited[0]) if inited else 0,
        edges=int(last[1]),
        features=int(last[2]),
        corpus=int(last[3]),
        corpus_bytes=size,
        peak_memory_mb=statistics.get("peak_rss_mb", 0),
        slowest_input_seconds=statistics.get("slowest_unit_time_sec", 0),
        finding=finding,
    )


def _finding(target: str, folder: Path, text: str) -> Finding | None:
    for path in sorted(folder.iterdir()):
        kind = _KINDS.get(path.name.partition("-")[0])
        if kind is not None and "-" in path.name:
            at = max(text.rfind("=== Uncaught Python exception"), len(text) - _TAIL)
            small = kind == "crash"  # to try what hangs again and again would take its time
            data = _smaller(target, path, folder / "tmp") if small else path.read_bytes()
            return Finding(target, kind, data, text[at:][:_TAIL])
    return None


def _smaller(target: str, path: Path, temporary: Path) -> bytes:
    """The finding without what it does not need; as it is where that cannot be told."""
    small = path.with_suffix(".small")
    arguments = (target, str(path), str(small))
    _python("tests.fuzz.smaller", *arguments, temporary=temporary, seconds=_SHRINKING_SECONDS)
    return (small if small.exists() else path).read_bytes()


def _python(
    module: str, *arguments: str, temporary: Path, seconds: float = _GRACE_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run a module of ours; what it says, on either stream, is its output, and -1 is its code where it
    had to be ended. Source comes before anything installed or compiled; sets have one order.
    """
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}",
        "PYTHONHASHSEED": "0",
        "TMPDIR": str(temporary),
    }
    command = [sys.executable, "-P", "-m", module, *arguments]
    with (temporary / module).open("w+", encoding="utf-8", errors="replace") as said:
        try:
            done = subprocess.run(
                command, stdout=said, stderr=subprocess.STDOUT, check=False, cwd=ROOT,
                env=environment, timeout=seconds,
            )  # fmt: skip
            code = done.returncode
        except subprocess.TimeoutExpired:
            code = -1
        said.seek(0)
        return subprocess.CompletedProcess(command, code, said.read())
