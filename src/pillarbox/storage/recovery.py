"""what is put right after a process has died: at the start of the next one, or by another node"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.policy.delivery import State
from pillarbox.storage.acceptance import unpack_ids
from pillarbox.storage.columns import as_bytes, as_int
from pillarbox.storage.engine import Batch, Engine, Member, Row, Step
from pillarbox.storage.interface.errors import AlreadyRecovered
from pillarbox.storage.interface.queue import Recovered
from pillarbox.terms.ids import MAX_RECIPIENTS, ORDINAL_BITS


class RecoverMember(Member):
    """Free what a dead process owned; name what it may have been sending.

    Only one of those who try at once does it; the others raise `AlreadyRecovered`.
    """

    __slots__ = ("_at", "_marked", "_owner", "_released", "_rows", "_uploads")

    def __init__(self, owner: int, marked: Sequence[int], uploads: Sequence[int], at: int) -> None:
        """`owner` is the dead process's incarnation, `marked` are the deliveries under its start
        marks, `uploads` its messages never accepted.
        """
        super().__init__()
        self._owner = owner
        self._marked = marked
        self._uploads = uploads
        self._at = at
        self._rows: list[Row] = []
        self._released = 0

    def steps(self) -> list[Step]:
        """Find the uncertain ones, then release everything and forget the marks."""
        owner = self._owner
        steps = [Step("incarnation.recover", (owner,))]
        steps += [Step("recover.mark", (delivery,)) for delivery in self._marked]
        steps.append(Step("recover.owned", (owner,)))
        steps.append(Step("recover.release", (owner,)))
        steps.append(Step("recover.clear_started", (owner,)))
        steps.append(Step("recover.leases", (owner,)))
        for message in self._uploads:
            first = message << ORDINAL_BITS
            steps.append(Step("content.delete_range", (first, first | MAX_RECIPIENTS)))
            steps.append(Step("upload.delete", (message,)))
        return steps

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep the rows of the uncertain, and how many were owned."""
        if not results[0]:
            raise AlreadyRecovered
        count = len(self._marked) + 1
        self._rows = [row for rows in results[1:count] for row in rows]
        self._released = as_int(results[count][0][0])

    def write(self, batch: Batch) -> Recovered:
        """An event for each uncertain delivery; it follows its submitter's policy."""
        held = 0
        for delivery, _, due, attempts, last_event, policy, app in self._rows:
            event = batch.event(
                self._at, as_bytes(app), "delivery.uncertain", as_int(delivery), as_int(last_event), b"",
            )  # fmt: skip
            hold = policy == "hold"
            held += hold
            if hold:
                batch.add("queue.hold_back", (delivery, attempts, 1, event))
            else:
                row = (delivery, State.QUEUED.value, due, attempts, 1, event)
                batch.add("queue.defer", row)
        return Recovered(
            released=self._released,
            uncertain=len(self._rows),
            held=held,
            swept_uploads=len(self._uploads),
        )


async def recover(engine: Engine, owners: Sequence[int], now_ms: int) -> Recovered:
    """Free what these lives held, which commit nothing any more; each in a transaction."""
    done = Recovered()
    for owner in owners:
        packed = await engine.read("started.of", owner)
        # Two marks may cover one delivery: it was put back after the first, and marked again.
        marked = list(dict.fromkeys(d for row in packed for d in unpack_ids(as_bytes(row[0]))))
        uploads = [as_int(row[0]) for row in await engine.read("upload.of", owner)]
        try:
            one = await engine.submit(RecoverMember(owner, marked, uploads, now_ms))
        except AlreadyRecovered:
            continue
        assert isinstance(one, Recovered)
        done += one
    return done
