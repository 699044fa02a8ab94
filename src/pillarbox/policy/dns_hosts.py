"""who answers for a zone, told by the names of its servers, and how records are entered there

Records are right on our page and wrong in somebody's form: most forms add the domain to whatever is
entered as a name. So people are told which form is theirs, and what to put into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Zone:
    """The zone that a name lies in."""

    name: str
    servers: tuple[str, ...]
    """In lower case, without a final dot."""


@dataclass(frozen=True, slots=True)
class DnsHost:
    """Whoever runs name servers for others."""

    name: str
    ends: tuple[str, ...] = ()
    """What the names of its servers end in."""
    holds: str = ""
    """Or what is in all of them."""
    remark: str = ""
    """What else is to be seen to there, in a sentence."""

    def runs(self, server: str) -> bool:
        """Whether a name server is one of theirs."""
        if self.holds:
            return self.holds in server
        return any(server == end or server.endswith(f".{end}") for end in self.ends)


DNS_HOSTS: Final = (
    DnsHost(
        "Cloudflare", ("ns.cloudflare.com",),
        remark="Leave the proxy off for an alias (DNS only): behind it nobody sees where it leads.",
    ),
    DnsHost(
        "Amazon Route 53", holds=".awsdns-",
        remark="A text stands in quotation marks there, one of more than 255 characters in several "
        "pairs of them, as in a zone file.",
    ),
    DnsHost("GoDaddy", ("domaincontrol.com",)),
    DnsHost("Namecheap", ("registrar-servers.com",)),
    DnsHost("DigitalOcean", ("digitalocean.com",)),
    DnsHost("Hetzner", ("ns.hetzner.com", "ns.hetzner.de")),
    DnsHost("OVHcloud", ("ovh.net", "ovh.ca", "anycast.me")),
    DnsHost("IONOS", ("ui-dns.com", "ui-dns.org", "ui-dns.de", "ui-dns.biz")),
    DnsHost("TransIP", ("transip.net", "transip.nl", "transip.eu")),
    DnsHost("Azure DNS", ("azure-dns.com", "azure-dns.net", "azure-dns.org", "azure-dns.info")),
    DnsHost("Google Cloud DNS", ("googledomains.com",)),
    DnsHost("Gandi", ("gandi.net",)),
    DnsHost("STRATO", ("rzone.de",)),
    DnsHost("Linode", ("linode.com",)),
    DnsHost("Porkbun", ("porkbun.com",)),
    DnsHost("DNSimple", ("dnsimple.com", "dnsimple-edge.net", "dnsimple-edge.org")),
    DnsHost("deSEC", ("desec.io", "desec.org")),
    DnsHost("Vercel", ("vercel-dns.com",)),
    DnsHost("Wix", ("wixdns.net",)),
)  # fmt: skip
"""All of them add the domain to a name by themselves."""


def host_of(zone: Zone) -> DnsHost | None:
    """Who runs all its servers; None where that is nobody we know, or several do."""
    for host in DNS_HOSTS:
        if zone.servers and all(map(host.runs, zone.servers)):
            return host
    return None


def entry_of(name: str, zone: Zone) -> str:
    """What is entered as a name where the zone is added to it; ``@`` for the zone itself."""
    if name == zone.name:
        return "@"
    return name.removesuffix(f".{zone.name}")


def hint_for(zone: Zone, names: Sequence[str]) -> str:
    """What to know before records with these names are entered, in sentences."""
    example = next((name for name in names if name != zone.name), zone.name)
    entered = f"{entry_of(example, zone)} for {example}"
    if zone.name in names and example != zone.name:
        entered += f", @ or nothing for {zone.name} itself"
    host = host_of(zone)
    if host is not None:
        told = f"Your DNS is at {host.name}, which adds .{zone.name} to a name: enter {entered}."
        return f"{told} {host.remark}".rstrip()
    servers = " and ".join(zone.servers[:2])
    return (
        f"Your DNS is at {servers}. Most forms add .{zone.name} to a name by themselves: there you "
        f"enter {entered}."
    )
