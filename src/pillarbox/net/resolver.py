"""names looked up: several servers in turn, answers remembered, each question asked once at a time

Nothing here decides what an answer means for mail; see `policy.lookup` for what it may be.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, TypeAlias

from pillarbox.net.dns_exchange import MAX_DATAGRAM_OCTETS, NoAnswer, exchange
from pillarbox.net.dns_servers import DnsConfig, DnsServer, DnsServers
from pillarbox.observe.log import logger
from pillarbox.policy.lookup import Answer, Mx, Record, Status, Tlsa
from pillarbox.terms.clock import Clock

if TYPE_CHECKING:
    from dns.message import Message
    from dns.rrset import RRset

__all__ = ["DnsConfig", "Resolver"]

_log = logger("dns")

_MOST_LINKS: Final = 8
"""CNAME records that are followed for one name."""
_MOST_RECORDS: Final = 200
_MOST_QUESTIONS: Final = 256
"""Questions on their way at once; more wait for their turn."""
_LEAST_SECONDS: Final = 5.0
"""What an answer is remembered for even where it says less: a burst of mail asks once."""
_MOST_SECONDS: Final = 3600.0
_NEGATIVE_SECONDS: Final = 300.0
"""The longest for which "there is none" is remembered; RFC 2308 §5 allows hours, mail does not."""
_TROUBLE_SECONDS: Final = 2.0

_Key: TypeAlias = tuple[str, str]


class Resolver:
    """Looks names up. Answers, and never raises for what the DNS does."""

    def __init__(self, config: DnsConfig, clock: Clock, servers: DnsServers | None = None) -> None:
        """`servers` are those of `config` unless given."""
        self._config = config
        self._clock = clock
        self._servers = servers or DnsServers(config.servers)
        self._known: OrderedDict[_Key, tuple[Answer, float]] = OrderedDict()
        """Answers, and until when they hold."""
        self._asking: dict[_Key, asyncio.Task[Answer]] = {}
        self._turns = asyncio.Semaphore(_MOST_QUESTIONS)

    def known(self, name: str, kind: str) -> Answer | None:
        """What is remembered; None where it would have to be asked."""
        key = (name.rstrip(".").lower(), kind)
        found = self._known.get(key)
        if found is None:
            return None
        answer, until = found
        if self._clock.monotonic() >= until:
            del self._known[key]
            return None
        self._known.move_to_end(key)
        return answer

    async def lookup(self, name: str, kind: str, *, anew: bool = False) -> Answer:
        """The records of the type `kind` (``MX``, ``A``, ``TLSA``, ...) that `name` has.

        `name` is in A-labels and complete, with or without its last dot. `anew` asks again
        whatever is remembered, and a server other than the first where there is one.
        """
        name = name.rstrip(".").lower()
        if not anew:
            known = self.known(name, kind)
            if known is not None:
                return known
        key = (name, f"{kind} anew" if anew else kind)
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._find(name, kind, anew=anew))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        # Others wait for the same answer: who gives up must not end it for them.
        return await asyncio.shield(asking)

    async def close(self) -> None:
        """End the questions that are on their way."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    async def _find(self, name: str, kind: str, *, anew: bool) -> Answer:
        async with self._turns:
            answer, seconds = await self._ask(name, kind, anew=anew)
        key = (name, kind)
        self._known[key] = (answer, self._clock.monotonic() + seconds)
        self._known.move_to_end(key)
        while len(self._known) > self._config.cache_entries:
            self._known.popitem(last=False)
        return answer

    async def _ask(self, name: str, kind: str, *, anew: bool) -> tuple[Answer, float]:
        """The answer, and for how many seconds it holds."""
        import dns.exception

        if not _can_be_asked(name):
            return Answer(Status.NO_NAME, words=f"{name[:80]!r} cannot be a name"), _MOST_SECONDS
        secure = True
        seconds = _MOST_SECONDS
        at = name
        for _ in range(_MOST_LINKS):
            try:
                reply, server = await self._answered(at, kind, anew=anew)
                answer, holds = _meaning(reply, at)
            except NoAnswer as none:
                _log.info("lookup.failed", name=at, type=kind, reason=str(none))
                return Answer(Status.TROUBLE, words=str(none)), _TROUBLE_SECONDS
            except (dns.exception.DNSException, ValueError) as error:
                words = f"the answer cannot be read: {error}"
                return Answer(Status.TROUBLE, words=words), _TROUBLE_SECONDS
            secure = secure and self._validated(reply, server)
            seconds = min(seconds, holds)
            if answer.status is not Status.NO_DATA or answer.name == at:
                return _with_trust(answer, secure), max(seconds, _LEAST_SECONDS)
            at = answer.name  # an alias whose target the server left to us
        words = f"more than {_MOST_LINKS} aliases (CNAME) follow one another"
        return Answer(Status.TROUBLE, words=words), _TROUBLE_SECONDS

    async def _answered(self, name: str, kind: str, *, anew: bool) -> tuple[Message, DnsServer]:
        """The first usable reply, and whose it is. Raises `NoAnswer`."""
        reasons: dict[str, None] = {}
        for _ in range(self._config.rounds):
            servers = self._servers.in_order(self._clock.monotonic())
            if anew:
                servers = servers[1:] + servers[:1]
            for server in servers:
                try:
                    reply = await self._of(server, name, kind)
                except NoAnswer as none:
                    self._servers.failed(server, self._clock.monotonic())
                    reasons[f"the DNS server {server.host} {none}"] = None
                    continue
                self._servers.answered(server)
                return reply, server
        raise NoAnswer("; ".join(reasons))

    async def _of(self, server: DnsServer, name: str, kind: str) -> Message:
        import dns.rcode

        seconds = self._config.timeout_seconds
        reply = await exchange(_question(name, kind), server.host, server.port, seconds)
        if reply.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS):
            # It may be older than EDNS (RFC 6891 §7).
            plain = _question(name, kind, extended=False)
            reply = await exchange(plain, server.host, server.port, seconds)
        if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise NoAnswer(f"answered {dns.rcode.to_text(reply.rcode())}")
        if _is_referral(reply):
            raise NoAnswer("pointed to other servers instead of answering")
        return reply

    def _validated(self, reply: Message, server: DnsServer) -> bool:
        import dns.flags

        return bool(reply.flags & dns.flags.AD) and (self._config.trust_ad or server.local)


def _can_be_asked(name: str) -> bool:
    """Whether it is a name at all (RFC 1035 §2.3.4); the root has no records for us."""
    import dns.exception
    import dns.name

    try:
        dns.name.from_text(f"{name}.")
    except (dns.exception.DNSException, UnicodeError):
        return False
    return bool(name)


def _question(name: str, kind: str, *, extended: bool = True) -> Message:
    import dns.flags
    import dns.message

    if not extended:
        return dns.message.make_query(f"{name}.", kind, use_edns=False)
    question = dns.message.make_query(
        f"{name}.", kind, use_edns=0, payload=MAX_DATAGRAM_OCTETS, want_dnssec=True
    )
    question.flags |= dns.flags.AD  # asks for the bit in the answer (RFC 6840 §5.7)
    return question


def _is_referral(reply: Message) -> bool:
    """Whether a server answers that others know: it does not look names up for us."""
    import dns.flags
    import dns.rcode
    import dns.rdatatype

    if reply.answer or reply.rcode() != dns.rcode.NOERROR or reply.flags & dns.flags.AA:
        return False
    kinds = {rrset.rdtype for rrset in reply.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds


def _meaning(reply: Message, name: str) -> tuple[Answer, float]:
    """What a reply says, and for how many seconds."""
    import dns.message
    import dns.rcode

    if not isinstance(reply, dns.message.QueryMessage):
        raise NoAnswer("answered something else")
    try:
        chain = reply.resolve_chaining()
    except dns.message.ChainTooLong:
        raise NoAnswer("answered with an endless row of aliases (CNAME)") from None
    except (dns.message.AnswerForNXDOMAIN, dns.message.NotQueryResponse):
        raise NoAnswer("contradicted itself") from None
    behind = chain.canonical_name.to_text(omit_final_dot=True).lower()
    if chain.answer is not None:
        records = tuple(_records(chain.answer))
        return Answer(Status.FOUND, records, name=behind), float(chain.minimum_ttl)
    status = Status.NO_NAME if reply.rcode() == dns.rcode.NXDOMAIN else Status.NO_DATA
    holds = float(chain.minimum_ttl) if reply.authority else _LEAST_SECONDS
    return Answer(status, name=behind), min(holds, _NEGATIVE_SECONDS)


def _records(rrset: RRset) -> list[Record]:
    import dns.rdtypes.ANY.MX
    import dns.rdtypes.ANY.TLSA
    import dns.rdtypes.ANY.TXT

    found: list[Record] = []
    for data in list(rrset)[:_MOST_RECORDS]:
        match data:
            case dns.rdtypes.ANY.MX.MX():
                host = data.exchange.to_text(omit_final_dot=True).lower()
                found.append(Mx(data.preference, "" if host in (".", "@") else host))
            case dns.rdtypes.ANY.TLSA.TLSA():
                found.append(Tlsa(data.usage, data.selector, data.mtype, bytes(data.cert)))
            case dns.rdtypes.ANY.TXT.TXT():
                found.append(b"".join(data.strings).decode("latin-1"))
            case _:
                found.append(data.to_text().rstrip("."))
    return found


def _with_trust(answer: Answer, secure: bool) -> Answer:
    if not secure:
        return answer
    return Answer(answer.status, answer.records, True, answer.name, answer.words)
