"""envelopes said before their turn: behind the content of the message before, in the same breath

One round trip for each message instead of two, and one write. It is tried only where the server
pipelines and the next message goes to the same server; a server that loses what follows content
is spoken to one thing at a time from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.net.pool import Pool
from pillarbox.policy.server import Server
from pillarbox.services.delivery.carrier import Carrier
from pillarbox.services.delivery.slots import Slots


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
    """Carriers that wait for the turn of the message whose envelope they have said.

    One message may be on its way in several lanes at once, to different recipients; so what was said
    belongs to an `Outgoing` and not to a message.
    """

    def __init__(self, pool: Pool[Server, Carrier]) -> None:
        self._pool = pool
        self._carriers: dict[Outgoing, Carrier] = {}
        self._slots: dict[Outgoing, Slots] = {}
        self._plodding: set[bytes] = set()

    def allowed(self, server: Server) -> bool:
        """Whether the server is not known to lose what follows content."""
        return server.id not in self._plodding

    def keep(self, outgoing: Outgoing, carrier: Carrier, slots: Slots) -> None:
        """Its envelope has been said on this connection, which keeps its slot until it is its turn."""
        self._carriers[outgoing] = carrier
        self._slots[outgoing] = slots

    def take_slot(self, outgoing: Outgoing, slots: Slots) -> bool:
        """Whether the message's connection has its slot already, which is the caller's from now on."""
        kept = self._slots.get(outgoing) if self._slots else None
        if kept is None:
            return False
        if kept is not slots:  # it goes elsewhere now, and nobody waits with a slot in his hand
            self.forget(outgoing)
            return False
        del self._slots[outgoing]
        return True

    def claim(
        self, outgoing: Outgoing, server: Server, addressees: Sequence[Addressee]
    ) -> Carrier | None:
        """The carrier that waits for a message; closed where it goes to another server now, or to
        fewer recipients than were named: content would reach them all.
        """
        carrier = self._carriers.pop(outgoing, None) if self._carriers else None
        if carrier is None:
            return None
        everybody = len(addressees) == len(outgoing.addressees)
        if carrier.server is server and everybody and carrier.connection.ahead:
            return carrier
        self._pool.discard(carrier)
        return None

    def forget(self, outgoing: Outgoing) -> None:
        """The message's turn is over; if nobody claimed its carrier, that is closed."""
        if self._slots and (slots := self._slots.pop(outgoing, None)) is not None:
            slots.give_back()
        if self._carriers and (carrier := self._carriers.pop(outgoing, None)) is not None:
            self._pool.discard(carrier)

    def lost(self, server: Server) -> None:
        """An envelope said ahead was never answered."""
        self._plodding.add(server.id)
