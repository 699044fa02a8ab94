"""the daily round over sending domains, made by one node for all"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from pillarbox.handover.duty import go_rounds
from pillarbox.services.domains.look import DomainLook
from pillarbox.storage.interface.errors import NotFound
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId

_ROUND_SECONDS: Final = 60.0
_PORTION: Final = 20
_MOST: Final = 2000
"""Domains of one round."""


class DomainRounds:
    """Looks at what is due, until it is stopped."""

    def __init__(
        self, storage: Storage, look: DomainLook, clock: Clock, *, on_duty: bool = True
    ) -> None:
        """A node that is not `on_duty` leaves it to the others."""
        self._storage = storage
        self._look = look
        self._clock = clock
        self._on_duty = on_duty
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """After the domain that is being looked at."""
        self._stop.set()

    async def run(self) -> None:
        """Round after round, until `stop`."""
        await go_rounds(self.go_round, self._stop, "domains", _ROUND_SECONDS)

    async def go_round(self) -> int:
        """Look at everything that is due; gives how many domains that were."""
        if not (self._on_duty and await self._storage.nodes.has_duty("domains")):
            return 0
        looked: set[ObjectId] = set()
        while not self._stop.is_set():
            # Whoever changes his domains all the time does not keep the others waiting.
            due = await self._storage.domains.due(
                self._clock.now_ms(), min(_PORTION + len(looked), _MOST)
            )
            due = [domain for domain in due if domain.id not in looked]
            if not due:
                break
            for domain in due:
                if self._stop.is_set():
                    break
                looked.add(domain.id)
                with suppress(NotFound):  # removed meanwhile
                    await self._look.look(domain)
        return len(looked)
