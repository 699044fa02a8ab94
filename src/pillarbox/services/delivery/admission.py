"""admission of a message to a server whose circuit is not closed, or for which limits are set

Ordinary mail to an ordinary server never comes here.
"""

from __future__ import annotations

from typing import Final

from pillarbox.policy.hosts import HostWalk
from pillarbox.policy.meaning import Category
from pillarbox.policy.server import Server
from pillarbox.services.delivery.allowance import Allowance
from pillarbox.services.delivery.circuits import Circuits
from pillarbox.services.delivery.ways import Row
from pillarbox.terms.clock import Clock, format_instant
from pillarbox.terms.ids import DeliveryId

_PATIENCE_SECONDS: Final = 5.0
"""A longer wait moves mail to another server, if there is one that takes it now."""
_LOOK_AGAIN_SECONDS: Final = 5.0
"""Whoever has nowhere else to go looks round again after so long."""


class Admission:
    """Decides whether a message goes to a server, waits for its turn there, or passes it by."""

    def __init__(self, circuits: Circuits, clock: Clock) -> None:
        self._circuits = circuits
        self._clock = clock

    async def at(
        self,
        row: Row,
        walk: HostWalk[DeliveryId],
        wanted: int,
        answer_by: int | None,
    ) -> int:
        """How many of `wanted` recipients may go there now; 0 where it is passed by, which the walk
        knows then. Nobody waits beyond `answer_by`.
        """
        server = row.server
        if row.paused(self._clock.now_ms()):
            walk.pass_by(server)
            return 0
        most = wanted
        allowance = row.way.allowance
        if allowance is not None:
            most = await self._turn(allowance, server, walk, wanted, answer_by)
            if not most:
                return 0
        if row.in_use or await self._circuits.may_try(row, self._clock.now_ms()):
            return most
        walk.pass_by(server)
        if allowance is not None:
            allowance.give_back(most)
        return 0

    async def _turn(
        self,
        allowance: Allowance,
        server: Server,
        walk: HostWalk[DeliveryId],
        wanted: int,
        answer_by: int | None,
    ) -> int:
        while True:
            now_ms = self._clock.now_ms()
            if until := allowance.free_at(now_ms):
                words = f"may be given no more before {format_instant(until)}"
                walk.pass_by(server, words, Category.LIMIT_REACHED)
                return 0
            granted = allowance.take_now(wanted)
            if granted:
                return granted
            seconds = _LOOK_AGAIN_SECONDS
            if answer_by is not None:
                seconds = min(seconds, (answer_by - now_ms) / 1000)
            wait_seconds = allowance.wait_seconds(wanted)
            if allowance.closed or seconds <= 0 or self._elsewhere(server, walk, wait_seconds):
                walk.pass_by(server, "has had its share for this moment", Category.LIMIT_REACHED)
                return 0
            granted = await allowance.turn(wanted, seconds)
            if granted:
                return granted

    def _elsewhere(self, server: Server, walk: HostWalk[DeliveryId], wait_seconds: float) -> bool:
        """Whether another server is the better choice than a wait of about so long: one of equal
        priority that takes it now, or any after a longer wait.
        """
        now_ms = self._clock.now_ms()
        for other in walk.coming:
            row = self._circuits.row(other)
            if row.paused(now_ms):
                continue
            allowance = row.way.allowance
            if allowance is not None and (allowance.free_at(now_ms) or not allowance.plenty):
                continue
            if other.priority == server.priority or wait_seconds > _PATIENCE_SECONDS:
                return True
        return False
