"""a connection to a server, with what this service keeps about it"""

from __future__ import annotations

from pillarbox.handover.settle import Recording
from pillarbox.message.render import Hop
from pillarbox.net.smtp_client import Connection
from pillarbox.policy.server import Server
from pillarbox.storage.interface.errors import StorageBroken
from pillarbox.storage.interface.events import EventStore, SessionFacts


class Carrier:
    """Carries one message after the other; lies in the pool between them."""

    __slots__ = ("_session", "connection", "hop", "server", "unrecorded")

    def __init__(self, server: Server, connection: Connection) -> None:
        self.server = server
        self.connection = connection
        offered = connection.session.extensions
        self.hop = Hop(
            eight_bit=offered.has("8BITMIME"),
            smtputf8=offered.has("SMTPUTF8"),
            dsn=offered.has("DSN"),
            requires_tls=offered.has("REQUIRETLS") and connection.proven,
        )
        self.unrecorded: Recording | None = None
        """The settlement of the transaction before, as long as it may not be durable."""
        self._session = 0

    @property
    def usable(self) -> bool:
        """Whether another transaction may begin."""
        return self.connection.usable

    @property
    def transactions(self) -> int:
        """How many were begun on it."""
        return self.connection.transactions

    async def quit(self) -> None:
        """Say goodbye and close; without a word where the last verdict could not be written down."""
        try:
            await self.recorded()
        except StorageBroken:
            self.connection.close()
        else:
            await self.connection.quit()

    def close(self) -> None:
        """Close without a word."""
        self.connection.close()

    async def recorded(self) -> None:
        """Until the verdict of the transaction before is durable: a crash must find at most one
        transaction a connection whose verdict was read and not written down.

        Raises `StorageBroken` where it cannot be written: nothing more may be said here.
        """
        if self.unrecorded is not None:
            await self.unrecorded.wait()
            self.unrecorded = None

    def session(self, events: EventStore, now_ms: int) -> int:
        """Its number in the history, noted at the first attempt."""
        if not self._session:
            facts = self.connection.facts
            self._session = events.open_session(
                now_ms,
                SessionFacts(
                    server=self.server.id,
                    host=facts.host,
                    address=facts.address,
                    port=facts.port,
                    tls=facts.tls,
                    greeting=facts.greeting,
                    hello=facts.extensions,
                    login=facts.mechanism,
                ),
            )
        return self._session
