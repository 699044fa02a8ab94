"""acceptances and settlements for whoever waits until they are durable"""

from __future__ import annotations

import asyncio

from pillarbox.storage.interface.queue import Acceptance, QueueStore, Settlement


def accept(queue: QueueStore, acceptance: Acceptance) -> asyncio.Future[int]:
    """The number of the `message.accepted` event, or what `accept_soon` tells."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def told(event: int, error: BaseException | None) -> None:
        if error is None:
            accepted.set_result(event)
        else:
            accepted.set_exception(error)

    queue.accept_soon(acceptance, told)
    return accepted


def settle(queue: QueueStore, settlement: Settlement) -> asyncio.Future[None]:
    """Done when it is durable, or what `settle_soon` tells."""
    settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(error: BaseException | None) -> None:
        if error is None:
            settled.set_result(None)
        else:
            settled.set_exception(error)

    queue.settle_soon(settlement, told)
    return settled
