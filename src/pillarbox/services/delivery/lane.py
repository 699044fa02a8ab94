"""one lane at work: fresh mail from memory, waiting mail by cursor, a window of attempts"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from pillarbox.handover.outgoing import Outgoing
from pillarbox.observe.log import logger
from pillarbox.policy.window import Window
from pillarbox.services.delivery.ahead import Following
from pillarbox.services.delivery.catching_up import FARTHEST_MS, CatchingUp
from pillarbox.services.delivery.course import Course
from pillarbox.services.delivery.lane_tools import LaneTools, outgoing_of
from pillarbox.services.delivery.report import LaneReport, Rate, Trouble
from pillarbox.services.delivery.unloading import unload
from pillarbox.storage.interface.errors import StorageBroken, StorageTrouble
from pillarbox.storage.interface.queue import LaneHead, LaneName, Waiting
from pillarbox.terms.ids import MessageId, ObjectId, message_of

_log = logger("delivery")

_CLAIM: Final = 200
_FIRST_WINDOW: Final = 4
_TROUBLE_SECONDS: Final = 1.0


class Lane:
    """Works through one lane as long as there is something in it.

    Fresh mail and waiting mail take turns, so that neither starves the other.
    """

    def __init__(
        self,
        number: int,
        name: LaneName | None,
        tools: LaneTools,
        changed: Callable[[], None],
        *,
        paused: bool = False,
    ) -> None:
        """`changed` is called when the lane has learnt of an earlier due time. A lane whose `name`
        nobody knows takes its app's order.
        """
        self.number = number
        self.name = name
        self.paused = paused
        """A person has stopped it: nothing begins, and what comes fresh goes into storage."""
        self.due_at = 0
        """When waiting mail next falls due, as far as this lane knows; 0 where it does not."""
        self.app: ObjectId | None = name.app if name is not None else None
        """Whose mail it is, where that is known."""
        self.catching_up: CatchingUp | None = None
        self._tools = tools
        self._changed = changed
        self._window = Window(min(_FIRST_WINDOW, tools.window), tools.window)
        self._claimed: deque[Outgoing] = deque()
        self._cursor = (0, 0)
        self._claiming = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._unfinished = 0
        self._rest: asyncio.Event | None = None
        self._rate = Rate()
        self._trouble: Trouble | None = None
        self._fresh_turn = True
        self._stopping = False
        self._unloading = False
        self._resting = False
        """Storage is in trouble: every attempt would end as the last one did."""

    @property
    def busy(self) -> bool:
        """Whether attempts are running or settlements are on their way."""
        return bool(self._tasks or self._unfinished)

    def report(self) -> LaneReport:
        """How it does, for people."""
        trouble = self._trouble
        return LaneReport(
            window=self._window.limit,
            most=self._window.maximum,
            attempts=len(self._tasks),
            in_memory=self._tools.mirror.waiting(self.number),
            a_minute=self._rate.a_minute(self._tools.clock.now_ms()),
            last_at=0 if trouble is None else trouble.at,
            last_words="" if trouble is None else trouble.words,
            last_category="" if trouble is None else trouble.outcome.category,
        )

    def is_at_rest(self, until_ms: int) -> bool:
        """Whether nothing is on its way, nothing is here, and nothing falls due until then."""
        return (
            not (self._tasks or self._unfinished or self._claimed or self._claiming)
            and self.catching_up is None
            and not (0 < self.due_at <= until_ms)
            and not self._tools.mirror.waiting(self.number)
        )

    def wake(self) -> None:
        """There may be something to do: start as many attempts as the window allows."""
        if self.paused:
            self._unload()
            return
        room = self._window.limit - len(self._tasks)
        if self._stopping or self._resting or room <= 0:
            return
        waiting = len(self._claimed) + self._tools.mirror.waiting(self.number)
        for _ in range(min(waiting, room)):
            task = asyncio.ensure_future(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def claim(self) -> None:
        """Read what is due, in (due, id) order behind the cursor; nothing is written."""
        if self._claiming or self._stopping or self.paused or len(self._claimed) >= _CLAIM:
            return
        self._claiming = True
        try:
            now_ms = self._tools.clock.now_ms()
            behind = self._cursor
            rows, last = await self._tools.queue.claim(self.number, behind, now_ms, _CLAIM)
            if self._cursor == behind:  # nobody has said meanwhile to look from the beginning
                self._cursor = last or (0, 0)
                self.due_at = self.due_at if last is not None else 0
            await self._take(rows)
        finally:
            self._claiming = False
        self.wake()

    async def claim_early(self) -> None:
        """What may go before it is due, a server being back."""
        found, now_ms = self.catching_up, self._tools.clock.now_ms()
        if found is None:
            return
        over = found.is_over(now_ms)  # with no room left, or paused, it must end all the same
        room = min(found.room(now_ms), _CLAIM - len(self._claimed))
        if room > 0 and not (self._stopping or self.paused):
            last = await self._ahead(found, now_ms + FARTHEST_MS, room)
            found.cursor = last or found.cursor
            over = over or last is None
        if over:
            self.catching_up = None

    async def try_one(self) -> bool:
        """One message that waits is attempted now, as a trial; False where there is none."""
        if self.paused or self._stopping:
            return False
        if self.busy or self._claimed:
            return True
        now_ms = self._tools.clock.now_ms()
        await self._ahead(CatchingUp(now_ms, 1, 1), now_ms + FARTHEST_MS, _CLAIM, most=1)
        return self.busy

    async def _ahead(
        self, catching_up: CatchingUp, until: int, limit: int, most: int = _CLAIM
    ) -> tuple[int, int] | None:
        """Claim what is due until then and not now; gives the place behind it, None at the end."""
        queue = self._tools.queue
        rows, last = await queue.claim(self.number, catching_up.cursor, until, limit)
        going, staying = catching_up.choose(rows, self._tools.clock.now_ms(), most)
        queue.finished([row.delivery for row in staying])
        if staying:
            self.note_due(min(row.due_at for row in staying))
        await self._take(going)
        self.wake()
        return last

    def pause(self, paused: bool) -> None:
        """Stop, or go on; what is on its way comes to its end."""
        if paused == self.paused:
            return
        self.paused = paused
        self.wake()
        self._changed()

    def see_head(self, head: LaneHead) -> None:
        """What storage says of waiting mail."""
        self.app = head.name.app
        self.due_at = min(self.due_at or head.first_due_at, head.first_due_at)
        if head.gained or head.first_due_at < self._cursor[0]:
            self._cursor = (0, 0)

    async def stop(self, seconds: float) -> None:
        """Begin nothing more; let what is on its way come to its end, at most so long."""
        self._stopping = True
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        if self._unfinished:
            self._rest = asyncio.Event()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._rest.wait()

    # --- the work -----------------------------------------------------------------------------

    async def _take(self, rows: list[Waiting]) -> None:
        groups: dict[MessageId, list[Waiting]] = {}
        for row in rows:
            groups.setdefault(message_of(row.delivery), []).append(row)
        try:
            stored = await self._tools.messages.load(list(groups))
        except BaseException:
            self._tools.queue.finished([row.delivery for row in rows])
            self._cursor = (0, 0)
            raise
        for message, waiting in groups.items():
            found = stored.get(message)
            if found is None:
                _log.error("message.missing", message=message)
                continue
            self._claimed.extend(outgoing_of(found, waiting, self.number))

    def _next(self) -> Outgoing | None:
        idle = self._stopping or self._resting or self.paused
        if idle or len(self._tasks) > self._window.limit:
            return None
        self._fresh_turn = not self._fresh_turn
        if self._claimed and (self._fresh_turn or not self._tools.mirror.waiting(self.number)):
            return self._claimed.popleft()
        return self._tools.mirror.take(self.number)

    async def _work(self) -> None:
        outgoing = self._next()
        while outgoing is not None:
            following = Following(self._next_fresh)
            await self._attempt(outgoing, following)
            outgoing = following.outgoing or self._next()
            if not self._claimed and self.due_at and self.due_at <= self._tools.clock.now_ms():
                # One message is in hand; the worker, who looks again, says what the trouble is.
                with suppress(StorageTrouble):
                    await self.claim()

    def _next_fresh(self) -> Outgoing | None:
        """Only what lies in memory can follow in the same breath."""
        idle = (
            self._stopping
            or self._resting
            or self.paused
            or self._claimed
            or len(self._tasks) > self._window.limit
        )
        return None if idle else self._tools.mirror.take(self.number)

    async def _attempt(self, outgoing: Outgoing, following: Following) -> None:
        course = Course(outgoing, following, self._finished, self.name)
        self._unfinished += 1
        try:
            await self._tools.attempts.attempt(course)
        except StorageTrouble as trouble:
            self._unfinished -= 1
            self._put_back(outgoing, trouble)
            self._end_in_part(course)
            if isinstance(trouble, StorageBroken):
                self._stopping = True
                return
            self._take_a_rest()
            return
        course.one_less()
        if course.trouble is not None:
            self._trouble = course.trouble
        if not course.next_due_at:
            self._rate.count(self._tools.clock.now_ms())
        if course.pained:
            self._window.pained()
        else:
            self._window.succeeded()
        if course.next_due_at:
            self.note_due(course.next_due_at)

    def _unload(self) -> None:
        """The room in memory is for mail that leaves."""
        some = self._claimed or self._tools.mirror.waiting(self.number)
        if some and not (self._unloading or self._stopping or self._resting):
            self._unloading = True
            task = asyncio.ensure_future(self._unload_all())
            self._tasks.add(task)
            task.add_done_callback(self._unloaded)

    async def _unload_all(self) -> None:
        tools, keep = self._tools, self._claimed.append
        try:
            await unload(self._fresh_or_claimed, keep, tools.queue, tools.mirror)
        except StorageTrouble:
            self._take_a_rest()

    def _fresh_or_claimed(self) -> Outgoing | None:
        if not self.paused or self._stopping:
            return None
        return self._claimed.popleft() if self._claimed else self._tools.mirror.take(self.number)

    def _unloaded(self, task: asyncio.Task[None]) -> None:
        self._unloading = False
        self._cursor = (0, 0)
        self._ended(task)

    def _take_a_rest(self) -> None:
        if not self._resting:
            self._resting = True
            asyncio.get_running_loop().call_later(_TROUBLE_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        self.wake()

    def note_due(self, due_at: int) -> None:
        """Something of this lane falls due then."""
        if not self.due_at or due_at < self.due_at:
            self.due_at = due_at
            self._cursor = min(self._cursor, (due_at, 0))
            self._changed()

    def _finished(self, outgoing: Outgoing) -> None:
        """Everything about it is durable, also that some of it waits again."""
        self._unfinished -= 1
        if outgoing.mirrored:
            self._tools.mirror.done(outgoing)
        else:
            self._tools.queue.finished(outgoing.claimed)
        if self._rest is not None and not self._unfinished:
            self._rest.set()

    def _put_back(self, outgoing: Outgoing, trouble: StorageTrouble) -> None:
        """Those still to be served wait in memory until storage answers again."""
        _log.warning("attempt.put_back", message=outgoing.message, reason=str(trouble))
        self._claimed.append(outgoing)

    def _end_in_part(self, course: Course) -> None:
        """What was settled before the trouble may be claimed again when that is durable, and no
        sooner: its row says until then that it waits.
        """
        outgoing = course.outgoing
        settled = [one for one in outgoing.claimed if one not in course.left]
        outgoing.claimed = tuple([one for one in outgoing.claimed if one in course.left])
        course.ends_with(partial(self._tools.queue.finished, settled))
        course.one_less()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("lane.broke", lane=self.number, reason=repr(error))
        self.wake()
