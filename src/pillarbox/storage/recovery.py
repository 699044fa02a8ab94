"""what is put right before any listener opens, after the previous process died"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.policy.delivery import State
from pillarbox.storage.acceptance import OWNER_HELD, OWNER_WAITING
from pillarbox.storage.engine import Batch, Member, Row, Step
from pillarbox.storage.interface.queue import Recovered
from pillarbox.terms.ids import MAX_RECIPIENTS, ORDINAL_BITS


class RecoverMember(Member):
    """Free what a dead process owned; name what it may have been sending.

    Run twice it does the same once: the marks are gone after the first time.
    """

    __slots__ = ("_at", "_marked", "_released", "_rows", "_uploads")

    def __init__(self, marked: Sequence[int], uploads: Sequence[int], at: int) -> None:
        """`marked` are the deliveries under start marks, `uploads` messages never accepted."""
        super().__init__()
        self._marked = marked
        self._uploads = uploads
        self._at = at
        self._rows: list[Row] = []
        self._released = 0

    def steps(self) -> list[Step]:
        """Find the uncertain ones, then release everything and forget the marks."""
        steps = [Step("recover.mark", (delivery,)) for delivery in self._marked]
        steps.append(Step("recover.owned"))
        steps.append(Step("recover.release"))
        steps.append(Step("recover.clear_started"))
        for message in self._uploads:
            first = message << ORDINAL_BITS
            steps.append(Step("content.delete_range", (first, first | MAX_RECIPIENTS)))
            steps.append(Step("upload.delete", (message,)))
        return steps

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep the rows of the uncertain, and how many were owned."""
        count = len(self._marked)
        self._rows = [row for rows in results[:count] for row in rows]
        self._released = int(results[count][0][0] or 0)

    def write(self, batch: Batch) -> Recovered:
        """An event for each uncertain delivery; it follows its submitter's policy."""
        held = 0
        for delivery, _, due, attempts, last_event, policy, app in self._rows:
            event = batch.event(
                self._at, bytes(app or b""), "delivery.uncertain",  # type: ignore[arg-type]
                int(delivery or 0), int(last_event or 0), b"",
            )  # fmt: skip
            hold = policy == "hold"
            held += hold
            batch.add(
                "queue.defer",
                (delivery, OWNER_HELD if hold else OWNER_WAITING,
                 (State.HELD if hold else State.QUEUED).value, due, attempts, 1, event),
            )  # fmt: skip
        return Recovered(
            released=self._released,
            uncertain=len(self._rows),
            held=held,
            swept_uploads=len(self._uploads),
        )
