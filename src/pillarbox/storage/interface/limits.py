"""limits, tokens and circuits that all nodes of a store share

Limits themselves are spent with the message: see `companions.SpendLimit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SharedCircuit:
    """A server that fails, as all nodes see it. Instants are milliseconds."""

    name: bytes
    errors: int
    """Failures in a row."""
    pauses: int
    """Pauses in a row; 0 while it is in use."""
    until: int
    """End of the pause; 0 while it is in use."""
    trying: bool
    """Whether a node is finding out if it works again."""
    words: str
    """What was said of the last failure."""
    changed_at: int
    """When that was reported."""


@dataclass(frozen=True, slots=True)
class FailureCounted:
    """What a failure did to a circuit."""

    errors: int
    """Failures in a row, with this one."""
    until: int
    """End of the pause; 0 while it is in use."""
    paused: bool
    """Whether a pause began with this one."""


@dataclass(frozen=True, slots=True)
class QuotaTaken:
    """What was had of a quota of a day."""

    granted: int
    """Perhaps nothing."""
    used: int
    """Taken in the day that ends now, with what was granted."""
    free_at: int
    """When some of it is free again; 0 while some is left."""


class LimitStore(Protocol):
    """Every method raises `StorageTrouble` where the store does not answer."""

    async def spent(self, limit: bytes, period_ms: int, at: int) -> int:
        """What was spent of a limit in the period that holds `at`, as it was a second ago or less.

        Fit to refuse early, never to permit: that is decided with the message.
        """
        ...

    async def take_tokens(self, name: bytes, per_second: float, wanted: int) -> int:
        """Take up to `wanted` tokens from a bucket; gives how many, perhaps none.

        At most a tenth of a second's worth at once, but never less than one. In any span of time
        all nodes together get at most `per_second` for each second of it, and one second's worth,
        or one token, on top. The time is the database's.
        """
        ...

    async def take_quota(self, name: bytes, most: int, wanted: int, at: int) -> QuotaTaken:
        """Take up to `wanted` of a quota of `most` in any day that ends now.

        Counted by the hour: what was taken is free again after 24 to 25 hours, never sooner. The
        time is the caller's. Nothing is ever granted above `most`, whoever asks for it at once.
        """
        ...

    async def quota_used(self, name: bytes, at: int) -> QuotaTaken:
        """How a quota stands, without taking of it; `free_at` is when the next of it comes back."""
        ...

    async def circuits(self) -> list[SharedCircuit]:
        """Servers that fail, by name. One that is not among them is in use, without errors."""
        ...

    async def report_failure(
        self, name: bytes, at: int, pause_after: int, pause_ms: int, words: str
    ) -> FailureCounted:
        """Count a failure that is the server's fault.

        The `pause_after`-th in a row begins a pause of `pause_ms`, and so does one during a trial.
        During a pause they are only counted.
        """
        ...

    async def report_success(self, name: bytes) -> bool:
        """It works: its failures are forgotten. True where this ends a pause."""
        ...

    async def try_trial(self, name: bytes, at: int, lease_ms: int) -> bool:
        """Whether to try a server whose pause is over at `at`: True for one who asks, on whichever
        node, and for nobody else for `lease_ms` by the clock of the database, or until it is
        reported what came of it.
        """
        ...
