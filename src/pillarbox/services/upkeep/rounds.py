"""what the clock asks for: a look at the store, retention, what has waited too long"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from pillarbox.handover.duty import go_rounds
from pillarbox.handover.gate import Gate
from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.handover.settle import Settler
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.delivery import State
from pillarbox.policy.events import AttemptFacts
from pillarbox.policy.outcome import Blame, Outcome
from pillarbox.storage.interface.queue import Waiting
from pillarbox.storage.interface.store import Health, Storage
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import message_of, message_time_ms
from pillarbox.terms.setting import InvalidSetting, setting

_log = logger("upkeep")

_DAY_MS: Final = 86_400_000
_SLICE: Final = 200
_RETENTION_SECONDS: Final = 60.0
_HEALTH_SECONDS: Final = 5.0
_COUNT_SECONDS: Final = 15.0
_COUNT_AGAIN_AFTER: Final = 100
"""Times what counting takes, which reads the whole queue."""
_EXPIRED: Final = Outcome(
    State.EXPIRED, "expired", None, "waited longer than its sender wanted", Blame.NOBODY
)


@dataclass(frozen=True, slots=True)
class UpkeepConfig:
    """How long what was accepted is kept."""

    content_days: int = setting(
        30, "Days for which the content of settled messages is kept; 0 keeps it for ever."
    )
    history_days: int = setting(
        180, "Days for which messages, deliveries and events are kept; 0 keeps them for ever."
    )
    disk_floor_mb: int = setting(
        500, "Mail is refused for the time being while less than this is free on the disk."
    )

    def __post_init__(self) -> None:
        if min(self.content_days, self.history_days, self.disk_floor_mb) < 0:
            raise InvalidSetting("retention is counted in days from 0, and space from 0")


class Rounds:
    """Goes round by the clock until it is stopped."""

    def __init__(
        self,
        storage: Storage,
        gate: Gate,
        settler: Settler,
        clock: Clock,
        metrics: Metrics,
        config: UpkeepConfig,
        *,
        on_duty: bool = True,
        look_seconds: float = 2.0,
    ) -> None:
        """A node that is not `on_duty` looks at the store for its own sake, and leaves the rest to
        the others.
        """
        self._storage = storage
        self._gate = gate
        self._settler = settler
        self._clock = clock
        self._metrics = metrics
        self._config = config
        self._on_duty = on_duty
        self._look_seconds = look_seconds
        self._stop = asyncio.Event()
        self._retained_at = self._counted_at = float("-inf")
        self._count_took = 0.0

    def stop(self) -> None:
        """After the round that is being made."""
        self._stop.set()

    async def run(self) -> None:
        """Round after round, until `stop`."""
        await go_rounds(self.go_round, self._stop, "upkeep", self._look_seconds)

    async def go_round(self) -> None:
        """One round; retention and counting come up once in a while."""
        was = self._gate.trouble
        self._gate.look(await self._health())
        if (now := self._gate.trouble) is not None and was is None:
            _log.error("gate.closed", reason=str(now))
        elif now is None and was is not None:
            _log.info("gate.opened")
        if not (self._on_duty and await self._storage.nodes.has_duty("upkeep")):
            return
        await self.expire()
        at = self._clock.monotonic()
        if at - self._counted_at >= max(_COUNT_SECONDS, self._count_took * _COUNT_AGAIN_AFTER):
            self._counted_at = at
            await self.count()
            self._count_took = self._clock.monotonic() - at
        if at - self._retained_at >= _RETENTION_SECONDS:
            self._retained_at = at
            await self.retain()

    async def _health(self) -> Health:
        """A store that does not answer takes no mail either."""
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                return await self._storage.health()
        except TimeoutError:
            words = f"The store did not answer within {_HEALTH_SECONDS:g} seconds."
            return Health(False, None, 0, "", words)

    async def count(self) -> None:
        """What waits, for the metrics."""
        depths = await self._storage.queue.depths()
        waiting = self._metrics.queue_messages
        waiting["waiting"] = sum(depth.waiting - depth.held - depth.active for depth in depths)
        waiting["held"] = sum(depth.held for depth in depths)
        waiting["active"] = sum(depth.active for depth in depths)
        oldest = min((depth.oldest for depth in depths if depth.oldest), default=None)
        since = message_time_ms(message_of(oldest)) if oldest else self._clock.now_ms()
        age_ms = max(self._clock.now_ms() - since, 0)
        self._metrics.queue_oldest_age[""] = age_ms / 1000

    async def expire(self) -> None:
        """Held mail nobody released in its time; what waits otherwise expires when it is tried."""
        now_ms = self._clock.now_ms()
        rows = await self._storage.queue.expired(now_ms, _SLICE)
        for row in rows:
            stored = await self._storage.messages.get(message_of(row.delivery))
            outgoing = Outgoing(
                stored.id, stored.app, row.lane, stored.size, None, stored.facts,
                [_addressee(row)], stored.expires_at, None, mirrored=False,
            )  # fmt: skip
            facts = AttemptFacts(number=row.attempts, category="expired", words=_EXPIRED.words)
            addressee = outgoing.addressees[0]
            await self._settler.settle(
                outgoing, [(addressee, _EXPIRED, facts)], now_ms, _nothing_follows
            ).wait()

    async def retain(self) -> None:
        """Content first, then history; in slices, so that mail never waits for it."""
        now_ms, config = self._clock.now_ms(), self._config
        retention = self._storage.retention
        await retention.prepare(now_ms)
        await self._storage.users.drop_tokens(now_ms)
        if config.content_days:
            at = now_ms - config.content_days * _DAY_MS
            while await retention.drop_content(at, _SLICE) and not self._stop.is_set():
                await asyncio.sleep(0)
        if config.history_days:
            at = now_ms - config.history_days * _DAY_MS
            while await retention.drop_history(at, _SLICE) and not self._stop.is_set():
                await asyncio.sleep(0)


def _addressee(row: Waiting) -> Addressee:
    return Addressee(row.delivery, row.recipient, row.attempts, row.last_event)


def _nothing_follows() -> None:
    """The round waits itself."""
