"""who runs the name servers of a zone, and what is entered there as a name"""

from __future__ import annotations

import pytest

from pillarbox.policy.dns_hosts import DNS_HOSTS, Zone, entry_of, hint_for, host_of

SERVERS = {
    "Cloudflare": ("ada.ns.cloudflare.com", "bob.ns.cloudflare.com"),
    "Amazon Route 53": ("ns-1.awsdns-00.com", "ns-2000.awsdns-59.co.uk", "ns-600.awsdns-11.net"),
    "GoDaddy": ("ns01.domaincontrol.com", "ns02.domaincontrol.com"),
    "Namecheap": ("dns1.registrar-servers.com", "dns2.registrar-servers.com"),
    "Hetzner": ("helium.ns.hetzner.de", "hydrogen.ns.hetzner.com", "oxygen.ns.hetzner.com"),
    "OVHcloud": ("dns200.anycast.me", "ns200.anycast.me"),
    "IONOS": ("ns1001.ui-dns.biz", "ns1050.ui-dns.com", "ns1100.ui-dns.de", "ns1101.ui-dns.org"),
    "TransIP": ("ns0.transip.net", "ns1.transip.nl", "ns2.transip.eu"),
    "Azure DNS": ("ns1-01.azure-dns.com", "ns2-01.azure-dns.net", "ns3-01.azure-dns.org"),
}
NAMES = ("_pillarbox.example.com", "example.com", "t.example.com")


@pytest.mark.parametrize("name", SERVERS)
def test_a_host_is_known_by_the_names_of_its_servers(name: str) -> None:
    found = host_of(Zone("example.com", SERVERS[name]))
    assert found is not None and found.name == name
    hint = hint_for(Zone("example.com", SERVERS[name]), NAMES)
    assert hint.startswith(f"Your DNS is at {name}, which adds .example.com to a name")
    assert ("proxy off" in hint, "quotation marks" in hint) == (
        name == "Cloudflare", name == "Amazon Route 53",
    )  # fmt: skip


@pytest.mark.parametrize(
    "servers",
    [
        (),
        ("ns1.example.net",),
        ("ada.ns.cloudflare.com", "ns1.example.net"),
        ("ada.ns.cloudflare.com.example.net",),
        ("notdomaincontrol.com",),
    ],
    ids=["none", "another", "two-hosts", "looks-like-it", "ends-like-it"],
)
def test_nobody_is_named_where_it_is_not_certain(servers: tuple[str, ...]) -> None:
    zone = Zone("example.com", servers)
    assert host_of(zone) is None
    if servers:
        assert hint_for(zone, NAMES).startswith(f"Your DNS is at {servers[0]}")


def test_what_is_entered_is_what_stands_before_the_zone() -> None:
    zone = Zone("example.com", ("ns1.example.net",))
    assert entry_of("_dmarc.news.example.com", zone) == "_dmarc.news"
    assert entry_of("example.com", zone) == "@"
    assert entry_of("t.example.net", zone) == "t.example.net"
    assert entry_of("t.notexample.com", zone) == "t.notexample.com"
    assert "enter _pillarbox for _pillarbox.example.com, @ or nothing for example.com itself" in (
        hint_for(zone, NAMES)
    )
    below = hint_for(zone, ("_pillarbox.news.example.com", "news.example.com"))
    assert "enter _pillarbox.news for" in below and "itself" not in below


def test_each_host_is_told_in_one_way_and_none_hides_another() -> None:
    ends = [end for host in DNS_HOSTS for end in host.ends]
    assert len(ends) == len(set(ends))
    assert all(bool(host.ends) != bool(host.holds) for host in DNS_HOSTS)
    for end in ends:
        assert [host for host in DNS_HOSTS if host.runs(f"ns1.{end}")] == [
            host for host in DNS_HOSTS if end in host.ends
        ]
