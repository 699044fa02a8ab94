"""start marks: what may be leaving is written down before it leaves

One row covers a message and its waiting neighbours, so that a mark costs next to nothing; the price
is that after a crash a few that had not left are called uncertain too (`docs/queue.md`).
"""

from __future__ import annotations

import asyncio
from typing import Final

from pillarbox.handover.mirror import Mirror
from pillarbox.handover.outgoing import Outgoing
from pillarbox.storage.interface.queue import QueueStore
from pillarbox.terms.ids import DeliveryId

_NEIGHBOURS: Final = 63
_NOBODY: Final[frozenset[DeliveryId]] = frozenset()


class Marks:
    """Writes start marks ahead of content."""

    def __init__(self, queue: QueueStore, mirror: Mirror) -> None:
        self._queue = queue
        self._mirror = mirror

    def begin(self, outgoing: Outgoing) -> None:
        """See that a mark is on its way; the envelope may be said meanwhile.

        Not for one whose mark must be exact: it is written when its content is to follow at once.
        """
        if not outgoing.exact:
            self._write(outgoing)

    def _write(self, outgoing: Outgoing) -> None:
        if outgoing.marked or outgoing.mark is not None:
            return
        group = [outgoing]
        if outgoing.mirrored and not outgoing.exact:
            group += self._mirror.unmarked(outgoing.lane, _NEIGHBOURS)
        # Whoever is settled already never closes a mark: it would call him uncertain after a crash.
        ids = [delivery for one in group for delivery in _open(one)]
        mark = asyncio.ensure_future(
            self._queue.mark_started(ids, verify=not outgoing.mirrored, lane=outgoing.lane)
        )
        for one in group:
            one.mark = mark

    async def done(self, outgoing: Outgoing) -> frozenset[DeliveryId]:
        """Wait until the mark is durable. Gives what must not leave after all.

        Raises `StorageTrouble`: then nothing may leave.
        """
        self._write(outgoing)
        if outgoing.marked or outgoing.mark is None:
            return _NOBODY
        try:
            mark = outgoing.mark
            # Neighbours wait for the same mark: who is cut off must not end it for them.
            gone = mark.result() if mark.done() else await asyncio.shield(mark)
        except BaseException:
            outgoing.mark = None
            raise
        outgoing.marked = True
        return gone


def _open(outgoing: Outgoing) -> list[DeliveryId]:
    if outgoing.left is not None:
        return list(outgoing.left)
    return [addressee.delivery for addressee in outgoing.addressees]
