"""a node's presence among others: its signs of life, and what it does when they ask it to drain

Its sign of life is what lets it send; see `storage.tenure`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pillarbox.handover.gate import Gate
from pillarbox.observe.log import logger
from pillarbox.observe.metrics import Metrics
from pillarbox.storage.interface.errors import StorageTrouble
from pillarbox.storage.interface.nodes import BEAT_SECONDS, NodeLoad
from pillarbox.storage.interface.store import Storage
from pillarbox.terms.clock import Clock

_log = logger("upkeep")

_AGAIN_SECONDS: Final = 0.5
_DRAINING_SECONDS: Final = 1.0
"""Whoever drains a node waits for it to say that it has finished."""


class Presence:
    """Beats until it is stopped."""

    def __init__(
        self,
        storage: Storage,
        gate: Gate,
        clock: Clock,
        load: Callable[[], NodeLoad],
        drain: Callable[[bool], None],
        metrics: Metrics,
    ) -> None:
        """`load` says what this node is doing; `drain` hears whether it shall finish and rest."""
        self._storage = storage
        self._gate = gate
        self._clock = clock
        self._load = load
        self._drain = drain
        self._metrics = metrics
        self._draining = False
        self._stopping = False
        self._wanted = asyncio.Event()
        storage.nodes.listen("nodes", self._wanted.set)

    def stop(self) -> None:
        """No sign of life is given any more."""
        self._stopping = True
        self._wanted.set()

    async def run(self) -> None:
        """Sign after sign, behind a first `beat`, until `stop`."""
        pause = BEAT_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            if self._stopping:
                return
            self._wanted.clear()  # before the beat: what is asked for meanwhile is done at once
            try:
                await self.beat()
                pause = _DRAINING_SECONDS if self._draining else BEAT_SECONDS
            except StorageTrouble as trouble:
                _log.warning("beat.missed", reason=str(trouble))
                pause = _AGAIN_SECONDS
            except Exception:
                _log.exception("presence.broke")
                pause = _AGAIN_SECONDS

    async def beat(self) -> None:
        """One sign of life, and a look at those who gave none."""
        nodes = self._storage.nodes
        heard = await nodes.beat(self._load())
        if heard.draining != self._draining:
            self._draining = heard.draining
            self._gate.drain(heard.draining)
            self._drain(heard.draining)
            _log.info("node.draining" if heard.draining else "node.resumed")
            await nodes.beat(self._load())  # the others see at once that it was heard
        for name, found in await nodes.take_over(self._clock.now_ms()):
            self._metrics.node_takeovers[""] += 1
            _log.warning(
                "node.taken_over", node=name, released=found.released, uncertain=found.uncertain,
                held=found.held,
            )  # fmt: skip
