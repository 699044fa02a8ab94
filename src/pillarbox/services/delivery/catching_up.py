"""catching up: mail that waits for its next attempt goes early, now that a server is back

Waits grow to an hour, so without this mail would trickle out long after the trouble is over; and what
was put off in the same moment falls due in the same moment. So what waits is counted when the server
is back, and let go evenly, in the order in which it would be due. Nothing is written for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pillarbox.policy.delivery import State
from pillarbox.storage.interface.queue import Waiting
from pillarbox.terms.ids import DeliveryId

FARTHEST_MS: Final = 75 * 60_000
"""So far ahead a lane looks: a little further than the longest wait, with what chance adds."""
_SLOWEST_A_SECOND: Final = 10
"""Little mail does not have to be spread."""
_MOST_KNOWN: Final = 100_000


class CatchingUp:
    """One lane catching up on what waited in it at an instant."""

    __slots__ = ("_known", "_length_ms", "_since", "_waiting", "cursor")

    def __init__(self, now_ms: int, waiting: int, length_ms: int) -> None:
        """`waiting` deliveries go within `length_ms`, or sooner where they are few."""
        self.cursor = (now_ms, 0)
        """Behind what was looked at."""
        self._since = now_ms
        self._waiting = waiting
        self._length_ms = max(min(length_ms, waiting * 1000 // _SLOWEST_A_SECOND), 1)
        self._known: set[DeliveryId] = set()

    def room(self, now_ms: int) -> int:
        """How many more may go by now."""
        share = min(max(now_ms - self._since, 0) / self._length_ms, 1.0)
        return max(min(round(self._waiting * share), _MOST_KNOWN) - len(self._known), 0)

    def is_over(self, now_ms: int) -> bool:
        """Whether everybody has had his turn, or the clock was put back."""
        return not self._since <= now_ms <= self._since + 2 * self._length_ms

    def choose(
        self, rows: Sequence[Waiting], now_ms: int, most: int
    ) -> tuple[list[Waiting], list[Waiting]]:
        """Those of some waiting deliveries that go now, `most` at most, and those that stay.

        Only what was put off goes early, not what was asked to leave later; and each goes once: what
        is put off again has been told to wait by somebody else.
        """
        going: list[Waiting] = []
        staying: list[Waiting] = []
        for row in rows:
            early = row.due_at > now_ms and row.state is State.DEFERRED
            if early and len(going) < most and row.delivery not in self._known:
                self._known.add(row.delivery)
                going.append(row)
            else:
                staying.append(row)
        return going, staying
