"""which records a domain should have, and how they are written"""

from __future__ import annotations

from dataclasses import replace

from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.policy.dkim_key import DkimKey, KeyState
from pillarbox.policy.domain_records import ServiceNames, wanted_records
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.terms.ids import ObjectId

SERVICE = ServiceNames("mail.example.net")
DOMAIN = SendingDomain(ObjectId(b"d"), ObjectId(b"a"), "example.com", "c0ffee")
KEY = DkimKey("s1", Algorithm.RSA, new_key("example.com", "s1").record)


def test_what_every_domain_needs_is_its_proof_and_its_keys() -> None:
    records = wanted_records(DOMAIN, [KEY], SERVICE)
    assert [(one.name, one.value) for one in records if one.needed] == [
        ("_pillarbox.example.com", "pillarbox-domain=c0ffee"),
        ("s1._domainkey.example.com", KEY.record),
    ]
    assert {one.name: one.value for one in records if not one.needed} == {
        "example.com": "v=spf1 a:mail.example.net ~all",
        "_dmarc.example.com": "v=DMARC1; p=none",
    }


def test_a_service_without_a_public_name_says_that_its_spf_is_not_to_be_published() -> None:
    def why(service: ServiceNames) -> str:
        return next(one.why for one in wanted_records(DOMAIN, [], service) if "spf" in one.value)

    assert why(ServiceNames("localhost")).startswith("Do not publish this yet")
    assert why(ServiceNames("localhost", "include:spf.example.net")).startswith("Names the hosts")
    assert why(SERVICE).startswith("Names the hosts")


def test_hosts_of_its_own_point_to_the_service() -> None:
    domain = replace(
        DOMAIN, bounce_host="b.example.com", tracking_host="t.example.com", autoconfig=True
    )
    service = replace(SERVICE, tracking="click.example.net", spf="include:spf.example.net")
    records = {(one.name, one.type): one.value for one in wanted_records(domain, [], service)}
    assert records["b.example.com", "CNAME"] == "mail.example.net"
    assert records["t.example.com", "CNAME"] == "click.example.net"
    assert records["autoconfig.example.com", "CNAME"] == "mail.example.net"
    assert records["_submissions._tcp.example.com", "SRV"] == "0 1 465 mail.example.net"
    assert records["example.com", "TXT"] == "v=spf1 include:spf.example.net ~all"


def test_retired_keys_stay_published_and_revoked_ones_are_emptied() -> None:
    keys = [replace(KEY, selector=state.value, state=state) for state in KeyState]
    records = {one.selector: one for one in wanted_records(DOMAIN, keys, SERVICE) if one.selector}
    assert {name for name, one in records.items() if one.needed} == {"pending", "active"}
    assert records["retired"].value == KEY.record
    assert records["revoked"].value.endswith("p=")
