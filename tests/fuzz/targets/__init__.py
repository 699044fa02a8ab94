"""what is fuzzed: each module here is one target

A target is given bytes, any at all, and makes of them what a stranger might say. `run` returns, or
raises: an `AssertionError` where a promise is broken, anything else where the product fell over.
What it makes of the bytes is its own affair; the same bytes are always the same case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True, slots=True)
class Target:
    """One door and what is pushed through it."""

    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    """Cases that are known to lead somewhere; mutation begins with these."""
    words: tuple[bytes, ...]
    """What a mutation may put in or replace something with."""
    max_bytes: int


NAMES = ("session", "connection", "client", "header", "path", "proxy", "features", "styles")


def load(name: str) -> Target:
    """The target of that name."""
    found: Target = import_module(f"tests.fuzz.targets.{name}").TARGET
    return found
