"""limits, tokens and circuits, over an engine"""

from __future__ import annotations

import time
from typing import Final

from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Engine, Step
from pillarbox.storage.interface.limits import FailureCounted, QuotaTaken, SharedCircuit
from pillarbox.storage.spending import Standing, standing

_FRESH_SECONDS: Final = 1.0
"""So long a value that only refuses early is believed."""

_CACHED: Final = 20_000
_BLOCKS_A_SECOND: Final = 10
_HOUR_MS: Final = 3_600_000
_PARTS: Final = 25
"""Hours that a day touches; each has a row, and its turn again when the day is over."""


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

    async def take_quota(self, name: bytes, most: int, wanted: int, at: int) -> QuotaTaken:
        """The hour that has begun is the only row that changes."""
        first, end = _parts_of(name)
        hour, over = at - at % _HOUR_MS, _over_before(at)
        part = first + b"%02d" % (hour // _HOUR_MS % _PARTS)
        engine = self._engine
        if engine.shared:
            asked = (part, hour, first, end, over, most, wanted)
            rows = await engine.apart("quota.take", *asked)
            if not rows:
                await engine.apart("quota.make", part)
                rows = await engine.apart("quota.take", *asked)
            granted, used = as_int(rows[0][0]), as_int(rows[0][1])
        else:
            begun, taken = await engine.change(
                Step("quota.begin", (part, hour)),
                Step("quota.take", (part, first, end, over, most, wanted)),
            )
            granted = as_int(taken[0][0]) - as_int(begun[0][0])
            used = (await self.quota_used(name, at)).used
        free_at = (await self.quota_used(name, at)).free_at if used >= most else 0
        return QuotaTaken(granted, used, free_at)

    async def quota_used(self, name: bytes, at: int) -> QuotaTaken:
        """One read of 25 rows at most."""
        over = _over_before(at)
        rows = await self._engine.read("quota.parts", *_parts_of(name))
        parts = [(as_int(row[0]), as_int(row[1])) for row in rows]
        counted = [(since, spent) for since, spent in parts if since > over and spent]
        oldest = min((since for since, _ in counted), default=None)
        free_at = 0 if oldest is None else oldest + _PARTS * _HOUR_MS
        return QuotaTaken(0, sum(spent for _, spent in counted), free_at)

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


def _parts_of(name: bytes) -> tuple[bytes, bytes]:
    """Where the names of a quota's hours begin, and where they end."""
    return b"day:" + name + b":", b"day:" + name + b";"


def _over_before(at: int) -> int:
    """What began then or earlier is more than a day old, to its last minute."""
    return at - at % _HOUR_MS - _PARTS * _HOUR_MS


def _plain(words: str) -> str:
    """What comes from outside, as every engine can hold it in a column of text."""
    return words.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
