"""reports on TLS: due when a day is over, sent once, by mail or over https, shown at any time"""

from __future__ import annotations

import base64
import email
import gzip
import json
from collections.abc import AsyncIterator

import dns.rcode
import pytest

from pillarbox.net.dns_servers import DnsConfig
from pillarbox.net.resolver import Resolver
from pillarbox.policy.directory import Mode
from pillarbox.policy.tls_plan import ReportedPolicy
from pillarbox.policy.tls_report import DAY_MS, Counted, day_of
from pillarbox.services.upkeep.tls_reports import TlsReportConfig, TlsReports
from pillarbox.terms.errors import Trouble
from tests.doubles.bad_server import BadServer
from tests.doubles.dns_server import DnsDouble, dns_double, refusing
from tests.fix_house import Running
from tests.service.test_tls_plans import MovedClock

DOMAIN = "example.test"
STS = ReportedPolicy(DOMAIN, "sts", ("version: STSv1", "mode: enforce"), ("mx.example.test",))
WELL = Counted(STS, "", "mx.example.test", "192.0.2.1", 41)
BADLY = Counted(STS, "certificate-expired", "mx.example.test", "192.0.2.1", 2)
MAIL = '"v=TLSRPTv1; rua=mailto:tls@example.test"'
WEB = '"v=TLSRPTv1; rua=https://reports.example.test/in"'


class Desk:
    """The reports of a running house, with a clock that can be moved and a scripted web."""

    def __init__(self, running: Running, names: DnsDouble) -> None:
        self.running = running
        self.dns = names
        self.clock = MovedClock()
        self.today_ms = day_of(self.clock.now_ms())
        self.posted: list[tuple[str, bytes]] = []
        self.web_works = True
        config = DnsConfig(servers=(names.address,), timeout_seconds=0.5, rounds=1)
        self.resolver = Resolver(config, self.clock)
        self.reports = self.make()

    def make(self, **config: object) -> TlsReports:
        house = self.running.house
        return TlsReports(
            house.storage, house.door, self.resolver, self.post, self.clock,
            TlsReportConfig(**config), hostname="relay.test",  # type: ignore[arg-type]
        )  # fmt: skip

    async def post(self, url: str, packed: bytes) -> bool:
        if not self.web_works:
            raise Trouble("reports.example.test cannot be asked")
        self.posted.append((url, packed))
        return True

    async def count(self) -> None:
        for one in (WELL, BADLY):
            self.running.house.storage.tls.count(self.today_ms, one)
        await self.running.house.storage.tls.counted(self.today_ms)

    def asks(self, record: str) -> None:
        self.dns.has(f"_smtp._tls.{DOMAIN}", "TXT", *([record] if record else []))

    def later(self, days: float = 1.5) -> None:
        self.clock.ahead_ms += int(days * DAY_MS)


@pytest.fixture
async def desk(running: Running) -> AsyncIterator[Desk]:
    async with dns_double() as names:
        desk = Desk(running, names)
        await desk.count()
        yield desk
        await desk.resolver.close()


async def test_a_day_is_reported_when_it_is_over_and_once(desk: Desk) -> None:
    desk.asks(WEB)
    assert await desk.reports.go_round() == 0
    desk.later()
    assert await desk.reports.go_round() == 1
    assert await desk.reports.go_round() == 0
    ((url, packed),) = desk.posted
    assert url == "https://reports.example.test/in"
    document = json.loads(gzip.decompress(packed))
    assert document["organization-name"] == "relay.test"
    (policy,) = document["policies"]
    assert policy["summary"] == {
        "total-successful-session-count": 41,
        "total-failure-session-count": 2,
    }


async def test_a_report_leaves_as_mail_of_the_form_the_standard_asks_for(desk: Desk) -> None:
    desk.asks(MAIL)
    desk.later()
    async with BadServer() as server:
        await desk.running.add_server("out", server.port)
        assert await desk.reports.go_round() == 1
        await server.until(lambda: len(server.delivered) == 1)
    (mail,) = server.delivered
    assert (mail.return_path, [r.address for r in mail.recipients]) == ("", ["tls@example.test"])
    parsed = email.message_from_bytes(mail.content)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "tlsrpt"
    assert parsed["TLS-Report-Domain"] == DOMAIN
    assert parsed["TLS-Report-Submitter"] == "relay.test"
    assert parsed["TLS-Required"] == "No"
    assert parsed["From"] == "postmaster@relay.test"
    subject = " ".join(parsed["Subject"].split())
    assert subject.startswith(f"Report Domain: {DOMAIN} Submitter: relay.test Report-ID: <")
    text, report = parsed.get_payload()  # type: ignore[misc]
    assert text.get_content_type() == "text/plain"
    assert report.get_content_type() == "application/tlsrpt+gzip"
    assert report.get_filename().startswith(f"relay.test!{DOMAIN}!")
    document = json.loads(gzip.decompress(base64.b64decode(report.get_payload())))
    assert document["report-id"] in parsed["Subject"].replace("\n", "")


async def test_who_asks_for_no_reports_any_more_gets_none(desk: Desk) -> None:
    desk.asks("")
    desk.later()
    assert await desk.reports.go_round() == 0
    assert await desk.running.house.storage.tls.unreported(day_of(desk.clock.now_ms()), 9) == []


async def test_a_report_that_cannot_be_sent_is_tried_again_for_a_day(desk: Desk) -> None:
    desk.asks(WEB)
    desk.web_works = False
    desk.later(1.3)
    assert await desk.reports.go_round() == 0
    desk.web_works = True
    assert await desk.reports.go_round() == 1


@pytest.mark.parametrize("trouble", ["web", "dns"])
async def test_and_is_given_up_then(desk: Desk, trouble: str) -> None:
    desk.asks(WEB)
    desk.web_works = False
    if trouble == "dns":
        desk.dns.twists["*"] = refusing(dns.rcode.SERVFAIL)
    desk.later(3)
    assert await desk.reports.go_round() == 0
    assert await desk.running.house.storage.tls.unreported(day_of(desk.clock.now_ms()), 9) == []


async def test_without_a_live_app_no_mail_leaves(desk: Desk) -> None:
    await desk.running.set_mode(Mode.SANDBOX)
    desk.asks(MAIL)
    desk.later()
    assert await desk.reports.go_round() == 0


async def test_reports_can_be_switched_off_and_are_shown_all_the_same(desk: Desk) -> None:
    desk.asks(WEB)
    desk.later()
    assert await desk.make(send=False).go_round() == 0
    assert len(await desk.running.house.storage.tls.counted(desk.today_ms)) == 2


async def test_what_is_older_than_two_weeks_is_forgotten(desk: Desk) -> None:
    desk.later(16)
    await desk.reports.go_round()
    assert await desk.running.house.storage.tls.counted(desk.today_ms) == []
