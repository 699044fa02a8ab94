"""a DNS server on loopback that says what it is told to say: truth, nonsense, or nothing"""

from __future__ import annotations

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

HOST = "127.0.0.1"
_TTL_SECONDS = 300
_LENGTH = struct.Struct("!H")
_MOST_LINKS = 20

Twist = Callable[[dns.message.Message, dns.message.Message], "bytes | None"]
"""From question and true answer to what is sent instead: bytes, or None for silence."""


def silence(question: dns.message.Message, answer: dns.message.Message) -> bytes | None:
    """Nothing is said."""
    return None


def refusing(rcode: dns.rcode.Rcode) -> Twist:
    """An error, such as SERVFAIL, instead of an answer."""

    def twist(question: dns.message.Message, answer: dns.message.Message) -> bytes:
        refusal = dns.message.make_response(question)
        refusal.set_rcode(rcode)
        return refusal.to_wire()

    return twist


def garbage(question: dns.message.Message, answer: dns.message.Message) -> bytes:
    """Octets that are no message."""
    return b"\x00garbage\xff" * 7


def another_number(question: dns.message.Message, answer: dns.message.Message) -> bytes:
    """An answer that belongs to no question of ours."""
    answer.id = (answer.id + 1) & 0xFFFF
    return answer.to_wire()


def lame(question: dns.message.Message, answer: dns.message.Message) -> bytes:
    """A referral: ask somebody else."""
    referral = dns.message.make_response(question)
    referral.authority.append(
        dns.rrset.from_text("example.", _TTL_SECONDS, "IN", "NS", "ns.elsewhere.example.")
    )
    return referral.to_wire()


def without_edns(question: dns.message.Message, answer: dns.message.Message) -> bytes:
    """A server from before EDNS: a question that has it is malformed."""
    if question.edns >= 0:
        refusal = dns.message.Message(question.id)
        refusal.flags = dns.flags.QR
        refusal.set_rcode(dns.rcode.FORMERR)
        refusal.question = question.question
        return refusal.to_wire()
    return answer.to_wire()


@dataclass
class DnsDouble:
    """What it knows and how it behaves; both may be changed while it runs."""

    host: str = HOST
    port: int = 0
    secure: bool = False
    """Sets the AD bit where the question asks for it."""
    ttl_seconds: int = _TTL_SECONDS
    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    twists: dict[str, Twist] = field(default_factory=dict)
    """By name; that of ``*`` holds for every name that has none of its own."""
    short: set[str] = field(default_factory=set)
    """Names whose answers do not fit into a datagram."""
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Questions heard, by name and type."""
    streams: int = 0
    """Questions heard on connections."""

    @property
    def address(self) -> str:
        """As the setting is written."""
        return f"{self.host}:{self.port}"

    def has(self, name: str, kind: str, *values: str) -> None:
        """From now on a name has these records; without any, it exists and has none of the type."""
        self.records[name.lower(), kind] = list(values)

    def mail(self, domain: str, *hosts: tuple[int, str, str]) -> None:
        """A domain's MX hosts: preference, name, address."""
        self.has(domain, "MX", *(f"{preference} {host}." for preference, host, _ in hosts))
        for _, host, address in hosts:
            self.has(host, "AAAA" if ":" in address else "A", address)

    def reply(self, wire: bytes, *, stream: bool) -> bytes | None:
        """What is said to a question; None for silence."""
        question = dns.message.from_wire(wire)
        asked = question.question[0]
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked[name, dns.rdatatype.to_text(asked.rdtype)] += 1
        self.streams += stream
        answer = self._truth(question, name, dns.rdatatype.to_text(asked.rdtype))
        if not stream and name in self.short:
            answer.answer.clear()
            answer.flags |= dns.flags.TC
        twist = self.twists.get(name) or self.twists.get("*")
        return twist(question, answer) if twist else answer.to_wire(max_size=65535)

    def _truth(self, question: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        answer = dns.message.make_response(question, recursion_available=True)
        if self.secure and question.flags & dns.flags.AD:
            answer.flags |= dns.flags.AD
        for _ in range(_MOST_LINKS):
            alias = self.records.get((name, "CNAME"))
            if alias is None or kind == "CNAME":
                break
            self._add(answer, name, "CNAME", alias)
            name = alias[0].rstrip(".").lower()
        values = self.records.get((name, kind))
        if values:
            self._add(answer, name, kind, values)
            return answer
        if not any(known == name for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        start = f"ns.example. keeper.example. 1 3600 600 86400 {self.ttl_seconds}"
        answer.authority.append(
            dns.rrset.from_text("example.", self.ttl_seconds, "IN", "SOA", start)
        )
        return answer

    def _add(
        self, answer: dns.message.Message, name: str, kind: str, values: Sequence[str]
    ) -> None:
        rrset = dns.rrset.from_text_list(f"{name}.", self.ttl_seconds, "IN", kind, list(values))
        answer.answer.append(rrset)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            said = self.reply(await reader.readexactly(length), stream=True)
            if said is not None:
                writer.write(_LENGTH.pack(len(said)) + said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, double: DnsDouble) -> None:
        self._double = double
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        said = self._double.reply(data, stream=False)
        if said is not None and self._transport is not None:
            self._transport.sendto(said, addr)


@asynccontextmanager
async def dns_double(double: DnsDouble | None = None) -> AsyncIterator[DnsDouble]:
    """A running server; its port is free for datagrams and connections alike."""
    double = double or DnsDouble()
    server = await asyncio.start_server(double._stream, double.host, double.port)
    double.port = server.sockets[0].getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Datagrams(double), local_addr=(double.host, double.port)
    )
    try:
        yield double
    finally:
        transport.close()
        server.close()
        await server.wait_closed()
