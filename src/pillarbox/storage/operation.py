"""what an operator does to waiting deliveries, as members of a group commit"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pillarbox.policy.delivery import State
from pillarbox.policy.events import ActionFacts, LaneFacts
from pillarbox.storage.acceptance import unpack_ids
from pillarbox.storage.codec import encode
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Batch, Member, Row, Step
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import DeliveryId

_EVENTS: Final = {
    "queue.make_due": "delivery.retry_asked",
    "queue.release": "delivery.released",
    "queue.hold": "delivery.held",
    "queue.cancel": "delivery.cancelled",
    "queue.move": "delivery.moved",
}


class BeingSent(PillarboxError):
    """Another node may be sending some of these; nothing was changed."""

    code = "wrong_state"

    def __init__(self, deliveries: frozenset[int]) -> None:
        """Which."""
        super().__init__()
        self.deliveries = deliveries


def marked_in(rows: Sequence[Row]) -> set[int]:
    """The deliveries that start marks cover."""
    return {delivery for row in rows for delivery in unpack_ids(as_bytes(row[0]))}


class OperatorMember(Member):
    """One of retry, release, hold, cancel and move, on some deliveries, each with its event.

    A delivery that is not in a fitting state is left as it is; the result names those changed.
    """

    __slots__ = (
        "_app_of", "_at", "_covers", "_data", "_deliveries", "_lanes", "_owner", "_results",
        "_statement",
    )  # fmt: skip

    def __init__(
        self,
        owner: int,
        statement: str,
        deliveries: Sequence[DeliveryId],
        app_of: dict[int, bytes],
        at: int,
        by: str,
        covers: Callable[[int], bool],
        lanes: Mapping[DeliveryId, int],
        reason: str = "",
    ) -> None:
        """`owner` is this process's incarnation, `app_of` gives the app of each delivery, for the
        event log, and `by` who did it; `covers` says whether this process may be sending one.
        Moving needs the lane that each is to wait in.
        """
        super().__init__()
        self._owner = owner
        self._covers = covers
        self._statement = statement
        self._deliveries = deliveries
        self._app_of = app_of
        self._at = at
        self._lanes = lanes
        self._data = encode(ActionFacts(by=by, reason=reason))
        self._results: list[list[Row]] = []

    def steps(self) -> list[Step]:
        """One statement a delivery; then a look at what others may be sending: they note it before
        they do, and wait for whoever changes the row.
        """
        steps = [Step(self._statement, self._with(each)) for each in sorted(self._deliveries)]
        return [*steps, Step("started.others", (self._owner,))]

    def _with(self, delivery: DeliveryId) -> Row:
        match self._statement:
            case "queue.make_due" | "queue.release":
                return (delivery, self._at)
            case "queue.move":
                return (delivery, self._lanes[delivery], self._at)
            case _:
                return (delivery,)

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep what was changed. Raises `BeingSent` with what cannot be."""
        *changed, marks = results
        touched = [as_int(row[0]) for rows in changed for row in rows]
        sent = marked_in(marks).intersection(touched)
        sent.update(delivery for delivery in touched if self._covers(delivery))
        if sent:
            raise BeingSent(frozenset(sent))
        self._results = changed

    def write(self, batch: Batch) -> tuple[int, ...]:
        """The events; for a cancelled one its final row. Gives the deliveries changed."""
        changed = []
        kind = _EVENTS[self._statement]
        for rows in self._results:
            for row in rows:
                delivery, last_event = int(row[0] or 0), int(row[1] or 0)
                app = self._app_of[delivery]
                event = batch.event(self._at, app, kind, delivery, last_event, self._data)
                if self._statement == "queue.cancel":
                    _, _, attempts, uncertain, recipient = row
                    batch.add(
                        "delivery.insert",
                        (delivery, State.CANCELLED.value, app, attempts, uncertain, self._at,
                         event, recipient),
                    )  # fmt: skip
                else:
                    batch.add("queue.set_last_event", (delivery, event))
                changed.append(delivery)
        return tuple(changed)


class EndMember(Member):
    """End every unsettled delivery of a message: its caller is being told that it failed."""

    __slots__ = ("_app", "_at", "_data", "_first", "_last", "_owner", "_rows", "_sent")
    settles = True

    def __init__(self, owner: int, app: bytes, first: int, last: int, at: int, data: bytes) -> None:
        """All deliveries from `first` to `last`; `data` is the body of their events."""
        super().__init__()
        self._owner = owner
        self._sent: set[int] = set()
        self._app = app
        self._first = first
        self._last = last
        self._at = at
        self._data = data
        self._rows: list[Row] = []

    def steps(self) -> list[Step]:
        """One range, and what others may be sending of it."""
        return [
            Step("queue.end_message", (self._first, self._last)),
            Step("started.others", (self._owner,)),
        ]

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep what was still waiting."""
        self._rows, marks = results
        self._sent = marked_in(marks)

    def write(self, batch: Batch) -> tuple[tuple[int, ...], frozenset[int]]:
        """Gives the deliveries that were ended by this, and those of them that another process may
        be sending.
        """
        ended = []
        for delivery, last_event, attempts, uncertain, recipient, _ in self._rows:
            event = batch.event(
                self._at, self._app, "delivery.failed", int(delivery or 0), int(last_event or 0),
                self._data,
            )  # fmt: skip
            batch.add(
                "delivery.insert",
                (delivery, State.FAILED.value, self._app, attempts, uncertain, self._at, event,
                 recipient),
            )  # fmt: skip
            ended.append(int(delivery or 0))
        return tuple(ended), frozenset(self._sent.intersection(ended))


class PauseMember(Member):
    """A lane is paused or resumed, with its event."""

    __slots__ = ("_at", "_by", "_lane", "_row", "_statement")

    def __init__(self, statement: str, lane: int, at: int, by: str) -> None:
        """`statement` is ``lane.pause`` or ``lane.resume``."""
        super().__init__()
        self._statement = statement
        self._lane = lane
        self._at = at
        self._by = by
        self._row: Row | None = None

    def steps(self) -> list[Step]:
        """One row."""
        parameters: Row = (self._lane, self._at)
        return [Step(self._statement, parameters[: 1 if self._statement == "lane.resume" else 2])]

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep the lane's name, where anything was changed."""
        self._row = results[0][0] if results[0] else None

    def write(self, batch: Batch) -> bool:
        """Gives whether it was changed."""
        if self._row is None:
            return False
        app, route, destination = self._row
        facts = LaneFacts(self._lane, as_text(route), as_text(destination), self._by)
        batch.event(self._at, as_bytes(app), f"{self._statement}d", 0, 0, encode(facts))
        return True
