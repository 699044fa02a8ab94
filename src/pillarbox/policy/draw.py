"""numbers that look drawn and follow from a seed

Where load must be spread, the seed (an id, a counter) is an argument, so that the same facts give
the same decision today, in a test, and in the explanation of it.
"""

from __future__ import annotations

from typing import Final

_MASK: Final = (1 << 64) - 1
_SPAN: Final = 1 << 64


def mixed(seed: int, step: int = 0) -> int:
    """64 well-mixed bits; neighbouring seeds and steps give unrelated ones (SplitMix64)."""
    z = (seed + (step + 1) * 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def fraction(seed: int, step: int = 0) -> float:
    """A number from 0 up to, not including, 1."""
    return (mixed(seed, step) >> 11) / (1 << 53)


def below(bound: int, seed: int, step: int = 0) -> int:
    """A whole number from 0 up to, not including, `bound`, which must be above 0."""
    return mixed(seed, step) * bound // _SPAN
