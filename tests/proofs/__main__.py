"""the runner of proofs: ./do prove NAME"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import ModuleType

from tests import components

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / "docs" / "proofs"


def names() -> list[str]:
    """Of the proofs there are."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def claim_of(module: ModuleType) -> str:
    """The first line of the docstring, without the full stop."""
    return (module.__doc__ or "").strip().splitlines()[0].rstrip(".")


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.rstrip()


def changed_files() -> list[str]:
    """What differs from the commit; records themselves may, one proof is run after another."""
    lines = _git("status", "--porcelain", "--untracked-files=all").splitlines()
    paths = [line[2:].strip().strip('"') for line in lines]
    return [path for path in paths if not path.startswith("docs/proofs/")]


def versions() -> dict[str, str]:
    """Of what every proof stands on."""
    import apsw

    import pillarbox

    found = {
        "pillarbox": pillarbox.__version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
        "openssl": ssl.OPENSSL_VERSION.split()[1],
        "postfix": components.postfix_version(),
    }
    for package in ("uvloop", "httptools", "cryptography"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {name: version for name, version in found.items() if version}


def machine() -> dict[str, object]:
    """Figures mean something only beside the machine they were taken on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    processor = platform.processor() or platform.machine()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
    }


def main() -> int:
    """Run one proof; 0 where the claim holds."""
    parser = argparse.ArgumentParser(prog="./do prove", description="Run one proof and record it.")
    parser.add_argument("name", choices=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--size", choices=("small", "full"), default="full")
    parser.add_argument("--dirty", action="store_true", help="run although the tree has changes")
    parser.add_argument("--no-record", action="store_true", help="print the figures only")
    told = parser.parse_args()
    recorded = told.size == "full" and not told.no_record

    changed = changed_files() if recorded else []
    if changed and not told.dirty:
        print(f"{len(changed)} changed files, first {changed[0]}: commit them, or say --dirty.")
        return 1
    proof = importlib.import_module(f"tests.proofs.{told.name}")
    lacking = components.missing(getattr(proof, "NEEDS", ()))
    if lacking:
        print(f"{told.name} cannot run here: {lacking}")
        return 1

    # Asked before it runs: what is committed meanwhile is not what was run.
    commit = _git("rev-parse", "HEAD") if recorded else ""
    began, began_at = time.monotonic(), datetime.now(UTC)
    try:
        found: dict[str, object] = dict(proof.prove(told.size))
    except AssertionError as error:
        print(f"DOES NOT HOLD: {claim_of(proof)}\n{error}")
        return 1
    took = round(time.monotonic() - began, 1)

    peers = found.pop("versions", {})
    assert isinstance(peers, dict)
    record = {
        "claim": claim_of(proof),
        "size": told.size,
        "result": found,
        "versions": versions() | peers,
        "machine": machine(),
        "commit": commit,
        "dirty": bool(changed),
        "date": began_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "duration_seconds": took,
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    if recorded:
        RECORDS.mkdir(exist_ok=True)
        (RECORDS / f"{told.name}.json").write_text(text, encoding="utf-8")
        print(f"HOLDS ({took} s), written to docs/proofs/{told.name}.json")
    else:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
