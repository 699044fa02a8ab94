"""a whole store copied into another one: what is told meanwhile, what came of it"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pillarbox.storage.interface.queue import Recovered


@dataclass(frozen=True, slots=True)
class CopyStep:
    """Something to show while it is done: rows of one table."""

    doing: str
    """``copying``, ``comparing`` or ``verifying``."""
    table: str
    rows: int
    """So far."""
    share: float
    """Of the table, from 0 to 1, as far as its keys let one guess."""
    done: bool
    """Whether this table is finished."""


Told = Callable[[CopyStep], None]


@dataclass(frozen=True, slots=True)
class TableSum:
    """A table as both sides have it."""

    name: str
    rows: int
    checksum: str
    """SHA-256 over its rows in the order of their keys, each encoded in the same way on every
    engine.
    """


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What came of it."""

    complete: bool
    """False for a first pass over a store that is running."""
    tables: tuple[TableSum, ...]
    """What was verified; of a first pass nothing."""
    resumed: bool
    """Whether it went on where an earlier one ended."""
    recovered: Recovered
    """What dead processes had left in the source."""
    key: str
    """``copied``: the target's directory has the key of the secrets now; ``there``: it had it;
    ``needed``: whoever opens the target must bring it; ``none``: there are no secrets.
    """
