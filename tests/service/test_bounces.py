"""ports for mail that comes back: taken without a login for our own addresses, and for no others"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from pillarbox.net.interface import Peer
from pillarbox.net.listener import Listener
from pillarbox.net.smtp_ports import PortKind, Purpose, SmtpConfig
from pillarbox.observe.metrics import Metrics
from pillarbox.policy.directory import Mode
from pillarbox.policy.errors import Refusal
from pillarbox.policy.problems import ProblemKind
from pillarbox.policy.throttle import ThrottleConfig
from pillarbox.protocol import replies
from pillarbox.protocol.reply import Reply
from pillarbox.services.bounces.session import BounceDesk, BounceSession, BroughtBack
from pillarbox.storage.interface.errors import StorageFull
from pillarbox.storage.interface.messages import MessageFilter
from pillarbox.terms.errors import PillarboxError, Trouble
from tests.doubles.ports import free_port
from tests.e2e.porch import HELLO, hand_in, plain_login, right_login, trusting
from tests.fix_house import Houses, Running
from tests.wire.conversation import HOST, Typist, calling

OURS = "b-0123456789@bounce.example.com"
NOTICE = b"From: <mailer-daemon@example.org>\r\nSubject: returned\r\n\r\nNo such user.\r\n"
SMALL = 64 * 1024


@dataclass
class Mailroom:
    """An intake that knows one address."""

    trouble: PillarboxError | None = None
    brought: list[BroughtBack] = field(default_factory=list)

    async def knows(self, address: str) -> bool:
        if isinstance(self.trouble, Trouble) and not isinstance(self.trouble, StorageFull):
            raise self.trouble
        return address == OURS

    async def take(self, brought: BroughtBack) -> Reply:
        if self.trouble is not None:
            raise self.trouble
        self.brought.append(brought)
        return replies.accepted_message("back_1")


@contextlib.asynccontextmanager
async def bringing(room: Mailroom, max_bytes: int = SMALL) -> AsyncIterator[Typist]:
    """A server that has said EHLO to a port for bounces."""
    desk = BounceDesk(room, Metrics(process=False), "mx.example.test", max_bytes)
    config = SmtpConfig(starttls_ports=(), tls_ports=(), bounce_ports=(0,))
    listener = Listener(
        config,
        lambda purposes: BounceSession(desk),
        hostname="mx.example.test",
        tls=lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    )
    (port,) = await listener.start()
    try:
        async with calling(port.port) as client:
            yield client
    finally:
        await listener.drain(0.05)


async def said(client: Typist, *commands: bytes) -> list[bytes]:
    """The answers, one after the other."""
    return [await client.say(command + b"\r\n") for command in commands]


@contextlib.asynccontextmanager
async def open_house(houses: Houses, **ports: object) -> AsyncIterator[Running]:
    config: dict[str, object] = {"starttls_ports": (), "tls_ports": ()} | ports
    yield await houses.start(Mode.SANDBOX, smtp=SmtpConfig(**config))  # type: ignore[arg-type]


def port_for(running: Running, purpose: Purpose) -> int:
    return next(p.port for p in running.house.listener.open_ports if purpose in p.purposes)


async def nothing_was_taken(running: Running) -> bool:
    page = await running.house.storage.messages.newest(MessageFilter(), 10)
    return not page.messages


# --- what a session does --------------------------------------------------------------------------


async def test_what_comes_back_to_an_address_of_ours_is_handed_over_whole() -> None:
    room = Mailroom()
    async with bringing(room) as client:
        assert [a[:3] for a in await said(
            client, b"MAIL FROM:<>", f"RCPT TO:<{OURS}>".encode(), b"DATA"
        )] == [b"250", b"250", b"354"]  # fmt: skip
        assert await client.say(NOTICE + b".\r\n") == b"250 2.0.0 Ok: queued as back_1\r\n"
    (brought,) = room.brought
    assert (brought.return_path, brought.recipients) == ("", (OURS,))
    assert brought.content == NOTICE
    assert brought.hello == "client.example.test"
    assert (brought.peer.address, brought.peer.listener) == (HOST, "bounces")


async def test_what_is_for_others_is_left_out_of_what_is_taken() -> None:
    room = Mailroom()
    async with bringing(room) as client:
        answers = await said(
            client, b"MAIL FROM:<x@example.org>", b"RCPT TO:<victim@example.net>",
            f"RCPT TO:<{OURS}>".encode(), b"RCPT TO:<postmaster>", b"DATA",
        )  # fmt: skip
        assert [a[:9] for a in answers] == [
            b"250 2.1.0", b"530 5.7.0", b"250 2.1.5", b"530 5.7.0", b"354 Start",
        ]  # fmt: skip
        assert (await client.say(NOTICE + b".\r\n")).startswith(b"250")
    assert [b.recipients for b in room.brought] == [(OURS,)]


async def test_nothing_is_kept_from_one_transaction_to_the_next() -> None:
    room = Mailroom()
    async with bringing(room) as client:
        recipient = f"RCPT TO:<{OURS}>".encode()
        for reset in (b"RSET", b"EHLO again.example.test"):
            await said(client, b"MAIL FROM:<>", recipient, reset)
        answers = await said(client, b"MAIL FROM:<>", b"DATA")
        assert answers[1].startswith(b"554 5.5.1")
        assert (await said(client, b"RSET", recipient))[1].startswith(b"503")
    assert room.brought == []


@pytest.mark.parametrize("announced", [True, False])
async def test_what_comes_back_has_a_size_of_its_own(announced: bool) -> None:
    """More than one block of content long, so that it is refused while it comes."""
    room = Mailroom()
    async with bringing(room, 300_000) as client:
        await client.say(b"EHLO big.example.test\r\n")
        if announced:
            (answer,) = await said(client, b"MAIL FROM:<> SIZE=300001")
            assert answer.startswith(b"552 5.3.4")
            return
        await said(client, b"MAIL FROM:<>", f"RCPT TO:<{OURS}>".encode(), b"DATA")
        line = b"x" * 70 + b"\r\n"
        assert (await client.say(line * 5000 + b".\r\n")).startswith(b"552 5.3.4")
        await said(client, b"MAIL FROM:<>", f"RCPT TO:<{OURS}>".encode(), b"DATA")
        assert (await client.say(line * 4000 + b".\r\n")).startswith(b"250")
    assert [len(b.content) for b in room.brought] == [4000 * len(line)]


@pytest.mark.parametrize(
    ("trouble", "at_rcpt", "at_the_end"),
    [
        (Trouble("the store is away"), b"451 4.3.0", b""),
        (StorageFull("full"), b"250 2.1.5", b"452 4.3.1"),
        (Refusal("not this one", code="message_too_large"), b"250 2.1.5", b"552"),
    ],
)
async def test_trouble_asks_to_come_back_and_a_refusal_is_said(
    trouble: PillarboxError, at_rcpt: bytes, at_the_end: bytes
) -> None:
    async with bringing(Mailroom(trouble)) as client:
        answers = await said(client, b"MAIL FROM:<>", f"RCPT TO:<{OURS}>".encode())
        assert answers[1].startswith(at_rcpt)
        if at_the_end:
            assert (await said(client, b"DATA"))[0].startswith(b"354")
            assert (await client.say(NOTICE + b".\r\n")).startswith(at_the_end)


async def test_who_tries_address_after_address_is_sent_away() -> None:
    async with bringing(Mailroom()) as client:
        await client.say(b"MAIL FROM:<>\r\n")
        answers = [
            await client.say(b"RCPT TO:<u%d@example.com>\r\n" % number) for number in range(20)
        ]
        assert all(answer.startswith(b"530 5.7.0 Only what comes back") for answer in answers[:-1])
        assert answers[-1].startswith(b"421 4.7.0")
        assert await client.over() == b""


def test_a_session_that_was_never_opened_owes_nothing() -> None:
    desk = BounceDesk(Mailroom(), Metrics(process=False), "mx.example.test", SMALL)
    session = BounceSession(desk)
    session.secured(Peer("192.0.2.1", 1, "bounces", "TLSv1.3"))
    session.closed("over")


# --- a whole house --------------------------------------------------------------------------------


async def test_mail_may_be_begun_without_tls_and_login_and_is_decided_at_rcpt(
    houses: Houses,
) -> None:
    async with open_house(houses, bounce_ports=(0,)) as running:
        async with calling(port_for(running, Purpose.BOUNCES)) as client:
            answers = await said(
                client, b"MAIL FROM:<>", b"RCPT TO:<x@relay.test>", b"RCPT TO:<y@example.com>",
                b"RCPT TO:<postmaster>", b"DATA",
            )  # fmt: skip
        assert [a[:9] for a in answers] == [
            b"250 2.1.0", b"530 5.7.0", b"530 5.7.0", b"530 5.7.0", b"554 5.5.1",
        ]  # fmt: skip
        assert await nothing_was_taken(running)


async def test_a_port_for_bounces_offers_starttls_and_no_login(houses: Houses) -> None:
    async with open_house(houses, bounce_ports=(0,)) as running:
        async with calling(port_for(running, Purpose.BOUNCES)) as client:
            offered = await client.say(HELLO)
            assert b"STARTTLS" in offered and b"SIZE 1048576" in offered
            await client.start_tls(trusting(running))
            assert b"AUTH" not in await client.say(HELLO)
            (answer,) = await said(client, right_login(running).strip())
            assert answer.startswith(b"502 5.5.1")
            assert (await said(client, b"MAIL FROM:<>"))[0].startswith(b"250")


async def test_b23_mail_from_outside_to_another_domain_is_refused(houses: Houses) -> None:
    """On the port for bounces, and before a login on one for both; with every trick of address."""
    both = free_port()
    ports = {"starttls_ports": (both,), "bounce_ports": (both, 0)}
    forms = (
        b"v@example.net", b'"v@example.net"@relay.test', b"v%example.net@relay.test",
        b"@relay.test:v@example.net", b"example.net!v@relay.test", b"v@[127.0.0.1]",
    )  # fmt: skip
    async with open_house(houses, **ports) as running:
        for port in running.house.listener.open_ports:
            for return_path in (b"<>", b"<x@relay.test>", b"<x@example.com>"):
                async with calling(port.port) as client:
                    assert (await client.say(b"MAIL FROM:" + return_path + b"\r\n"))[:3] == b"250"
                    for form in forms:
                        (answer,) = await said(client, b"RCPT TO:<" + form + b">")
                        assert answer[:1] == b"5", (port, form, answer)
                    assert (await said(client, b"DATA"))[0].startswith(b"554")
        assert await nothing_was_taken(running)


@pytest.mark.parametrize("kind", [PortKind.STARTTLS, PortKind.TLS])
async def test_a_port_for_both_moves_to_submission_at_the_login(
    houses: Houses, kind: PortKind
) -> None:
    both = free_port()
    name = "starttls_ports" if kind is PortKind.STARTTLS else "tls_ports"
    async with open_house(houses, **{name: (both,), "bounce_ports": (both,)}) as running:
        tls = trusting(running) if kind is PortKind.TLS else None
        async with calling(both, tls) as client:
            (refused,) = await said(client, b"AUTH PLAIN AGEAYg==") if tls is None else (b"538",)
            assert refused.startswith(b"538"), "never in clear"
            assert (await said(client, b"MAIL FROM:<>", b"RCPT TO:<y@example.com>", b"RSET"))[
                1
            ].startswith(b"530 5.7.0 Log in first")
            if tls is None:
                await client.start_tls(trusting(running))
                await client.say(HELLO)
            assert (await client.say(right_login(running))).startswith(b"235")
            for _ in range(2):
                answer = await hand_in(client, NOTICE)
                assert answer.startswith(b"250 2.0.0 Ok: queued as msg_")
            page = await running.house.storage.messages.newest(MessageFilter(), 10)
            origins = {m.facts.origin.protocol for m in page.messages}
            assert origins == {"ESMTPSA"}, "it knows how the client said hello, and under what TLS"
        opened = running.house.metrics.smtp_sessions_opened
        assert opened["bounces"] == 1 and opened[kind.value] == 1


async def test_a_refused_login_opens_nothing_on_a_port_for_both(houses: Houses) -> None:
    """Nor does the credential of the plain ports, which is for those alone."""
    both = free_port()
    ports = {
        "starttls_ports": (both,), "bounce_ports": (both,), "local_ports": (0,),
        "local_credential": "first-app",
    }  # fmt: skip
    async with open_house(houses, **ports) as running, calling(both) as client:
        await client.start_tls(trusting(running))
        await client.say(HELLO)
        for login in (plain_login("first-app", "wrong"), plain_login("nobody", "wrong")):
            assert (await client.say(login)).startswith(b"535")
            answers = await said(client, b"MAIL FROM:<a@b.example>", b"RCPT TO:<y@example.com>")
            assert answers[1].startswith(b"530 5.7.0 Log in first")
            assert (await said(client, b"DATA"))[0].startswith(b"554")
            await said(client, b"RSET")
        assert (await client.say(right_login(running))).startswith(b"235")
        assert (await hand_in(client, NOTICE)).startswith(b"250")


async def test_a_large_message_may_be_handed_in_where_small_ones_come_back(houses: Houses) -> None:
    both = free_port()
    ports = {"starttls_ports": (both,), "bounce_ports": (both,), "max_message_mb": 3}
    async with open_house(houses, **ports) as running, calling(both) as client:
        assert b"SIZE 3145728" in await client.say(HELLO)
        large = b"MAIL FROM:<> SIZE=2000000"
        assert (await said(client, large))[0].startswith(b"552 5.3.4")
        await client.start_tls(trusting(running))
        await client.say(HELLO)
        assert (await client.say(right_login(running))).startswith(b"235")
        answer = await hand_in(client, NOTICE + (b"x" * 70 + b"\r\n") * 27_000)
        assert answer.startswith(b"250")


async def test_a_node_opens_only_the_ports_of_its_roles(houses: Houses) -> None:
    ports = SmtpConfig(starttls_ports=(0,), tls_ports=(), bounce_ports=(0,), local_ports=(0,))
    wanted = {
        ("smtp",): ["submission", "submission"],
        ("bounces",): ["bounces"],
        ("http", "deliver"): [],
    }
    for roles, purposes in wanted.items():
        running = await houses.start(Mode.SANDBOX, smtp=ports, roles=(*roles, "http"))
        opened = running.house.listener.open_ports
        assert [p.value for each in opened for p in each.purposes] == purposes


async def test_failed_logins_keep_nobody_from_bringing_something_back(houses: Houses) -> None:
    """Where no login is taken nobody is sent away for failing at one."""
    ports = SmtpConfig(starttls_ports=(0,), tls_ports=(), bounce_ports=(0,))
    throttle = ThrottleConfig(failures=1)
    running = await houses.start(Mode.SANDBOX, smtp=ports, logins=throttle)
    sending = port_for(running, Purpose.SUBMISSION)
    async with calling(sending) as client:
        await client.start_tls(trusting(running))
        await client.say(HELLO)
        assert (await client.say(plain_login("first-app", "wrong")))[:3] in (b"535", b"421")
    async with await Typist.call(sending) as client:
        assert (await client.over()).startswith(b"421 4.7.0 Too many failed logins")
    async with calling(port_for(running, Purpose.BOUNCES)) as client:
        assert (await said(client, b"MAIL FROM:<>"))[0].startswith(b"250")


async def test_what_keeps_a_client_from_sending_is_kept_for_the_operator(houses: Houses) -> None:
    """Not what strangers do on a port where they may only bring something back."""
    ports = SmtpConfig(starttls_ports=(0,), tls_ports=(0,), bounce_ports=(0,))
    running = await houses.start(Mode.SANDBOX, smtp=ports)
    opened = running.house.listener.open_ports
    starttls, tls, bounces = (each.port for each in opened)
    for port, typed in ((starttls, b"\x16\x03\x01"), (tls, HELLO), (bounces, b"\x16\x03\x01")):
        async with await Typist.call(port) as client:
            client.type(typed)
            assert b"421 4.7.0 This port" in await client.over()
    found = await running.house.storage.problems.newest(10)
    assert {(each.problem.kind, each.problem.port) for each in found} == {
        (ProblemKind.TLS_ON_STARTTLS, starttls), (ProblemKind.CLEAR_ON_TLS, tls),
    }  # fmt: skip


async def test_programs_are_not_told_of_ports_for_bounces_as_places_to_send(
    houses: Houses,
) -> None:
    both = free_port()
    async with open_house(houses, starttls_ports=(both, 0), bounce_ports=(0, both)) as running:
        facts = running.house.smtp_facts()
        assert len(facts.listeners) == 2 and len(facts.bounces) == 2
        assert {each.port for each in facts.listeners} & {each.port for each in facts.bounces} == {
            both
        }
