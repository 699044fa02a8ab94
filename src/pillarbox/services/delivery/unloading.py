"""unloading: mail of a paused lane out of memory and into storage, where it waits like any other"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pillarbox.handover.mirror import Mirror
from pillarbox.handover.outgoing import Outgoing
from pillarbox.storage.interface.queue import QueueStore

_AT_ONCE: Final = 100


async def unload(
    take: Callable[[], Outgoing | None],
    keep: Callable[[Outgoing], None],
    queue: QueueStore,
    mirror: Mirror,
) -> None:
    """All that `take` gives; what was only read from storage is simply forgotten.

    Raises `StorageTrouble`; what could not be written is given to `keep`.
    """
    while portion := _portion(take):
        for outgoing in portion:
            if not outgoing.mirrored:
                queue.finished(outgoing.claimed)
        fresh = [outgoing for outgoing in portion if outgoing.mirrored]
        if not fresh:
            continue
        try:
            await queue.put_back([one.delivery for each in fresh for one in each.addressees])
        except BaseException:
            for outgoing in fresh:
                keep(outgoing)
            raise
        for outgoing in fresh:
            mirror.done(outgoing)


def _portion(take: Callable[[], Outgoing | None]) -> list[Outgoing]:
    portion: list[Outgoing] = []
    while len(portion) < _AT_ONCE and (outgoing := take()) is not None:
        portion.append(outgoing)
    return portion
