"""the load driver: every answer written down once, whatever the server does meanwhile"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles
from tests.doubles.journal import Fact, Journal, read_journal
from tests.doubles.judge import judge
from tests.doubles.letters import Sizes
from tests.doubles.load import HttpTarget, LoadSettings, run_http_load, run_load
from tests.doubles.ports import refusing_port
from tests.doubles.script import Script, Stage, drop, garbage, raw, say
from tests.doubles.sink import Sink, SinkSettings

ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def journalled(path: Path) -> AsyncIterator[tuple[Journal, Callable[[], list[Fact]]]]:
    journal = Journal(path)
    yield journal, lambda: read_journal(path)
    journal.close()


def by_event(facts: list[Fact]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for fact in facts:
        counts[fact["event"]] = counts.get(fact["event"], 0) + 1
    return counts


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"overlap": True},
        {"pipelined": False},
        {"per_connection": 1},
        {"per_connection": 3, "overlap": True},
        {"sizes": Sizes.parse("1k-60k"), "max_recipients": 4, "overlap": True},
    ],
    ids=["kept", "overlap", "stepwise", "single", "some", "large"],
)
async def test_every_message_arrives_once_with_the_body_that_was_written_down(
    how: dict[str, Any], tmp_path: Path
) -> None:
    async with Sink() as sink, journalled(tmp_path / "c") as (journal, facts):
        report = await run_load(LoadSettings(sink.port, 60, connections=4, **how), journal)
        verdict = judge(facts(), sink.facts)
    assert report.acknowledged == 60 and report.left_over == 0
    assert verdict.acknowledged == verdict.delivered == verdict.copies >= 60
    assert verdict.bodies_compared == 60 and verdict.mismatches == 0
    assert verdict.connections_lost == 0 and verdict.bare_line_ends == 0
    assert len(report.latencies) == 60 and report.latency(0.5) > 0
    took = [fact["took_ms"] for fact in facts() if fact["event"] == "acknowledged"]
    assert len(took) == 60 and max(took) >= round(max(report.latencies) * 1000, 2)
    if how.get("per_connection") == 1:
        assert report.connections >= 60
    elif not how.get("per_connection"):
        assert report.connections == 4


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_it_logs_in_under_tls_and_checks_the_certificate(
    tls: Any, mechanism: Any, certificate: CertificateFiles, tmp_path: Path
) -> None:
    settings = SinkSettings(
        tls=certificate.server_context(),
        implicit_tls=tls == "implicit",
        username="ann",
        password="pa ss",
    )
    async with Sink(settings) as sink:
        load = LoadSettings(
            sink.port,
            20,
            tls=tls,
            ca_file=certificate.ca,
            username="ann",
            password="pa ss",
            mechanism=mechanism,
        )
        report = await run_load(load)
        assert report.acknowledged == 20
        assert all(fact["tls"] and fact["username"] == "ann" for fact in sink.taken)
        (channel,) = report.channels
        assert channel.startswith("TLSv1.3 TLS_"), "version and cipher, and nothing resumed"
        assert {fact["channel"] for fact in sink.taken} == {channel}
        stranger = LoadSettings(
            sink.port, 1, connections=1, tls=tls, server_name="other.test",
            ca_file=certificate.ca, away_seconds=0,
        )  # fmt: skip
        assert (await run_load(stranger)).left_over == 1


async def test_a_refused_login_ends_the_worker() -> None:
    async with BadServer(credentials={"ann": "right"}, auth_in_clear=True) as server:
        load = LoadSettings(server.port, 5, connections=2, username="ann", password="wrong")
        report = await run_load(load)
    assert report.logins_refused == 2 and report.left_over == 5
    assert len(server.sessions) == 2


async def test_an_answer_that_never_came_is_written_down_and_the_message_not_repeated(
    tmp_path: Path,
) -> None:
    script = Script().on(Stage.DOT, drop(), times=3)
    async with (
        BadServer(script) as server,
        journalled(tmp_path / "c") as (journal, facts),
    ):
        report = await run_load(LoadSettings(server.port, 10, connections=2), journal)
        taken = [message.header("X-Exp-Id")[0] for message in server.messages]
    assert (report.acknowledged, report.unanswered, report.reconnections) == (7, 3, 3)
    assert by_event(facts()) == {"acknowledged": 7, "unanswered": 3}
    assert len(taken) == len(set(taken)) == 10


async def test_what_was_lost_before_its_final_dot_is_handed_over_again(tmp_path: Path) -> None:
    script = (
        Script()
        .on(Stage.CONNECT, drop(reset=True), times=1)
        .on(Stage.BANNER, say(421, "4.3.2 not now"), drop(), times=1)
        .on(Stage.EHLO, garbage(), drop(), times=1)
        .on(Stage.MAIL, say(421, "4.3.2 shutting down"), drop(), times=1)
        .on(Stage.RCPT, drop(), times=1)
        .on(Stage.DATA, drop(), times=1)
        .on(Stage.MAIL, raw(b"200-unfinished\r\n"), drop(), times=1)
    )
    async with BadServer(script) as server, journalled(tmp_path / "c") as (journal, facts):
        for overlap in (False, True):
            load = LoadSettings(server.port, 12, connections=2, overlap=overlap)
            report = await run_load(load, journal)
            assert (report.acknowledged, report.left_over) == (12, 0)
    assert by_event(facts()) == {"acknowledged": 24}
    assert len(server.delivered) == 24


async def test_with_overlap_only_the_message_behind_its_dot_is_in_doubt(tmp_path: Path) -> None:
    script = Script().on(Stage.DOT, drop(), times=1, skip=2)
    async with BadServer(script) as server, journalled(tmp_path / "c") as (journal, facts):
        report = await run_load(LoadSettings(server.port, 8, connections=1, overlap=True), journal)
    assert (report.acknowledged, report.unanswered) == (7, 1)
    assert by_event(facts()) == {"acknowledged": 7, "unanswered": 1}
    assert len({message.header("X-Exp-Id")[0] for message in server.messages}) == 8


@pytest.mark.parametrize("pipelined", [True, False])
async def test_refusals_are_written_down_for_those_they_concern(
    pipelined: bool, tmp_path: Path
) -> None:
    script = (
        Script()
        .on(Stage.MAIL, say(452, "4.3.1 full"), times=1)
        .on(Stage.RCPT, say(550, "5.1.1 nobody"), when=lambda m: m.recipient.startswith("r1-0"))
        .on(Stage.RCPT, say(550, "5.1.1 nobody"), when=lambda m: m.recipient.startswith("r2-"))
        .on(Stage.DATA, say(451, "4.3.0 later"), when=lambda m: m.transaction == 4)
        .on(Stage.DOT, say(554, "5.6.0 never"), when=lambda m: m.transaction == 5)
    )
    async with BadServer(script) as server, journalled(tmp_path / "c") as (journal, facts):
        load = LoadSettings(
            server.port, 8, connections=1, max_recipients=3, seed=4, pipelined=pipelined
        )
        report = await run_load(load, journal)
        verdict = judge(facts(), [])
    delivered = sum(len(message.accepted_recipients) for message in server.delivered)
    assert report.refused == 5 and report.left_over == 0
    assert report.acknowledged == len(server.delivered)
    assert verdict.acknowledged == delivered
    refused = [fact for fact in facts() if fact["event"] == "refused"]
    assert refused[0]["reply"] == "452 4.3.1 full"
    assert {fact["reply"][:3] for fact in refused} == {"452", "550", "451", "554"}
    assert not any(r.startswith("r2-") for m in server.delivered for r in m.accepted_recipients)


async def test_it_goes_on_when_the_server_is_back(tmp_path: Path) -> None:
    async with journalled(tmp_path / "c") as (journal, facts):
        first = Sink()
        await first.start()
        load = LoadSettings(first.port, 300, connections=3, rate=1000)
        running = asyncio.create_task(run_load(load, journal))
        await first.until(lambda: first.taken_count >= 50)
        await first.stop()
        async with Sink(SinkSettings(port=first.port)) as second:
            report = await running
            verdict = judge(facts(), first.facts + second.facts)
    assert report.reconnections > 0 and report.left_over == 0
    assert report.acknowledged + report.unanswered == 300
    assert verdict.lost == verdict.phantoms == verdict.duplicates == 0


async def test_it_gives_up_when_the_server_stays_away_or_time_is_over() -> None:
    with refusing_port() as port:
        report = await run_load(LoadSettings(port, 5, away_seconds=0.05))
    assert report.left_over == 5 and report.reconnections > 0
    async with Sink() as sink:
        slow = LoadSettings(sink.port, 1000, connections=2, rate=50, max_seconds=0.2)
        report = await run_load(slow)
    assert 0 < report.acknowledged < 40
    assert report.acknowledged + report.left_over == 1000


async def test_some_recipients_are_such_as_the_sink_refuses_or_defers(tmp_path: Path) -> None:
    async with Sink() as sink, journalled(tmp_path / "c") as (journal, facts):
        load = LoadSettings(
            sink.port, 60, max_recipients=3, bad_share=0.2, deferring_share=0.2, connections=1
        )
        report = await run_load(load, journal)
        verdict = judge(facts(), sink.facts)
    codes = [fact["code"] for fact in sink.facts if fact["event"] == "refused"]
    assert 5 < codes.count(550) < 45 and 5 < codes.count(451) < 45
    assert verdict.refused == len(codes) and report.left_over == 0
    assert verdict.lost == verdict.phantoms == 0 and verdict.delivered == verdict.acknowledged


async def test_a_rate_is_kept() -> None:
    async with Sink() as sink:
        report = await run_load(LoadSettings(sink.port, 60, rate=300))
    assert report.acknowledged == 60
    assert report.seconds >= 59 / 300


async def test_a_silent_server_costs_its_answer_time_and_no_more() -> None:
    script = Script().on(Stage.DOT, times=1)
    async with BadServer(script) as server:
        load = LoadSettings(server.port, 3, connections=1, answer_seconds=0.2)
        report = await run_load(load)
    assert (report.acknowledged, report.unanswered) == (2, 1)


def test_as_a_process_it_prints_its_numbers(tmp_path: Path) -> None:
    with refusing_port() as port:
        command = [
            sys.executable, "-m", "tests.doubles.load", "--smtp", f"127.0.0.1:{port}",
            "--count", "3", "--log", f"{tmp_path}/c", "--size", "1k-2k", "--away-seconds", "0",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=20)
    numbers = json.loads(done.stdout)
    assert numbers["left_over"] == 3 and numbers["acknowledged"] == 0


class Service:
    """A small HTTP service that answers by a plan, one plan entry per request."""

    def __init__(self, plan: list[str]) -> None:
        self.plan = plan
        self.requests: list[tuple[bytes, dict[str, Any]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = dict(
                    line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line
                )
                body = await reader.readexactly(int(lines[b"content-length"]))
                self.requests.append((head, json.loads(body)))
                what = self.plan.pop(0) if self.plan else "200"
                if what == "drop":
                    break
                answer = b'{"count": 1}'
                if what == "chunked":
                    parts = b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                    writer.write(b"HTTP/1.1 200 OK\r\n" + parts)
                    continue
                close = "Connection: close\r\n" if what == "close" else ""
                status = 200 if what == "close" else int(what)
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n{close}\r\n".encode()
                    + answer
                )
                if close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def test_http_requests_carry_the_key_the_id_and_ask_not_to_wait(tmp_path: Path) -> None:
    service = Service(["200", "chunked", "close", "503", "drop", "200"])
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with journalled(tmp_path / "c") as (journal, facts):
        target = HttpTarget.parse(f"http://127.0.0.1:{port}", "email", "k" * 64)
        load = LoadSettings(0, 6, connections=1, max_recipients=2)
        report = await run_http_load(load, target, journal)
        written = facts()
    server.close()
    assert (report.acknowledged, report.refused, report.unanswered) == (4, 1, 1)
    head, fields = service.requests[0]
    assert head.startswith(b"POST /api/v2/email HTTP/1.1\r\n")
    assert b"x-dreamfactory-api-key: " + b"k" * 64 in head.lower()
    assert fields["async"] is True and fields["subject"] == written[0]["id"]
    assert [entry["email"] for entry in fields["to"]] == written[0]["recipients"]
    assert [fact["event"] for fact in written] == [
        "acknowledged", "acknowledged", "acknowledged", "refused", "unanswered", "acknowledged",
    ]  # fmt: skip
    assert written[0]["reply"] == '200 {"count": 1}' and written[1]["reply"] == "200 hello"
    assert written[3]["reply"].startswith("503")
    subjects = [request[1]["subject"] for request in service.requests]
    assert len(set(subjects)) == 6


async def test_ids_differ_between_runs_and_not_within_one() -> None:
    async with Sink() as sink:
        for run in ("", "", "named"):
            await run_load(LoadSettings(sink.port, 5, run=run))
    identities = [fact["id"] for fact in sink.taken]
    assert len(set(identities)) == 15
    assert sum(identity.startswith("exp-named-") for identity in identities) == 5


async def test_the_digest_written_down_is_of_the_body(tmp_path: Path) -> None:
    async with BadServer() as server, journalled(tmp_path / "c") as (journal, facts):
        await run_load(LoadSettings(server.port, 1, sizes=Sizes(5000, 5000)), journal)
        (fact,) = facts()
    assert fact["sha256"] == hashlib.sha256(server.messages[0].body).hexdigest()
    assert fact["size"] == len(server.messages[0].content)
