"""senders that servers were heard to refuse, and who stands in for them

What is known is kept in memory for an hour, so that a refusal is not provoked for every message;
after a restart each server is asked once more.
"""

from __future__ import annotations

from typing import Final

from pillarbox.message.default_sender import DefaultSender, authors_of
from pillarbox.observe.log import logger
from pillarbox.policy.outcome import Outcome
from pillarbox.policy.server import SenderRule, Server
from pillarbox.policy.standing_in import (
    default_sender_for,
    has_default_sender,
    refused_addresses,
)
from pillarbox.terms.clock import Clock
from pillarbox.terms.ids import ObjectId

_log = logger("delivery")

_KNOWN_MS: Final = 3_600_000
_MOST_SERVERS: Final = 1000
_MOST_DOMAINS: Final = 1000
_MOST_ADDRESSES: Final = 3
"""So many refused addresses stand for their whole domain: most servers judge by domain."""


class _Domain:
    """What a server is known to refuse of one domain."""

    __slots__ = ("addresses", "until")

    def __init__(self, until: int) -> None:
        self.addresses: set[str] = set()
        self.until = until

    @property
    def whole(self) -> bool:
        return len(self.addresses) >= _MOST_ADDRESSES


class Senders:
    """Chooses the sender of a message at a server, and remembers what servers refuse."""

    def __init__(self, clock: Clock) -> None:
        """Nothing is known yet."""
        self._clock = clock
        self._refused: dict[ObjectId, dict[str, _Domain]] = {}

    def may_replace(self, server: Server) -> bool:
        """Whether the senders of a message have to be looked at for this server at all."""
        if not server.from_address:
            return False
        return (
            server.sender_rule is SenderRule.ALWAYS
            or bool(server.allowed_senders)
            or server.id in self._refused
        )

    def choose(self, server: Server, content: bytes, return_path: str) -> DefaultSender | None:
        """Who stands in for a message's senders at the server; None where they are used."""
        now_ms = self._clock.now_ms()
        known = self._refused.get(server.id, {})

        def refused(address: str) -> bool:
            domain = known.get(_domain_of(address))
            if domain is None or now_ms >= domain.until:
                return False
            return domain.whole or address.lower() in domain.addresses

        return default_sender_for(server, authors_of(content), return_path, refused)

    def instead(
        self, server: Server, outcome: Outcome, content: bytes, return_path: str
    ) -> DefaultSender | None:
        """Who stands in now that the server has refused a sender; None where nobody can."""
        if not has_default_sender(server):
            return None
        for address in refused_addresses(outcome, authors_of(content), return_path):
            self._note(server, address)
        _log.info("sender.refused", server=server.label, words=outcome.words)
        return self.choose(server, content, return_path)

    def unlearn(self, server: Server, outcome: Outcome, content: bytes, return_path: str) -> None:
        """The default sender met the same refusal, so that it says nothing about these."""
        known = self._refused.get(server.id, {})
        for address in refused_addresses(outcome, authors_of(content), return_path):
            domain = known.get(_domain_of(address))
            if domain is not None:
                domain.addresses.discard(address.lower())
                if not domain.addresses:
                    del known[_domain_of(address)]
        if not known:
            self._refused.pop(server.id, None)

    def _note(self, server: Server, address: str) -> None:
        if server.id not in self._refused and len(self._refused) >= _MOST_SERVERS:
            self._refused.clear()
        known = self._refused.setdefault(server.id, {})
        name = _domain_of(address)
        until = self._clock.now_ms() + _KNOWN_MS
        found = known.get(name)
        if found is None or self._clock.now_ms() >= found.until:
            if len(known) >= _MOST_DOMAINS:
                known.clear()
            found = known[name] = _Domain(until)
        if not found.whole:
            found.addresses.add(address.lower())


def _domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()
