"""connection problems, over an engine: gathered, and written a few seconds later in one go"""

from __future__ import annotations

from typing import Final

from pillarbox.policy.problems import Problem
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes, as_int
from pillarbox.storage.engine import Batch, Engine, Member, Row
from pillarbox.storage.gathering import Gathering
from pillarbox.storage.interface.problems import MOST_KEPT, KeptProblem

_MOST_GATHERED: Final = 500


class ProblemMember(Member):
    """What was gathered."""

    __slots__ = ("_gathered",)

    def __init__(self, gathered: dict[bytes, KeptProblem]) -> None:
        super().__init__()
        self._gathered = gathered

    def write(self, batch: Batch) -> None:
        """In the order of keys, which all nodes share."""
        for key, kept in sorted(self._gathered.items()):
            problem = kept.problem
            batch.add(
                "problem.note",
                (key, problem.reference, problem.credential or b"", kept.count, kept.first_at,
                 kept.last_at, encode(problem)),
            )  # fmt: skip


class SqlProblemStore:
    """See `storage.interface.problems.ProblemStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gathering: Gathering[bytes, KeptProblem] = Gathering(engine, ProblemMember)

    def note(self, problem: Problem, now_ms: int) -> None:
        """Counted in memory first."""
        gathered, key = self._gathering.things, problem.key
        before = gathered.get(key)
        if before is not None:
            problem, count, first_at = before.problem, before.count + 1, before.first_at
        elif len(gathered) >= _MOST_GATHERED:
            return
        else:
            count, first_at = 1, now_ms
        self._gathering.put(key, KeptProblem(problem, count, first_at, now_ms))

    async def newest(self, limit: int) -> list[KeptProblem]:
        """With what is not written yet."""
        await self.flush()
        return [_kept(row) for row in await self._engine.read("problem.newest", limit)]

    async def with_reference(self, reference: str) -> list[KeptProblem]:
        """A look at all: they are few."""
        return [one for one in await self.newest(MOST_KEPT) if one.problem.reference == reference]

    async def flush(self) -> None:
        """Write what was gathered now."""
        await self._gathering.flush()


def _kept(row: Row) -> KeptProblem:
    return KeptProblem(
        decode(as_bytes(row[0]), Problem), as_int(row[1]), as_int(row[2]), as_int(row[3])
    )
