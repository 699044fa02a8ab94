"""sending domains over the API: claimed, proved, checked at every name server, signed for"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import dns.message
import pytest

from pillarbox.message.dkim import Algorithm, new_key
from pillarbox.net.authority import Authorities
from pillarbox.net.dns_servers import DnsConfig
from pillarbox.net.resolver import Resolver
from pillarbox.policy.directory import Account
from pillarbox.policy.dkim_key import KeyState
from pillarbox.policy.domain_findings import Checked, Finding
from pillarbox.policy.domain_records import ServiceNames
from pillarbox.policy.events import DomainFacts
from pillarbox.policy.sending_domain import SendingDomain
from pillarbox.services.domains import rounds as rounds_module
from pillarbox.services.domains import tracking_certificates
from pillarbox.services.domains.look import DomainLook, DomainsConfig
from pillarbox.services.domains.rounds import DomainRounds
from pillarbox.services.domains.tracking_certificates import AWAITED, TrackingCertificates
from pillarbox.storage.interface.certificates import CertificatePair
from pillarbox.terms.ids import ObjectId, new_object_id
from pillarbox.terms.secret import Secret
from tests.doubles.dns_server import DnsDouble, dns_double, silence
from tests.fix_api_face import CLOCK, Face

DAY_MS = 86_400_000


class MovedClock:
    """That of the face, and so much later."""

    def __init__(self) -> None:
        self.later_ms = 0

    def now_ms(self) -> int:
        return CLOCK.now_ms() + self.later_ms

    def monotonic(self) -> float:
        # What is remembered of the DNS is over at each look.
        self.later_ms += 1
        return self.later_ms * 1e6


@dataclass
class Site:
    """A face that looks at records: two name servers, of which the first is the resolver's too."""

    face: Face
    first: DnsDouble
    second: DnsDouble
    clock: MovedClock
    look: DomainLook
    permitted: set[str]

    async def ask(self, method: str, path: str, document: Any = None, status: int = 200) -> Any:
        answer = await self.face.own(method, f"/domains{path}", document)
        assert answer.status == status, answer.body
        return answer.json() if answer.body else None

    async def add(self, name: str = "example.com", **more: Any) -> Any:
        return await self.ask("POST", "", {"name": name, **more}, 201)

    async def check(self, name: str = "example.com") -> dict[str, Any]:
        """By the name of the record: its verdict and words."""
        found = await self.ask("POST", f"/{name}/check", {})
        return {one["name"]: one for one in found["checked"]["records"]}

    def publish(self, records: list[Any], *servers: DnsDouble) -> None:
        for server in servers or (self.first, self.second):
            for one in records:
                text = one["value"]
                pieces = " ".join(f'"{text[n : n + 200]}"' for n in range(0, len(text), 200))
                server.has(one["name"], one["type"], pieces if one["type"] == "TXT" else text + ".")

    async def events(self) -> list[tuple[str, DomainFacts]]:
        found = await self.face.own("GET", "/events?limit=500")
        return [
            (one["kind"], one) for one in found.json()["items"] if one["kind"].startswith("domain.")
        ]


@pytest.fixture
async def site(face: Face) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(dns_double())
        second = await stack.enter_async_context(
            dns_double(DnsDouble(host="127.0.0.2", port=first.port))
        )
        clock = MovedClock()
        resolver = Resolver(DnsConfig((first.address,), timeout_seconds=0.3, rounds=1), clock)
        stack.push_async_callback(resolver.close)
        first.has("example.com", "NS", "ns1.example.net.", "ns2.example.net.")
        first.has("ns1.example.net", "A", "127.0.0.1")
        first.has("ns2.example.net", "A", "127.0.0.2")
        permitted = {"127.0.0.1", "127.0.0.2"}
        authorities = Authorities(
            resolver, seconds=0.3, port=first.port, permits=permitted.__contains__
        )
        look = DomainLook(
            face.storage, authorities, resolver, clock, ServiceNames("mail.example.com"),
            DomainsConfig(),
        )  # fmt: skip
        face.rooms = replace(face.rooms, domain_look=look)
        face.rebuild()
        yield Site(face, first, second, clock, look, permitted)


NOTHING = frozenset[str]().__contains__


async def proved(site: Site) -> SendingDomain:
    """Ours, with nothing but its proof looked at."""
    site.publish((await site.add())["records"])
    await site.check()
    (found,) = await site.face.storage.domains.domains()
    return found


async def signers(site: Site) -> tuple[str, ...]:
    proved = await site.face.storage.domains.proved()
    found = proved.signing_for(site.face.account.id, "example.com")
    return found.key_ids if found is not None else ()


async def test_a_domain_begins_unproved_with_two_keys_and_the_records_to_publish(
    site: Site,
) -> None:
    made = await site.add("Example.COM.")
    assert (made["name"], made["proved"], made["checked"]) == ("example.com", False, None)
    assert [key["algorithm"] for key in made["keys"]] == ["ed25519-sha256", "rsa-sha256"]
    assert {key["state"] for key in made["keys"]} == {"pending"}
    kinds = [one["kind"] for one in made["records"]]
    assert kinds == ["proof", "dkim", "dkim", "spf", "dmarc"]
    assert "PRIVATE" not in str(made)
    assert await signers(site) == ()


async def test_records_come_with_what_is_entered_where_the_zone_lies(site: Site) -> None:
    made = await site.add("news.example.com")
    assert made["dns"]["zone"] == "example.com" and made["dns"]["host"] is None
    assert made["dns"]["name_servers"] == ["ns1.example.net", "ns2.example.net"]
    assert "Your DNS is at ns1.example.net and ns2.example.net." in made["dns"]["hint"]
    entries = {one["kind"]: one["entry"] for one in made["records"]}
    assert (entries["proof"], entries["spf"]) == ("_pillarbox.news", "news")
    site.first.has("example.com", "NS", "ada.ns.cloudflare.com.", "bob.ns.cloudflare.com.")
    site.clock.later_ms += 86_400_000
    found = await site.ask("GET", "/news.example.com/records")
    assert found["dns"]["host"] == "Cloudflare" and "proxy off" in found["dns"]["hint"]
    assert found["csv"][0] == "name,type,ttl,value" and len(found["csv"]) == 1 + len(found["items"])
    assert found["terraform"][1] == "locals {"


async def test_where_the_zone_cannot_be_told_records_come_without(site: Site) -> None:
    site.first.twists["*"] = silence
    made = await site.add()
    assert made["dns"] is None and {one["entry"] for one in made["records"]} == {None}


async def test_what_is_published_everywhere_proves_the_domain_and_lets_its_keys_sign(
    site: Site,
) -> None:
    made = await site.add()
    missing = await site.check()
    assert {one["verdict"] for one in missing.values()} == {"missing"}
    assert await signers(site) == ()
    site.publish(made["records"])
    found = await site.check()
    assert {one["verdict"] for one in found.values()} == {"ok"}, found
    view = await site.ask("GET", "/example.com")
    assert view["proved"] and view["checked"]["ready"]
    assert {key["state"] for key in view["keys"]} == {"active"}
    rsa, ed = sorted(view["keys"], key=lambda key: key["algorithm"], reverse=True)
    assert await signers(site) == (
        f"example.com/{rsa['selector']}",
        f"example.com/{ed['selector']}",
    )
    kinds = [kind for kind, _ in await site.events()]
    assert kinds.count("domain.proved") == 1
    assert kinds.count("domain.record_found") == 5
    assert kinds.count("domain.key_activated") == 2


async def test_what_only_one_server_has_is_spreading_and_signs_nothing(site: Site) -> None:
    made = await site.add()
    site.publish(made["records"], site.first)
    found = await site.check()
    assert {one["verdict"] for one in found.values()} == {"spreading"}
    words = found["_pillarbox.example.com"]["words"]
    assert "Found at ns1.example.net, not at ns2.example.net" in words
    assert [one["server"] for one in found["_pillarbox.example.com"]["name_servers"]] == [
        "ns1.example.net",
        "ns2.example.net",
    ]
    assert not (await site.ask("GET", "/example.com"))["proved"]


async def test_a_server_that_is_silent_is_named_and_the_others_believed(site: Site) -> None:
    made = await site.add()
    site.publish(made["records"])
    site.second.twists["*"] = silence
    found = await site.check()
    (silent,) = [one for one in found["_pillarbox.example.com"]["name_servers"] if one["trouble"]]
    assert (silent["server"], silent["trouble"]) == ("ns2.example.net", "did not answer in time")
    assert {one["verdict"] for one in found.values()} == {"ok"}


async def test_what_people_change_while_servers_are_asked_counts(site: Site) -> None:
    made = await site.add()
    site.publish(made["records"])
    chosen = made["keys"][0]["selector"]
    proof = "_pillarbox.example.com"
    held = asyncio.Event()
    site.second.twists["*"] = silence

    def noticed(question: dns.message.Message, answer: dns.message.Message) -> bytes:
        held.set()
        return answer.to_wire(max_size=65535)

    site.first.twists[proof] = noticed
    checking = asyncio.ensure_future(site.check())
    await held.wait()
    await site.ask("POST", f"/example.com/keys/{chosen}/revoke", {})
    await site.ask("PATCH", "/example.com", {"bounce_host": "b.example.com"})
    assert not checking.done()
    await checking
    after = await site.ask("GET", "/example.com")
    states = {key["selector"]: key["state"] for key in after["keys"]}
    assert states.pop(chosen) == "revoked" and set(states.values()) == {"active"}
    assert after["proved"] and after["bounce_host"] == "b.example.com"


async def test_a_server_on_an_inner_address_is_not_asked(site: Site) -> None:
    await site.add()
    site.permitted.clear()
    found = await site.check()
    servers = found["_pillarbox.example.com"]["name_servers"]
    assert {one["trouble"] for one in servers} == {"has no public address"}
    assert site.second.asked.total() == 0


async def test_a_record_with_the_domain_doubled_is_found(site: Site) -> None:
    made = await site.add()
    proof = next(one for one in made["records"] if one["kind"] == "proof")
    site.publish([{**proof, "name": "_pillarbox.example.com.example.com"}])
    words = (await site.check())["_pillarbox.example.com"]["words"]
    assert words.startswith("Host doubled: you created _pillarbox.example.com.example.com.")


async def test_an_spf_record_that_is_there_is_merged_never_doubled(site: Site) -> None:
    await site.add()
    for server in (site.first, site.second):
        server.has("example.com", "TXT", '"v=spf1 include:spf.example.net -all"', '"other"')
    site.first.has("spf.example.net", "TXT", '"v=spf1 ip4:192.0.2.0/24 -all"')
    found = (await site.check())["example.com"]
    merged = "v=spf1 include:spf.example.net a:mail.example.com -all"
    assert (found["verdict"], found["value"]) == ("wrong", merged)
    records = (await site.ask("GET", "/example.com/records"))["items"]
    assert [one["value"] for one in records if one["kind"] == "spf"] == [merged]


async def test_includes_are_followed_when_questions_are_counted(site: Site) -> None:
    await site.add()
    for server in (site.first, site.second):
        server.has("example.com", "TXT", '"v=spf1 a:mail.example.com include:a.example.net -all"')
    nine = " ".join(f"a:h{n}.example.net" for n in range(9))
    site.first.has("a.example.net", "TXT", f'"v=spf1 {nine} include:a.example.net -all"')
    found = (await site.check())["example.com"]
    assert found["verdict"] == "wrong" and "12 times" in found["words"]


async def test_keys_are_rotated_with_overlap(site: Site) -> None:
    made = await site.add()
    site.publish(made["records"])
    await site.check()
    before = await signers(site)
    rotated = (await site.ask("POST", "/example.com/rotate", {}, 201))["items"]
    assert len(rotated) == 2 and {key["state"] for key in rotated} == {"pending"}
    await site.ask("POST", "/example.com/rotate", {}, 409)
    records = (await site.ask("GET", "/example.com/records"))["items"]
    site.publish([one for one in records if one["kind"] == "dkim"])
    await site.check()
    assert await signers(site) == before
    site.clock.later_ms += DAY_MS
    await site.check()
    after = await signers(site)
    assert {name.partition("/")[2] for name in after} == {key["selector"] for key in rotated}
    # What named the old keys is still signed with them.
    assert set(await site.face.storage.domains.signing_keys(before)) == set(before)
    kinds = [kind for kind, _ in await site.events()]
    assert kinds.count("domain.key_retired") == 2


async def test_a_revoked_key_signs_nothing_and_its_record_is_to_be_emptied(site: Site) -> None:
    made = await site.add()
    site.publish(made["records"])
    await site.check()
    names = await signers(site)
    chosen = names[0].partition("/")[2]
    await site.ask("POST", f"/example.com/keys/{chosen}/revoke", {})
    assert await signers(site) == names[1:]
    assert set(await site.face.storage.domains.signing_keys(names)) == set(names[1:])
    records = (await site.ask("GET", "/example.com/records"))["items"]
    (wanted,) = [one for one in records if one["selector"] == chosen]
    assert wanted["value"] == "v=DKIM1; k=rsa; p=" and not wanted["needed"]
    await site.ask("POST", f"/example.com/keys/{chosen}/activate", {}, 409)
    await site.ask("DELETE", f"/example.com/keys/{chosen}", status=204)


async def test_a_key_is_imported_with_its_selector_and_signs_when_it_is_found(site: Site) -> None:
    await site.add()
    key = new_key("example.com", "old2024", Algorithm.RSA)
    document = {"selector": "Old2024", "private_key": key.private_text().reveal()}
    made = await site.ask("POST", "/example.com/keys", document, 201)
    assert (made["selector"], made["imported"], made["record"]) == ("old2024", True, key.record)
    await site.ask("POST", "/example.com/keys", document, 409)
    await site.ask("POST", "/example.com/keys", {"private_key": "x"}, 422)
    await site.ask("POST", "/example.com/keys", {**document, "private_key": "x"}, 422)
    for bad in ("a b", "-a", "a-", "a..b", "x" * 64, "ä", ""):
        await site.ask("POST", "/example.com/keys", {**document, "selector": bad}, 422)
    records = (await site.ask("GET", "/example.com/records"))["items"]
    wanted = [one for one in records if one["kind"] == "proof" or one["selector"] == "old2024"]
    site.publish(wanted)
    await site.check()
    assert await signers(site) == ("example.com/old2024",)


async def test_a_key_whose_record_is_not_found_signs_only_when_somebody_insists(
    site: Site,
) -> None:
    made = await site.add()
    chosen = made["keys"][0]["selector"]
    await site.ask("POST", f"/example.com/keys/{chosen}/activate", {}, 409)
    await site.ask("POST", f"/example.com/keys/{chosen}/activate", {"anyway": True})
    await site.ask("POST", f"/example.com/keys/{chosen}/retire", {})
    await site.ask("POST", "/example.com/keys/nobody/retire", {}, 404)


async def test_a_retired_key_stays_while_mail_waits_that_it_may_have_to_sign(site: Site) -> None:
    made = await site.add()
    chosen = made["keys"][0]["selector"]
    face = site.face
    (domain,) = await face.storage.domains.domains()
    (key,) = [one for one in await face.storage.domains.keys(domain.id) if one.selector == chosen]
    now_ms = CLOCK.now_ms()
    retired = replace(key, state=KeyState.RETIRED, retired_at=now_ms)
    await face.storage.domains.save_keys(domain.id, [retired])
    # Another node may not have heard yet.
    await site.ask("DELETE", f"/example.com/keys/{chosen}", status=409)
    earlier = replace(retired, retired_at=now_ms - 3_600_000)
    await face.storage.domains.save_keys(domain.id, [earlier])
    await face.go_live()
    assert not await face.storage.domains.waits(domain.account, now_ms + 1000)
    await face.own("POST", "/messages", {
        "from": "ann@example.com", "to": ["bob@example.org"], "subject": "x", "text": "x",
    })  # fmt: skip
    assert await face.storage.domains.waits(domain.account, now_ms + 60_000)
    assert not await face.storage.domains.waits(new_object_id(), now_ms + 60_000)
    assert not await face.storage.domains.waits(domain.account, now_ms - 60_000)
    await site.ask("DELETE", f"/example.com/keys/{chosen}", status=204)


async def test_a_domain_that_another_account_has_proved_is_not_proved_again(site: Site) -> None:
    made = await site.add()
    site.publish(made["records"])
    await site.check()
    storage = site.face.storage
    other = Account(new_object_id(), "other")
    await storage.directory.save_account(other)
    theirs = await site.face.own(
        "POST", "/domains", {"name": "example.com", "account": "other"}, owner=True
    )
    assert theirs.status == 201
    identity, records = theirs.json()["id"], theirs.json()["records"]
    proof = next(one for one in records if one["kind"] == "proof")
    mine = next(one for one in made["records"] if one["kind"] == "proof")
    for server in (site.first, site.second):
        server.has(proof["name"], "TXT", f'"{mine["value"]}"', f'"{proof["value"]}"')
    checked = await site.face.own("POST", f"/domains/{identity}/check", {}, owner=True)
    found = {one["kind"]: one for one in checked.json()["checked"]["records"]}
    assert not checked.json()["proved"]
    assert "another account has proved the domain before" in found["proof"]["words"]
    both = await site.face.own("GET", "/domains/example.com", owner=True)
    assert both.status == 409 and identity in both.json()["fix"]
    # Keys of one account do not see what is another's.
    assert (await site.ask("GET", ""))["items"][0]["account"] == site.face.account.name
    await site.ask("GET", f"/{identity}", status=404)


async def test_a_key_for_one_app_has_no_say_about_domains(site: Site) -> None:
    narrow = await site.face.new_key(name="narrow", app=site.face.app.id)
    for method, path in (("GET", "/domains"), ("POST", "/domains")):
        answer = await site.face.own(method, path, {"name": "example.com"}, key=narrow)
        assert answer.status == 403


@pytest.mark.parametrize("name", ["", "localhost", "a b.example", "x" * 300 + ".example", "-"])
async def test_what_is_no_domain_is_refused(site: Site, name: str) -> None:
    answer = await site.face.own("POST", "/domains", {"name": name})
    assert answer.status == 422 and "/name" in answer.body.decode()


async def test_hosts_are_set_and_taken_away(site: Site) -> None:
    await site.add(tracking_host="Click.Example.com", covers_below=False)
    after = await site.ask("PATCH", "/example.com", {"bounce_host": "b.example.com"})
    assert (after["tracking_host"], after["covers_below"]) == ("click.example.com", False)
    assert [one["kind"] for one in after["records"]][-2:] == ["bounces", "tracking"]
    after = await site.ask("PATCH", "/example.com", {"tracking_host": ""})
    assert after["tracking_host"] == ""
    await site.ask("PATCH", "/example.com", {"tracking_host": "http://x/"}, 422)
    await site.ask("DELETE", "/example.com", status=204)
    await site.ask("GET", "/example.com", status=404)


async def test_a_tracking_host_of_its_own_is_used_while_it_leads_here(site: Site) -> None:
    made = await site.add(tracking_host="t.example.com")
    site.publish([one for one in made["records"] if one["kind"] != "tracking"])

    async def used() -> str:
        proved = await site.face.storage.domains.proved()
        return proved.by_name["example.com"].tracking_host

    assert (await site.check())["t.example.com"]["verdict"] == "missing"
    assert await used() == ""
    site.publish(made["records"])
    await site.check()
    assert await used() == "t.example.com"
    await site.ask("PATCH", "/example.com", {"tracking_host": "u.example.com"})
    assert await used() == ""
    await site.ask("PATCH", "/example.com", {"tracking_host": "t.example.com"})
    await site.check()
    for server in (site.first, site.second):
        server.records.pop(("t.example.com", "CNAME"))
        server.has("t.example.com", "A", "192.0.2.7")
    words = (await site.check())["t.example.com"]["words"]
    assert "has an address of its own (192.0.2.7)" in words
    assert await used() == ""


async def test_links_name_a_tracking_host_only_once_readers_find_a_certificate_there(
    site: Site,
) -> None:
    store = site.face.storage.certificates
    site.look.certificates = TrackingCertificates(site.face.storage, NOTHING, site.clock)
    rounds = DomainRounds(site.face.storage, site.look, site.clock)
    made = await site.add(tracking_host="t.example.com")
    tracking = [one for one in made["records"] if one["kind"] == "tracking"]
    site.publish(tracking)
    await site.check()
    assert await store.certificates() == [], "nothing is asked for whoever has proved nothing"

    async def used() -> str:
        proved = await site.face.storage.domains.proved()
        return proved.by_name["example.com"].tracking_host

    site.publish([one for one in made["records"] if one["kind"] != "tracking"])
    found = (await site.check())["t.example.com"]
    assert (found["verdict"], found["words"]) == ("ok", AWAITED)
    assert await used() == ""
    (asked,) = await store.certificates()
    assert (asked.host, asked.until_at) == ("t.example.com", 0)
    await store.note_failure(replace(asked, failures=1, words="connection refused."))
    words = (await site.check())["t.example.com"]["words"]
    assert "failed: connection refused. What" in words and await used() == ""

    now = site.clock.now_ms()
    held = replace(asked, since_at=now, until_at=now + 86_400_000, due_at=now + 40_000_000)
    await store.keep(held, CertificatePair("t.example.com", "chain", Secret("key")))
    site.clock.later_ms += 3_600_000
    assert await rounds.go_round() == 1, "within the hour after a failure"
    assert await used() == "t.example.com"
    await store.remove("t.example.com")
    await site.check()
    assert await used() == "t.example.com", "whoever removes it has another"
    assert await store.certificates() == []


async def test_what_was_changed_is_looked_at_in_the_next_round_and_not_in_a_day(
    site: Site,
) -> None:
    rounds = DomainRounds(site.face.storage, site.look, site.clock)
    made = await site.add()
    site.publish(made["records"])
    await site.check()
    assert await rounds.go_round() == 0
    changed = await site.ask("PATCH", "/example.com", {"tracking_host": "t.example.com"})
    site.publish(changed["records"])
    assert await rounds.go_round() == 1
    assert (await site.ask("GET", "/example.com"))["tracking_found"]
    assert await rounds.go_round() == 0
    await site.ask("POST", "/example.com/rotate", {}, 201)
    rotated = await site.ask("GET", "/example.com")
    site.publish(rotated["records"])
    assert await rounds.go_round() == 1
    keys = (await site.ask("GET", "/example.com"))["keys"]
    assert len(keys) == 4 and all(key["found_at"] for key in keys)


async def test_what_is_changed_while_servers_are_asked_is_looked_at_in_the_next_round(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = DomainRounds(site.face.storage, site.look, site.clock)
    made = await site.add()
    site.publish(made["records"])
    ask = site.look._ask

    async def asked(domain: SendingDomain, before: Checked | None) -> list[Finding]:
        found = await ask(domain, before)
        changed = await site.ask("PATCH", "/example.com", {"tracking_host": "t.example.com"})
        site.publish(changed["records"])
        return found

    monkeypatch.setattr(site.look, "_ask", asked)
    await site.check()
    monkeypatch.undo()
    assert await rounds.go_round() == 1
    assert (await site.ask("GET", "/example.com"))["tracking_found"]


async def test_a_certificate_that_is_awaited_is_looked_for_every_minute(site: Site) -> None:
    site.look.certificates = TrackingCertificates(site.face.storage, NOTHING, site.clock)
    rounds = DomainRounds(site.face.storage, site.look, site.clock)
    made = await site.add(tracking_host="t.example.com")
    site.publish(made["records"])
    assert (await site.check())["t.example.com"]["words"] == AWAITED
    for _ in range(2):
        assert await rounds.go_round() == 0
        site.clock.later_ms += 60_000
        assert await rounds.go_round() == 1


async def test_nothing_is_asked_of_an_authority_where_there_is_a_certificate_or_can_be_none(
    site: Site,
) -> None:
    store, domain = site.face.storage.certificates, await proved(site)
    mine = TrackingCertificates(site.face.storage, {"t.example.com"}.__contains__, site.clock)
    for host in ("t.example.com", "localhost", "192.0.2.1"):
        assert await mine.missing(replace(domain, tracking_host=host)) == ""
    assert await store.certificates() == []
    assert await mine.missing(replace(domain, tracking_host="u.example.com")) == AWAITED
    assert [each.host for each in await store.certificates()] == ["u.example.com"]


async def test_nothing_is_asked_for_a_host_outside_what_the_account_has_proved(site: Site) -> None:
    domain = await proved(site)
    mine = TrackingCertificates(site.face.storage, NOTHING, site.clock)
    for name, account in (("t.example.net", domain.account), ("t.example.com", ObjectId(b"other"))):
        asked = replace(domain, tracking_host=name, account=account)
        assert "in no domain that this account has proved" in await mine.missing(asked)
    assert await site.face.storage.certificates.certificates() == []


async def test_one_account_asks_for_so_many_a_day_and_leaves_room_for_others(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, domain = site.face.storage.certificates, await proved(site)
    mine = TrackingCertificates(site.face.storage, NOTHING, site.clock)
    asked = [replace(domain, tracking_host=f"t{number}.example.com") for number in range(24)]
    for each in asked[:20]:
        assert await mine.missing(each) == AWAITED
    assert "20 were for this account today" in await mine.missing(asked[20])
    assert len(await store.certificates()) == 20
    site.clock.later_ms += 86_400_000
    assert await mine.missing(asked[20]) == AWAITED
    monkeypatch.setattr(tracking_certificates, "_MOST", 22)
    assert await mine.missing(asked[21]) == AWAITED
    assert "there are 22 already" in await mine.missing(asked[22])


async def test_a_host_that_is_given_up_before_it_had_a_certificate_is_asked_for_no_more(
    site: Site,
) -> None:
    store = site.face.storage.certificates
    site.look.certificates = TrackingCertificates(site.face.storage, NOTHING, site.clock)
    made = await site.add(tracking_host="t.example.com")
    site.publish(made["records"])
    await site.check()
    assert [each.host for each in await store.certificates()] == ["t.example.com"]
    changed = await site.ask("PATCH", "/example.com", {"tracking_host": "u.example.com"})
    assert await store.certificates() == []
    site.publish(changed["records"])
    await site.check()
    (asked,) = await store.certificates()
    await store.keep(
        replace(asked, until_at=site.clock.now_ms() + 1000),
        CertificatePair("u.example.com", "chain", Secret("key")),
    )
    await site.ask("DELETE", "/example.com", status=204)
    assert [each.host for each in await store.certificates()] == ["u.example.com"]


async def test_a_round_comes_to_all_that_are_due(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds_module, "_PORTION", 2)
    for number in range(5):
        await site.add(f"d{number}.example.com")
    rounds = DomainRounds(site.face.storage, site.look, site.clock)
    assert await rounds.go_round() == 5
    assert await rounds.go_round() == 0


async def test_the_round_looks_once_a_day_at_what_stands_and_each_hour_at_what_does_not(
    site: Site,
) -> None:
    rounds = DomainRounds(site.face.storage, site.look, site.clock)
    made = await site.add()
    assert await rounds.go_round() == 1
    assert await rounds.go_round() == 0
    site.publish(made["records"])
    site.clock.later_ms += 3_600_000
    assert await rounds.go_round() == 1
    assert (await site.ask("GET", "/example.com"))["proved"]
    site.clock.later_ms += 3_600_000
    assert await rounds.go_round() == 0
    site.first.has("_pillarbox.example.com", "TXT")
    site.second.has("_pillarbox.example.com", "TXT")
    site.clock.later_ms += DAY_MS
    assert await rounds.go_round() == 1
    lost = [event for kind, event in await site.events() if kind == "domain.record_lost"]
    assert len(lost) == 1
    # A proof that is gone for a while takes nothing away.
    assert (await site.ask("GET", "/example.com"))["proved"]


async def test_a_node_without_the_duty_looks_at_nothing(site: Site) -> None:
    await site.add()
    rounds = DomainRounds(site.face.storage, site.look, site.clock, on_duty=False)
    assert await rounds.go_round() == 0
