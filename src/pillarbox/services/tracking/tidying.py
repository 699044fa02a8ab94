"""images nobody looks at any more are removed, by one node for all"""

from __future__ import annotations

import asyncio
from typing import Final

from pillarbox.handover.duty import go_rounds
from pillarbox.services.tracking.config import TrackingHostConfig
from pillarbox.storage.interface.images import ImageTrim
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock

_DAY_MS: Final = 86_400_000
_SLICE: Final = 100
_EVERY_SECONDS: Final = 3600.0
_MEGABYTE: Final = 1024 * 1024


class Tidying:
    """Goes round by the clock until it is stopped."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        config: TrackingHostConfig,
        *,
        every_seconds: float = _EVERY_SECONDS,
    ) -> None:
        """Between two rounds are `every_seconds`."""
        self._storage = storage
        self._clock = clock
        self._config = config
        self._every_seconds = every_seconds
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """After the round that is being made."""
        self._stop.set()

    async def run(self) -> None:
        """Round after round, until `stop`."""
        await go_rounds(self._go_round_on_duty, self._stop, "images", self._every_seconds)

    async def _go_round_on_duty(self) -> None:
        if await self._storage.nodes.has_duty("images"):
            await self.go_round()

    async def go_round(self) -> int:
        """Remove what is due; gives how many went."""
        now_ms, config = self._clock.now_ms(), self._config
        wanted = ImageTrim(
            hosted_before=now_ms - config.hosted_days * _DAY_MS if config.hosted_days else 0,
            fetched_before=now_ms - config.cache_days * _DAY_MS,
            most_fetched_bytes=config.cache_mb * _MEGABYTE,
        )
        gone = 0
        while not self._stop.is_set():
            some = await self._storage.images.trim(wanted, now_ms, _SLICE)
            gone += some
            if some == 0:
                break
        return gone
