"""a server enabled or disabled for a reason, with the events that say so, in one commit"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from pillarbox.policy.server import Server
from pillarbox.storage.codec import encode
from pillarbox.storage.engine import Batch, Member, Row, Step
from pillarbox.storage.interface.errors import NotFound


class JudgementMember(Member):
    """A server's facts, whether its errors are forgotten, and what is told of it."""

    __slots__ = ("_at", "_events", "_facts", "_server")

    def __init__(
        self, server: Server, facts: bytes, at: int, events: Sequence[tuple[str, Struct]]
    ) -> None:
        """`facts` is the server as it is stored; `events` are kinds with their data."""
        super().__init__()
        self._server = server
        self._facts = facts
        self._at = at
        self._events = [(kind, encode(data)) for kind, data in events]

    def steps(self) -> list[Step]:
        """An update, never an insert: one that was removed meanwhile stays away."""
        return [
            Step("server.judge", (self._server.id, self._facts)),
            Step("directory.moved"),
        ]

    def resolve(self, results: list[list[Row]]) -> None:
        """Raises `NotFound` where it is gone."""
        if not results[0]:
            raise NotFound("The server is not there any more.")

    def write(self, batch: Batch) -> None:
        """The error count and the events."""
        if not self._server.errors:
            batch.add("server.fine", (self._server.id,))
        for kind, data in self._events:
            batch.event(self._at, self._server.app, kind, 0, 0, data)
