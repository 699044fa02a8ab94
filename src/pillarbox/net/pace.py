"""the pace of a client: when it was last heard, when it last got on, and when it is too slow

Commands only note the time; one timer a connection looks at it seldom. What is compared are sums, for
differences are rounded, and a look that comes exactly on time would find nothing to do.
"""

from __future__ import annotations

from pillarbox.net.port_terms import Patience


class Pace:
    """One client's, in seconds of the loop's clock."""

    __slots__ = ("_patience", "bytes", "got_on_at", "heard_at", "started_at")

    def __init__(self, patience: Patience, now: float) -> None:
        """It has just come."""
        self._patience = patience
        self.started_at = self.heard_at = self.got_on_at = now
        self.bytes = 0
        """Received since it last got on."""

    def heard(self, now: float, size_bytes: int) -> None:
        """Something came."""
        self.heard_at = now
        self.bytes += size_bytes

    def got_on(self) -> None:
        """What came last led to something."""
        self.got_on_at = self.heard_at
        self.bytes = 0

    def begins_again(self, now: float) -> None:
        """It could not go on before: its time begins now."""
        self.heard_at = self.got_on_at = now

    def next_look(self, now: float, unread_since: float | None) -> float:
        """In how many seconds something may be overdue."""
        patience = self._patience
        times = (
            self.got_on_at + patience.idle_seconds,
            self.heard_at + patience.idle_seconds,
            (unread_since or now) + patience.idle_seconds,
            self.started_at + patience.session_seconds,
            now + patience.slow_after_seconds,
        )
        return min(at for at in times if at > now) - now

    def overdue(self, now: float, *, in_transaction: bool, in_content: bool) -> str:
        """Why it is sent away; empty where it is not."""
        patience = self._patience
        grace = patience.idle_seconds if in_transaction else 0
        if now >= self.started_at + patience.session_seconds + grace:
            return "the session took too long"
        if not in_content:
            # Not since the last byte: a command that trickles in must not last for ever.
            return "idle" if now >= self.got_on_at + patience.idle_seconds else ""
        if now >= self.heard_at + patience.idle_seconds:
            return "idle in content"
        slow = self.bytes < (now - self.got_on_at) * patience.bytes_per_second
        late = now >= self.got_on_at + patience.slow_after_seconds
        return "content came too slowly" if slow and late else ""
