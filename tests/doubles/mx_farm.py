"""a farm of MX hosts on loopback addresses of their own, all on one port, and the DNS that names them

Usage::

    async with mx_farm() as farm:
        await farm.host("mx1.example.org", Script().on(Stage.BANNER, say(554, "no")))
        await farm.host("mx2.example.org")
        farm.domain("example.org", (10, "mx1.example.org"), (20, "mx2.example.org"))
        farm.dead("mx3.example.org")            # has an address where nobody listens
"""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.doubles.bad_server import BadServer
from tests.doubles.dns_server import DnsDouble, dns_double
from tests.doubles.script import Script

NETWORK = "127.0.0.0/8"
_TRIES = 20


class MxFarm:
    """What there is, and hands to add more while it runs."""

    def __init__(self, dns: DnsDouble, stack: AsyncExitStack) -> None:
        self.dns = dns
        self.hosts: dict[str, BadServer] = {}
        self.port = 0
        """Of every host; 0 until there is one."""
        self._stack = stack
        self._last = 10

    async def host(self, name: str, script: Script | None = None, **facts: object) -> BadServer:
        """A host at work, at an address of its own; `facts` as `BadServer` takes them."""
        for _ in range(_TRIES):
            server = BadServer(
                script, hostname=name, host=self._address(), port=self.port,
                **facts,  # type: ignore[arg-type]
            )  # fmt: skip
            try:
                await self._stack.enter_async_context(server)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self.port = server.port
            self.hosts[name] = server
            self.dns.has(name, "A", server.host)
            return server
        raise AssertionError(f"port {self.port} is taken on {_TRIES} addresses in a row")

    def dead(self, name: str) -> str:
        """A host whose address refuses connections."""
        address = self._address()
        self.dns.has(name, "A", address)
        return address

    def domain(self, domain: str, *hosts: tuple[int, str]) -> None:
        """A domain's MX records."""
        self.dns.has(domain, "MX", *(f"{preference} {host}." for preference, host in hosts))

    def _address(self) -> str:
        self._last += 1
        return f"127.0.0.{self._last}"


@asynccontextmanager
async def mx_farm() -> AsyncIterator[MxFarm]:
    """An empty farm whose DNS answers."""
    async with AsyncExitStack() as stack:
        dns = await stack.enter_async_context(dns_double())
        yield MxFarm(dns, stack)
