"""the bad server's promises, checked with raw sockets and the standard library's client"""

from __future__ import annotations

import asyncio
import base64
import smtplib
import ssl
from collections.abc import AsyncIterator
from typing import ClassVar

import pytest

from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles
from tests.doubles.script import (
    Gate,
    Script,
    Stage,
    drop,
    garbage,
    long_line,
    many_lines,
    raw,
    say,
    stall,
    trickle,
    usual,
)

ENVELOPE = (
    b"EHLO a.example.test\r\nMAIL FROM:<a@example.test> SIZE=20\r\nRCPT TO:<b@example.test>\r\n"
)


class Raw:
    """A raw connection with a bounded wait."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    opened: ClassVar[list[Raw]] = []

    @classmethod
    async def to(cls, server: BadServer) -> Raw:
        client = cls(*await asyncio.open_connection(server.host, server.port, limit=2**20))
        cls.opened.append(client)
        return client

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.reader.readline(), 5)

    async def reply(self) -> bytes:
        lines = [await self.line()]
        while lines[-1][3:4] == b"-":
            lines.append(await self.line())
        return b"".join(lines)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 5)

    async def open_envelope(self) -> None:
        await self.reply()
        self.send(ENVELOPE)
        for _ in range(3):
            assert (await self.reply()).startswith(b"250")


@pytest.fixture(autouse=True)
async def closed_clients() -> AsyncIterator[None]:
    yield
    for client in Raw.opened:
        client.writer.transport.abort()
    await asyncio.gather(*(c.writer.wait_closed() for c in Raw.opened), return_exceptions=True)
    Raw.opened.clear()


async def test_without_a_script_it_takes_mail_and_records_every_byte() -> None:
    async with BadServer() as server:
        client = await Raw.to(server)
        await client.open_envelope()
        client.send(b"DATA\r\n")
        assert (await client.reply()).startswith(b"354")
        client.send(b"Subject: x\r\n\r\n..one dot\r\n...\r\nb\xff\x00re\n.\nlf\r\n.\r\nQUIT\r\n")
        assert (await client.reply()).startswith(b"250")
        assert (await client.reply()).startswith(b"221")
        assert await client.rest() == b""
        await server.until(lambda: server.sessions[0].ended == "quit")
    (message,) = server.messages
    assert message.content == b"Subject: x\r\n\r\n.one dot\r\n..\r\nb\xff\x00re\n.\nlf\r\n"
    assert message.raw == b"Subject: x\r\n\r\n..one dot\r\n...\r\nb\xff\x00re\n.\nlf\r\n.\r\n"
    assert message.body.startswith(b".one dot")
    assert message.header("subject") == [b"x"]
    assert (message.return_path, message.parameters) == ("a@example.test", ("SIZE=20",))
    assert message.accepted_recipients == ("b@example.test",)
    assert message.code == 250 and message.answered_at >= message.received_at > 0
    session = server.sessions[0]
    assert session.verbs == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert session.commands[0].line == b"EHLO a.example.test\r\n"
    assert session.received.startswith(ENVELOPE) and session.received.endswith(b"QUIT\r\n")


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b".\r\n", b""), (b"..\r\n.\r\n", b".\r\n"), (b"\r\n.\r\n", b"\r\n")],
    ids=["nothing", "one-dot", "one-empty-line"],
)
async def test_the_end_of_data_is_found_at_its_beginning_too(
    content: bytes, expected: bytes
) -> None:
    async with BadServer() as server:
        client = await Raw.to(server)
        await client.open_envelope()
        client.send(b"DATA\r\n")
        await client.reply()
        for byte in content:
            client.send(bytes((byte,)))
            await client.writer.drain()
        assert (await client.reply()).startswith(b"250")
    assert server.messages[0].content == expected


async def test_only_a_naive_server_ends_content_at_a_bare_line_feed() -> None:
    smuggled = b"Subject: x\r\n\r\nhello\n.\nMAIL FROM:<evil@example.test>\r\nQUIT\r\n.\r\nQUIT\r\n"
    counts = {}
    for naive in (False, True):
        async with BadServer(naive=naive) as server:
            client = await Raw.to(server)
            await client.open_envelope()
            client.send(b"DATA\r\n" + smuggled)
            await client.rest()
        counts[naive] = server.sessions[0].verbs.count("MAIL")
    assert counts == {False: 1, True: 2}


async def test_a_rule_decides_for_its_recipient_its_number_and_its_times_only() -> None:
    script = (
        Script()
        .on(Stage.RCPT, say(550, "5.1.1 nobody"), recipient="bad@example.test")
        .on(Stage.RCPT, say(452, "4.5.3 enough"), nth=3)
        .on(Stage.MAIL, say(451, "4.3.0 later"), times=1, skip=1)
        .on(Stage.MAIL, say(421, "4.3.2 other"), session=2)
    )
    async with BadServer(script) as server:
        client = await Raw.to(server)
        await client.reply()
        mail = b"MAIL FROM:<>\r\n"
        client.send(mail + b"RCPT TO:<ok@example.test>\r\nRCPT TO:<bad@example.test>\r\n")
        client.send(b"RCPT TO:<third@example.test>\r\nRCPT TO:<fourth@example.test>\r\nRSET\r\n")
        client.send(mail + mail)
        codes = [(await client.reply())[:3] for _ in range(8)]
        second = await Raw.to(server)
        await second.reply()
        second.send(mail)
        assert (await second.reply()).startswith(b"421")
    assert codes == [b"250", b"250", b"550", b"452", b"250", b"250", b"451", b"250"]


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.BANNER])
async def test_a_drop_before_the_banner_leaves_the_client_without_a_byte(stage: Stage) -> None:
    async with BadServer(Script().on(stage, drop())) as server:
        client = await Raw.to(server)
        assert await client.rest() == b""
        assert server.sessions[0].ended == "dropped"


async def test_a_reset_is_seen_as_a_reset() -> None:
    async with BadServer(Script().on(Stage.EHLO, drop(reset=True))) as server:
        client = await Raw.to(server)
        await client.reply()
        client.send(b"EHLO x\r\n")
        with pytest.raises(ConnectionResetError):
            await client.rest()
    assert server.sessions[0].verbs == ["EHLO"]


async def test_a_drop_at_the_dot_keeps_the_message_and_tells_if_a_reply_was_written() -> None:
    script = (
        Script().on(Stage.DOT, drop(), times=1).on(Stage.DOT, say(250, "2.0.0 ok"), drop(), times=1)
    )
    replies = []
    async with BadServer(script) as server:
        for _ in range(2):
            client = await Raw.to(server)
            await client.open_envelope()
            client.send(b"DATA\r\n")
            await client.reply()
            client.send(b"x\r\n.\r\n")
            replies.append(await client.rest())
    assert replies == [b"", b"250 2.0.0 ok\r\n"]
    assert [message.code for message in server.messages] == [0, 250]
    assert [message.answered_at > 0 for message in server.messages] == [False, True]
    assert len(server.delivered) == 1


async def test_a_stall_lasts_until_the_test_releases_it() -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.MAIL, stall(gate), usual())) as server:
        client = await Raw.to(server)
        await client.reply()
        client.send(b"MAIL FROM:<>\r\n")
        await gate.reached()
        assert gate.waiting == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.readline(), 0.05)
        gate.release()
        assert (await client.reply()).startswith(b"250")
        assert gate.waiting == 0


async def test_a_stalled_session_notices_that_its_client_left() -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.MAIL, stall(gate))) as server:
        client = await Raw.to(server)
        await client.reply()
        client.send(b"MAIL FROM:<>\r\n")
        await gate.reached()
        client.writer.close()
        await server.until(lambda: server.sessions[0].ended == "gone")


async def test_a_gate_nobody_releases_lets_nobody_wait_for_ever() -> None:
    gate = Gate(max_seconds=0.05)
    async with BadServer(Script().on(Stage.BANNER, stall(gate))) as server:
        client = await Raw.to(server)
        assert await client.rest() == b""
    assert gate.timed_out


async def test_content_can_be_cut_off_in_its_middle() -> None:
    async with BadServer(Script().on(Stage.CONTENT, drop(), at_bytes=1000)) as server:
        client = await Raw.to(server)
        await client.open_envelope()
        client.send(b"DATA\r\n")
        await client.reply()
        client.send(b"a" * 999)
        await client.writer.drain()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(), 0.05)
        client.send(b"a" * 10)
        assert await client.rest() == b""
    assert server.messages == []
    assert b"a" * 1000 in server.sessions[0].received


async def test_a_deaf_stall_blocks_the_writes_of_the_client() -> None:
    gate = Gate()
    script = Script().on(Stage.CONTENT, stall(gate, deaf=True))
    async with BadServer(script) as server:
        client = await Raw.to(server)
        await client.open_envelope()
        client.send(b"DATA\r\n")
        await client.reply()
        client.send((b"x" * 98 + b"\r\n") * 200_000 + b".\r\n")
        await gate.reached()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.writer.drain(), 0.2)
        gate.release()
        assert (await client.reply()).startswith(b"250")
    assert len(server.messages[0].content) == 20_000_000


async def test_garbage_long_lines_endless_replies_and_trickles_are_sent_as_asked() -> None:
    script = (
        Script()
        .on(Stage.BANNER, trickle(220, "slow", pause_seconds=0.001))
        .on(Stage.EHLO, garbage(50))
        .on(Stage.NOOP, long_line(250, 70_000), times=1)
        .on(Stage.NOOP, many_lines(250, 500), times=1)
        .on(Stage.NOOP, many_lines(250, 3, ended=False), drop())
    )
    async with BadServer(script) as server:
        client = await Raw.to(server)
        assert await client.line() == b"220 slow\r\n"
        client.send(b"EHLO x\r\nNOOP\r\nNOOP\r\nNOOP\r\n")
        noise = await client.line()
        assert len(noise) == 53 and not noise[:3].isdigit()
        assert len(await client.line()) == 70_006
        assert (await client.reply()).count(b"\r\n") == 500
        rest = await client.rest()
        assert rest.endswith(b"250-more\r\n")


async def test_starttls_forgets_what_was_said_and_keeps_what_was_injected(
    certificate: CertificateFiles,
) -> None:
    async with BadServer(tls=certificate.server_context()) as server:
        client = await Raw.to(server)
        await client.reply()
        client.send(b"EHLO x\r\nMAIL FROM:<a@example.test>\r\nSTARTTLS\r\nNOOP\r\n")
        assert b"STARTTLS" in await client.reply()
        await client.reply()
        assert (await client.reply()).startswith(b"220")
        await client.writer.start_tls(certificate.client_context(), server_hostname="localhost")
        client.send(b"RCPT TO:<b@example.test>\r\nEHLO x\r\n")
        assert (await client.reply()).startswith(b"503")
        assert b"STARTTLS" not in await client.reply()
    session = server.sessions[0]
    assert session.injected == b"NOOP\r\n"
    assert session.received_clear.endswith(b"STARTTLS\r\nNOOP\r\n")
    assert session.channel.tls_version.startswith("TLSv1.")


async def test_a_response_can_be_injected_behind_the_answer_to_starttls(
    certificate: CertificateFiles,
) -> None:
    injection = b"220 go\r\n250-fault\r\n250 AUTH PLAIN\r\n"
    script = Script().on(Stage.STARTTLS, raw(injection))
    async with BadServer(script, tls=certificate.server_context()) as server:
        client = await Raw.to(server)
        await client.reply()
        client.send(b"STARTTLS\r\n")
        got = await asyncio.wait_for(client.reader.readexactly(len(injection)), 5)
        assert got == injection
        await client.writer.start_tls(certificate.client_context(), server_hostname="localhost")
        client.send(b"NOOP\r\n")
        assert (await client.reply()).startswith(b"250")


async def test_a_handshake_can_be_answered_with_nonsense(certificate: CertificateFiles) -> None:
    script = Script().on(Stage.HANDSHAKE, raw(b"no TLS here\r\n"), drop())
    async with BadServer(script, tls=certificate.server_context(), implicit_tls=True) as server:
        with pytest.raises(ssl.SSLError):
            await asyncio.open_connection(
                server.host, server.port, ssl=certificate.client_context()
            )
    assert server.sessions[0].ended == "dropped"


async def test_implicit_tls_and_logins_work_with_the_standard_client(
    certificate: CertificateFiles,
) -> None:
    def deliver(port: int, password: str) -> int:
        with smtplib.SMTP_SSL(
            "localhost", port, context=certificate.client_context(), timeout=5
        ) as client:
            try:
                client.login("ann", password)
            except smtplib.SMTPAuthenticationError as refused:
                return refused.smtp_code
            client.sendmail("a@example.test", ["b@example.test"], b"Subject: x\r\n\r\nhello\r\n")
        return 250

    async with BadServer(
        tls=certificate.server_context(),
        implicit_tls=True,
        credentials={"ann": "pa ss"},
        require_auth=True,
    ) as server:
        codes = [await asyncio.to_thread(deliver, server.port, word) for word in ("pa ss", "no")]
    assert codes == [250, 535]
    assert server.messages[0].username == "ann" and server.messages[0].tls
    assert server.sessions[0].logins[0].password == "pa ss"
    assert server.sessions[1].logins[0].code == 535


async def test_login_by_prompts_and_a_scripted_verdict() -> None:
    script = Script().on(Stage.AUTH, say(454, "4.7.0 busy"), times=1)
    async with BadServer(script, credentials={"u": "p"}, auth_in_clear=True) as server:
        client = await Raw.to(server)
        await client.reply()
        words = [base64.b64encode(word) for word in (b"u", b"p", b"\0u\0p")]
        for expected in (b"454", b"235"):
            client.send(b"AUTH LOGIN\r\n")
            assert (await client.reply()) == b"334 VXNlcm5hbWU6\r\n"
            client.send(words[0] + b"\r\n")
            assert (await client.reply()) == b"334 UGFzc3dvcmQ6\r\n"
            client.send(words[1] + b"\r\n")
            assert (await client.reply()).startswith(expected)
        for line, code in (
            (b"AUTH PLAIN " + words[2], b"235"),
            (b"AUTH PLAIN !", b"501"),
            (b"AUTH FOO", b"504"),
        ):
            client.send(line + b"\r\n")
            assert (await client.reply()).startswith(code)


async def test_an_error_of_the_double_is_raised_when_it_is_left() -> None:
    def broken(_: object) -> bool:
        raise RuntimeError("the test's own mistake")

    with pytest.raises(ExceptionGroup) as caught:
        async with BadServer(Script().on(Stage.EHLO, usual(), when=broken)) as server:
            client = await Raw.to(server)
            await client.reply()
            client.send(b"EHLO x\r\n")
            await client.rest()
    assert isinstance(caught.value.exceptions[0], RuntimeError)


async def test_several_servers_run_at_once() -> None:
    async with BadServer() as one, BadServer() as two:
        assert one.port != two.port
        clients = [await Raw.to(one), await Raw.to(two)]
        assert [(await client.reply())[:3] for client in clients] == [b"220", b"220"]
