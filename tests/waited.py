"""acceptances and settlements for whoever waits until they are durable"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TypeVar

from pillarbox.storage.interface.acceptance import Acceptance
from pillarbox.storage.interface.queue import QueueStore
from pillarbox.storage.interface.settlement import Settlement

T = TypeVar("T")


def accept(queue: QueueStore, acceptance: Acceptance) -> asyncio.Future[int]:
    """The number of the `message.accepted` event, or what `accept_soon` tells."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    queue.accept_soon(acceptance, partial(_tell, accepted))
    return accepted


def settle(queue: QueueStore, settlement: Settlement) -> asyncio.Future[None]:
    """Done when it is durable, or what `settle_soon` tells."""
    settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    queue.settle_soon(settlement, partial(_tell, settled, None))
    return settled


def _tell(promised: asyncio.Future[T], result: T, error: BaseException | None) -> None:
    if error is None:
        promised.set_result(result)
    else:
        promised.set_exception(error)
