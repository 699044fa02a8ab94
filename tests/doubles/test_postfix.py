"""a private Postfix in its three roles: it takes, relays and stores, and leaves nothing behind"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.doubles.certificates import CertificateFiles
from tests.doubles.journal import Journal, read_journal
from tests.doubles.judge import judge
from tests.doubles.letters import Sizes
from tests.doubles.load import LoadSettings, run_load
from tests.doubles.postfix import Postfix
from tests.doubles.sink import Sink, SinkSettings
from tests.doubles.usage import read_process

pytestmark = [pytest.mark.postfix, pytest.mark.root, pytest.mark.slow]


async def test_as_upstream_it_takes_logins_under_tls_only_and_stores_what_it_takes(
    certificate: CertificateFiles,
) -> None:
    async with Postfix.upstream(certificate, users={"ann": "pa ss"}) as postfix:
        assert postfix.port != postfix.tls_port
        for tls, port in (("starttls", postfix.port), ("implicit", postfix.tls_port)):
            for password, acknowledged in (("pa ss", 3), ("wrong", 0)):
                load = LoadSettings(
                    port,
                    3,
                    connections=1,
                    tls=tls,  # type: ignore[arg-type]
                    ca_file=certificate.ca,
                    username="ann",
                    password=password,
                    max_recipients=3,
                    away_seconds=0,
                )
                assert (await run_load(load)).acknowledged == acknowledged
        stranger = await run_load(LoadSettings(postfix.port, 1, away_seconds=0))
        assert (stranger.acknowledged, stranger.refused) == (0, 1)

        async def all_stored() -> None:
            while len(postfix.stored()) < 6:
                await asyncio.sleep(0.01)

        await asyncio.wait_for(all_stored(), 10)
        stored = postfix.stored()
        pids = postfix.pids()
        home = postfix.home
    assert all(message.return_path == "orders@example.test" for message in stored)
    assert max(len(message.recipients) for message in stored) > 1
    content = stored[0].content
    assert content.count(b"\n") == content.count(b"\r\n") > 5
    assert content.startswith(b"Received: ")
    assert len(pids) > 3
    assert [pid for pid in pids if read_process(pid) is not None] == []
    assert not home.exists()


async def test_as_client_it_relays_through_a_listener_with_tls_and_login(
    certificate: CertificateFiles, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "clients")
    settings = SinkSettings(
        tls=certificate.server_context(), username="ann", password="pa ss", defer_share=0.7
    )
    async with (
        Sink(settings) as sink,
        Postfix.relaying_client(
            sink.port, certificate.ca, username="ann", password="pa ss"
        ) as postfix,
    ):
        load = LoadSettings(postfix.port, 12, max_recipients=2, sizes=Sizes.parse("1k-60k"))
        report = await run_load(load, journal)
        await sink.until(lambda: sink.taken_count >= 12, seconds=20)
        verdict = judge(read_journal(tmp_path / "clients"), sink.facts)
    journal.close()
    assert report.acknowledged == 12
    assert all(fact["tls"] and fact["username"] == "ann" for fact in sink.taken)
    assert verdict.lost == verdict.phantoms == verdict.mismatches == verdict.duplicates == 0
    assert verdict.bodies_compared == 12 and verdict.deferrals > 0


async def test_a_certificate_of_another_name_keeps_the_mail_in_its_queue(
    certificate: CertificateFiles,
) -> None:
    async with (
        Sink(SinkSettings(tls=certificate.server_context())) as sink,
        Postfix.relaying_client(
            sink.port, certificate.ca, server_name="other.example.test"
        ) as postfix,
    ):
        assert (await run_load(LoadSettings(postfix.port, 1))).acknowledged == 1

        async def deferred() -> None:
            while "not verified" not in postfix.log():
                await asyncio.sleep(0.01)

        await asyncio.wait_for(deferred(), 10)
        assert postfix.queued() == 1 and sink.taken_count == 0


async def test_as_guarded_relay_it_takes_logins_under_tls_and_leaves_with_one(
    certificate: CertificateFiles, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "clients")
    settings = SinkSettings(tls=certificate.server_context(), username="us", password="their pass")
    async with (
        Sink(settings) as sink,
        Postfix.guarded_relay(
            sink.port, certificate, ("ann", "pa ss"), ("us", "their pass"),
            smtp_tls_connection_reuse="yes",
        ) as postfix,
    ):  # fmt: skip
        for tls, port in (("starttls", postfix.port), ("implicit", postfix.tls_port)):
            load = LoadSettings(
                port, 10, connections=2, tls=tls, ca_file=certificate.ca,  # type: ignore[arg-type]
                username="ann", password="pa ss",
            )  # fmt: skip
            assert (await run_load(load, journal)).acknowledged == 10
        stranger = await run_load(LoadSettings(postfix.port, 1, away_seconds=0))
        assert (stranger.acknowledged, stranger.refused) == (0, 1)
        await sink.until(lambda: sink.taken_count >= 20, seconds=20)
        verdict = judge(read_journal(tmp_path / "clients"), sink.facts)
    journal.close()
    assert verdict.lost == verdict.phantoms == verdict.mismatches == 0 and verdict.delivered == 20
    assert all(fact["channel"] and fact["username"] == "us" for fact in sink.taken)


async def test_as_plain_relay_it_survives_a_kill_and_its_work_is_measured(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "clients")
    # Nothing leaves before the kill: the sink is not there yet.
    async with Sink() as early:
        port = early.port
    async with Postfix.plain_relay(port) as postfix:
        report = await run_load(LoadSettings(postfix.port, 40, connections=4), journal)
        assert report.acknowledged == 40
        assert 0.01 < postfix.cpu_seconds() < 20
        assert postfix.memory_bytes() > 5_000_000
        pids = postfix.pids()
        postfix.kill()
        assert postfix.queued() == 40
        assert [pid for pid in pids if read_process(pid) is not None] == []
        async with Sink(SinkSettings(port=port)) as sink:
            await postfix.start()
            postfix.flush()
            await sink.until(lambda: sink.taken_count >= 40, seconds=20)
            verdict = judge(read_journal(tmp_path / "clients"), sink.facts)
    journal.close()
    assert verdict.lost == verdict.mismatches == 0 and verdict.delivered == 40
