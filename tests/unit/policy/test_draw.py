"""drawn numbers follow from their seed and spread evenly"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.draw import below, fraction, mixed


@given(st.integers(), st.integers(0, 100))
def test_the_same_seed_gives_the_same_number(seed: int, step: int) -> None:
    assert mixed(seed, step) == mixed(seed, step)
    assert 0 <= mixed(seed, step) < 1 << 64


@given(st.integers(), st.integers(0, 100))
def test_a_fraction_never_reaches_one(seed: int, step: int) -> None:
    assert 0 <= fraction(seed, step) < 1


@given(st.integers(1, 10**9), st.integers(), st.integers(0, 100))
def test_a_number_below_a_bound_is_below_it(bound: int, seed: int, step: int) -> None:
    assert 0 <= below(bound, seed, step) < bound


def test_neighbouring_seeds_spread_over_the_range() -> None:
    counts = [0] * 10
    for seed in range(10_000):
        counts[below(10, seed)] += 1
    assert min(counts) > 900
    assert max(counts) < 1100


def test_steps_of_one_seed_spread_over_the_range() -> None:
    assert 0.45 < sum(fraction(7, step) for step in range(1000)) / 1000 < 0.55


def test_the_mixing_is_splitmix64() -> None:
    # First outputs of the reference generator started at 0.
    assert mixed(0, 0) == 0xE220A8397B1DCDAF
    assert mixed(0, 1) == 0x6E789E6AA1B965F4
