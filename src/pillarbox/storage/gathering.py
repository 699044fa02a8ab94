"""what need not be durable at once: gathered in memory, written some seconds later in one go"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from pillarbox.storage.engine import Engine, Member

K = TypeVar("K")
V = TypeVar("V")

_WRITTEN_AFTER_SECONDS: Final = 5.0


class Gathering(Generic[K, V]):
    """Things by key; of two with one key the later counts. Losing some is no harm, so nobody waits
    for them to be written; `flush` writes the rest.
    """

    def __init__(self, engine: Engine, member: Callable[[dict[K, V]], Member]) -> None:
        """`member` makes of what was gathered what writes it."""
        self._engine = engine
        self._member = member
        self._timer: asyncio.TimerHandle | None = None
        self.things: dict[K, V] = {}

    def put(self, key: K, thing: V) -> None:
        """Gather one more."""
        self.things[key] = thing
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_WRITTEN_AFTER_SECONDS, self._write)

    async def flush(self) -> None:
        """Write now. Raises `StorageTrouble`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self.things = self.things, {}
        if gathered:
            await self._engine.submit(self._member(gathered))

    def _write(self) -> None:
        self._timer = None
        gathered, self.things = self.things, {}
        self._engine.submit_soon(self._member(gathered), _let_go)


def _let_go(error: BaseException | None) -> None:
    """What comes next is written soon enough."""
