"""▣2 as a member of a group commit, and the book of start marks"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.policy.delivery import FINAL, State
from pillarbox.storage.acceptance import OWNER_HELD, pack_ids
from pillarbox.storage.codec import encode
from pillarbox.storage.engine import Batch, Member, Row, Step, Told
from pillarbox.storage.interface.settlement import Settlement


class MarkBook:
    """Which start mark covers which delivery, and how many of each are still unsettled.

    A mark's row is deleted by the settlement of its last delivery. What the book forgets is only
    a row that recovery finds no queue row for.
    """

    def __init__(self, above: int = 0) -> None:
        """Nothing may be leaving yet. Marks are numbered from `above` on."""
        self._mark_of: dict[int, int] = {}
        self._left: dict[int, int] = {}
        self._last = above

    def covers(self, delivery: int) -> bool:
        """Whether a delivery may be leaving."""
        return delivery in self._mark_of

    def open(self, deliveries: Sequence[int]) -> int:
        """A new mark for these; gives its number."""
        self._last += 1
        self._left[self._last] = len(deliveries)
        for delivery in deliveries:
            self._mark_of[delivery] = self._last
        return self._last

    def reopening(self, deliveries: Sequence[int], told: Told) -> Told:
        """`told`, for a settlement about to `close` these: if it cannot be written, they stay open.

        It is offered again then, and has to take its marks with it.
        """
        marks = self._mark_of
        covered = {delivery: marks[delivery] for delivery in deliveries if delivery in marks}

        def reopen(error: BaseException | None) -> None:
            if error is not None:
                for delivery, mark in covered.items():
                    marks[delivery] = mark
                    self._left[mark] = self._left.get(mark, 0) + 1
            told(error)

        return reopen if covered else told

    def close(self, deliveries: Sequence[int]) -> list[int]:
        """These are settled; gives the marks of which nothing is left."""
        done = []
        for delivery in deliveries:
            mark = self._mark_of.pop(delivery, None)
            if mark is not None:
                self._left[mark] -= 1
                if not self._left[mark]:
                    del self._left[mark]
                    done.append(mark)
        return done


def looked_up(deliveries: Sequence[int], together: bool) -> list[Step]:
    """The rows of deliveries that are still in the queue."""
    if together:
        return [Step("queue.to_mark", (",".join(map(str, deliveries)),))]
    return [Step("queue.to_mark", (delivery,)) for delivery in deliveries]


class MarkMember(Member):
    """A start mark of its own, ahead of the content it speaks of."""

    __slots__ = ("_deliveries", "_gone", "_lane", "_mark", "_owner", "_together", "_verify")
    settles = True
    refuses = False

    def __init__(
        self,
        mark: int,
        owner: int,
        deliveries: Sequence[int],
        *,
        verify: bool,
        together: bool = False,
        lane: int = 0,
    ) -> None:
        """`verify` looks whether the deliveries are still there to be sent, with one statement
        for all where the engine can do that `together`: there, and in `lane`.
        """
        super().__init__()
        self._together = together
        self._lane = lane
        self._mark = mark
        self._owner = owner
        self._deliveries = deliveries
        self._verify = verify
        self._gone: frozenset[int] = frozenset()

    def steps(self) -> list[Step]:
        """One look-up a delivery, where asked for."""
        if not self._verify:
            return []
        return looked_up(self._deliveries, self._together)

    def resolve(self, results: list[list[Row]]) -> None:
        """What an operator held, cancelled or moved after it was claimed must not leave."""
        if results:
            here = {
                row[0]
                for rows in results
                for row in rows
                if row[8] != OWNER_HELD and self._lane in (0, row[1])
            }
            self._gone = frozenset(each for each in self._deliveries if each not in here)

    def write(self, batch: Batch) -> frozenset[int]:
        """Gives the deliveries that must not leave any more."""
        # Nobody settles what is gone: a mark on it would stay, and call it uncertain after a crash.
        leaving = [delivery for delivery in self._deliveries if delivery not in self._gone]
        if leaving:
            batch.add("started.insert", (self._mark, self._owner, pack_ids(leaving)))
        return self._gone


class SettleMember(Member):
    """Everything a settlement writes."""

    __slots__ = ("_ended", "_marks", "_settlement", "_together")
    settles = True
    refuses = False

    def __init__(
        self, settlement: Settlement, marks: Sequence[int], *, together: bool = False
    ) -> None:
        """`marks` are those of which nothing is left after it; `together` as for a mark."""
        super().__init__()
        self._together = together
        self._ended: frozenset[int] = frozenset()
        self._settlement = settlement
        self._marks = marks

    def steps(self) -> Sequence[Step]:
        """Nearly always none: a look whether the deliveries are still there, where asked for."""
        if not self._settlement.unless_ended:
            return ()
        return looked_up(self._deliveries(), self._together)

    def resolve(self, results: list[list[Row]]) -> None:
        """What was ended meanwhile stays as it is."""
        if results:
            here = {row[0] for rows in results for row in rows}
            self._ended = frozenset(each for each in self._deliveries() if each not in here)

    def _deliveries(self) -> list[int]:
        return [verdict.delivery for verdict in self._settlement.verdicts]

    def write(self, batch: Batch) -> None:
        """An event for each recipient; then it leaves the queue, or goes back into its lane."""
        settlement = self._settlement
        app = settlement.app
        for verdict in settlement.verdicts:
            state, delivery = verdict.state, verdict.delivery
            if delivery in self._ended:
                continue
            event = batch.event(
                settlement.at,
                app,
                verdict.kind,
                delivery,
                verdict.previous_event,
                encode(verdict.data),
            )
            if state in FINAL:
                batch.add(
                    "delivery.insert",
                    (delivery, state, app, verdict.attempts, int(verdict.uncertain),
                     settlement.at, event, verdict.recipient),
                )  # fmt: skip
                batch.add("queue.delete", (delivery,))
            else:
                uncertain = int(verdict.uncertain)
                if state is State.HELD:
                    row: Row = (delivery, verdict.attempts, uncertain, event)
                    batch.add("queue.hold_back", row)
                else:
                    row = (delivery, state, verdict.due_at, verdict.attempts, uncertain, event)
                    batch.add("queue.defer", row)
        for mark in self._marks:
            batch.add("started.delete", (mark,))
        for owed in settlement.obligations:
            batch.add("obligation.insert", (owed.kind, owed.app, owed.delivery, owed.due_at))
        if settlement.server is not None and settlement.server_errors is not None:
            name = "server.error" if settlement.server_errors else "server.fine"
            batch.add(name, (settlement.server,))
