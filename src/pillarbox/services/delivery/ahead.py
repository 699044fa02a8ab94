"""envelopes said before their turn: behind the content of the message before, in the same breath

One round trip for each message instead of two, and one write. It is tried only where the server
pipelines and the next message goes to the same server; a server that loses what follows content
is spoken to one thing at a time from then on.
"""

from __future__ import annotations

from collections.abc import Callable

from pillarbox.handover.outgoing import Outgoing
from pillarbox.net.pool import Pool
from pillarbox.net.smtp_client import Connection
from pillarbox.policy.directory import Server
from pillarbox.terms.ids import MessageId


class Following:
    """The message that will be attempted next by the same hands, if anybody asks for it."""

    __slots__ = ("_take", "outgoing")

    def __init__(self, take: Callable[[], Outgoing | None]) -> None:
        """`take` gets it out of its lane."""
        self._take = take
        self.outgoing: Outgoing | None = None
        """Taken, and so to be attempted next, whether its envelope was said or not."""

    def take(self) -> Outgoing | None:
        """The next message; the same one, however often it is asked for."""
        if self.outgoing is None:
            self.outgoing = self._take()
        return self.outgoing


class Ahead:
    """Connections that wait for the turn of the message whose envelope they have said."""

    def __init__(self, pool: Pool[Server, Connection]) -> None:
        self._pool = pool
        self._connections: dict[MessageId, tuple[Server, Connection]] = {}
        self._plodding: set[Server] = set()

    def allowed(self, server: Server) -> bool:
        """Whether the server is known to keep what follows content."""
        return server not in self._plodding

    def keep(self, outgoing: Outgoing, server: Server, connection: Connection) -> None:
        """Its envelope has been said on this connection."""
        self._connections[outgoing.message] = (server, connection)

    def claim(self, outgoing: Outgoing, server: Server) -> Connection | None:
        """The connection that waits for a message; closed where it goes to another server now."""
        found = self._connections.pop(outgoing.message, None)
        if found is None:
            return None
        said_to, connection = found
        if said_to == server and connection.ahead:
            return connection
        self._pool.discard(connection)
        return None

    def forget(self, outgoing: Outgoing) -> None:
        """The message's turn is over; if nobody claimed its connection, that is closed."""
        found = self._connections.pop(outgoing.message, None)
        if found is not None:
            self._pool.discard(found[1])

    def lost(self, server: Server) -> None:
        """An envelope said ahead was never answered."""
        self._plodding.add(server)
