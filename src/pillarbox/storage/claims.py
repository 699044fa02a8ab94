"""which waiting mail this process works on: the shards of lanes it has leased, and what it claimed

A lane is cut into shards by the millisecond of the message. On a database that several nodes share,
a node reads only the shards that it has leased; a claim then writes nothing. A lease has no end of
its own: it ends with its owner's (see `storage.tenure`). A shard is let go of only when nothing that
was claimed from it is unsettled, so that nobody else ever reads what may be on its way here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from pillarbox.policy.delivery import State
from pillarbox.storage.columns import as_int, as_text
from pillarbox.storage.engine import Engine, Member, Row, Step
from pillarbox.storage.interface.queue import LaneHead, Waiting
from pillarbox.storage.lanes import lane_name
from pillarbox.terms.ids import COUNTER_BITS, ORDINAL_BITS, DeliveryId

SHARDS: Final = 8
"""More nodes than this do not read one lane at once; each still delivers what it accepted."""

ALL: Final = tuple(range(SHARDS))

_LOOKS_SPARED: Final = 4


def shard_of(delivery: int) -> int:
    """The shard in which a delivery waits."""
    return delivery >> (COUNTER_BITS + ORDINAL_BITS) & (SHARDS - 1)


def to_waiting(row: Row) -> Waiting:
    """A row of `queue` as it is claimed or listed."""
    delivery, lane, state, due, attempts, last_event, uncertain, recipient, owner = row
    return Waiting(
        DeliveryId(as_int(delivery)), as_int(lane), State(as_text(state)), as_int(due), as_int(attempts),
        as_int(last_event), bool(uncertain), as_text(recipient), as_int(owner) > 0,
    )  # fmt: skip


def _packed(pairs: Sequence[tuple[int, int]]) -> str:
    return ",".join(f"{lane}:{shard}" for lane, shard in sorted(pairs))


class LeaseMember(Member):
    """Let go of some shards, and lease some that nobody has."""

    __slots__ = ("_owner", "_released", "_taken", "_wanted")

    def __init__(
        self,
        owner: int,
        released: Sequence[tuple[int, int]],
        wanted: Sequence[tuple[int, int]],
    ) -> None:
        """Pairs of lane and shard; what others lease meanwhile is passed over."""
        super().__init__()
        self._owner = owner
        self._released = released
        self._wanted = wanted
        self._taken: list[Row] = []

    def steps(self) -> list[Step]:
        """All of them with one statement each: with many lanes there are thousands."""
        steps = []
        if self._released:
            steps.append(Step("lease.release", (_packed(self._released), self._owner)))
        if self._wanted:
            steps.append(Step("lease.add", (_packed(self._wanted),)))
            steps.append(Step("lease.take", (_packed(self._wanted), self._owner)))
        return steps

    def resolve(self, results: list[list[Row]]) -> None:
        """Keep what was got."""
        self._taken = results[-1] if self._wanted else []

    def write(self, batch: object) -> list[tuple[int, int]]:
        """Gives the shards that are ours now."""
        return [(as_int(row[0]), as_int(row[1])) for row in self._taken]


class Calm:
    """Heads that are still true because nothing has happened since they were read.

    With many lanes the heads of all their shards cost more than anything else that an idle node does.
    Whatever changes waiting mail is an event in the same commit, so while the log stands where it stood,
    and this node is the only one that works, they need not be read again. What a node that died left
    to others is no event; therefore only a few looks in a row are spared.
    """

    __slots__ = ("_ends", "_heads", "_leases", "_spared")

    def __init__(
        self,
        ends: tuple[int, ...] | None = None,
        leases: int = 0,
        heads: Sequence[LaneHead] = (),
    ) -> None:
        """`ends` are those of the log before `heads` were read, None where nothing is known;
        `leases` how many shards were held afterwards.
        """
        self._ends = ends
        self._leases = leases
        self._heads = [replace(head, gained=False) for head in heads]
        self._spared = 0

    def heads(self, ends: tuple[int, ...], leases: int) -> list[LaneHead] | None:
        """Those of the last reading, where nothing has changed; None where they must be read."""
        if ends != self._ends or leases != self._leases or self._spared >= _LOOKS_SPARED:
            return None
        self._spared += 1
        return self._heads


class Claims:
    """Of this process."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is leased and nothing claimed."""
        self._engine = engine
        self._held: dict[int, set[int]] = {}
        self._leaving: set[tuple[int, int]] = set()
        """Surplus, from which nothing more is claimed."""
        self._shard_of: dict[int, tuple[int, int]] = {}
        self._unfinished: Counter[tuple[int, int]] = Counter()
        self._calm = Calm()

    async def heads(self, *, leaving: bool) -> list[LaneHead]:
        """Lanes with waiting mail that this process may read."""
        if not self._engine.shared:
            rows = await self._engine.read("queue.heads")
            return [] if leaving else self._heads(rows, set())
        # Read before the heads: what is committed between the two is seen as a change next time.
        ends = tuple(as_int(row[0]) for row in await self._engine.read("event.position"))
        share = 0 if leaving else await self._share()
        alone = share == SHARDS
        if alone and (known := self._calm.heads(ends, self._leases)) is not None:
            return known
        stirred = self._calm = Calm()
        rows = await self._engine.read("queue.heads")
        heads = self._heads(rows, await self._lease(rows, share))
        if alone and self._calm is stirred:  # nothing was freed while they were read
            self._calm = Calm(ends, self._leases, heads)
        return heads

    @property
    def _leases(self) -> int:
        return sum(map(len, self._held.values()))

    def _heads(self, rows: Sequence[Row], gained: set[int]) -> list[LaneHead]:
        heads: dict[int, LaneHead] = {}
        for row in rows:
            lane, shard, due = as_int(row[0]), as_int(row[4]), as_int(row[5])
            if not self._may_read(lane, shard):
                continue
            known = heads.get(lane)
            if known is None or due < known.first_due_at:
                heads[lane] = LaneHead(lane, lane_name(row), due, gained=lane in gained)
        return list(heads.values())

    async def claim(
        self, lane: int, after: tuple[int, int], now_ms: int, limit: int
    ) -> tuple[list[Waiting], tuple[int, int] | None]:
        """Due deliveries that are not claimed yet, and the place of the last row that was read."""
        if not self._engine.shared:
            rows = await self._engine.read("queue.claim", lane, *after, now_ms, limit)
        else:
            shards = [shard for shard in ALL if self._may_read(lane, shard)]
            rows = await self._claim_of_shards(lane, shards, after, now_ms, limit)
        found = []
        for row in map(to_waiting, rows):
            if row.delivery in self._shard_of:
                continue
            # A shard may have been given up while it was being read.
            if self._engine.shared and not self._may_read(lane, shard_of(row.delivery)):
                continue
            pair = (lane, shard_of(row.delivery))
            self._shard_of[row.delivery] = pair
            self._unfinished[pair] += 1
            found.append(row)
        last = (as_int(rows[-1][3]), as_int(rows[-1][0])) if rows else None
        return found, last

    def finished(self, deliveries: Iterable[DeliveryId]) -> None:
        """They are settled, or somebody else's: they may be claimed again when they are due."""
        for delivery in deliveries:
            pair = self._shard_of.pop(delivery, None)
            if pair is not None:
                self._unfinished[pair] -= 1
                if not self._unfinished[pair]:
                    del self._unfinished[pair]

    def freed(self) -> None:
        """Mail may be claimed now that could not be before, and no event says so."""
        self._calm = Calm()

    def _may_read(self, lane: int, shard: int) -> bool:
        if not self._engine.shared:
            return True
        return shard in self._held.get(lane, ()) and (lane, shard) not in self._leaving

    async def _claim_of_shards(
        self, lane: int, shards: Sequence[int], after: tuple[int, int], now_ms: int, limit: int
    ) -> list[Row]:
        """The first `limit` of the shards together, in (due, id) order."""
        if not shards:
            return []
        packed = ",".join(map(str, shards))
        return await self._engine.read("queue.claim_of_shards", lane, *after, now_ms, limit, packed)

    async def _lease(self, heads: Sequence[Row], share: int) -> set[int]:
        """Get a fair share of the shards in which mail waits; gives the lanes that gained some."""
        adopted = self._adopt(heads)
        released, wanted = self._surplus(share), []
        missing = Counter({lane: share - len(held) for lane, held in self._held.items()})
        for row in heads:
            lane, shard, owner = as_int(row[0]), as_int(row[4]), as_int(row[6])
            left = missing[lane] if lane in self._held else missing.setdefault(lane, share)
            if owner == 0 and left > 0 and shard not in self._held.get(lane, ()):
                wanted.append((lane, shard))
                missing[lane] = left - 1
        if not released and not wanted:
            return adopted
        taken = await self._engine.submit(LeaseMember(self._engine.incarnation, released, wanted))
        # Only now: where it was not committed they are ours still.
        for lane, shard in released:
            self._held[lane].discard(shard)
            self._leaving.discard((lane, shard))
        gained = adopted
        for lane, shard in taken:  # type: ignore[attr-defined]
            self._held.setdefault(lane, set()).add(shard)
            gained.add(lane)
        if released:
            self._engine.tell("queue")
        return gained

    def _adopt(self, heads: Sequence[Row]) -> set[int]:
        """What is ours in the database and not in memory: we were told that it could not be taken."""
        gained = set()
        for row in heads:
            lane, shard, owner = as_int(row[0]), as_int(row[4]), as_int(row[6])
            held = self._held.setdefault(lane, set())
            if owner == self._engine.incarnation and shard not in held:
                held.add(shard)
                gained.add(lane)
        return gained

    async def _share(self) -> int:
        """How many shards of a lane are this node's, where all want some."""
        workers = as_int((await self._engine.read("lease.workers"))[0][0])
        return -(-SHARDS // max(1, workers))

    def _surplus(self, share: int) -> list[tuple[int, int]]:
        """What others should have: marked to be left, and given up once nothing of it is open."""
        for lane, held in self._held.items():
            staying = [shard for shard in sorted(held) if (lane, shard) not in self._leaving]
            idle_last = sorted(staying, key=lambda shard: -self._unfinished[lane, shard])
            self._leaving.update((lane, shard) for shard in idle_last[share:])
            if len(staying) < share:
                back = [shard for shard in sorted(held) if (lane, shard) in self._leaving]
                self._leaving.difference_update(
                    (lane, shard) for shard in back[: share - len(staying)]
                )
        return [pair for pair in self._leaving if not self._unfinished[pair]]
