"""members on their way to a writer; once it is closed or broken they hear so instead"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pillarbox.storage.engine import Change, Member, Row, Step, Told
from pillarbox.storage.interface.errors import StorageBroken, StorageTrouble


class Intake:
    """Of one engine. On the loop, but for `broken`, which a writer's thread may set."""

    def __init__(self, hand_over: Callable[[Member], None]) -> None:
        """`hand_over` puts a member where the writer finds it."""
        self._hand_over = hand_over
        self._loop = asyncio.get_running_loop()
        self.broken: StorageBroken | None = None
        self.closing = False

    def submit(self, member: Member) -> asyncio.Future[object]:
        """Queue a member for the writer; done when durable."""
        member.future = self._loop.create_future()
        self._take(member)
        return member.future

    def submit_soon(self, member: Member, told: Told) -> None:
        """Queue a member for the writer; `told` hears of it."""
        member.told = told
        self._take(member)

    async def change(self, *steps: Step, content_bytes: int = 0) -> list[list[Row]]:
        """Run statements in one transaction; gives the rows of each."""
        results = await self.submit(Change(steps, content_bytes))
        return results  # type: ignore[return-value]

    def _take(self, member: Member) -> None:
        if self.broken is not None:
            self._loop.call_soon(member.report, None, self.broken)
        elif self.closing:
            trouble = StorageTrouble("The store is being closed.")
            self._loop.call_soon(member.report, None, trouble)
        else:
            self._hand_over(member)
