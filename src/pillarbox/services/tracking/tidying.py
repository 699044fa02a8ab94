"""images nobody looks at any more are removed, by one node for all"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from pillarbox.observe.log import logger
from pillarbox.services.tracking.config import TrackingHostConfig
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.images import ImageTrim
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock

_DAY_MS: Final = 86_400_000
_SLICE: Final = 100
_EVERY_SECONDS: Final = 3600.0
_MEGABYTE: Final = 1024 * 1024

_log = logger("tracking")


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
        """The first round comes after `every_seconds`."""
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
        while not self._stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_seconds):
                    await self._stop.wait()
                    return
            try:
                if await self._storage.nodes.has_duty("images"):
                    await self.go_round()
            except StorageTrouble as trouble:
                _log.warning("images.not_tidied", reason=str(trouble))
            except Exception:
                _log.exception("images.not_tidied")

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
