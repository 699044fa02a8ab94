"""circuits told to the other nodes, and heard from them, beside the way of mail

What a node learns of a server is told one thing after the other, in the order in which it happened,
and nobody waits for it. While storage does not answer every node goes by what it knows itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.limits import FailureCounted, LimitStore, SharedCircuit

_log = logger("delivery")

_MOST_UNTOLD: Final = 1000
"""What is not told by then is known to this node alone."""


class Sharing:
    """Tells and hears. Names are those of `policy.breaker.shared_name`."""

    def __init__(self, store: LimitStore) -> None:
        self._store = store
        self._untold: deque[tuple[bytes, Callable[[], Awaitable[None]]]] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._telling_of = b""
        self._touched: set[bytes] = set()
        """Names of which something was told since it was last heard, or is still to be."""

    def failed(
        self,
        name: bytes,
        at: int,
        pause_after: int,
        pause_ms: int,
        words: str,
        then: Callable[[FailureCounted], None],
    ) -> None:
        """A failure; `then` hears what it has come to on all nodes together."""

        async def tell() -> None:
            then(await self._store.report_failure(name, at, pause_after, pause_ms, words))

        self._soon(name, tell)

    def worked(self, name: bytes, then: Callable[[bool], None]) -> None:
        """It works; `then` hears whether this ends a pause."""

        async def tell() -> None:
            then(await self._store.report_success(name))

        self._soon(name, tell)

    def rests(self, name: bytes, at: int, rest_ms: int, words: str) -> None:
        """It takes nothing for so long, which is no failure; the other nodes shall know."""

        async def tell() -> None:
            # A rest that is over would keep its end.
            await self._store.report_success(name)
            await self._store.report_failure(name, at, 1, rest_ms, words)

        self._soon(name, tell)

    async def may_try(self, name: bytes, at: int, lease_ms: int) -> bool:
        """Whether this node is the one that tries a server whose pause is over."""
        with suppress(StorageTrouble):
            if await self._store.try_trial(name, at, lease_ms):
                return True
            return name not in {circuit.name for circuit in await self._store.circuits()}
        return True

    async def hear(self) -> dict[bytes, SharedCircuit]:
        """What stands in storage, but for what this node has told of meanwhile.

        Raises `StorageTrouble`.
        """
        self._touched = {name for name, _ in self._untold} | {self._telling_of}
        found = await self._store.circuits()
        return {one.name: one for one in found}

    def untouched(self, name: bytes) -> bool:
        """Whether what was heard last holds: nothing of it was told, or waits to be, since then."""
        return name not in self._touched

    async def finish(self) -> None:
        """Until everything is told."""
        if self._telling is not None:
            await self._telling

    def _soon(self, name: bytes, tell: Callable[[], Awaitable[None]]) -> None:
        if len(self._untold) >= _MOST_UNTOLD:
            self._untold.popleft()
        self._untold.append((name, tell))
        self._touched.add(name)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            name, tell = self._untold.popleft()
            self._telling_of = name
            try:
                await tell()
            except StorageTrouble as trouble:
                _log.warning("circuit.untold", reason=str(trouble))
            except Exception:
                _log.exception("circuit.untold")
            self._touched.add(name)
        self._telling_of = b""
