"""every input that once broke something, and every seed of every target, is played and holds"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fuzz.campaign import FOUND
from tests.fuzz.smaller import smaller, why
from tests.fuzz.targets import NAMES, connection, load
from tests.proofs.fuzz import LANES, RUNS, SECONDS

KEPT = sorted(path for path in FOUND.rglob("*") if path.is_file())


@pytest.fixture(autouse=True, scope="module")
def rooms_are_closed() -> Generator[None]:
    yield
    connection.close()


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_once_holds(path: Path) -> None:
    load(path.parent.name).run(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_the_seeds_of_a_target_hold(name: str) -> None:
    target = load(name)
    seeds = list(target.seeds())
    assert len(seeds) >= 40
    for seed in seeds:
        target.run(seed)


def test_every_target_is_fuzzed_and_every_finding_belongs_to_one() -> None:
    assert sorted(target for lane in LANES for target in lane) == sorted(NAMES)
    assert RUNS.keys() == SECONDS.keys() == set(NAMES)
    assert {sum(SECONDS[target] for target in lane) for lane in LANES} == {3600}
    assert {path.parent.name for path in KEPT} <= set(NAMES)


def test_a_finding_is_made_as_small_as_it_fails_alike() -> None:
    def run(data: bytes) -> None:
        if b"a" in data and b"b" in data.partition(b"a")[2]:
            raise ValueError
        assert b"z" not in data

    assert smaller(run, b"xxxaxxxxxbxxxz" * 9) == b"ab"
    assert "AssertionError" in why(run, b"zzz")
    assert why(run, b"ba") == ""
    assert smaller(run, b"ba") == b"ba"
