"""members that wait for a commit, what the next one takes, and how they hear of it"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import Final

from pillarbox.storage.engine import Member

_GROUP: Final = 256
_CONTENT_BYTES: Final = 1024 * 1024
_CONTENT_BESIDE_BYTES: Final = 256 * 1024
"""So much content at most, and so much beside settlements, but for the last message."""

_log = logging.getLogger(__name__)

Outcome = tuple[Member, object, BaseException | None]
"""A member, what its future shall hold, and why it was not committed."""


class Waiting:
    """Settlements and others, each in the order in which they came."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._settling: deque[Member] = deque()
        self._others: deque[Member] = deque()

    def __bool__(self) -> bool:
        return bool(self._settling or self._others)

    def add(self, member: Member) -> None:
        """Behind those of its kind."""
        (self._settling if member.settles else self._others).append(member)

    def draw(self) -> list[Member]:
        """The next group: settlements first; while they wait, others get at most half of it, and
        little of its time: a connection that waits for a settlement carries no mail.
        """
        settling, others = self._settling, self._others
        group = [settling.popleft() for _ in range(min(len(settling), _GROUP // 2))]
        room = max(len(group), 4) if group else _GROUP
        left = _CONTENT_BESIDE_BYTES if group else _CONTENT_BYTES
        while others and room and left > 0:
            member = others.popleft()
            group.append(member)
            room -= 1
            left -= member.content_bytes
        return group


def report(outcomes: Sequence[Outcome]) -> None:
    """Tell every member of a group what became of it, on the loop."""
    for member, result, error in outcomes:
        try:
            member.report(result, error)
        except Exception:
            # Whoever listens made a mistake; the others of the group must hear all the same.
            _log.exception("a listener to a commit failed")
