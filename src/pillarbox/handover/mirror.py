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
from pillarbox.terms.ids import ObjectId

_GREED = 4
"""An app may have so many times the room that is left: mail of one that does not get away takes four
fifths at most, two such leave a ninth, and there is always some for the next.
"""


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
        self._messages_of: dict[ObjectId, int] = {}
        self._bytes_of: dict[ObjectId, int] = {}
        self._lanes: dict[int, deque[Outgoing]] = {}
        self._listener: Callable[[int], None] | None = None
        self._looker: Callable[[], None] | None = None

    def listen(
        self,
        listener: Callable[[int], None] | None,
        looker: Callable[[], None] | None = None,
    ) -> None:
        """`listener` is told the lane of whatever comes; without one nothing is mirrored. `looker` is
        told when something came that has to be looked for in the store.
        """
        self._listener = listener
        self._looker = looker

    def tell_of_stored(self) -> None:
        """Something was committed that is not here."""
        if self._looker is not None:
            self._looker()

    def reserve(self, size: int, app: ObjectId) -> bool:
        """Keep room for a message of that size until `put` and `done`, or `give_up`. An app that
        has much of it gets no more, so that there is some for the others.
        """
        free = self._most_messages - self._messages
        free_bytes = self._most_bytes - self._bytes - size
        count = self._messages_of.get(app, 0)
        octets = self._bytes_of.get(app, 0)
        if (
            self._listener is None
            or free <= 0
            or free_bytes < 0
            or count >= free * _GREED
            or octets > free_bytes * _GREED
        ):
            return False
        self._messages += 1
        self._bytes += size
        self._messages_of[app] = count + 1
        self._bytes_of[app] = octets + size
        return True

    def may_mark(self, lanes: int = 1) -> bool:
        """Whether the next message, which goes into so many lanes, should carry its start mark in
        its own commit.
        """
        if self._marked + lanes > self._most_marked:
            return False
        self._marked += lanes
        return True

    def give_up(self, size: int, app: ObjectId, *, marked: bool) -> None:
        """The message was not committed after all."""
        self._leave(size, app)
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
        self._leave(outgoing.size, outgoing.app)

    def _leave(self, size: int, app: ObjectId) -> None:
        self._messages -= 1
        self._bytes -= size
        left = self._messages_of[app] - 1
        if left:
            self._messages_of[app] = left
            self._bytes_of[app] -= size
        else:
            del self._messages_of[app], self._bytes_of[app]

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
