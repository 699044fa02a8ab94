"""what domains demand of TLS, from scripted name servers and policy hosts to the plan for a host"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import dns.rcode
import pytest
import trustme

from pillarbox.net.dns_servers import DnsConfig
from pillarbox.net.mta_sts import NoStsPolicy, StsFetcher
from pillarbox.net.resolver import Resolver
from pillarbox.net.web_client import WebClient
from pillarbox.policy.lookup import Answer
from pillarbox.policy.mta_sts import StsPolicy
from pillarbox.policy.tls_plan import Demand, TlsPlan
from pillarbox.policy.tls_policy import Wish
from pillarbox.policy.tls_report import day_of
from pillarbox.services.delivery.tls_plans import TlsPlans, TlsPolicyConfig
from pillarbox.services.delivery.tls_sessions import TlsSessions
from pillarbox.storage.interface.store import Storage
from pillarbox.storage.open import open_storage
from pillarbox.terms.clock import SystemClock
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.dns_server import DnsDouble, dns_double, refusing
from tests.doubles.web_server import WebReply, WebRequest, WebServer

DOMAIN, HOST = "example.test", "mx.example.test"
ENFORCE = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.test\r\nmax_age: 86400\r\n"
RECORD = f"3 1 1 {'ab' * 32}"
DAY_MS = 86_400_000


@dataclass
class MovedClock:
    """The system's, some days ahead."""

    ahead_ms: int = 0
    real: SystemClock = field(default_factory=SystemClock)

    def now_ms(self) -> int:
        return self.real.now_ms() + self.ahead_ms

    def monotonic(self) -> float:
        return self.real.monotonic() + self.ahead_ms / 1000


def page(text: str = ENFORCE, kind: str = "text/plain", status: int = 200) -> WebReply:
    return WebReply(status, text.encode("latin-1"), {"Content-Type": kind}, close=True)


@dataclass
class Names:
    """Asks whichever resolver there is."""

    resolver: Resolver

    async def lookup(self, name: str, kind: str) -> Answer:
        return await self.resolver.lookup(name, kind)


class Scene:
    """A domain, its name server, its policy host, and the plans made from them."""

    def __init__(self, path: Path, files: CertificateFiles) -> None:
        self.path = path
        self.files = files
        self.clock = MovedClock()
        self.dns = DnsDouble()
        self.dns.mail(DOMAIN, (10, HOST, "127.0.0.1"))
        self.reply: Callable[[WebRequest], WebReply] = lambda request: page()
        self._stack = AsyncExitStack()

    async def begin(self, context: CertificateFiles | None = None) -> None:
        enter = self._stack.enter_async_context
        await enter(dns_double(self.dns))
        shown = (context or self.files).server_context()
        self.web = await enter(WebServer(lambda request: self.reply(request), shown))
        await self.open()

    async def open(self, **config: bool) -> TlsPlans:
        """As after a start: nothing in memory."""
        self.storage: Storage = await open_storage(
            self.path, now_ms=self.clock.now_ms(), on_broken=lambda _: None
        )

        async def look_up(host: str, port: int, seconds: float) -> list[tuple[str, int]]:
            assert (host, port) == (f"mta-sts.{DOMAIN}", 443)
            return [("127.0.0.1", self.web.port)]

        self.client = WebClient(ca_file=str(self.files.ca), look_up=look_up)
        self.resolver = self._new_resolver()
        self.names = Names(self.resolver)
        self.sessions = TlsSessions(self.storage.tls, self.clock)
        self.plans = TlsPlans(
            TlsPolicyConfig(**config), self.names, self.storage.tls,
            StsFetcher(self.client).fetch, self.sessions, self.clock,
        )  # fmt: skip
        return self.plans

    def _new_resolver(self) -> Resolver:
        config = DnsConfig(servers=(self.dns.address,), timeout_seconds=0.5, rounds=1)
        return Resolver(config, self.clock)

    async def close(self) -> None:
        await self.plans.close()
        await self.resolver.close()
        await self.client.close()
        await self.storage.close()

    async def again(self, **config: bool) -> None:
        await self.close()
        await self.open(**config)

    async def plan(
        self, host: str = HOST, *, secure: bool = False, wish: Wish = Wish.NOTHING
    ) -> TlsPlan:
        return await self.plans.plan_for(DOMAIN, host, mx_secure=secure, wish=wish)

    async def end(self) -> None:
        await self.close()
        await self._stack.aclose()

    async def forget_names(self) -> None:
        """Ask the name server for everything anew."""
        await self.resolver.close()
        self.resolver = self.names.resolver = self._new_resolver()

    def publish(self, identity: str = "1") -> None:
        """From now on the domain has a policy of this id."""
        self.dns.has(f"_mta-sts.{DOMAIN}", "TXT", f'"v=STSv1; id={identity};"')

    def sign(self, *records: str, host: str = HOST) -> None:
        """The zone is signed, and the host has these TLSA records."""
        self.dns.secure = True
        self.dns.has(f"_25._tcp.{host}", "TLSA", *records)

    def move(self, ms: int) -> None:
        self.clock.ahead_ms += ms


class BlockedNode:
    """Another node over the same store, which somebody keeps from fetching."""

    def __init__(self, scene: Scene) -> None:
        async def fetch(domain: str) -> StsPolicy:
            raise NoStsPolicy("sts-policy-fetch-error", f"the host of {domain} does not answer")

        self.plans = TlsPlans(
            TlsPolicyConfig(), scene.names, scene.storage.tls, fetch, scene.sessions, scene.clock
        )

    async def demand(self) -> Demand:
        verdict = await self.plans.plan_for(DOMAIN, HOST, mx_secure=False, wish=Wish.NOTHING)
        return verdict.demand


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    return issue_certificate(tmp_path_factory.mktemp("sts"), f"mta-sts.{DOMAIN}")


@pytest.fixture
async def scene(tmp_path: Path, files: CertificateFiles) -> AsyncIterator[Scene]:
    scene = Scene(tmp_path / "data", files)
    await scene.begin()
    yield scene
    await scene.end()


# --- MTA-STS ---------------------------------------------------------------------------------


async def test_without_a_record_nothing_is_fetched_and_tls_is_by_chance(scene: Scene) -> None:
    assert (await scene.plan()).demand is Demand.MAY
    assert not scene.web.requests


async def test_a_policy_is_fetched_once_and_enforced(scene: Scene) -> None:
    scene.publish()
    verdicts = await asyncio.gather(*(scene.plan() for _ in range(5)))
    assert {verdict.demand for verdict in verdicts} == {Demand.MTA_STS}
    assert all(verdict.verify and not verdict.may_fall_back for verdict in verdicts)
    (request,) = scene.web.requests
    assert request.target == "/.well-known/mta-sts.txt"
    assert request.fields["host"] == f"mta-sts.{DOMAIN}"


async def test_a_host_that_the_policy_does_not_list_is_refused(scene: Scene) -> None:
    scene.publish()
    verdict = await scene.plan("mx.evil.test")
    assert "MTA-STS policy of example.test" in verdict.refusal and not verdict.final


async def test_testing_is_verified_and_may_fall_back(scene: Scene) -> None:
    scene.publish()
    scene.reply = lambda request: page(ENFORCE.replace("enforce", "testing"))
    verdict = await scene.plan()
    assert verdict.testing and verdict.verify and verdict.otherwise is not None


async def test_another_id_is_fetched_anew_and_the_same_is_not(scene: Scene) -> None:
    scene.publish("1")
    await scene.plan()
    scene.reply = lambda request: page(ENFORCE.replace("enforce", "none"))
    await scene.again()
    assert (await scene.plan()).demand is Demand.MTA_STS
    assert len(scene.web.requests) == 1
    scene.publish("2")
    await scene.again()
    assert (await scene.plan()).demand is Demand.MAY
    assert len(scene.web.requests) == 2


async def test_a_policy_survives_a_restart_a_missing_record_and_a_policy_host_that_is_gone(
    scene: Scene,
) -> None:
    scene.publish("1")
    await scene.plan()
    scene.reply = lambda request: page(status=500)
    scene.publish("2")
    await scene.again()
    assert (await scene.plan()).demand is Demand.MTA_STS
    del scene.dns.records[f"_mta-sts.{DOMAIN}", "TXT"]
    await scene.again()
    assert (await scene.plan()).demand is Demand.MTA_STS
    scene.dns.twists[f"_mta-sts.{DOMAIN}"] = refusing(dns.rcode.SERVFAIL)
    await scene.again()
    assert (await scene.plan()).demand is Demand.MTA_STS


async def test_a_policy_that_is_over_holds_no_more(scene: Scene) -> None:
    scene.publish()
    await scene.plan()
    scene.reply = lambda request: page(status=500)
    scene.move(DAY_MS - 60_000)
    assert (await scene.plan()).demand is Demand.MTA_STS
    scene.move(120_000)
    assert (await scene.plan()).demand is Demand.MAY


async def test_a_policy_is_fetched_again_when_half_of_its_time_is_over(scene: Scene) -> None:
    scene.publish()
    await scene.plan()
    scene.move(DAY_MS // 2 + 60_000)
    await scene.plan()
    assert len(scene.web.requests) == 2
    scene.move(DAY_MS // 2 + 60_000)
    assert (await scene.plan()).demand is Demand.MTA_STS


async def test_a_policy_host_that_fails_is_left_alone_for_five_minutes(scene: Scene) -> None:
    scene.publish()
    scene.reply = lambda request: page(status=404)
    for _ in range(3):
        assert (await scene.plan()).demand is Demand.MAY
    assert len(scene.web.requests) == 1
    scene.reply = lambda request: page()
    scene.move(301_000)
    assert (await scene.plan()).demand is Demand.MTA_STS


async def test_what_another_node_has_fetched_holds_where_this_one_is_kept_from_fetching(
    scene: Scene,
) -> None:
    other = BlockedNode(scene)
    assert await other.demand() is Demand.MAY  # no policy, and that is kept in mind
    scene.publish()
    await scene.forget_names()
    assert (await scene.plan()).demand is Demand.MTA_STS
    assert await other.demand() is Demand.MTA_STS


async def test_what_another_node_fetches_later_holds_here_within_a_minute(scene: Scene) -> None:
    other = BlockedNode(scene)
    scene.publish()
    assert await other.demand() is Demand.MAY  # it cannot be fetched, and nobody has it
    assert (await scene.plan()).demand is Demand.MTA_STS
    scene.move(60_000)
    assert await other.demand() is Demand.MTA_STS


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (page(status=301), "sts-policy-fetch-error"),
        (WebReply(302, b"", {"Location": "https://elsewhere.test/"}), "sts-policy-fetch-error"),
        (page(status=404), "sts-policy-fetch-error"),
        (page(kind="text/html"), "sts-policy-invalid"),
        (WebReply(200, ENFORCE.encode()), "sts-policy-invalid"),
        (page("<html>"), "sts-policy-invalid"),
        (page("\xff\xfe"), "sts-policy-invalid"),
        (page(ENFORCE + "x: y\r\n" * 20_000), "sts-policy-fetch-error"),
        (WebReply(raw=b"garbage\r\n\r\n"), "sts-policy-fetch-error"),
    ],
)
async def test_what_is_no_policy_by_the_book_is_none(
    scene: Scene, reply: WebReply, result: str
) -> None:
    scene.publish()
    scene.reply = lambda request: reply
    with pytest.raises(NoStsPolicy) as caught:
        await StsFetcher(scene.client).fetch(DOMAIN)
    assert caught.value.result == result
    assert (await scene.plan()).demand is Demand.MAY


@pytest.mark.parametrize("case", ["another name", "another authority", "expired"])
async def test_a_policy_counts_only_from_a_host_with_a_valid_certificate(
    tmp_path: Path, files: CertificateFiles, case: str
) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    authority = trustme.CA()
    wrong = CertificateFiles(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    if case == "expired":
        from datetime import UTC, datetime

        leaf = authority.issue_cert(f"mta-sts.{DOMAIN}", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    else:
        leaf = authority.issue_cert("mx.test" if case == "another name" else f"mta-sts.{DOMAIN}")
    authority.cert_pem.write_to_path(str(wrong.ca))
    leaf.cert_chain_pems[0].write_to_path(str(wrong.certificate))
    leaf.private_key_pem.write_to_path(str(wrong.key))
    trusted = files if case == "another authority" else wrong
    scene = Scene(tmp_path / "data", trusted)
    await scene.begin(wrong)
    scene.publish()
    assert (await scene.plan()).demand is Demand.MAY
    with pytest.raises(NoStsPolicy) as caught:
        await StsFetcher(scene.client).fetch(DOMAIN)
    assert caught.value.result == "sts-webpki-invalid"
    await scene.end()


async def test_mta_sts_can_be_switched_off(scene: Scene) -> None:
    scene.publish()
    await scene.again(mta_sts=False)
    assert (await scene.plan()).demand is Demand.MAY
    assert not scene.web.requests


# --- DANE ------------------------------------------------------------------------------------


async def test_signed_records_are_demanded_and_beat_mta_sts(scene: Scene) -> None:
    scene.publish()
    scene.sign(RECORD)
    verdict = await scene.plan(secure=True)
    assert verdict.demand is Demand.DANE and len(verdict.tlsa) == 1
    assert verdict.names == (HOST, DOMAIN)
    assert (await scene.plan(secure=False)).demand is Demand.MTA_STS


async def test_records_that_nobody_has_signed_are_not_asked_for(scene: Scene) -> None:
    scene.sign(RECORD)
    scene.dns.secure = False
    assert (await scene.plan(secure=True)).demand is Demand.MAY
    assert not scene.dns.asked[f"_25._tcp.{HOST}", "TLSA"]


async def test_records_of_which_none_can_be_used_still_demand_tls(scene: Scene) -> None:
    scene.sign(f"1 1 1 {'ab' * 32}")
    verdict = await scene.plan(secure=True)
    assert verdict.demand is Demand.MUST and not verdict.may_fall_back


async def test_records_whose_signature_does_not_hold_defer_the_mail(scene: Scene) -> None:
    scene.sign(RECORD)
    scene.dns.twists[f"_25._tcp.{HOST}"] = refusing(dns.rcode.SERVFAIL)
    verdict = await scene.plan(secure=True)
    assert "TLSA records could not be looked up" in verdict.refusal and not verdict.final


async def test_without_records_a_signed_host_is_reached_by_chance(scene: Scene) -> None:
    scene.dns.secure = True
    assert (await scene.plan(secure=True)).demand is Demand.MAY


async def test_records_are_found_where_an_alias_leads_to(scene: Scene) -> None:
    scene.dns.has("alias.example.test", "CNAME", f"{HOST}.")
    scene.sign(RECORD)
    verdict = await scene.plan("alias.example.test", secure=True)
    assert verdict.demand is Demand.DANE
    assert verdict.names == (HOST, "alias.example.test", DOMAIN)


async def test_dane_can_be_switched_off(scene: Scene) -> None:
    scene.sign(RECORD)
    await scene.again(dane=False)
    assert (await scene.plan(secure=True)).demand is Demand.MAY


# --- wishes and reports ----------------------------------------------------------------------


async def test_who_does_not_require_tls_costs_no_question(scene: Scene) -> None:
    scene.publish()
    assert (await scene.plan(wish=Wish.OPTIONAL)).demand is Demand.MAY
    assert not scene.dns.asked and not scene.web.requests


async def test_a_message_that_requires_tls_is_refused_for_good_where_nothing_vouches_for_the_host(
    scene: Scene,
) -> None:
    assert (await scene.plan(wish=Wish.REQUIRED)).final
    scene.publish()
    await scene.again()
    verdict = await scene.plan(wish=Wish.REQUIRED)
    assert verdict.demand is Demand.REQUIRETLS and verdict.verify and not verdict.refusal


async def test_sessions_are_counted_only_for_domains_that_ask_for_it(scene: Scene) -> None:
    scene.publish()
    assert (await scene.plan("mx.evil.test")).refusal
    day_ms = day_of(scene.clock.now_ms())
    assert await scene.storage.tls.counted(day_ms) == []
    scene.dns.has(f"_smtp._tls.{DOMAIN}", "TXT", '"v=TLSRPTv1; rua=mailto:tls@example.test"')
    await scene.again()
    verdict = await scene.plan("mx.evil.test")
    assert verdict.reported is not None and verdict.reported.kind == "sts"
    assert verdict.reported.mx == (HOST,)
    (one,) = await scene.storage.tls.counted(day_ms)
    assert (one.result, one.host, one.sessions) == ("validation-failure", "mx.evil.test", 1)


async def test_a_policy_that_cannot_be_fetched_is_counted(scene: Scene) -> None:
    scene.publish()
    scene.reply = lambda request: page(status=500)
    scene.dns.has(f"_smtp._tls.{DOMAIN}", "TXT", '"v=TLSRPTv1; rua=mailto:tls@example.test"')
    await scene.plan()
    (one,) = await scene.storage.tls.counted(day_of(scene.clock.now_ms()), DOMAIN)
    assert (one.policy.kind, one.result) == ("sts", "sts-policy-fetch-error")
