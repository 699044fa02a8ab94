"""a duty done round by round until a stop, whatever becomes of one of the rounds"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from pillarbox.observe.log import logger
from pillarbox.storage.interface.errors import StorageTrouble

_log = logger("duty")


async def go_rounds(
    go_round: Callable[[], Awaitable[object]],
    stop: asyncio.Event,
    duty: str,
    pause_seconds: float,
) -> None:
    """Until `stop` is set, which ends the pause between two rounds at once and a round never.

    What a round raises is logged under the name of its `duty`, and the next one is made.
    """
    while not stop.is_set():
        try:
            await go_round()
        except StorageTrouble as trouble:
            _log.warning("round.broken_off", duty=duty, reason=str(trouble))
        except Exception:
            _log.exception("round.broke", duty=duty)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_seconds):
                await stop.wait()
