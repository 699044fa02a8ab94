"""bringing a store's schema up to date: what ran, and what has to wait for whom"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Half:
    """One half of one migration: ``before``, which older programs survive, or ``after``."""

    number: int
    name: str
    half: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A half that cannot run yet."""

    half: Half
    nodes: tuple[str, ...]
    """The nodes that run a program too old for it."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What was done, or would be."""

    store: str
    """Where, without a password."""
    exists: bool
    """Whether there was a database before."""
    ran: tuple[Half, ...]
    """In their order; of a plan, what would run."""
    held_back: tuple[HeldBack, ...]
    schema: int
    """The schema this program was written for."""
