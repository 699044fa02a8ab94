"""outgoing connections as the history keeps them: once each, however many attempts they carry"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from pillarbox.net.smtp_client import Connection
from pillarbox.policy.directory import Server
from pillarbox.storage.interface.events import EventStore, SessionFacts
from pillarbox.terms.clock import Clock


class Sessions:
    """Numbers for connections; attempts point to them."""

    def __init__(self, events: EventStore, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self._numbers: WeakKeyDictionary[Connection, int] = WeakKeyDictionary()

    def number(self, connection: Connection, server: Server) -> int:
        """The connection's number, noted at its first attempt."""
        number = self._numbers.get(connection)
        if number is None:
            facts = connection.facts
            number = self._events.open_session(
                self._clock.now_ms(),
                SessionFacts(
                    server=server.id,
                    host=facts.host,
                    address=facts.address,
                    port=facts.port,
                    tls=facts.tls,
                    greeting=facts.greeting,
                    hello=facts.extensions,
                    login=facts.mechanism,
                ),
            )
            self._numbers[connection] = number
        return number
