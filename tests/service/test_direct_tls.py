"""TLS towards the hosts of recipients: what is demanded is had, or the mail waits; never in clear"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dns.rcode
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pillarbox.handover.receipt import Content, Receipt
from pillarbox.message.facts import Origin
from pillarbox.net.dns_servers import DnsConfig
from pillarbox.policy.delivery import State
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.mx import DirectConfig
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Kind
from pillarbox.policy.tls_report import day_of
from pillarbox.services.delivery.tls_plans import TlsPolicyConfig
from pillarbox.storage.interface.queue import DeliveryRow
from tests.doubles.bad_server import DEFAULT_EXTENSIONS, BadServer
from tests.doubles.dns_server import refusing
from tests.doubles.mx_farm import NETWORK, MxFarm, mx_farm
from tests.doubles.script import Script, Stage, drop
from tests.doubles.web_server import WebReply, WebServer
from tests.fix_house import SAMPLE, Houses, Running

MX, OTHER = "mx.example.org", "mx2.example.org"
POLICY = "version: STSv1\nmode: {mode}\nmx: mx.example.org\nmx: mx2.example.org\nmax_age: 86400\n"
PROMISING = (*DEFAULT_EXTENSIONS, "REQUIRETLS")


@dataclass
class Authority:
    """Certificates of all sorts for the farm's hosts, and the authority they trust or do not."""

    folder: Path
    trusted: trustme.CA
    stranger: trustme.CA

    @property
    def file(self) -> Path:
        return self.folder / "ca.pem"

    def issue(self, kind: str = "good", name: str = MX) -> ssl.SSLContext:
        authority = self.stranger if kind == "stranger" else self.trusted
        if kind == "expired":
            leaf = authority.issue_cert(name, not_after=datetime(2020, 1, 1, tzinfo=UTC))
        else:
            leaf = authority.issue_cert("other.example.net" if kind == "name" else name)
        path = self.folder / f"{kind}-{name}.pem"
        pems = [leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes()]
        path.write_bytes(b"".join(pems))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def record(self, kind: str = "good", name: str = MX) -> str:
        """The TLSA record of a certificate that was issued."""
        leaf = x509.load_pem_x509_certificates((self.folder / f"{kind}-{name}.pem").read_bytes())
        key = leaf[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return f"3 1 1 {hashlib.sha256(key).hexdigest()}"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority(tmp_path_factory.mktemp("authority"), trustme.CA(), trustme.CA())
    found.trusted.cert_pem.write_to_path(str(found.file))
    return found


class Scene:
    """The farm, a policy host, and a house whose only way out is direct."""

    def __init__(self, houses: Houses, farm: MxFarm, authority: Authority) -> None:
        self.houses = houses
        self.farm = farm
        self.authority = authority
        self.mode = "enforce"
        self.web: WebServer | None = None
        farm.domain("example.org", (10, MX))

    def policy(self, mode: str) -> None:
        """From now on the domain has a policy of this mode."""
        self.mode = mode
        self.farm.dns.has("_mta-sts.example.org", "TXT", '"v=STSv1; id=1;"')
        self.farm.dns.has("mta-sts.example.org", "A", "127.0.0.1")

    def reports(self) -> None:
        """And it wants to know what becomes of sessions."""
        record = '"v=TLSRPTv1; rua=mailto:tls@example.org"'
        self.farm.dns.has("_smtp._tls.example.org", "TXT", record)

    def tlsa(self, *records: str, host: str = MX) -> None:
        """The zone is signed, and the host has these records."""
        self.farm.dns.secure = True
        self.farm.dns.has(f"_{self.farm.port}._tcp.{host}", "TLSA", *records)

    async def host(self, kind: str, name: str = MX, **facts: object) -> BadServer:
        """A host with a certificate of a kind, or ``clear`` without any."""
        tls = None if kind == "clear" else self.authority.issue(kind, name)
        return await self.farm.host(name, facts.pop("script", None), tls=tls, **facts)  # type: ignore[arg-type]

    async def start(self) -> Running:
        assert self.web is not None
        running = await self.houses.start(
            direct=DirectConfig(
                port=self.farm.port, allowed_networks=(NETWORK,), connect_seconds=1.0
            ),
            dns=DnsConfig(servers=(self.farm.dns.address,), timeout_seconds=0.3, rounds=1),
            tls_policy=TlsPolicyConfig(ca_file=str(self.authority.file), policy_port=self.web.port),
            retry=RetryConfig(first_seconds=60.0),
        )
        await running.add_server("direct", 25, kind=Kind.DIRECT)
        return running

    async def deliver(self, **envelope: bool) -> tuple[DeliveryRow, str]:
        """One message, tried once, and the words about it."""
        running = await self.start()
        receipt = await submit(running, **envelope)
        (row,) = await running.until(receipt.message, tried)
        return row, await words(running, row)

    def answer(self, _: object) -> WebReply:
        text = POLICY.format(mode=self.mode)
        return WebReply(body=text.encode(), fields={"Content-Type": "text/plain"}, close=True)


@pytest.fixture
async def scene(houses: Houses, authority: Authority) -> AsyncIterator[Scene]:
    async with mx_farm() as farm:
        scene = Scene(houses, farm, authority)
        context = authority.issue(name="mta-sts.example.org")
        async with WebServer(scene.answer, context) as scene.web:
            yield scene
            await houses.stop()


async def submit(
    running: Running, *, requires_tls: bool = False, optional: bool = False
) -> Receipt:
    content = b"TLS-Required: No\r\n" + SAMPLE if optional else SAMPLE
    envelope = Envelope(
        "ann@example.com", (Recipient("bob@example.org"),), requires_tls=requires_tls
    )
    return await running.house.door.accept(
        envelope, Content(content), running.submitter(), Origin("smtp")
    )


def tried(rows: object) -> bool:
    return all(row.attempts >= 1 and row.state is not State.QUEUED for row in rows)  # type: ignore[attr-defined]


async def words(running: Running, row: DeliveryRow) -> str:
    history = await running.house.storage.events.history(row.last_event)
    return " | ".join(getattr(event.data, "words", "") for event in history)


def untouched(server: BadServer) -> bool:
    """No mail was said to it, in clear or otherwise."""
    return not server.messages and all("MAIL" not in s.verbs for s in server.sessions)


def in_tls(server: BadServer) -> bool:
    """The only message came under TLS."""
    (session,) = [s for s in server.sessions if "MAIL" in s.verbs]
    return "STARTTLS" in session.verbs


# --- by chance -------------------------------------------------------------------------------


async def test_without_a_policy_any_certificate_will_do(scene: Scene) -> None:
    server = await scene.host("stranger")
    row, _ = await scene.deliver()
    assert row.state is State.DELIVERED and in_tls(server)


async def test_without_a_policy_a_broken_handshake_is_followed_by_clear_on_a_new_connection(
    scene: Scene,
) -> None:
    server = await scene.host("good", script=Script().on(Stage.STARTTLS, drop()))
    row, _ = await scene.deliver()
    assert row.state is State.DELIVERED
    first, second = server.sessions
    assert "STARTTLS" in first.verbs and "MAIL" not in first.verbs
    assert "STARTTLS" not in second.verbs and "MAIL" in second.verbs


# --- MTA-STS ---------------------------------------------------------------------------------


async def test_enforce_with_a_valid_certificate_delivers(scene: Scene) -> None:
    scene.policy("enforce")
    server = await scene.host("good")
    row, _ = await scene.deliver()
    assert row.state is State.DELIVERED and in_tls(server)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("name", "issued for another name"),
        ("stranger", "unknown authority"),
        ("expired", "has expired"),
        ("clear", "does not offer STARTTLS"),
    ],
)
async def test_enforce_without_one_defers_and_nothing_is_said_in_clear(
    scene: Scene, kind: str, why: str
) -> None:
    scene.policy("enforce")
    server = await scene.host(kind)
    row, told = await scene.deliver()
    assert row.state is State.DEFERRED and why in told
    assert "the MTA-STS policy of the domain demands" in told
    assert server.sessions and untouched(server)


async def test_enforce_with_a_broken_handshake_never_falls_back(scene: Scene) -> None:
    scene.policy("enforce")
    server = await scene.host("good", script=Script().on(Stage.STARTTLS, drop()))
    row, _ = await scene.deliver()
    assert row.state is State.DEFERRED and untouched(server) and len(server.sessions) == 1


async def test_enforce_does_not_connect_to_a_host_that_is_not_listed(scene: Scene) -> None:
    scene.policy("enforce")
    server = await scene.host("good", "mx.evil.example")
    scene.farm.domain("example.org", (10, "mx.evil.example"))
    row, told = await scene.deliver()
    assert row.state is State.DEFERRED and not server.sessions
    assert "MTA-STS policy of example.org" in told


async def test_enforce_goes_on_to_the_next_host(scene: Scene) -> None:
    scene.policy("enforce")
    bad, good = await scene.host("name"), await scene.host("good", OTHER)
    scene.farm.domain("example.org", (10, MX), (20, OTHER))
    row, _ = await scene.deliver()
    assert row.state is State.DELIVERED
    assert untouched(bad) and in_tls(good)


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("name", "certificate-host-mismatch"),
        ("expired", "certificate-expired"),
        ("clear", "starttls-not-supported"),
        ("good", ""),
    ],
)
async def test_testing_delivers_whatever_the_certificate_and_counts_it(
    scene: Scene, kind: str, result: str
) -> None:
    scene.policy("testing")
    scene.reports()
    server = await scene.host(kind)
    running = await scene.start()
    receipt = await submit(running)
    (row,) = await running.until(receipt.message, tried)
    assert row.state is State.DELIVERED
    assert kind == "clear" or in_tls(server)
    (one,) = await running.house.storage.tls.counted(day_of(running.house.clock.now_ms()))
    assert (one.policy.kind, one.result, one.host, one.sessions) == ("sts", result, MX, 1)
    assert one.address == server.host


# --- DANE ------------------------------------------------------------------------------------


async def test_dane_delivers_to_the_key_that_was_published_and_asks_no_authority(
    scene: Scene,
) -> None:
    server = await scene.host("stranger")
    scene.tlsa(scene.authority.record("stranger"))
    row, _ = await scene.deliver()
    assert row.state is State.DELIVERED and in_tls(server)


async def test_dane_defers_where_another_key_is_shown(scene: Scene) -> None:
    scene.policy("testing")  # which DANE beats
    server = await scene.host("good")
    scene.tlsa(f"3 1 1 {'ab' * 32}")
    row, told = await scene.deliver()
    assert row.state is State.DEFERRED and untouched(server)
    assert "no TLSA record matches" in told


async def test_dane_defers_where_starttls_is_not_offered(scene: Scene) -> None:
    server = await scene.host("clear")
    scene.tlsa(f"3 1 1 {'ab' * 32}")
    row, _ = await scene.deliver()
    assert row.state is State.DEFERRED and untouched(server)


async def test_dane_defers_without_connecting_where_records_cannot_be_trusted(
    scene: Scene,
) -> None:
    server = await scene.host("good")
    scene.tlsa(f"3 1 1 {'ab' * 32}")
    scene.farm.dns.twists[f"_{scene.farm.port}._tcp.{MX}"] = refusing(dns.rcode.SERVFAIL)
    row, told = await scene.deliver()
    assert row.state is State.DEFERRED and not server.sessions
    assert "TLSA records could not be looked up" in told


async def test_dane_of_one_host_lets_the_next_one_have_the_mail(scene: Scene) -> None:
    wrong, right = await scene.host("good"), await scene.host("stranger", OTHER)
    scene.farm.domain("example.org", (10, MX), (20, OTHER))
    scene.tlsa(f"3 1 1 {'ab' * 32}")
    scene.tlsa(scene.authority.record("stranger", OTHER), host=OTHER)
    row, _ = await scene.deliver()
    assert row.state is State.DELIVERED
    assert untouched(wrong) and in_tls(right)


# --- what is told before mail is sent ---------------------------------------------------------


async def test_what_a_domain_demands_is_told_before_mail_is_sent(scene: Scene) -> None:
    scene.policy("enforce")
    server = await scene.host("good")
    scene.farm.domain("example.org", (20, "mx.evil.example"), (10, MX))
    running = await scene.start()
    (first, good), (second, bad) = await running.house.tls.plans.of_domain("example.org")
    assert (first, good.demand.value) == (MX, "mta-sts") and "MTA-STS" in good.words
    assert second == "mx.evil.example" and "MTA-STS policy of example.org" in bad.words
    assert not server.sessions


# --- what the message wants ------------------------------------------------------------------


async def test_requiretls_goes_to_a_verified_host_that_offers_it(scene: Scene) -> None:
    scene.policy("enforce")
    server = await scene.host("good", extensions=PROMISING)
    row, _ = await scene.deliver(requires_tls=True)
    assert row.state is State.DELIVERED
    said = [c.line for s in server.sessions for c in s.commands if c.line.startswith(b"MAIL")]
    assert said[0].split()[-1] == b"REQUIRETLS"


@pytest.mark.parametrize("case", ["not offered", "nothing vouches for the host"])
async def test_requiretls_fails_with_words_where_that_cannot_be(scene: Scene, case: str) -> None:
    if case == "not offered":
        scene.policy("enforce")
    server = await scene.host(
        "good", extensions=DEFAULT_EXTENSIONS if case == "not offered" else PROMISING
    )
    row, told = await scene.deliver(requires_tls=True)
    assert row.state is State.FAILED and untouched(server)
    assert "REQUIRETLS" in told


async def test_who_does_not_require_tls_is_delivered_past_every_policy(scene: Scene) -> None:
    scene.policy("enforce")
    server = await scene.host("name")
    row, _ = await scene.deliver(optional=True)
    assert row.state is State.DELIVERED and in_tls(server)
