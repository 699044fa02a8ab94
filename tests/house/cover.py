"""branch coverage of each quiet module by its own test module alone: ./do cover [FLOOR.MODULE ...]

What another test happens to pass through is not tested by it; so every module is measured with
the test module that mirrors it and nothing else.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.house.test_modules import MIRRORED
from tests.house.tree import ROOT, SOURCE, Module, modules


def measure(module: Module, folder: Path) -> tuple[float, str]:
    """Percent of lines and branches, and which lines are missing."""
    relative = module.path.relative_to(SOURCE)
    mirror = ROOT / "tests/unit" / relative.parent / f"test_{relative.name}"
    if not mirror.exists():
        return 0.0, "no test module"
    data, report = folder / "data", folder / "report.json"
    coverage = [sys.executable, "-m", "coverage"]
    where = [f"--data-file={data}", f"--include={module.path}"]
    run = [*coverage, "run", "--branch", *where, "-m", "pytest", "-q", "-n0", str(mirror)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return 0.0, "its tests fail"
    subprocess.run([*coverage, "json", "-q", *where, "-o", str(report)], cwd=ROOT, check=True)
    found = next(iter(json.loads(report.read_text())["files"].values()))
    gaps = [str(line) for line in found["missing_lines"]]
    gaps += [f"{start}->{end}" for start, end in found["missing_branches"]]
    return found["summary"]["percent_covered"], ", ".join(gaps[:12])


def main(wanted: list[str]) -> int:
    """Print what is not covered; 1 where anything is not."""
    quiet = [m for m in modules() if m.floor in MIRRORED and m.path.stem != "__init__"]
    open_ends = 0
    with tempfile.TemporaryDirectory() as folder:
        for module in quiet:
            if wanted and module.name not in wanted:
                continue
            percent, gaps = measure(module, Path(folder))
            if percent < 100:
                open_ends += 1
                print(f"{percent:5.1f} %  {module.name}: {gaps}", flush=True)
    print(f"{open_ends} modules with something no test of their own passes through")
    return 1 if open_ends else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
