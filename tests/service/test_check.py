"""a server's check: each step in words, and what comes of it

The doubles on the other side are real sockets. C46, C48, C50, C52 and C53 are about the compatible
API and are shown there.
"""

from __future__ import annotations

import asyncio
import queue
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from pillarbox.cli.client import SOCKET_NAME, Where, connected
from pillarbox.cli.errors import ApiProblem
from pillarbox.net.client_facts import ClientTimeouts
from pillarbox.net.errors import Broken
from pillarbox.net.http_client import LocalClient
from pillarbox.policy.checkup import Report, Result, Step, StepName
from pillarbox.policy.directory import Mode
from pillarbox.policy.events import CheckFacts, SwitchFacts
from pillarbox.policy.server import Encryption, Kind, SenderRule, Server
from pillarbox.services.delivery.check import Checker, HostsOf
from pillarbox.services.delivery.config import DeliveryConfig
from pillarbox.services.delivery.line import Lines
from pillarbox.storage.interface.errors import NotFound
from pillarbox.terms.secret import Secret
from pillarbox.terms.setting import InvalidSetting
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.ports import free_port
from tests.doubles.script import Gate, Script, Stage, drop, say, stall, usual
from tests.fix_house import QUICK, Running

ME = "me@example.com"


@dataclass
class Bench:
    """A running Pillarbox whose app has a test address and an author."""

    running: Running

    async def server(self, port: int, **facts: Any) -> Server:
        return await self.running.add_server("relay", port, **facts)

    async def check(self, server: Server, **wishes: Any) -> Report:
        found = await self.running.house.storage.directory.server(server.id)
        return await self.running.house.checker.check(found, self.running.app, **wishes)

    async def found(self, server: Server) -> Server:
        return await self.running.house.storage.directory.server(server.id)

    async def kinds(self) -> list[str]:
        """Events about servers, oldest first."""
        events = await self.running.house.storage.events.recent(50)
        return [event.kind for event in events[::-1] if event.kind.startswith("server.")]

    def checker(
        self,
        seconds: float = 5.0,
        hosts_of: HostsOf | None = None,
        timeouts: ClientTimeouts = QUICK,
    ) -> Checker:
        """One of our own over the same storage."""
        house = self.running.house
        return Checker(
            Lines("relay.test", timeouts), house.storage.directory, house.checker._circuits,
            house.clock, house.news, hostname="relay.test", seconds=seconds, hosts_of=hosts_of,
        )  # fmt: skip


@pytest.fixture
async def bench(running: Running) -> Bench:
    app = replace(running.app, test_address=ME, from_address="shop@example.com")
    await running.house.storage.directory.save_app(app)
    running.app = app
    return Bench(running)


@pytest.fixture
def certificate(tmp_path: Path) -> CertificateFiles:
    return issue_certificate(tmp_path / "certificate")


def names(report: Report) -> list[str]:
    return [f"{step.result}:{step.name}" for step in report.steps]


def last(report: Report) -> Step:
    return report.steps[-1]


# --- it works ---------------------------------------------------------------------------------


async def test_a_check_sends_one_mail_to_the_apps_test_address_through_that_server(
    bench: Bench,
) -> None:
    async with BadServer() as other, BadServer() as checked:
        await bench.running.add_server("other", other.port, priority=0)
        mine = await bench.server(checked.port)
        report = await bench.check(mine)
        assert report.ok and report.mail and report.recipient == ME
        (message,) = checked.messages
        assert message.return_path == "shop@example.com"
        assert [r.address for r in message.recipients] == [ME]
        assert b"Auto-Submitted: auto-generated" in message.content
        assert b"To: me@example.com" in message.content
        assert not other.sessions


async def test_every_step_is_told_in_order_with_its_words(
    bench: Bench, certificate: CertificateFiles
) -> None:
    tls = certificate.server_context()
    async with BadServer(tls=tls, credentials={"relay": "right"}) as server:
        mine = await bench.server(
            server.port, encryption=Encryption.STARTTLS, ca_file=str(certificate.ca),
            username="relay", password=Secret("right"),
        )  # fmt: skip
        report = await bench.check(mine)
    assert names(report) == [
        "ok:name", "ok:connect", "ok:greeting", "ok:tls", "ok:login", "ok:sender", "ok:mail",
    ]  # fmt: skip
    words = {step.name: step.words for step in report.steps}
    assert words[StepName.CONNECT] == f"127.0.0.1 port {server.port}"
    assert "mx.example.test" in words[StepName.GREETING]
    assert words[StepName.TLS].startswith("TLS 1.")
    assert "certificate valid" in words[StepName.TLS] and "matches name" in words[StepName.TLS]
    assert words[StepName.LOGIN] == "PLAIN accepted"
    assert "shop@example.com" in words[StepName.SENDER]
    assert ME in report.sentence
    assert any(offer.startswith("SIZE") for offer in report.offers)
    assert all(step.milliseconds >= 0 for step in report.steps)


@pytest.mark.parametrize("mode", [Mode.SANDBOX, Mode.LIVE])
async def test_a_check_sends_its_mail_whatever_the_apps_mode(bench: Bench, mode: Mode) -> None:
    await bench.running.set_mode(mode)
    async with BadServer() as server:
        report = await bench.check(await bench.server(server.port))
        assert report.ok and len(server.messages) == 1


async def test_without_mail_a_check_ends_before_mail_and_changes_nothing(bench: Bench) -> None:
    async with BadServer() as server:
        mine = await bench.server(server.port, status="D")
        report = await bench.check(mine, mail=False)
        assert report.ok and not report.changed
        assert "No mail was sent" in report.sentence
        assert not {"MAIL", "RCPT", "DATA"} & set(server.sessions[0].verbs)
    assert (await bench.found(mine)).status == "D"
    assert await bench.kinds() == []


async def test_a_failure_without_mail_changes_nothing_either(bench: Bench) -> None:
    mine = await bench.server(free_port())
    report = await bench.check(mine, mail=False)
    assert not report.ok
    assert (await bench.found(mine)).status == "A"
    assert await bench.kinds() == []


# --- what comes of it -------------------------------------------------------------------------


async def test_c49_a_good_check_enables_a_disabled_server(bench: Bench) -> None:
    async with BadServer() as server:
        mine = await bench.server(server.port, status="D")
        report = await bench.check(mine)
    assert (report.ok, report.status, report.changed) == (True, "A", True)
    assert (await bench.found(mine)).status == "A"
    assert await bench.kinds() == ["server.checked", "server.enabled"]


async def test_c51_a_failed_check_disables_an_enabled_server_and_says_why(bench: Bench) -> None:
    script = Script().on(Stage.DOT, say(554, "5.7.1 not wanted"))
    async with BadServer(script) as server:
        mine = await bench.server(server.port)
        report = await bench.check(mine)
    assert (report.ok, report.status, report.changed) == (False, "D", True)
    assert "not wanted" in report.sentence
    assert (await bench.found(mine)).status == "D"
    events = await bench.running.house.storage.events.recent(2)
    switched, checked = (event.data for event in events)
    assert isinstance(switched, SwitchFacts) and isinstance(checked, CheckFacts)
    assert (switched.by, switched.reason) == ("check", report.sentence)
    assert not checked.ok and checked.steps[-1][:2] == ("mail", "failed")


async def test_c58_a_good_check_forgets_the_errors(bench: Bench) -> None:
    script = Script().on(Stage.MAIL, say(451, "4.3.0 later"), times=1)
    await bench.running.set_mode(Mode.LIVE)
    async with BadServer(script) as server:
        mine = await bench.server(server.port)
        receipt = await bench.running.submit()
        await bench.running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
        directory = bench.running.house.storage.directory
        await directory.judge_server(replace(mine, status="D", errors=1), 1, [])
        report = await bench.check(mine)
    assert report.ok
    assert (await bench.found(mine)).errors == 0


async def test_what_was_changed_while_it_was_tried_is_not_judged_by_it(bench: Bench) -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.MAIL, stall(gate), say(550, "5.1.0 no"))) as server:
        mine = await bench.server(server.port)
        checking = asyncio.ensure_future(bench.check(mine))
        await gate.reached()
        directory = bench.running.house.storage.directory
        await directory.save_server(replace(mine, priority=1, modified_at=mine.modified_at + 1))
        gate.release()
        report = await checking
    assert not report.ok and not report.changed and report.status == "A"
    assert (await bench.found(mine)).priority == 1
    assert await bench.kinds() == ["server.checked"]


async def test_a_server_removed_while_it_was_tried_stays_away(bench: Bench) -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.MAIL, stall(gate), say(550, "5.1.0 no"))) as server:
        mine = await bench.server(server.port)
        checking = asyncio.ensure_future(bench.check(mine))
        await gate.reached()
        await bench.running.house.storage.directory.remove_server(mine.id)
        gate.release()
        assert not (await checking).ok
    with pytest.raises(NotFound):
        await bench.found(mine)


async def test_a_check_more_than_there_is_room_for_is_put_off_and_changes_nothing(
    bench: Bench,
) -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.BANNER, stall(gate), usual())) as server:
        mine = await bench.server(server.port)
        checker = bench.checker()
        checker._room = asyncio.Semaphore(1)
        first = asyncio.ensure_future(checker.check(mine, bench.running.app))
        await gate.reached()
        second = await checker.check(mine, bench.running.app)
        gate.release()
        assert (await first).ok
    assert not second.ok and not second.changed and "Try again" in second.sentence


# --- each step failing ------------------------------------------------------------------------


async def test_a_name_that_nobody_knows_fails_at_the_name(bench: Bench) -> None:
    mine = await bench.server(25)
    nowhere = replace(mine, host="no-such-host.invalid")
    await bench.running.house.storage.directory.save_server(nowhere)
    report = await bench.check(mine)
    assert names(report) == ["failed:name"]
    assert "no-such-host.invalid" in last(report).words and "--host" in last(report).fix


async def test_c54_a_check_against_a_closed_port_ends_soon(bench: Bench) -> None:
    mine = await bench.server(free_port())
    async with asyncio.timeout(5):
        report = await bench.check(mine)
    assert names(report) == ["ok:name", "failed:connect"]
    assert "nobody listens" in report.sentence
    assert "--port" in last(report).fix
    assert (await bench.found(mine)).status == "D"


async def test_a_check_ends_when_its_time_is_over_and_names_the_step(bench: Bench) -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.BANNER, stall(gate))) as server:
        mine = await bench.server(server.port)
        checker = bench.checker(seconds=0.2)
        async with asyncio.timeout(5):
            report = await checker.check(mine, bench.running.app)
        gate.release()
    assert names(report) == ["ok:name", "ok:connect", "failed:greeting"]
    assert "0.2 seconds" in report.sentence


def test_a_check_that_may_take_no_time_is_no_setting() -> None:
    with pytest.raises(InvalidSetting, match="check_seconds"):
        DeliveryConfig(check_seconds=0)


@pytest.mark.parametrize(
    ("stage", "steps", "at", "said"),
    [
        (Stage.BANNER, [say(554, "no service for you")], "greeting", "no service for you"),
        (Stage.BANNER, [drop()], "greeting", "closed the connection"),
        (Stage.EHLO, [say(554, "5.7.1 go away")], "greeting", "go away"),
        (Stage.MAIL, [say(550, "5.7.1 sender not owned by user")], "sender", "not owned"),
        (Stage.RCPT, [say(550, "5.7.1 Sender address rejected: not owned")], "sender", "not owned"),
        (Stage.RCPT, [say(550, "5.1.1 no such user")], "mail", "no such user"),
        (Stage.RCPT, [say(554, "5.7.1 Relay access denied")], "mail", "Relay access denied"),
        (Stage.DATA, [say(451, "4.3.0 try later")], "mail", "try later"),
        (Stage.DOT, [say(554, "5.7.1 spam")], "mail", "spam"),
        (Stage.DOT, [drop()], "mail", "may have been delivered"),
    ],
)
async def test_a_refusal_fails_at_its_step_with_the_servers_words(
    bench: Bench, stage: Stage, steps: list[Any], at: str, said: str
) -> None:
    async with BadServer(Script().on(stage, *steps)) as server:
        report = await bench.check(await bench.server(server.port))
    assert names(report)[-1] == f"failed:{at}"
    assert [step.name for step in report.steps].count(last(report).name) == 1
    assert said in report.sentence
    assert last(report).fix
    assert not report.ok


async def test_a_refused_login_fails_at_the_login_and_sends_no_mail(bench: Bench) -> None:
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as server:
        mine = await bench.server(server.port, username="relay", password=Secret("wrong-pass"))
        report = await bench.check(mine)
        assert "MAIL" not in server.sessions[0].verbs
    assert names(report)[-1] == "failed:login"
    assert "535" in report.sentence and "--ask-password" in last(report).fix
    assert "wrong-pass" not in repr(report)


async def test_an_app_password_that_is_wanted_is_asked_for_in_words(bench: Bench) -> None:
    script = Script().on(Stage.AUTH, say(534, "5.7.9 Application-specific password required"))
    async with BadServer(script, credentials={"a": "b"}, auth_in_clear=True) as server:
        mine = await bench.server(server.port, username="a", password=Secret("b"))
        report = await bench.check(mine)
    assert "app password" in last(report).why


async def test_c55_starttls_that_is_wanted_and_not_offered_fails_and_nothing_is_said_in_clear(
    bench: Bench,
) -> None:
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as server:
        mine = await bench.server(
            server.port, encryption=Encryption.STARTTLS, username="relay", password=Secret("right")
        )
        report = await bench.check(mine)
        assert not {"AUTH", "MAIL"} & set(server.sessions[0].verbs)
    assert names(report)[-1] == "failed:tls"
    assert "does not offer STARTTLS" in report.sentence


async def test_c56_a_server_set_to_tls_is_met_with_tls_from_the_first_byte(
    bench: Bench, certificate: CertificateFiles
) -> None:
    tls = certificate.server_context()
    async with BadServer(tls=tls, implicit_tls=True) as server:
        mine = await bench.server(
            server.port, encryption=Encryption.TLS, ca_file=str(certificate.ca)
        )
        report = await bench.check(mine)
        assert report.ok
        assert all(command.tls for command in server.sessions[0].commands)
        assert "STARTTLS" not in server.sessions[0].verbs
    assert names(report)[:4] == ["ok:name", "ok:connect", "ok:tls", "ok:greeting"]


async def test_c57_without_auth_no_login_is_said_even_if_there_is_a_user_name(
    bench: Bench,
) -> None:
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as server:
        mine = await bench.server(
            server.port, auth=False, username="relay", password=Secret("right")
        )
        report = await bench.check(mine)
        assert report.ok
        assert "AUTH" not in server.sessions[0].verbs
    await bench.running.set_mode(Mode.LIVE)
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as server:
        await bench.running.house.storage.directory.save_server(replace(mine, port=server.port))
        receipt = await bench.running.submit()
        await bench.running.until(receipt.message)
        assert len(server.messages) == 1 and "AUTH" not in server.sessions[0].verbs


async def test_a_wrong_certificate_fails_at_tls_and_says_what_to_do(
    bench: Bench, certificate: CertificateFiles, tmp_path: Path
) -> None:
    other = issue_certificate(tmp_path / "other", "mail.elsewhere.example")
    async with BadServer(tls=certificate.server_context()) as server:
        mine = await bench.server(server.port, encryption=Encryption.STARTTLS)
        stranger = await bench.check(mine)
    assert names(stranger)[-1] == "failed:tls" and "--ca-file" in last(stranger).fix
    async with BadServer(tls=other.server_context()) as server:
        mine = await bench.running.add_server(
            "named", server.port, encryption=Encryption.STARTTLS, ca_file=str(other.ca)
        )
        misnamed = await bench.check(mine)
    assert "issued for another" in misnamed.sentence and "--host" in last(misnamed).fix


@pytest.mark.parametrize(
    ("days", "result", "said"),
    [(-2, "failed:tls", "it has expired"), (5, "warn:tls", "certificate valid 4 days")],
)
async def test_a_certificate_that_has_ended_fails_and_one_that_ends_soon_warns(
    bench: Bench, days: int, result: str, said: str
) -> None:
    authority = trustme.CA()
    leaf = authority.issue_cert(
        "127.0.0.1",
        not_before=datetime.now(UTC) - timedelta(days=30),
        not_after=datetime.now(UTC) + timedelta(days=days),
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(tls)
    with authority.cert_pem.tempfile() as ca_file:
        async with BadServer(tls=tls) as server:
            mine = await bench.server(server.port, encryption=Encryption.STARTTLS, ca_file=ca_file)
            report = await bench.check(mine)
    assert result in names(report)
    (step,) = [step for step in report.steps if step.name is StepName.TLS]
    assert said in step.words and step.why and step.fix


async def test_a_certificate_that_is_not_checked_is_a_warning_every_time(
    bench: Bench, certificate: CertificateFiles
) -> None:
    async with BadServer(tls=certificate.server_context()) as server:
        mine = await bench.server(server.port, encryption=Encryption.STARTTLS, verify=False)
        report = await bench.check(mine)
    (tls,) = [step for step in report.steps if step.name is StepName.TLS]
    assert report.ok and tls.result is Result.WARN
    assert "NOT CHECKED" in tls.words and "--verify" in tls.fix


async def test_an_authority_that_cannot_be_read_fails_at_tls(bench: Bench, tmp_path: Path) -> None:
    mine = await bench.server(
        25, encryption=Encryption.STARTTLS, ca_file=str(tmp_path / "missing.pem")
    )
    report = await bench.check(mine)
    assert names(report) == ["failed:tls"] and "missing.pem" in report.sentence


# --- senders ----------------------------------------------------------------------------------


async def test_where_the_sender_is_refused_the_servers_default_is_tried(bench: Bench) -> None:
    script = Script().on(Stage.MAIL, say(550, "5.7.1 not owned by user"), times=1)
    async with BadServer(script) as server:
        mine = await bench.server(server.port, from_address="relay@example.net")
        report = await bench.check(mine)
        assert [m.return_path for m in server.messages] == ["relay@example.net"]
    assert report.ok and report.sender == "relay@example.net"
    assert "warn:sender" in names(report)


async def test_a_default_that_always_stands_in_is_the_one_that_is_tried(bench: Bench) -> None:
    async with BadServer() as server:
        mine = await bench.server(
            server.port, from_address="relay@example.net", sender_rule=SenderRule.ALWAYS
        )
        await bench.check(mine)
        assert [m.return_path for m in server.messages] == ["relay@example.net"]


async def test_a_sender_that_is_asked_for_is_the_one_that_is_tried_and_disables_nothing(
    bench: Bench,
) -> None:
    script = Script().on(Stage.MAIL, say(550, "5.7.1 not owned by user"))
    async with BadServer(script) as server:
        mine = await bench.server(server.port)
        report = await bench.check(mine, sender="odd@example.org")
        assert b"odd@example.org" in b"".join(c.line for c in server.sessions[0].commands)
    assert not report.ok and not report.changed
    assert (await bench.found(mine)).status == "A"


async def test_without_a_test_address_the_server_stays_as_it_is(bench: Bench) -> None:
    bench.running.app = replace(bench.running.app, test_address="")
    async with BadServer() as server:
        mine = await bench.server(server.port)
        report = await bench.check(mine)
        assert not server.messages
    assert not report.ok and "no test address" in report.sentence
    assert "--test-address" in last(report).fix
    assert (await bench.found(mine)).status == "A"


async def test_an_address_the_server_cannot_be_told_of_fails_in_words(bench: Bench) -> None:
    bench.running.app = replace(bench.running.app, test_address="jörg@example.com")
    async with BadServer(extensions=("PIPELINING",)) as server:
        report = await bench.check(await bench.server(server.port))
    assert not report.ok and "SMTPUTF8" in report.sentence


# --- direct ways ------------------------------------------------------------------------------


async def test_a_direct_way_says_that_it_cannot_be_checked_where_nobody_finds_its_hosts(
    bench: Bench,
) -> None:
    mine = await bench.server(25, kind=Kind.DIRECT)
    report = await bench.checker().check(mine, bench.running.app)
    assert not report.ok and "cannot be checked" in report.sentence and not report.steps
    assert (await bench.found(mine)).status == "A"


@asynccontextmanager
async def direct(bench: Bench, *ports: int) -> AsyncIterator[tuple[Checker, Server]]:
    """A checker that finds hosts at these ports, and a direct way."""
    mine = await bench.server(25, kind=Kind.DIRECT)

    async def hosts_of(way: Server, domain: str) -> list[Server]:
        assert domain == "example.com"
        if not ports:
            raise Broken("connect", f"{domain} takes no mail")
        return [
            replace(way, kind=Kind.SMTP, name=f"mx{n}", host="127.0.0.1", port=port)
            for n, port in enumerate(ports)
        ]

    yield bench.checker(hosts_of=hosts_of), mine


async def test_a_direct_way_is_checked_at_the_hosts_of_the_test_address(bench: Bench) -> None:
    async with (
        BadServer() as server,
        direct(bench, free_port(), server.port) as (checker, mine),
    ):
        report = await checker.check(mine, bench.running.app)
        assert report.ok and len(server.messages) == 1
    assert report.steps[0].result is Result.WARN and report.steps[0].words.startswith("mx0")


async def test_a_direct_way_wants_a_test_address_also_without_mail(bench: Bench) -> None:
    bench.running.app = replace(bench.running.app, test_address="")
    async with direct(bench) as (checker, mine):
        for mail in (True, False):
            report = await checker.check(mine, bench.running.app, mail=mail)
            assert names(report) == ["failed:name"] and "--test-address" in last(report).fix
    assert (await bench.found(mine)).status == "A"


async def test_a_direct_way_without_hosts_fails_at_the_name(bench: Bench) -> None:
    async with direct(bench) as (checker, mine):
        report = await checker.check(mine, bench.running.app)
    assert names(report) == ["failed:name"] and "takes no mail" in report.sentence


# --- the line -----------------------------------------------------------------------------------


async def test_a_line_says_the_servers_own_ehlo_name(bench: Bench) -> None:
    async with BadServer() as server:
        await bench.check(await bench.server(server.port))
        await bench.check(
            await bench.running.add_server("named", server.port, hello_name="out.example.net")
        )
        said = [session.commands[0].line.strip() for session in server.sessions]
    assert said == [b"EHLO relay.test", b"EHLO out.example.net"]


async def test_a_line_comes_from_the_servers_local_address(bench: Bench) -> None:
    peers: list[str] = []

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername")[0])
        writer.close()

    listening = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        await bench.check(await bench.server(port, local_address="127.0.0.2"))
    assert peers == ["127.0.0.2"]


async def test_an_address_this_machine_does_not_have_fails_at_connecting(bench: Bench) -> None:
    async with BadServer() as server:
        report = await bench.check(await bench.server(server.port, local_address="192.0.2.1"))
    assert names(report)[-1] == "failed:connect" and "--local-address" in last(report).fix


# --- told as it is made -----------------------------------------------------------------------


async def test_steps_are_heard_as_they_are_made_by_whoever_follows(bench: Bench) -> None:
    gate = Gate()
    place = Where(data_dir=str(bench.running.house.settings.data_dir))
    heard: queue.Queue[dict[str, Any]] = queue.Queue()

    def follow(server: str, wish: dict[str, Any]) -> None:
        with connected(place) as client:
            for item in client.follow(f"/servers/{server}/check", wish):
                heard.put(item)

    async with BadServer(Script().on(Stage.BANNER, stall(gate), usual())) as server:
        await bench.server(server.port)
        following = asyncio.ensure_future(asyncio.to_thread(follow, "relay", {"mail": False}))
        first = [await asyncio.to_thread(heard.get, timeout=5) for _ in range(2)]
        assert [item["step"]["name"] for item in first] == ["name", "connect"]
        gate.release()
        await following
    rest = [heard.get_nowait() for _ in range(heard.qsize())]
    assert [item["step"]["name"] for item in rest[:-1]] == ["greeting", "tls", "login"]
    assert rest[-1]["report"]["ok"] is True


async def test_what_cannot_be_followed_is_refused_as_ever(bench: Bench) -> None:
    place = Where(data_dir=str(bench.running.house.settings.data_dir))

    def follow() -> None:
        with connected(place) as client:
            list(client.follow("/servers/nowhere/check", {}))

    with pytest.raises(ApiProblem, match="nowhere"):
        await asyncio.to_thread(follow)


async def test_a_check_whose_caller_goes_away_is_broken_off_and_judges_nobody(bench: Bench) -> None:
    gate = Gate()
    place = bench.running.house.settings.data_dir / SOCKET_NAME

    def begin() -> LocalClient:
        client = LocalClient(place)
        _, lines = client.stream(
            "/pillarbox/v1/servers/relay/check", method="POST", document={},
            headers={"accept": "application/x-ndjson"},
        )  # fmt: skip
        next(lines)
        lines.close()  # type: ignore[attr-defined]
        return client

    async with BadServer(Script().on(Stage.EHLO, stall(gate), drop())) as server:
        mine = await bench.server(server.port)
        await asyncio.to_thread(begin)
        await server.until(lambda: bool(server.sessions))
        checker = bench.running.house.checker
        async with asyncio.timeout(5):
            while checker._room._value < 8:
                await asyncio.sleep(0.01)
        gate.release()
    assert (await bench.found(mine)).status == "A"
    assert await bench.kinds() == []
