"""limits, tokens and circuits, over an engine"""

from __future__ import annotations

import time
from typing import Final

from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Step
from pillarbox.storage.interface.limits import FailureCounted, SharedCircuit
from pillarbox.storage.spending import Standing, standing

_FRESH_SECONDS: Final = 1.0
"""So long a value that only refuses early is believed."""

_CACHED: Final = 20_000
_BLOCKS_A_SECOND: Final = 10


class SqlLimitStore:
    """See `storage.interface.limits.LimitStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        """Nothing is known yet."""
        self._engine = engine
        self._known: dict[bytes, tuple[Standing, float]] = {}

    async def spent(self, limit: bytes, period_ms: int, at: int) -> int:
        """Answered from memory for a second; while it is asked anew others hear what was known."""
        now = time.monotonic()
        stored, asked_at = self._known.get(limit, ((0, 0), float("-inf")))
        if now - asked_at >= _FRESH_SECONDS:
            if len(self._known) >= _CACHED:
                self._known.clear()
            self._known[limit] = stored, now
            for row in await self._engine.read("spending.one", limit):
                stored = as_int(row[1]), as_int(row[2])
            self._known[limit] = stored, now
        return standing(stored, at - at % period_ms, period_ms)[1]

    async def take_tokens(self, name: bytes, per_second: float, wanted: int) -> int:
        """A bucket nobody took from is full."""
        full = max(per_second, 1.0)
        block = min(wanted, max(int(per_second / _BLOCKS_A_SECOND), 1))
        if block < 1 or per_second <= 0:
            return 0
        engine = self._engine
        if not engine.shared:
            filled, _ = await engine.change(
                Step("bucket.fill", (name, per_second, full)), Step("bucket.take", (name, block))
            )
            return min(block, int(filled[0][0] or 0))
        rows = await engine.apart("bucket.take", name, per_second, full, block)
        if not rows:
            await engine.apart("bucket.make", name, full)
            rows = await engine.apart("bucket.take", name, per_second, full, block)
        return as_int(rows[0][0])

    async def circuits(self) -> list[SharedCircuit]:
        """One read of a short table: it has no row for a server that works."""
        return [
            SharedCircuit(
                as_bytes(row[0]), as_int(row[1]), as_int(row[2]), as_int(row[3]), bool(row[4]),
                as_text(row[5]), as_int(row[6]),
            )
            for row in await self._engine.read("circuit.all")
        ]  # fmt: skip

    async def report_failure(
        self, name: bytes, at: int, pause_after: int, pause_ms: int, words: str
    ) -> FailureCounted:
        """One statement, whatever state the circuit is in."""
        ((errors, until, paused),) = await self._engine.apart(
            "circuit.failed", name, at, pause_after, at + pause_ms, _plain(words)
        )
        return FailureCounted(as_int(errors), as_int(until), bool(paused))

    async def report_success(self, name: bytes) -> bool:
        """Its row goes."""
        rows = await self._engine.apart("circuit.works", name)
        return any(as_int(row[0]) for row in rows)

    async def try_trial(self, name: bytes, at: int, lease_ms: int) -> bool:
        """Who finds the row free has it."""
        return bool(await self._engine.apart("circuit.try", name, at, lease_ms))


def _plain(words: str) -> str:
    """What comes from outside, as every engine can hold it in a column of text."""
    return words.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
