"""the desk: what all submission sessions share"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

from pillarbox.handover.accept import Door
from pillarbox.handover.gate import Gate
from pillarbox.observe.metrics import Metrics
from pillarbox.observe.news import News
from pillarbox.services.submission.entrance import Entrance
from pillarbox.storage.interface.queue import QueueStore
from pillarbox.terms.clock import Clock


@dataclass(frozen=True, slots=True)
class Desk:
    """What all submission sessions share."""

    door: Door
    gate: Gate
    queue: QueueStore
    entrance: Entrance
    clock: Clock
    metrics: Metrics
    news: News
    hostname: str
    local_credential: str = ""
    _cleaning: set[asyncio.Task[None]] = field(default_factory=set)

    def clean_up(self, work: Coroutine[None, None, None]) -> None:
        """Work that outlives its session; it reports its own failure."""
        task = asyncio.get_running_loop().create_task(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
