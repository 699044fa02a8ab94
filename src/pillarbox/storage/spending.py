"""limits that a group spends of: who fits, decided while the group is written

An engine reads each limit once for a group, in the order of names, before any member's own
statements; on a database that others write to, it locks it until the commit. Members are then
decided one after the other, here and without a statement, inside what their own statements are
undone with: who is refused leaves nothing behind. The sums are written once, with the group's rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.storage.columns import as_bytes, as_int
from pillarbox.storage.engine import Batch, Member, Row
from pillarbox.storage.interface.errors import LimitReached

Standing = tuple[int, int]
"""Since when the period lasts that a limit is in, and what is spent in it."""


def standing(stored: Standing, since: int, period_ms: int) -> Standing:
    """What counts for whoever spends in the period that began at `since`.

    A limit does not go back to a period that is over: who comes late, or has a clock that is slow,
    spends in the next one. If it is further ahead than that, it was spent of by a clock that was
    wrong, or in longer periods, and begins anew.
    """
    if since <= stored[0] <= since + period_ms:
        return stored
    return since, 0


class Ledger:
    """The limits of one group, as they stand after the members decided so far."""

    __slots__ = ("_moved", "_standings", "limits")

    def __init__(self, group: Sequence[Member]) -> None:
        """Nobody is decided yet."""
        self.limits = sorted({spend.limit.limit for member in group for spend in member.spends})
        """What has to be read, each once, in the order in which it has to be locked."""
        self._standings: dict[bytes, Standing] = {}
        self._moved: set[bytes] = set()

    def stands(self, rows: Sequence[Row]) -> None:
        """What was read: name, since, spent. A limit that was never spent of has no row."""
        for limit, since, spent in rows:
            self._standings[as_bytes(limit)] = (as_int(since), as_int(spent))

    def spend(self, member: Member) -> None:
        """All that it needs. Raises `LimitReached` where a limit has not so much left; then nothing
        is spent.
        """
        after: dict[bytes, Standing] = {}
        for spend in member.spends:
            limit = spend.limit
            stored = after.get(limit.limit) or self._standings.get(limit.limit, (0, 0))
            since, spent = standing(stored, spend.since, limit.period_ms)
            if spent + limit.amount > limit.most:
                raise LimitReached(limit.limit, limit.most, spent, since + limit.period_ms)
            after[limit.limit] = (since, spent + limit.amount)
        self._standings.update(after)
        self._moved.update(after)

    def refusal(self, member: Member) -> LimitReached | None:
        """As `spend`; gives what that raises."""
        try:
            self.spend(member)
        except LimitReached as refusal:
            return refusal
        return None

    def write(self, batch: Batch) -> None:
        """One row for each limit that somebody spent of."""
        for limit in self._moved:
            batch.add("spending.set", (limit, *self._standings[limit]))
