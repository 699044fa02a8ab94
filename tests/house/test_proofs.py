"""claims with numbers have records, and records name what was run"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.tree import ROOT, exceptions

PROOFS = sorted((ROOT / "tests/proofs").glob("[!_]*.py"))
RECORDS = sorted((ROOT / "docs/proofs").glob("*.json"))
FIELDS = {
    "claim", "size", "result", "versions", "machine", "commit", "dirty", "date", "duration_seconds",
}  # fmt: skip


def git(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def claim(path: Path) -> str:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return said.partition("\n")[0].rstrip(".")


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


TOY = '''"""counting to a number gives that number"""

def prove(size):
    counted = sum(1 for _ in range(1000 if size == "full" else 10))
    assert counted in (10, 1000)
    return {"counted": counted, "versions": {"abacus": "2"}}
'''


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A history of one commit that holds the runner and a toy proof."""
    folder = tmp_path / "tests/proofs"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "components.py", "proofs/__init__.py", "proofs/__main__.py"):
        shutil.copy2(ROOT / "tests" / name, tmp_path / "tests" / name)
    (folder / "toy.py").write_text(TOY)
    (tmp_path / ".gitignore").write_text("__pycache__/\n")
    (tmp_path / "docs").mkdir()
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-qm", "one"],
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True, capture_output=True)
    return tmp_path


def prove(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.proofs", "toy", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.run(
        command, cwd=repository, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.needs("git")
def test_a_record_says_what_was_run_on_what(repository: Path) -> None:
    done = prove(repository)
    assert done.returncode == 0, done.stdout + done.stderr
    record = read(repository / "docs/proofs/toy.json")
    assert set(record) == FIELDS
    assert record["claim"] == "counting to a number gives that number"
    assert record["result"] == {"counted": 1000}
    assert record["versions"]["abacus"] == "2" and record["versions"]["sqlite"]
    head = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True
    )
    assert record["commit"] == head.stdout.strip()
    assert record["dirty"] is False


@pytest.mark.slow
@pytest.mark.needs("git")
def test_nothing_is_recorded_of_a_tree_that_nobody_else_can_get(repository: Path) -> None:
    (repository / "tests/proofs/toy.py").write_text(TOY + "# changed\n")
    assert prove(repository).returncode == 1
    assert not (repository / "docs/proofs").exists()
    assert prove(repository, "--dirty").returncode == 0
    assert read(repository / "docs/proofs/toy.json")["dirty"] is True


@pytest.mark.slow
@pytest.mark.needs("git")
def test_a_claim_that_does_not_hold_leaves_no_record(repository: Path) -> None:
    (repository / "tests/proofs/toy.py").write_text(TOY.replace("(10, 1000)", "(11, 1001)"))
    done = prove(repository, "--dirty")
    assert done.returncode == 1
    assert "DOES NOT HOLD" in done.stdout
    assert not (repository / "docs/proofs").exists()


def test_every_proof_states_a_claim_and_can_be_run() -> None:
    for path in PROOFS:
        names = {getattr(node, "name", "") for node in ast.parse(path.read_text()).body}
        assert "prove" in names, f"{path.name} has no prove(size)"
        assert len(claim(path).split()) >= 4, f"{path.name}: its docstring opens with the claim"


def test_every_proof_has_a_record() -> None:
    excused = {entry["name"] for entry in exceptions().get("record", [])}
    missing = {path.stem for path in PROOFS} - {path.stem for path in RECORDS} - excused
    assert not missing, f"commit, then ./do prove {' '.join(sorted(missing))}"


def test_every_record_belongs_to_a_proof_and_repeats_its_claim() -> None:
    claims = {path.stem: claim(path) for path in PROOFS}
    for path in RECORDS:
        record = read(path)
        assert set(record) == FIELDS, path.name
        assert record["size"] == "full", path.name
        assert record["claim"] == claims.get(path.stem), f"{path.name}: the claim has changed"


@pytest.mark.by_design(reason="a source archive or a shallow clone has no history to look in")
def test_every_record_names_a_commit_of_this_history() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no history here")
    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no full history here")
    for path in RECORDS:
        record = read(path)
        assert re.fullmatch(r"[0-9a-f]{40}", record["commit"]), path.name
        found = git("merge-base", "--is-ancestor", record["commit"], "HEAD")
        assert found.returncode == 0, f"{path.name}: {record['commit']} is not in this history"
        assert not record["dirty"], f"{path.name} was taken with uncommitted changes"
