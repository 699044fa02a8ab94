"""fresh mail on its way from acceptance to delivery, in memory, bounded

A committed message goes from here straight into its lane with its content, and is delivered
without being read back. What finds no room is stored unowned and read back by its lane. Nothing
here is needed after a crash: the queue rows name this process as owner and are released by the
next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pillarbox.handover.outgoing import Outgoing


class Mirror:
    """Lanes of fresh mail. Room is reserved before ▣1 and filled after it."""

    def __init__(self, *, most_messages: int, most_bytes: int, most_marked: int) -> None:
        """Bounds; beyond `most_marked` waiting marks, messages come without one."""
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._most_marked = most_marked
        self._messages = 0
        self._bytes = 0
        self._marked = 0
        self._lanes: dict[int, deque[Outgoing]] = {}
        self._listener: Callable[[int], None] | None = None

    def listen(self, listener: Callable[[int], None] | None) -> None:
        """`listener` is told the lane of whatever comes; without one nothing is mirrored."""
        self._listener = listener

    def reserve(self, size: int) -> bool:
        """Keep room for a message of that size until `put` and `done`, or `give_up`."""
        if (
            self._listener is None
            or self._messages >= self._most_messages
            or self._bytes + size > self._most_bytes
        ):
            return False
        self._messages += 1
        self._bytes += size
        return True

    def may_mark(self, lanes: int = 1) -> bool:
        """Whether the next message, which goes into so many lanes, should carry its start mark in
        its own commit.
        """
        if self._marked + lanes > self._most_marked:
            return False
        self._marked += lanes
        return True

    def give_up(self, size: int, *, marked: bool) -> None:
        """The message was not committed after all."""
        self._messages -= 1
        self._bytes -= size
        self._marked -= marked

    def put(self, outgoing: Outgoing) -> None:
        """A committed message, into its lane."""
        lane = self._lanes.get(outgoing.lane)
        if lane is None:
            lane = self._lanes[outgoing.lane] = deque()
        lane.append(outgoing)
        if self._listener is not None:
            self._listener(outgoing.lane)

    def take(self, lane: int) -> Outgoing | None:
        """The oldest of a lane; it keeps its room until `done`."""
        waiting = self._lanes.get(lane)
        if not waiting:
            return None
        outgoing = waiting.popleft()
        if outgoing.marked:
            self._marked -= 1
        return outgoing

    def unmarked(self, lane: int, most: int) -> list[Outgoing]:
        """The next ones of a lane that a start mark may cover together with others."""
        found: list[Outgoing] = []
        for outgoing in self._lanes.get(lane, ()):
            if len(found) >= most:
                break
            if not (outgoing.marked or outgoing.exact) and outgoing.mark is None:
                found.append(outgoing)
        return found

    def done(self, outgoing: Outgoing) -> None:
        """A message that was taken has been settled, or waits in storage again."""
        self._messages -= 1
        self._bytes -= outgoing.size

    def waiting(self, lane: int) -> int:
        """How many messages wait in a lane."""
        return len(self._lanes.get(lane, ()))

    @property
    def messages(self) -> int:
        """Messages held, those being delivered included."""
        return self._messages

    @property
    def bytes(self) -> int:
        """Content held."""
        return self._bytes
