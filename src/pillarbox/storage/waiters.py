"""those who wait until every delivery of a message is settled"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from pillarbox.terms.ids import MessageId


class Waiters:
    """Wakes whoever waits for a message when this process settles some of it."""

    def __init__(self) -> None:
        self._events: dict[MessageId, list[asyncio.Event]] = {}

    def __bool__(self) -> bool:
        return bool(self._events)

    def wake(self, messages: Iterable[MessageId]) -> None:
        """Something about these was settled; those who wait look again."""
        for message in messages:
            for event in self._events.get(message, ()):
                event.set()

    async def wait(
        self,
        message: MessageId,
        settled: Callable[[], Awaitable[bool]],
        seconds: float,
        look_seconds: float | None = None,
    ) -> bool:
        """Ask `settled` now, at every wake-up and every `look_seconds`, until it says yes or the
        time is over.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        event = asyncio.Event()
        self._events.setdefault(message, []).append(event)
        try:
            while not await settled():
                at = deadline if look_seconds is None else min(deadline, clock() + look_seconds)
                try:
                    async with asyncio.timeout_at(at):
                        await event.wait()
                except TimeoutError:
                    if at == deadline:
                        return False
                event.clear()
            return True
        finally:
            waiting = self._events[message]
            waiting.remove(event)
            if not waiting:
                del self._events[message]
