"""a server's circuit: errors counted, paused, tried again"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pillarbox.policy.server import Kind, Server
from pillarbox.terms.ids import ObjectId
from pillarbox.terms.setting import InvalidSetting, setting


class Circuit(StrEnum):
    """Whether a server is used."""

    CLOSED = "closed"
    """In use."""
    OPEN = "open"
    """Left alone until the pause is over."""
    TRIAL = "trial"
    """One attempt is finding out whether it works again."""


CIRCUIT_WORDS: Final[dict[Circuit, str]] = {
    Circuit.CLOSED: "In use",
    Circuit.OPEN: "Paused",
    Circuit.TRIAL: "Being tried",
}


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When a failing server is left alone."""

    failures: int = setting(3, "A server is paused after so many failures in a row.")
    pause_seconds: float = setting(30.0, "Length of the first pause, in seconds.")
    factor: float = setting(2.0, "Each further pause is this many times as long as the last one.")
    ceiling_seconds: float = setting(900.0, "No pause is longer, in seconds.")

    def __post_init__(self) -> None:
        if self.failures < 1:
            raise InvalidSetting("failures must be at least 1")
        if not 0 < self.pause_seconds <= self.ceiling_seconds:
            raise InvalidSetting("pause_seconds must be above 0 and at most ceiling_seconds")
        if self.factor < 1:
            raise InvalidSetting("factor must be at least 1, or pauses would grow shorter")


class Breaker:
    """One server's circuit. Counts only failures that are the server's fault.

    A plain object with one owner; instants are wall-clock milliseconds, and a clock that steps back
    lengthens no pause beyond its own length.
    """

    __slots__ = ("_config", "_pause_ms", "circuit", "errors", "until_at", "worked")

    def __init__(self, config: BreakerConfig | None = None) -> None:
        """Closed, no errors; with the defaults where no config is given."""
        self._config = config or BreakerConfig()
        self._pause_ms = 0
        self.circuit = Circuit.CLOSED
        self.errors = 0
        """Failures in a row."""
        self.until_at = 0
        """End of the pause, or of the patience with a trial; 0 while closed."""
        self.worked = False
        """Whether it has taken something since it was last paused."""

    @property
    def pause_ms(self) -> int:
        """Length of the pause it is in, or was in last; 0 while closed."""
        return self._pause_ms

    @property
    def pauses_after(self) -> int:
        """So many failures in a row begin a pause."""
        return self._config.failures

    def may_use(self, now_ms: int) -> bool:
        """Whether an attempt may begin now. After a pause the first who asks makes the trial."""
        if self.circuit is Circuit.CLOSED:
            return True
        if self.paused(now_ms):
            return False
        # A trial nobody reported on, its worker having died, must not block the server for good.
        self.circuit = Circuit.TRIAL
        self.until_at = now_ms + self._pause_ms
        return True

    def paused(self, now_ms: int) -> bool:
        """Whether it would be refused now; looks only."""
        if self.circuit is Circuit.CLOSED:
            return False
        self.until_at = min(self.until_at, now_ms + self._pause_ms)
        return now_ms < self.until_at

    def failed(self, now_ms: int, *, at_once: bool = False) -> bool:
        """Note a failure that is the server's fault; True where this begins a pause.

        `at_once` does not wait for more of them: a refused login does not mend itself.
        """
        self.errors += 1
        if self.circuit is Circuit.OPEN:
            return False
        tried_again = self.circuit is Circuit.TRIAL
        if not tried_again and not at_once and self.errors < self._config.failures:
            return False
        first_ms = round(self._config.pause_seconds * 1000)
        longest_ms = round(self._config.ceiling_seconds * 1000)
        grown_ms = round(self._pause_ms * self._config.factor)
        self._pause_ms = min(longest_ms, grown_ms) if tried_again else first_ms
        self.circuit = Circuit.OPEN
        self.until_at = now_ms + self._pause_ms
        self.worked = False
        return True

    def adopt(self, errors: int, pauses: int, until_at: int, now_ms: int) -> bool:
        """Do as other nodes do, on which the server failed so often, and was paused until then;
        True where this begins a pause here.
        """
        self.errors = max(self.errors, errors)
        if not until_at:
            return False
        # The pause it is in, or that led to the trial that is being made.
        known_until = self.until_at if self.circuit is Circuit.OPEN else now_ms
        if self.circuit is not Circuit.CLOSED and until_at <= known_until:
            return False
        began = self.circuit is Circuit.CLOSED
        longest_ms = round(self._config.ceiling_seconds * 1000)
        length_ms = self._config.pause_seconds * 1000.0
        for _ in range(1, pauses):
            length_ms = min(length_ms * self._config.factor, float(longest_ms))
        self._pause_ms = max(round(length_ms), 1)
        self.circuit = Circuit.OPEN
        self.until_at = min(until_at, now_ms + longest_ms)
        self.worked = False
        return began

    def put_off(self, until_at: int) -> None:
        """It was to be tried, and somebody else does that: wait for him until then."""
        self.circuit = Circuit.OPEN
        self.until_at = until_at

    def succeeded(self) -> bool:
        """Note that it took mail or answered as it should; True where this ends a pause."""
        recovered = self.circuit is not Circuit.CLOSED
        self.circuit = Circuit.CLOSED
        self.errors = 0
        self.until_at = 0
        self._pause_ms = 0
        self.worked = True
        return recovered


def circuit_key(server: Server) -> tuple[ObjectId, str, int, str]:
    """What servers have in common that share one circuit: account, host, port and user name. A
    direct way shares with none, whatever hosts it leads to.
    """
    if server.kind is Kind.DIRECT:
        return server.id, "", 0, ""
    return server.account, server.host.lower(), server.port, server.username


def shared_name(server: Server) -> bytes:
    """Under which all nodes keep that circuit, and what belongs to it: as long for every server."""
    if server.kind is Kind.DIRECT:
        return server.id
    account, host, port, username = circuit_key(server)
    identity = f"{host}\0{port}\0{username}".encode("utf-8", "replace")
    return hashlib.sha256(account + b"\0" + identity).digest()[:16]
