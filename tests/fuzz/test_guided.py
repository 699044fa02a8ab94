"""mutation that follows the branches of the code, in the small size, finds nothing"""

from __future__ import annotations

import pytest

from tests.proofs.fuzz import RUNS, prove


@pytest.mark.slow
@pytest.mark.needs("atheris")
@pytest.mark.timeout(900)
def test_guided_mutation_finds_nothing() -> None:
    found = prove("small")
    assert (found["crashes"], found["hangs"], found["beyond_memory"]) == (0, 0, 0)
    assert found["executions"] >= sum(RUNS.values())
