"""a direct way's check: the hosts of the test address, found and met as mail would"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.net.dns_servers import DnsConfig
from pillarbox.policy.checkup import Report, Result, StepName
from pillarbox.policy.mx import DirectConfig
from pillarbox.policy.server import Kind, Server
from tests.doubles.certificates import issue_certificate
from tests.doubles.mx_farm import NETWORK, MxFarm, mx_farm
from tests.doubles.ports import free_port
from tests.doubles.script import Script, Stage, say
from tests.fix_house import Houses, Running

ME = "me@example.org"


@pytest.fixture
async def farm() -> AsyncIterator[MxFarm]:
    async with mx_farm() as found:
        yield found


async def start(houses: Houses, farm: MxFarm) -> tuple[Running, Server]:
    """A house with a direct way, whose app has a test address."""
    running = await houses.start(
        direct=DirectConfig(
            port=farm.port or free_port(), allowed_networks=(NETWORK,), connect_seconds=1.0
        ),
        dns=DnsConfig(servers=(farm.dns.address,), timeout_seconds=0.3, rounds=1),
    )
    running.app = replace(running.app, test_address=ME, from_address="shop@example.com")
    await running.house.storage.directory.save_app(running.app)
    return running, await running.add_server("direct", 25, kind=Kind.DIRECT)


async def check(running: Running, way: Server, **wishes: object) -> Report:
    return await running.house.checker.check(way, running.app, **wishes)  # type: ignore[arg-type]


async def test_the_test_mail_goes_to_the_host_of_the_test_address(
    houses: Houses, farm: MxFarm
) -> None:
    host = await farm.host("mx.example.org")
    farm.domain("example.org", (10, "mx.example.org"))
    running, way = await start(houses, farm)
    report = await check(running, way)
    assert report.ok and len(host.messages) == 1
    assert "mx.example.org" in report.steps[0].words
    (tls,) = [step for step in report.steps if step.name is StepName.TLS]
    assert tls.result is Result.WARN and "server set" not in tls.fix


async def test_the_next_host_is_tried_where_the_first_is_away(houses: Houses, farm: MxFarm) -> None:
    farm.dead("mx1.example.org")
    second = await farm.host("mx2.example.org")
    farm.domain("example.org", (10, "mx1.example.org"), (20, "mx2.example.org"))
    running, way = await start(houses, farm)
    report = await check(running, way)
    assert report.ok and len(second.messages) == 1
    assert report.steps[0].result is Result.WARN and "mx1.example.org" in report.steps[0].words


async def test_a_host_that_encrypts_is_met_with_tls_whoever_vouches_for_it(
    houses: Houses, farm: MxFarm, tmp_path: Path
) -> None:
    tls = issue_certificate(tmp_path / "c", "mx.example.org").server_context()
    host = await farm.host("mx.example.org", tls=tls)
    farm.domain("example.org", (10, "mx.example.org"))
    running, way = await start(houses, farm)
    report = await check(running, way)
    assert report.ok and host.messages[0].code == 250
    assert next(s for s in report.steps if s.name is StepName.TLS).words.startswith("TLS 1.")


@pytest.mark.parametrize(
    ("records", "said"),
    [((), "example.org"), (((0, ""),), "null MX")],
)
async def test_a_domain_that_takes_no_mail_fails_at_the_name(
    houses: Houses, farm: MxFarm, records: tuple[tuple[int, str], ...], said: str
) -> None:
    if records:
        farm.domain("example.org", *records)
    running, way = await start(houses, farm)
    report = await check(running, way)
    (step,) = report.steps
    assert not report.ok and step.name is StepName.NAME and said in step.words
    assert "server set" not in step.fix


async def test_what_the_host_says_of_the_recipient_is_told(houses: Houses, farm: MxFarm) -> None:
    await farm.host("mx.example.org", Script().on(Stage.RCPT, say(550, "5.1.1 nobody here")))
    farm.domain("example.org", (10, "mx.example.org"))
    running, way = await start(houses, farm)
    report = await check(running, way)
    assert not report.ok and "nobody here" in report.sentence
    assert report.steps[-1].name is StepName.MAIL


async def test_without_mail_a_direct_way_is_met_and_nothing_is_sent(
    houses: Houses, farm: MxFarm
) -> None:
    host = await farm.host("mx.example.org")
    farm.domain("example.org", (10, "mx.example.org"))
    running, way = await start(houses, farm)
    report = await check(running, way, mail=False)
    assert report.ok and not host.messages and not report.changed
