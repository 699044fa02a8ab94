"""an offer of a message to a server: once, and once more where its sender was refused"""

from __future__ import annotations

from collections.abc import Sequence

from pillarbox.handover.outgoing import Addressee, Outgoing
from pillarbox.policy.server import Server
from pillarbox.policy.standing_in import default_refused, refuses_sender
from pillarbox.services.delivery.ahead import Following
from pillarbox.services.delivery.given import Given
from pillarbox.services.delivery.senders import Senders
from pillarbox.services.delivery.transaction import Transactions
from pillarbox.storage.interface.messages import MessageStore


class Offers:
    """Makes offers. A server without a default sender is offered everything once."""

    def __init__(
        self, transactions: Transactions, senders: Senders, messages: MessageStore
    ) -> None:
        self._transactions = transactions
        self._senders = senders
        self._messages = messages

    async def make(
        self,
        server: Server,
        outgoing: Outgoing,
        addressees: Sequence[Addressee],
        following: Following | None = None,
    ) -> Given:
        """As `Transactions.give`.

        Where everybody was refused because of the sender, the same server is asked again with its
        default sender. A refusal is a complete reply, so nothing can have been delivered before.
        """
        if server.from_address and self._senders.may_replace(server):
            following = None  # who stands in for that one is not known yet
        given = await self._transactions.give(server, outgoing, addressees, following)
        if given.all_taken or not server.from_address or given.gone:
            return given
        refusal = refuses_sender([outcome for _, outcome in given.outcomes])
        if refusal is None:
            return given
        return_path = outgoing.facts.return_path
        try:
            content = outgoing.content or await self._messages.content(outgoing.message)
            sender = self._senders.instead(server, refusal, content, return_path)
        except BaseException:
            self._transactions.put_back(given)
            raise
        if sender is not None and sender != given.sender:
            self._transactions.put_back(given)
            given = await self._transactions.give(server, outgoing, addressees, following, sender)
            if refuses_sender([outcome for _, outcome in given.outcomes]) is None:
                return given
            self._senders.unlearn(server, refusal, content, return_path)
        if given.sender is not None:
            stood_in = given.sender
            given.outcomes = [(one, default_refused(out, stood_in)) for one, out in given.outcomes]
        return given
