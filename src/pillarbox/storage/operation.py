"""what an operator does to waiting deliveries, as members of a group commit"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pillarbox.policy.delivery import State
from pillarbox.policy.events import ActionFacts
from pillarbox.storage.codec import encode
from pillarbox.storage.engine import Batch, Member, Row, Step

_EVENTS: Final = {
    "queue.make_due": "delivery.retry_asked",
    "queue.release": "delivery.released",
    "queue.hold": "delivery.held",
    "queue.cancel": "delivery.cancelled",
}


class OperatorMember(Member):
    """One of retry, release, hold and cancel, on some deliveries, each with its event.

    A delivery that is not in a fitting state is left as it is; the result names those changed.
    """

    __slots__ = ("_app_of", "_at", "_data", "_deliveries", "_results", "_statement")

    def __init__(
        self,
        statement: str,
        deliveries: Sequence[int],
        app_of: dict[int, bytes],
        at: int,
        by: str,
    ) -> None:
        """`app_of` gives the app of each delivery, for the event log, and `by` who did it."""
        super().__init__()
        self._statement = statement
        self._deliveries = deliveries
        self._app_of = app_of
        self._at = at
        self._data = encode(ActionFacts(by=by))
        self._results: list[list[Row]] = []

    def steps(self) -> list[Step]:
        """One statement a delivery."""
        timed = self._statement in ("queue.make_due", "queue.release")
        return [
            Step(self._statement, (delivery, self._at) if timed else (delivery,))
            for delivery in self._deliveries
        ]

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep what was changed."""
        self._results = results

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

    __slots__ = ("_app", "_at", "_data", "_first", "_last", "_rows")
    settles = True

    def __init__(self, app: bytes, first: int, last: int, at: int, data: bytes) -> None:
        """All deliveries from `first` to `last`; `data` is the body of their events."""
        super().__init__()
        self._app = app
        self._first = first
        self._last = last
        self._at = at
        self._data = data
        self._rows: list[Row] = []

    def steps(self) -> list[Step]:
        """One range."""
        return [Step("queue.end_message", (self._first, self._last))]

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep what was still waiting."""
        self._rows = results[0]

    def write(self, batch: Batch) -> tuple[int, ...]:
        """Gives the deliveries that were ended by this."""
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
        return tuple(ended)
