"""MTA-STS policies and counted sessions, over an engine"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from pillarbox.policy.tls_report import Counted
from pillarbox.storage.codec import decode, encode
from pillarbox.storage.columns import as_bytes, as_int, as_text
from pillarbox.storage.engine import Batch, Engine, Member, Row, Step
from pillarbox.storage.gathering import Gathering
from pillarbox.storage.interface.tls import MOST_GATHERED, KeptPolicy

_Gathered = dict[bytes, tuple[int, Counted]]
"""By digest: the day, and how many sessions went which way on it."""


class SessionsMember(Member):
    """What was gathered."""

    __slots__ = ("_gathered",)

    def __init__(self, gathered: _Gathered) -> None:
        super().__init__()
        self._gathered = gathered

    def write(self, batch: Batch) -> None:
        """In the order of keys, which all nodes share."""
        for key, (day_ms, one) in sorted(self._gathered.items()):
            facts = encode(replace(one, sessions=0))
            batch.add("tls.count", (key, day_ms, one.policy.domain, one.sessions, facts))


class SqlTlsStore:
    """See `storage.interface.tls.TlsStore` for what is promised."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gathering: Gathering[bytes, tuple[int, Counted]] = Gathering(engine, SessionsMember)

    async def policy(self, domain: str, now_ms: int) -> KeptPolicy | None:
        """One row."""
        for row in await self._engine.read("tls.policy", domain, now_ms):
            return decode(as_bytes(row[0]), KeptPolicy)
        return None

    async def keep_policy(self, kept: KeptPolicy) -> None:
        """One row, replaced."""
        row = (kept.domain, kept.expires_at, encode(kept))
        await self._engine.change(Step("tls.keep_policy", row))

    def count(self, day_ms: int, one: Counted) -> None:
        """Added up in memory first."""
        gathered = self._gathering.things
        key = _digest(day_ms, one)
        before = gathered.get(key)
        if before is not None:
            one = replace(one, sessions=before[1].sessions + one.sessions)
        elif len(gathered) >= MOST_GATHERED:
            return
        self._gathering.put(key, (day_ms, one))

    async def counted(self, day_ms: int, domain: str = "") -> list[Counted]:
        """Written first, then read."""
        await self.flush()
        if domain:
            rows = await self._engine.read("tls.of_domain", day_ms, domain)
        else:
            rows = await self._engine.read("tls.of_day", day_ms)
        return sorted((_counted(row) for row in rows), key=_place)

    async def unreported(self, before_ms: int, limit: int) -> list[tuple[int, str]]:
        """Oldest first."""
        rows = await self._engine.read("tls.unreported", before_ms, limit)
        return [(as_int(row[0]), as_text(row[1])) for row in rows]

    async def set_reported(self, day_ms: int, domain: str) -> None:
        """All rows of that day and domain."""
        await self._engine.change(Step("tls.reported", (day_ms, domain)))

    async def trim(self, before_day_ms: int, now_ms: int) -> None:
        """Both tables."""
        await self._engine.change(
            Step("tls.trim_policies", (now_ms,)), Step("tls.trim_sessions", (before_day_ms,))
        )

    async def flush(self) -> None:
        """Write what was gathered now."""
        await self._gathering.flush()


def _digest(day_ms: int, one: Counted) -> bytes:
    told_apart = encode((day_ms, replace(one, sessions=0)))
    return hashlib.blake2b(told_apart, digest_size=16).digest()


def _place(one: Counted) -> tuple[str, str, str, str, str]:
    return one.policy.domain, one.policy.kind, one.host, one.address, one.result


def _counted(row: Row) -> Counted:
    return replace(decode(as_bytes(row[1]), Counted), sessions=as_int(row[0]))
