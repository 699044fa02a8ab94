"""tracking at the door: which host and which key links of new mail are tracked with

Learnt before a message is taken, as lanes are; taking it asks nobody.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pillarbox.handover.config import TrackingConfig
from pillarbox.storage.interface.keys import KeyStore
from pillarbox.terms.clock import Clock

_KNOWN_SECONDS: Final = 10.0
"""So long new mail names the key that was current; what is minted with an older one is read as well."""


class Tracked(NamedTuple):
    """What a message has to know to be tracked, today and at the fifth retry."""

    host: str = ""
    https: bool = True
    key: int = 0
    exceptions: tuple[str, ...] = ()


_NOWHERE: Final = Tracked()


class Tracking:
    """Speaks of what was last learnt."""

    def __init__(self, config: TrackingConfig, keys: KeyStore, clock: Clock) -> None:
        """Nothing is known yet."""
        self._config = config
        self._keys = keys
        self._clock = clock
        self._usual = _NOWHERE
        self._until = 0.0

    @property
    def known(self) -> bool:
        """Whether `of` may be asked."""
        return self._clock.monotonic() < self._until

    async def learn(self) -> None:
        """Look which key is current. Raises `StorageTrouble`."""
        config = self._config
        key = await self._keys.current_token_key(self._clock.now_ms())
        self._usual = Tracked(config.host, config.https, key.number, config.exceptions)
        self._until = self._clock.monotonic() + _KNOWN_SECONDS

    def of(self, own_host: str = "") -> Tracked:
        """For a message whose sending domain has a tracking host of its own, or has none."""
        if own_host:
            return self._usual._replace(host=own_host)
        return self._usual if self._usual.host else _NOWHERE
