"""one app's mistake in setting up a server does not keep back another that has it right"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pillarbox.handover.receipt import Content, Receipt
from pillarbox.message.default_sender import DefaultSender
from pillarbox.message.facts import Origin
from pillarbox.policy.breaker import BreakerConfig, Circuit
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Account, App, Mode
from pillarbox.policy.envelope import Envelope, Recipient
from pillarbox.policy.meaning import Stage as ReplyStage
from pillarbox.policy.outcome import from_broken, from_reply
from pillarbox.policy.retry import RetryConfig
from pillarbox.policy.server import Encryption, Server
from pillarbox.policy.standing_in import default_refused
from pillarbox.protocol.reply import Reply
from pillarbox.services.delivery.config import DeliveryConfig
from pillarbox.terms.ids import new_object_id
from pillarbox.terms.secret import Secret
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import issue_certificate
from tests.doubles.script import Script, Stage, say
from tests.e2e.clerk import show
from tests.fix_house import SAMPLE, Houses, Running

LONG = BreakerConfig(pause_seconds=600)
PATIENT = RetryConfig(first_seconds=600.0, ceiling_seconds=3600.0)
DOWN = from_broken(ReplyStage.CONNECT, "nobody listens there")
REFUSED = from_reply(ReplyStage.AUTH, Reply.of(535, "5.7.8", "no"))
RIGHT = {"username": "relay", "password": Secret("right")}
WRONG = {"username": "relay", "password": Secret("wrong")}


@dataclass
class Other:
    """A second app of the house, with a server of its own at the same host."""

    running: Running
    app: App
    server: Server

    async def submit(self) -> Receipt:
        submitter = replace(self.running.submitter(), app=self.app, id=self.app.id)
        return await self.running.house.door.accept(
            Envelope("ann@example.com", (Recipient("bob@example.org"),)),
            Content(SAMPLE), submitter, Origin("smtp"),
        )  # fmt: skip


async def other_app(
    running: Running, port: int, account: Account | None = None, **facts: object
) -> Other:
    directory = running.house.storage.directory
    owner = account or running.account
    app = App(new_object_id(), owner.id, "other", mode=Mode.LIVE)
    await directory.save_app(app)
    facts = {"encryption": Encryption.NONE} | facts
    server = Server(new_object_id(), app.id, "theirs", "127.0.0.1", port, **facts)  # type: ignore[arg-type]
    await directory.save_server(server)
    return Other(running, app, await directory.server(server.id))


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def circuit(running: Running, server: Server) -> Circuit:
    breaker = running.house.circuits.peek(server)
    return Circuit.CLOSED if breaker is None else breaker.circuit


async def refused(running: Running, receipt: Receipt) -> None:
    (row,) = await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
    assert row.state is State.DEFERRED


async def taken(running: Running, receipt: Receipt) -> None:
    (row,) = await running.until(receipt.message)
    assert (row.state, row.attempts) == (State.HANDED_OVER, 1)


async def kinds(running: Running) -> list[str]:
    events = reversed(await running.house.storage.events.recent(1000))
    return [one.kind for one in events if one.kind.startswith("server.")]


async def test_a_wrong_password_of_one_app_does_not_pause_the_server_of_another(
    houses: Houses,
) -> None:
    running = await houses.start(breaker=LONG, retry=PATIENT)
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as upstream:
        wrong = await running.add_server("ours", upstream.port, **WRONG)
        other = await other_app(running, upstream.port, **RIGHT)
        await taken(running, await other.submit())
        for _ in range(4):
            await refused(running, await running.submit())
            await taken(running, await other.submit())
        tries = [login for one in upstream.sessions for login in one.logins]
        assert [one.password for one in tries].count("wrong") == 1, "it is paused at once"
        assert circuit(running, wrong) is Circuit.OPEN
        assert circuit(running, other.server) is Circuit.CLOSED
        assert await kinds(running) == ["server.paused"]
        ours, theirs = await show(running, "/servers/ours"), await show(running, "/servers/theirs")
        assert ours["circuit"]["state"] == "open" and ours["circuit"]["until"]
        assert "ours" in ours["circuit"]["reason"] and "wrong" not in str(ours["circuit"])
        assert theirs["circuit"]["state"] == "closed" and not theirs["circuit"]["reason"]


@pytest.mark.parametrize("mistake", ["ca_file", "pin", "encryption"])
async def test_who_does_not_trust_its_certificate_does_not_pause_it_for_who_does(
    houses: Houses, tmp_path: Path, mistake: str
) -> None:
    running = await houses.start(breaker=LONG, retry=PATIENT)
    shown, stranger = issue_certificate(tmp_path / "a"), issue_certificate(tmp_path / "b")
    right = {"encryption": Encryption.STARTTLS, "ca_file": str(shown.ca)}
    wrong = (
        right
        | {
            "ca_file": {"ca_file": str(stranger.ca)},
            "pin": {"pin": "ab" * 32},
            "encryption": {"encryption": Encryption.TLS},
        }[mistake]
    )
    async with BadServer(tls=shown.server_context()) as upstream:
        ours = await running.add_server("ours", upstream.port, **wrong)
        other = await other_app(running, upstream.port, **right)
        for _ in range(3):
            await refused(running, await running.submit())
            await taken(running, await other.submit())
        assert circuit(running, ours) is Circuit.OPEN
        assert circuit(running, other.server) is Circuit.CLOSED


async def test_what_is_the_hosts_fault_pauses_it_for_all_its_apps(houses: Houses) -> None:
    running = await houses.start(breaker=LONG, retry=PATIENT)
    script = Script().on(Stage.BANNER, say(421, "4.3.2 later"))
    async with BadServer(script, credentials={"relay": "right"}, auth_in_clear=True) as upstream:
        ours = await running.add_server("ours", upstream.port, **WRONG)
        other = await other_app(running, upstream.port, **RIGHT)
        for _ in range(3):
            await refused(running, await running.submit())
        asked = len(upstream.sessions)
        await refused(running, await other.submit())
        assert len(upstream.sessions) == asked, "nobody asks it"
        assert circuit(running, ours) is circuit(running, other.server) is Circuit.OPEN


async def test_servers_of_different_accounts_share_nothing(houses: Houses) -> None:
    running = await houses.start(breaker=LONG, retry=PATIENT)
    neighbour = Account(new_object_id(), "neighbour")
    await running.house.storage.directory.save_account(neighbour)
    script = Script().on(Stage.RCPT, say(554, "5.7.1 Relay access denied"), times=1)
    async with BadServer(script) as upstream:
        ours = await running.add_server("ours", upstream.port)
        other = await other_app(running, upstream.port, neighbour)
        await refused(running, await running.submit())
        assert circuit(running, ours) is Circuit.OPEN
        await taken(running, await other.submit())


async def test_a_new_password_is_tried_at_once_and_what_waited_goes(houses: Houses) -> None:
    running = await houses.start(
        breaker=LONG, retry=PATIENT, delivery=DeliveryConfig(poll_seconds=0.05, catch_up_seconds=1)
    )
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as upstream:
        server = await running.add_server("ours", upstream.port, **WRONG)
        waiting = [await running.submit() for _ in range(3)]
        for receipt in waiting:
            await refused(running, receipt)
        await running.house.storage.directory.save_server(replace(server, **RIGHT))  # type: ignore[arg-type]
        await taken(running, await running.submit())
        for receipt in waiting:
            (row,) = await running.until(receipt.message)
            assert row.state is State.HANDED_OVER

        async def told() -> bool:
            return "server.recovered" in await kinds(running)

        async with asyncio.timeout(5):
            while not await told():
                await asyncio.sleep(0.01)
        assert await kinds(running) == ["server.paused", "server.tried", "server.recovered"]
        (way,) = running.house.circuits._ways.all()
        assert len(way.own) == 1 and not way.marred, "a password that is gone is not kept"


async def test_the_pause_of_a_wrong_password_ends_with_a_trial_and_grows_where_that_fails(
    houses: Houses,
) -> None:
    running = await houses.start(
        breaker=BreakerConfig(pause_seconds=0.1, factor=2.0, ceiling_seconds=60), retry=PATIENT
    )
    async with BadServer(credentials={"relay": "right"}, auth_in_clear=True) as upstream:
        server = await running.add_server("ours", upstream.port, **WRONG)
        other = await other_app(running, upstream.port, **RIGHT)
        await refused(running, await running.submit())

        def pause_ms() -> int:
            breaker = running.house.circuits.peek(server)
            return 0 if breaker is None else breaker.pause_ms

        await until(lambda: pause_ms() >= 400)
        await taken(running, await other.submit())
        upstream.credentials = {"relay": "wrong"}
        await until(lambda: len(upstream.messages) == 2, 20)
        await until(lambda: circuit(running, server) is Circuit.CLOSED)


async def test_a_trial_of_settings_that_the_host_cuts_short_is_made_again_and_no_later(
    running: Running,
) -> None:
    server, circuits = await running.add_server("ours", 25, **WRONG), running.house.circuits
    circuits.failed(server, REFUSED)
    row = circuits.row(server)
    first = row.own.breaker.pause_ms
    await until(lambda: not row.paused(running.house.clock.now_ms()))
    assert await circuits.may_try(row, running.house.clock.now_ms())
    circuits.failed(server, DOWN)
    assert row.own.breaker.circuit is Circuit.OPEN and row.own.breaker.pause_ms == first
    assert row.way.breaker.circuit is Circuit.CLOSED and row.way.breaker.errors == 1


async def test_a_trial_of_the_host_that_gets_as_far_as_the_login_frees_the_others(
    running: Running,
) -> None:
    ours, circuits = await running.add_server("ours", 25, **WRONG), running.house.circuits
    theirs = (await other_app(running, 25, **RIGHT)).server
    for _ in range(3):
        circuits.failed(ours, DOWN)
    row = circuits.row(ours)
    assert circuits.row(theirs).paused(running.house.clock.now_ms())
    async with asyncio.timeout(10):
        while not await circuits.may_try(row, running.house.clock.now_ms()):
            await asyncio.sleep(0.01)
    circuits.failed(ours, REFUSED)
    assert row.own.breaker.circuit is Circuit.OPEN
    assert circuits.row(theirs).in_use


async def test_a_default_sender_that_is_refused_now_and_then_pauses_nothing_at_once(
    running: Running,
) -> None:
    server, circuits = await running.add_server("ours", 25, **RIGHT), running.house.circuits
    stood_in = DefaultSender("relay@example.net", "", True, True)
    refusal = from_reply(ReplyStage.MAIL, Reply.of(553, "5.7.1", "not owned by user"))
    circuits.succeeded(server)
    circuits.failed(server, default_refused(refusal, stood_in))
    assert circuits.row(server).in_use, "it takes mail"
    other = replace(server, from_address="another@example.net")
    circuits.failed(other, default_refused(refusal, stood_in))
    assert not circuits.row(other).in_use, "with this one it has taken nothing yet"
