"""concurrency widens on success and narrows on pain, within its bounds"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pillarbox.policy.window import Window


def test_it_starts_narrow_and_widens_with_every_success_until_it_hurts() -> None:
    window = Window(2, 20)
    assert window.limit == 2
    for _ in range(5):
        window.succeeded()
    assert window.limit == 7


def test_pain_halves_it_and_afterwards_it_widens_by_one_per_window() -> None:
    window = Window(1, 100)
    for _ in range(15):
        window.succeeded()
    window.pained()
    assert window.limit == 8
    for _ in range(8):
        window.succeeded()
    assert window.limit == 8
    for _ in range(2):
        window.succeeded()
    assert window.limit == 9


def test_the_pain_of_one_flight_counts_once() -> None:
    window = Window(1, 100)
    for _ in range(9):
        window.succeeded()
    assert window.limit == 10
    for _ in range(10):
        window.pained()
    assert window.limit == 5
    window.pained()
    assert window.limit == 2


def test_successes_of_the_same_flight_are_counted_off_too() -> None:
    window = Window(1, 100)
    window.succeeded()
    window.pained()
    window.succeeded()
    window.pained()
    assert window.limit == 1


@given(st.integers(-3, 10), st.integers(-3, 50), st.lists(st.booleans(), max_size=300))
def test_it_never_leaves_its_bounds(low: int, high: int, results: list[bool]) -> None:
    window = Window(low, high)
    for good in results:
        (window.succeeded if good else window.pained)()
        assert 1 <= window.minimum <= window.limit <= window.maximum


def test_it_recovers_from_the_worst() -> None:
    window = Window(1, 10)
    for _ in range(100):
        window.pained()
    for _ in range(200):
        window.succeeded()
    assert window.limit == 10
