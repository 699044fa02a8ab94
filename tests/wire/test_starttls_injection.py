"""nobody who stands between may say anything on the client's or the server's behalf (RFC 3207)

The family of CVE-2011-0411: what was sent in clear around STARTTLS is never executed, answered or
believed once TLS is on; and without TLS no login is looked at, offered or sent.
"""

from __future__ import annotations

import asyncio
import base64
import socket

import pytest

from pillarbox.net.smtp_ports import PortKind
from pillarbox.storage.interface.messages import MessageFilter
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles
from tests.doubles.script import Script, Stage, Step, drop, raw, say
from tests.e2e.porch import (
    BOTH,
    ENVELOPE,
    HELLO,
    called,
    codes,
    converse,
    logged_in,
    plain_login,
    port_of,
    protected,
    right_login,
    trusting,
)
from tests.e2e.upstream import (
    LOGIN,
    add_secure,
    first_attempt,
    nothing_at_all,
    nothing_in_clear,
)
from tests.fix_house import Houses, Running
from tests.wire.conversation import HOST, Typist

STARTTLS = PortKind.STARTTLS
CONTENT = b"From: ann@example.com\r\n\r\nsmuggled\r\n.\r\n"


@pytest.fixture
async def house(houses: Houses) -> Running:
    return await houses.start(smtp=BOTH)


async def nothing_happened(house: Running) -> bool:
    """No login was looked at, no message taken."""
    newest = await house.house.storage.messages.newest(MessageFilter(), 1)
    return not newest.messages and not house.house.metrics.logins


# --- our server -----------------------------------------------------------------------------------

BEHIND = {
    "NOOP": b"NOOP\r\n",
    "EHLO": HELLO,
    "MAIL": b"MAIL FROM:<ann@example.com>\r\n",
    "RSET": b"RSET\r\n",
    "QUIT": b"QUIT\r\n",
    "STARTTLS": b"STARTTLS\r\n",
    "half a command": b"MAIL FROM:<ann@exam",
    "one byte": b"x",
    "a line end": b"\r\n",
}


async def behind(house: Running) -> dict[str, bytes]:
    """The same, and a whole message of the attacker's behind a login that is right."""
    return BEHIND | {"AUTH": right_login(house), "all": right_login(house) + ENVELOPE + CONTENT}


async def records(house: Running) -> dict[str, bytes]:
    """Those that are long enough to be seen not to be TLS; less waits for more of a record."""
    found = await behind(house)
    return {name: injected for name, injected in found.items() if len(injected) >= 5}


async def test_what_comes_in_one_segment_with_starttls_is_refused_and_the_session_ends(
    house: Running,
) -> None:
    for name, injected in (await behind(house)).items():
        async with called(house, STARTTLS) as client:
            await client.say(HELLO)
            said = await converse(client, b"STARTTLS\r\n" + injected)
            assert codes(said) == [503], name
            assert b"Nothing may follow STARTTLS" in said, "it says why"
    assert await nothing_happened(house)


@pytest.mark.parametrize("before", [4096, 16_384, 65_536, 131_072])
async def test_what_comes_far_behind_in_the_same_write_is_not_executed_either(
    house: Running, before: int
) -> None:
    """However much the server looks at in one go, and whether or not STARTTLS is the last of it."""
    for more in (-8, -1, 0, 1, 8):
        room = before + more - len(HELLO + b"STARTTLS\r\n")
        padding = b"NOOP %s\r\n" % (b"x" * 243) * (room // 250)
        padding += b"NOOP" + b" " * (room % 250 - 6) + b"\r\n" if room % 250 > 6 else b""
        async with called(house, STARTTLS) as client:
            injected = right_login(house) + ENVELOPE + CONTENT + b"NOOP\r\n" * 20_000
            said = await converse(client, HELLO + padding + b"STARTTLS\r\n" + injected)
            answers = codes(said)
            assert answers[-1] in (220, 503), (before, more)
            assert answers.count(250) <= 1 + padding.count(b"NOOP")
            assert not {235, 354, 530, 538} & set(answers), (before, more)
    assert await nothing_happened(house)


async def test_what_comes_in_clear_a_byte_at_a_time_is_never_answered(house: Running) -> None:
    for name, injected in (await records(house)).items():
        async with called(house, STARTTLS) as client:
            await client.say(HELLO)
            said = await converse(client, b"STARTTLS\r\n" + injected, slowly=True)
            assert codes(said) in ([220], [503]), name
            assert len(said.splitlines()) == 1, name
    assert await nothing_happened(house)


async def test_what_comes_in_clear_in_place_of_the_handshake_is_never_answered(
    house: Running,
) -> None:
    for name, injected in (await records(house)).items():
        async with called(house, STARTTLS) as client:
            await client.say(HELLO)
            assert (await client.say(b"STARTTLS\r\n")).startswith(b"220")
            assert codes(await converse(client, injected)) == [], name
    assert await nothing_happened(house)


async def test_clear_text_before_the_client_s_own_handshake_breaks_it(house: Running) -> None:
    """The man in the middle speaks first, then passes the client's handshake on."""
    context = trusting(house)

    def talk() -> None:
        with socket.create_connection((HOST, port_of(house, STARTTLS)), 10) as clear:
            replies = clear.makefile("rb")
            assert replies.readline().startswith(b"220 ")
            clear.sendall(b"HELO client.example.com\r\nSTARTTLS\r\n")
            assert replies.readline().startswith(b"250 ")
            assert replies.readline().startswith(b"220 ")
            replies.close()
            clear.sendall(b"MAIL FROM:<smuggler@example.com>\r\n")
            with pytest.raises(OSError), context.wrap_socket(clear, server_hostname="localhost"):
                pass

    await asyncio.to_thread(talk)
    assert await nothing_happened(house)


async def test_all_that_was_said_before_tls_is_forgotten(house: Running) -> None:
    async with called(house, STARTTLS) as client:
        assert (await client.say(b"EHLO before.example.com\r\n")).startswith(b"250-")
        await client.start_tls(trusting(house))
        for early in (b"MAIL FROM:<ann@example.com>\r\n", right_login(house)):
            assert (await client.say(early)).startswith(b"503 5.5.1 Say EHLO first")
        assert (await client.say(HELLO)).startswith(b"250-")
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"503")
        assert (await client.say(b"MAIL FROM:<ann@example.com>\r\n")).startswith(b"530 5.7.0")
        assert (await client.say(right_login(house))).startswith(b"235")
        client.type(ENVELOPE)
        for code in (b"250", b"250", b"354"):
            assert (await client.heard()).startswith(code)
        assert (await client.say(CONTENT)).startswith(b"250")
    (message,) = (await house.house.storage.messages.newest(MessageFilter(), 9)).messages
    content = await house.house.storage.messages.content(message.id)
    assert b"client.example.com" in content and b"before.example.com" not in content
    assert b"with ESMTPSA" in content


async def test_starttls_works_once_and_only_where_it_is_offered(house: Running) -> None:
    async with called(house, STARTTLS) as client:
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"503"), "before EHLO"
        assert b"250 STARTTLS\r\n" in await client.say(HELLO)
        assert (await client.say(b"STARTTLS now\r\n")).startswith(b"501")
        await client.start_tls(trusting(house))
        assert b"STARTTLS" not in await client.say(HELLO)
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"503")
    async with protected(house, PortKind.TLS) as client:
        assert b"STARTTLS" not in await client.say(HELLO)
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"503")
    async with logged_in(house, STARTTLS) as client:
        await client.say(b"MAIL FROM:<ann@example.com>\r\n")
        assert (await client.say(b"STARTTLS\r\n")).startswith(b"503")
        assert (await client.say(b"RCPT TO:<bob@example.org>\r\n")).startswith(b"250")


async def test_credentials_in_clear_are_neither_asked_for_nor_looked_at_nor_logged(
    house: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    assert house.first is not None
    password = house.first.password.reveal()
    in_base64 = base64.b64encode(password.encode())
    said: dict[str, list[bytes]] = {}
    for name, login in (
        ("right", right_login(house)),
        ("wrong", plain_login("first-app", "wrong")),
        ("unknown", plain_login("nobody", password)),
    ):
        async with called(house, STARTTLS) as client:
            assert b"AUTH" not in await client.say(HELLO)
            said[name] = [
                await client.say(login),
                await client.say(b"AUTH LOGIN\r\n"),
                await client.say(in_base64 + b"\r\n"),
                await client.say(b"AUTH PLAIN\r\n"),
                await client.say(b"MAIL FROM:<ann@example.com>\r\n"),
            ]
    assert said["right"] == said["wrong"] == said["unknown"], "no oracle"
    plain, asked, alone, again, mail = said["right"]
    for answer in (plain, asked, again):
        assert answer.startswith(b"538 5.7.11 ") and b"STARTTLS" in answer
    assert alone.startswith(b"500 ")
    assert mail == b"530 5.7.0 Must issue STARTTLS first\r\n"
    assert await nothing_happened(house)
    logged = "".join(capfd.readouterr())
    assert "session.misbehaved" in logged, "or this test looks at the wrong place"
    for secret in (password, in_base64.decode(), right_login(house).split()[2].decode()):
        assert secret not in logged


async def test_a_client_that_talks_clear_text_to_the_tls_port_hears_that_and_no_more(
    house: Running,
) -> None:
    async with await Typist.call(port_of(house, PortKind.TLS)) as client:
        said = await converse(client, HELLO + right_login(house) + ENVELOPE + CONTENT)
        assert codes(said) == [421]
    assert await nothing_happened(house)


# --- our client -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "injected",
    [
        b"250-mx.example.test\r\n250 AUTH PLAIN LOGIN\r\n",
        b"250 AUTH PLAIN\r\n" * 20,
        b"250-half a reply",
        b"235 2.7.0 in\r\n250 ok\r\n250 ok\r\n354 go on\r\n250 taken\r\n",
        b"\r\n",
    ],
    ids=["EHLO", "many", "half", "all that follows", "empty line"],
)
async def test_what_comes_in_one_segment_with_the_agreement_is_not_believed(
    running: Running, certificate: CertificateFiles, injected: bytes
) -> None:
    script = Script().on(Stage.STARTTLS, raw(b"220 2.0.0 go ahead\r\n" + injected))
    tls = certificate.server_context()
    async with BadServer(script, tls=tls, credentials=LOGIN, auth_in_clear=True) as server:
        await add_secure(running, server.port, certificate.ca)
        attempt = await first_attempt(running)
        nothing_at_all(server)
        assert set(server.sessions[0].verbs) == {"EHLO", "STARTTLS"}
    assert "followed by more in clear" in attempt.words


async def test_what_comes_in_clear_behind_the_agreement_is_not_believed(
    running: Running, certificate: CertificateFiles
) -> None:
    """In a segment of its own. TLS may fail of it, or start in spite of it: then EHLO is new."""
    forged = b"250-mx.example.test\r\n250 AUTH PLAIN LOGIN\r\n"
    script = Script().on(Stage.STARTTLS, say(220, "go ahead"), raw(forged))
    tls = certificate.server_context()
    async with BadServer(script, tls=tls, credentials=LOGIN, auth_in_clear=True) as server:
        await add_secure(running, server.port, certificate.ca)
        receipt = await running.submit()
        await running.until(receipt.message, lambda rows: rows[0].attempts >= 1)
        nothing_in_clear(server)
        for session in server.sessions:
            if session.channel.tls and len(session.verbs) > 2:
                assert session.verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]


async def test_a_server_stripped_of_starttls_gets_neither_login_nor_mail(
    running: Running, certificate: CertificateFiles
) -> None:
    async with BadServer(credentials=LOGIN, auth_in_clear=True) as server:
        await add_secure(running, server.port, certificate.ca)
        attempt = await first_attempt(running)
        nothing_at_all(server)
        assert set(server.sessions[0].verbs) <= {"EHLO", "QUIT"}
    assert "does not offer STARTTLS, and TLS is required" in attempt.words


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((say(454, "4.7.0 TLS not available"),), "454 4.7.0 TLS not available"),
        ((say(500, "5.5.1 what?"),), "500 5.5.1 what?"),
        ((drop(),), "closed the connection"),
    ],
)
async def test_starttls_refused_is_no_reason_to_go_on_in_clear(
    running: Running, certificate: CertificateFiles, steps: tuple[Step, ...], words: str
) -> None:
    script = Script().on(Stage.STARTTLS, *steps)
    tls = certificate.server_context()
    async with BadServer(script, tls=tls, credentials=LOGIN, auth_in_clear=True) as server:
        await add_secure(running, server.port, certificate.ca)
        attempt = await first_attempt(running)
        nothing_at_all(server)
    assert words in attempt.words


@pytest.mark.parametrize("steps", [(raw(b"250 what handshake?\r\n"),), (drop(),)])
async def test_a_handshake_that_fails_is_no_reason_to_go_on_in_clear(
    running: Running, certificate: CertificateFiles, steps: tuple[Step, ...]
) -> None:
    script = Script().on(Stage.HANDSHAKE, *steps)
    tls = certificate.server_context()
    async with BadServer(script, tls=tls, credentials=LOGIN, auth_in_clear=True) as server:
        await add_secure(running, server.port, certificate.ca)
        attempt = await first_attempt(running)
        nothing_at_all(server)
    assert "could not be reached over an encrypted connection" in attempt.words


async def test_the_same_server_unharmed_gets_the_mail(
    running: Running, certificate: CertificateFiles
) -> None:
    """So that the refusals above are known to come from what was done to it."""
    tls = certificate.server_context()
    async with BadServer(tls=tls, credentials=LOGIN, require_auth=True) as server:
        await add_secure(running, server.port, certificate.ca)
        receipt = await running.submit()
        await running.until(receipt.message)
        (message,) = server.messages
        assert message.tls and message.username == "relay"
        assert server.sessions[0].verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
        nothing_in_clear(server)
