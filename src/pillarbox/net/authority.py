"""name servers asked one by one: what each of those that answer for a zone says now

A resolver gives one answer and may have remembered it. Whoever has just changed a record wants to
know which of the servers have it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pillarbox.net.dns_exchange import MAX_DATAGRAM_OCTETS, NoAnswer, exchange
from pillarbox.net.resolver import Resolver
from pillarbox.policy.dns_hosts import Zone
from pillarbox.policy.domain_findings import Seen
from pillarbox.policy.lookup import Status
from pillarbox.policy.networks import is_public

if TYPE_CHECKING:
    from dns.message import Message

_PORT: Final = 53
_MOST_SERVERS: Final = 8
_MOST_ADDRESSES: Final = 2
"""Of one server that are tried until one answers."""
_MOST_RECORDS: Final = 20
_MOST_CHARACTERS: Final = 4096


class Authorities:
    """Asks every name server of a zone. Answers, and never raises for what the DNS does.

    Who names the servers of a domain decides where questions go, so only public addresses are
    asked, unless `permits` says otherwise.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        seconds: float = 3.0,
        port: int = _PORT,
        permits: Callable[[str], bool] = is_public,
    ) -> None:
        """`seconds` is the time one server has for one answer."""
        self._resolver = resolver
        self._seconds = seconds
        self._port = port
        self._permits = permits

    async def ask(self, name: str, kind: str) -> tuple[Seen, ...]:
        """What each server says of the records of a type; none where no server is known."""
        zone = await self.zone(name)
        servers = zone.servers if zone is not None else ()
        return tuple(await asyncio.gather(*(self._of(host, name, kind) for host in servers)))

    async def zone(self, name: str) -> Zone | None:
        """The nearest zone that holds a name; None where that cannot be told."""
        at = name
        while "." in at:
            answer = await self._resolver.lookup(at, "NS")
            if answer.status is Status.TROUBLE:
                return None
            if answer.status is Status.FOUND and answer.name == at:
                servers = sorted({text.lower().rstrip(".") for text in answer.texts})
                return Zone(at, tuple(servers[:_MOST_SERVERS]))
            at = at.partition(".")[2]
        return None

    async def _of(self, host: str, name: str, kind: str) -> Seen:
        addresses = [
            address
            for family in ("A", "AAAA")
            for address in (await self._resolver.lookup(host, family)).texts
        ]
        permitted = [address for address in addresses if self._permits(address)]
        trouble = "has no public address" if addresses else "has no address"
        for address in permitted[:_MOST_ADDRESSES]:
            try:
                return _seen(host, await self._reply(address, name, kind), name, kind)
            except NoAnswer as none:
                trouble = str(none)
        return Seen(host, trouble=trouble)

    async def _reply(self, address: str, name: str, kind: str) -> Message:
        import dns.exception
        import dns.flags
        import dns.message
        import dns.rcode

        try:
            question = dns.message.make_query(
                f"{name}.", kind, use_edns=0, payload=MAX_DATAGRAM_OCTETS
            )
        except (dns.exception.DNSException, UnicodeError) as error:
            raise NoAnswer(f"cannot be asked for that name: {error}") from None
        question.flags &= ~dns.flags.RD
        reply = await exchange(question, address, self._port, self._seconds)
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise NoAnswer(f"answered {dns.rcode.to_text(reply.rcode())}")
        if not reply.answer and not reply.flags & dns.flags.AA and not _says_none(reply):
            raise NoAnswer("does not answer for the zone")
        return reply


def _says_none(reply: Message) -> bool:
    import dns.rdatatype

    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in reply.authority)


def _seen(host: str, reply: Message, name: str, kind: str) -> Seen:
    """The records that bear the name itself, and behind its alias where the server knows them."""
    import dns.rdatatype
    import dns.rdtypes.ANY.TXT

    found: list[str] = []
    alias = ""
    seconds = 0
    wanted = dns.rdatatype.from_text(kind)
    for rrset in reply.answer:
        own = rrset.name.to_text(omit_final_dot=True).lower() == name
        seconds = max(seconds, rrset.ttl)
        if rrset.rdtype == dns.rdatatype.CNAME and own and kind != "CNAME":
            alias = next(iter(rrset)).to_text().rstrip(".").lower()
        elif rrset.rdtype == wanted:
            for data in list(rrset)[:_MOST_RECORDS]:
                if isinstance(data, dns.rdtypes.ANY.TXT.TXT):
                    text = b"".join(data.strings).decode("latin-1")
                else:
                    text = data.to_text().rstrip(".").lower()
                found.append(text[:_MOST_CHARACTERS])
    return Seen(host, tuple(sorted(found)), alias, seconds)  # they come in any order
