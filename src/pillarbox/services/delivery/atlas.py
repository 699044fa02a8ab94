"""where mail for a domain goes: its hosts and their addresses, looked up, checked and put in order"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pillarbox.policy import mx
from pillarbox.policy.lookup import Answer, Status
from pillarbox.policy.networks import is_public, is_within
from pillarbox.policy.outcome import Outcome
from pillarbox.terms.hostname import is_domain
from pillarbox.terms.ids import new_object_id


class Resolves(Protocol):
    """What is asked of a resolver."""

    def known(self, name: str, kind: str) -> Answer | None:
        """What is remembered; None where it would have to be asked."""
        ...

    async def lookup(self, name: str, kind: str, *, anew: bool = False) -> Answer:
        """The records of a type that a name has."""
        ...


@dataclass(frozen=True, slots=True)
class Located:
    """What was found out about a host."""

    host: str
    addresses: tuple[str, ...] = ()
    outcome: Outcome | None = None
    """Why it cannot be tried."""
    missing: bool = False
    """It has no address at all."""
    own: bool = False
    """It is this machine."""


class Atlas:
    """Finds hosts and addresses."""

    def __init__(
        self,
        config: mx.DirectConfig,
        resolver: Resolves,
        *,
        hostname: str,
        is_own_address: Callable[[str], bool],
    ) -> None:
        """`hostname` is this machine's."""
        self._config = config
        self._resolver = resolver
        self._is_own_address = is_own_address
        self._draw = int.from_bytes(new_object_id()[-8:], "big")
        """Nodes differ in which address of a host they begin with, and each keeps to its own."""
        self.own_names = frozenset(name.lower() for name in (hostname, *config.own_names))

    async def exchangers(self, domain: str) -> Answer:
        """The MX records of a domain. That there is no such domain is asked twice."""
        answer = await self._resolver.lookup(domain, "MX")
        if answer.status is Status.NO_NAME:
            answer = await self._resolver.lookup(domain, "MX", anew=True)
        return answer

    async def locate(self, host: str, local_address: str) -> Located:
        """Where a host is, and whether mail may go there."""
        config = self._config
        answers: list[Answer] = []
        if not is_domain(host):  # an address, from a literal
            found = [host]
        else:
            kinds = [
                kind for kind, family in (("A", "ipv4"), ("AAAA", "ipv6"))
                if config.prefer in (f"{family} only", "ipv4", "ipv6")
            ]  # fmt: skip
            known = [self._resolver.known(host, kind) for kind in kinds]
            answers = [answer for answer in known if answer is not None]
            if len(answers) < len(kinds):
                asked = (self._resolver.lookup(host, kind) for kind in kinds)
                answers = list(await asyncio.gather(*asked))
            found = [text for answer in answers for text in answer.texts]
        if not found:
            trouble = next((one for one in answers if one.status is Status.TROUBLE), None)
            if trouble is not None:
                return Located(host, outcome=mx.not_looked_up(host, trouble.words))
            return Located(host, missing=True)
        if any(self._is_own(address) for address in found):
            return Located(host, own=True)
        permitted = mx.permitted(found, config.allowed_networks)
        if not permitted:
            return Located(host, outcome=mx.not_public(host, found))
        addresses = mx.chosen(
            permitted, config.prefer, config.max_addresses, self._draw, local_address
        )
        if not addresses:
            return Located(host, outcome=mx.out_of_family(host, config.prefer))
        return Located(host, addresses)

    def _is_own(self, address: str) -> bool:
        if address in self.own_names:
            return True
        if is_within(self._config.allowed_networks, address):
            return False  # the operator has said that mail goes there
        return is_public(address) and self._is_own_address(address)
