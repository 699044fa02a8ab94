"""nodes: who shares this store, which of them live, and what they tell each other"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from msgspec import Struct

from pillarbox.storage.interface.queue import Recovered

BEAT_SECONDS: Final = 4.0
"""Between two signs of life. It is also how old what a node believes of the directory may be."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who a process is among the nodes of its database."""

    name: str
    place: str
    """Drawn once for its data directory."""
    version: str
    roles: tuple[str, ...]


class NodeLoad(Struct, frozen=True, gc=False):
    """What a node says of itself with every sign of life."""

    messages: int = 0
    """Messages it has in memory."""
    sessions: int = 0
    """Connections of submitters that are open."""
    accepted: int = 0
    """Messages it has accepted since it started."""
    settled: int = 0
    """Deliveries it has settled since it started."""
    draining: bool = False
    """It has heard that it is drained, and accepts nothing more."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node, as it was last seen."""

    name: str
    number: int
    version: str
    roles: tuple[str, ...]
    alive: bool
    """Whether it may own mail now."""
    ended: bool
    """Its last process has stopped, or another node has taken over what that had."""
    draining: bool
    started_at: int
    beat_at: int
    """Its last sign of life, by the clock of the database."""
    load: NodeLoad


@dataclass(frozen=True, slots=True)
class Beat:
    """What a node hears when it gives a sign of life."""

    draining: bool


class NodeStore(Protocol):
    """On a store that is used alone there is one node, which never loses anything to another."""

    @property
    def number(self) -> int:
        """Of this node, by which it is told from the others in `nodes`."""
        ...

    @property
    def holds(self) -> bool:
        """Whether mail that this process holds may leave now.

        False from the end of its lease on, until the database has noted another sign of life; for
        ever once another node has taken over.
        """
        ...

    async def beat(self, load: NodeLoad) -> Beat:
        """Give a sign of life: what this process holds stays its own for another while.

        Raises `LeaseLost` where another node has taken over.
        """
        ...

    async def take_over(self, now_ms: int) -> list[tuple[str, Recovered]]:
        """Free what nodes held that gave no sign of life in time; gives their names."""
        ...

    async def leave(self, now_ms: int) -> None:
        """Free what this process still holds: it has stopped working."""
        ...

    async def nodes(self) -> list[NodeFacts]:
        """All nodes this store knows, by name."""
        ...

    async def drain(self, name: str, *, draining: bool) -> None:
        """Ask a node to accept nothing more and finish what it has, or to go on.

        Raises `NotFound`.
        """
        ...

    async def forget(self, name: str) -> None:
        """Strike a node that is gone for good. Raises `NotFound`, `Conflict` while it lives."""
        ...

    async def has_duty(self, name: str) -> bool:
        """Whether this node performs a duty that must run once; to be asked before every round."""
        ...

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """``queue``: mail waits that was not there before. Heard now and then without a reason."""
        ...
