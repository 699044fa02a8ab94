"""when to try again, when to give up

Both age and number of attempts must be used up before mail is given up: after a pause of the whole
machine, or a clock that jumped, old age alone says nothing about the next hop.
"""

from __future__ import annotations

from dataclasses import dataclass

from pillarbox.policy.draw import fraction
from pillarbox.terms.setting import InvalidSetting, setting


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How patient delivery is."""

    first_seconds: float = setting(60.0, "Wait before the second attempt, in seconds.")
    factor: float = setting(2.0, "Each further wait is this many times as long as the one before.")
    ceiling_seconds: float = setting(3600.0, "No wait between attempts is longer, in seconds.")
    jitter: float = setting(
        0.2, "Share by which a wait is made longer or shorter, so that mail does not come in waves."
    )
    min_attempts: int = setting(
        3, "So many attempts are made before a message is given up, however old it is."
    )

    def __post_init__(self) -> None:
        if not 0 < self.first_seconds <= self.ceiling_seconds:
            raise InvalidSetting("first_seconds must be above 0 and at most ceiling_seconds")
        if self.factor < 1:
            raise InvalidSetting("factor must be at least 1, or waits would grow shorter")
        if not 0 <= self.jitter < 1:
            raise InvalidSetting("jitter is a share of the wait: from 0 up to, not including, 1")
        if self.min_attempts < 1:
            raise InvalidSetting("min_attempts must be at least 1")


class RetryPolicy:
    """Decides when the next attempt is due and when there is none."""

    def __init__(self, config: RetryConfig | None = None) -> None:
        """With the defaults where no config is given."""
        self._config = config or RetryConfig()

    def wait_ms(self, attempts: int, seed: int) -> int:
        """Milliseconds to wait after `attempts` attempts; the same for the same arguments."""
        config = self._config
        seconds = config.first_seconds
        for _ in range(1, attempts):
            grown = min(seconds * config.factor, config.ceiling_seconds)
            if grown == seconds:
                break
            seconds = grown
        share = 1 + config.jitter * (2 * fraction(seed, attempts) - 1)
        return max(1, round(seconds * share * 1000))

    def next_due(self, attempts: int, now_ms: int, seed: int) -> int:
        """The instant of the next attempt, `attempts` having been made."""
        return now_ms + self.wait_ms(attempts, seed)

    def gives_up(self, attempts: int, now_ms: int, expires_at: int) -> bool:
        """Whether a delivery that was put off `attempts` times is to be ended as expired."""
        return attempts >= self._config.min_attempts and now_ms >= expires_at
