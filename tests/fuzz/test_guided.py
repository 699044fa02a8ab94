"""mutation that follows the branches of the code finds nothing, and would find what is there"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import campaign
from tests.fuzz.campaign import fuzz
from tests.proofs.fuzz import RUNS, prove

pytestmark = [pytest.mark.slow, pytest.mark.needs("atheris")]


@pytest.mark.timeout(900)
def test_guided_mutation_finds_nothing() -> None:
    found = prove("small")
    assert (found["crashes"], found["hangs"], found["beyond_memory"]) == (0, 0, 0)
    assert found["executions"] >= sum(RUNS.values())


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("crash", b"xx a crash xx"),
        ("hang", b"something that would hang"),
        ("memory", b"may it grow"),
    ],
)
@pytest.mark.timeout(300)
def test_what_goes_wrong_is_told_as_what_it_is(
    kind: str, kept: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tmp_path / "found"
    (found / "planted").mkdir(parents=True)
    (found / "planted" / "one").write_bytes(kept)
    for name, value in {"FOUND": found, "HANG_SECONDS": 3, "MEMORY_MB": 300}.items():
        monkeypatch.setattr(campaign, name, value)
    outcome = fuzz("planted", tmp_path / "run", runs=1000)
    assert outcome.finding is not None
    assert outcome.finding.kind == kind
    assert outcome.finding.data == (b"crash" if kind == "crash" else kept)
    assert repr(outcome.finding.data) in str(outcome.finding)
