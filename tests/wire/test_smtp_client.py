from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pillarbox.net import smtp_client
from pillarbox.net.client_facts import ClientTimeouts
from pillarbox.net.errors import Broken
from pillarbox.net.smtp_client import Connection, EnvelopeWords
from pillarbox.protocol.errors import LocalProtocolError
from pillarbox.protocol.events import EnvelopeAnswered
from pillarbox.terms.secret import Secret
from tests.doubles import script
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.script import Gate, Script, Stage, drop, say, stall, usual
from tests.wire.conversation import HOST, letter

SHORT = ClientTimeouts(
    connect_seconds=0.6,
    banner_seconds=0.6,
    ehlo_seconds=0.6,
    tls_seconds=0.6,
    auth_seconds=0.6,
    envelope_seconds=0.6,
    block_seconds=0.6,
    verdict_seconds=0.6,
    quit_seconds=0.6,
)
RETURN_PATH, RECIPIENT = "a@example.com", "b@example.com"
GROUP = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n"


async def connect(server: BadServer, **wishes: object) -> Connection:
    wishes.setdefault("encryption", "none")
    wishes.setdefault("host", HOST)
    return await Connection.open(
        port=server.port,
        hello_name="client.example.test",
        **wishes,  # type: ignore[arg-type]
    )


@contextlib.asynccontextmanager
async def connected(server: BadServer, **wishes: object) -> AsyncIterator[Connection]:
    connection = await connect(server, **wishes)
    try:
        yield connection
    finally:
        connection.close()


async def begin(
    connection: Connection, *recipients: str, size: int | None = None
) -> EnvelopeAnswered:
    words = EnvelopeWords(RETURN_PATH, recipients or (RECIPIENT,), size)
    return await connection.envelope(words)


async def broken(server: BadServer, **wishes: object) -> Broken:
    """How opening fails."""
    with pytest.raises(Broken) as caught:
        await connect(server, **wishes)
    return caught.value


# --- mail ------------------------------------------------------------------------------------


async def test_mail_arrives_as_it_was_and_the_connection_carries_more() -> None:
    content = letter() + b"..dots\r\n.\r\n"[:8]
    async with BadServer() as server, connected(server) as connection:
        for _ in range(3):
            answered = await begin(connection, size=len(content))
            assert answered.ready
            assert (await connection.content(content)).code == 250
            assert connection.usable
        await connection.quit()
        await server.until(lambda: server.sessions[0].ended == "quit")
    assert [m.content for m in server.messages] == [content] * 3
    assert connection.transactions == 3
    assert server.sessions[0].verbs.count("EHLO") == 1


async def test_facts_and_dialogue_tell_what_happened() -> None:
    rules = Script().on(Stage.RCPT, say(550, "5.1.1 nobody"), recipient="no@example.com")
    async with BadServer(rules) as server, connected(server) as connection:
        facts = connection.facts
        assert (facts.host, facts.address, facts.port) == (HOST, HOST, server.port)
        assert facts.tls == "" and facts.mechanism == ""
        assert "PIPELINING" in facts.extensions
        assert [line.split()[0] for _, line in facts.opening] == ["banner", "EHLO"]
        people = [f"p{n}@example.com" for n in range(40)]
        await begin(connection, *people, "no@example.com", *people)
        await connection.content(letter())
    lines = [line for _, line in connection.dialogue]
    assert [line.split()[0] for line in lines] == ["MAIL", "RCPT", "RCPT", "RCPT", "DATA", "."]
    assert lines[1].endswith("(x40)")
    assert "550 5.1.1 nobody" in lines[2]
    assert all(at >= 0 for at, _ in connection.dialogue)


async def test_each_recipient_has_its_own_answer() -> None:
    rules = Script().on(Stage.RCPT, say(550, "5.1.1 nobody"), nth=2)
    async with BadServer(rules) as server, connected(server) as connection:
        answered = await begin(connection, *["x@example.com"] * 3)
        assert [reply.code for reply in answered.recipients] == [250, 550, 250]
        assert answered.ready
        assert (await connection.content(letter())).code == 250


async def test_a_refused_envelope_leaves_the_connection_usable() -> None:
    rules = Script().on(Stage.MAIL, say(451, "4.3.0 later"), times=1)
    async with BadServer(rules) as server, connected(server) as connection:
        answered = await begin(connection)
        assert answered.mail.code == 451 and not answered.ready
        answered = await begin(connection)
        assert answered.ready
        assert (await connection.content(letter())).code == 250


@pytest.mark.parametrize("size", [100_000, 2_000_000])
async def test_long_content_goes_in_pieces(size: int) -> None:
    content = letter(size)
    async with BadServer() as server, connected(server) as connection:
        await begin(connection)
        assert (await connection.content(content)).code == 250
    assert server.messages[0].content == content


async def test_content_may_be_streamed() -> None:
    content = letter(700_000)

    async def blocks() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 100_001):
            yield content[at : at + 100_001]

    async with BadServer() as server, connected(server) as connection:
        await begin(connection)
        assert (await connection.content(blocks())).code == 250
    assert server.messages[0].content == content


@pytest.mark.parametrize("how", ["at once", "in pieces", "in blocks"])
async def test_the_point_behind_the_final_dot_is_passed_once_for_each_message(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[str] = []
    monkeypatch.setattr(smtp_client, "crash_point", passed.append)
    content = letter(1_000_000 if how == "in pieces" else 1000)

    async def blocks() -> AsyncIterator[bytes]:
        yield content[:500]
        assert passed == []
        yield content[500:]

    async with BadServer() as server, connected(server) as connection:
        await begin(connection)
        await connection.content(blocks() if how == "in blocks" else content)
        assert passed == ["content-after-dot"]
    assert server.messages[0].content == content


async def test_the_point_behind_the_final_dot_is_not_passed_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[str] = []
    monkeypatch.setattr(smtp_client, "crash_point", passed.append)
    rules = Script().on(Stage.CONTENT, drop(reset=True), at_bytes=100_000)
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        with pytest.raises(Broken):
            await connection.content(letter(20_000_000))
    assert passed == []


async def test_a_stream_that_fails_ends_without_the_final_dot() -> None:
    async def blocks() -> AsyncIterator[bytes]:
        yield letter()
        raise ZeroDivisionError

    async with BadServer() as server, connected(server) as connection:
        await begin(connection)
        with pytest.raises(ZeroDivisionError):
            await connection.content(blocks())
        assert not connection.usable
        await server.until(lambda: server.sessions[0].ended == "gone")
    assert server.messages == []


async def test_what_cannot_be_said_is_refused_before_anything_is() -> None:
    async with BadServer() as server, connected(server) as connection:
        with pytest.raises(LocalProtocolError):
            await begin(connection, "b@example.com>\r\nRCPT TO:<v@example.com")
        assert (await begin(connection)).ready
    assert [r.address for r in server.messages] == []


# --- the next envelope behind the content --------------------------------------------------


def words(*recipients: str) -> EnvelopeWords:
    return EnvelopeWords(RETURN_PATH, recipients or (RECIPIENT,))


async def test_the_next_envelope_may_go_with_the_content_before_it() -> None:
    async with BadServer() as server, connected(server) as connection:
        await connection.envelope(words())
        assert (await connection.content(letter(), words("c@example.com"))).code == 250
        assert connection.ahead
        await server.until(lambda: server.sessions[0].verbs.count("DATA") == 2)
        assert (await connection.envelope(words("c@example.com"))).ready
        assert not connection.ahead
        assert (await connection.content(letter(500))).code == 250
        assert connection.usable
    assert [m.accepted_recipients for m in server.messages] == [(RECIPIENT,), ("c@example.com",)]


async def test_a_verdict_and_the_next_answers_take_one_round_trip() -> None:
    gate = Gate()
    rules = Script().on(Stage.DOT, stall(gate), usual(), times=1)
    async with BadServer(rules) as server, connected(server) as connection:
        await connection.envelope(words())
        giving = asyncio.create_task(connection.content(letter(), words("c@example.com")))
        await gate.reached()
        async with asyncio.timeout(5):
            # Nobody has said a word about the content, and the next envelope is here.
            while not server.sessions[0].received.endswith(GROUP):
                await asyncio.sleep(0.01)
        gate.release()
        assert (await giving).code == 250
        answered = await connection.envelope(words("c@example.com"))
        assert answered.ready
        assert server.sessions[0].received.endswith(GROUP)
        verbs = [line.split()[0] for _, line in connection.dialogue]
        assert verbs == ["MAIL", "RCPT", "DATA"]
    assert len(server.messages) == 1


async def test_the_answers_to_an_envelope_said_ahead_are_its_own() -> None:
    rules = Script().on(Stage.DOT, say(554, "5.6.0 no"), times=1)
    rules.on(Stage.RCPT, say(550, "5.1.1 nobody"), recipient="no@example.com")
    async with BadServer(rules) as server, connected(server) as connection:
        await connection.envelope(words())
        following = words("no@example.com", "c@example.com")
        assert (await connection.content(letter(), following)).code == 554
        assert connection.ahead
        answered = await connection.envelope(following)
        assert [reply.code for reply in answered.recipients] == [550, 250]
        assert answered.ready
        assert (await connection.content(letter())).code == 250
    assert [m.accepted_recipients for m in server.delivered] == [("c@example.com",)]


async def test_no_envelope_goes_ahead_where_the_server_does_not_pipeline() -> None:
    async with BadServer(extensions=()) as server, connected(server) as connection:
        await connection.envelope(words())
        assert (await connection.content(letter(), words())).code == 250
        assert not connection.ahead
        assert server.sessions[0].verbs.count("MAIL") == 1
        await connection.envelope(words())
        assert (await connection.content(letter())).code == 250
    assert len(server.messages) == 2


async def test_a_server_that_leaves_behind_its_verdict_has_lost_nothing() -> None:
    """The envelope behind the content is lost with it, so a fresh connection costs nothing."""
    async with BadServer(Script().on(Stage.DOT, usual(), drop())) as server:
        async with connected(server) as connection:
            await connection.envelope(words())
            assert (await connection.content(letter(), words())).code == 250
            with pytest.raises(Broken) as caught:
                await connection.envelope(words())
            assert not connection.usable
    assert (caught.value.stage, caught.value.after_dot) == ("mail", False)
    assert caught.value.reused and caught.value.reply is None
    assert len(server.messages) == 1


async def test_a_next_envelope_that_cannot_be_said_does_not_harm_the_content() -> None:
    bad = words("b@example.com>\r\nRCPT TO:<v@example.com")
    async with BadServer() as server, connected(server) as connection:
        await connection.envelope(words())
        assert (await connection.content(letter(), bad)).code == 250
        assert not connection.ahead and connection.usable
        with pytest.raises(LocalProtocolError):
            await connection.envelope(bad)
    assert len(server.messages) == 1


async def test_a_loss_behind_content_and_a_long_envelope_is_a_loss_after_the_dot() -> None:
    """Both together are longer than what is written at once otherwise."""
    many = tuple(f"{'x' * 60}-{n}@{'d' * 60}.example.com" for n in range(1000))
    content = letter()[:-2] + b"\r\n.x" * 30_000 + b"\r\n"
    async with BadServer(Script().on(Stage.DOT, drop())) as server:
        async with connected(server) as connection:
            await connection.envelope(words())
            with pytest.raises(Broken) as caught:
                await connection.content(content, words(*many))
            assert caught.value.after_dot
            with pytest.raises(Broken) as caught:
                await connection.envelope(words(*many))
    assert caught.value.reused and not caught.value.after_dot


async def test_a_verdict_that_closes_the_connection_ends_the_envelope_behind_it() -> None:
    rules = Script().on(Stage.DOT, say(421, "4.3.2 bye"))
    async with BadServer(rules) as server, connected(server) as connection:
        await connection.envelope(words())
        assert (await connection.content(letter(), words())).code == 421
        assert not connection.ahead and not connection.usable
        async with asyncio.timeout(5):
            with pytest.raises(Broken) as caught:
                await connection.envelope(words())
    assert caught.value.reused


# --- opening fails ---------------------------------------------------------------------------


async def test_a_port_where_nobody_listens() -> None:
    with socket.socket() as held:
        held.bind((HOST, 0))
        with pytest.raises(Broken) as caught:
            await Connection.open(
                HOST, held.getsockname()[1], encryption="none", hello_name="c.example.test"
            )
    assert caught.value.stage == "connect"
    assert caught.value.words.startswith("cannot connect to 127.0.0.1 port ")
    assert caught.value.words.endswith(": nobody listens there")


async def test_each_address_of_a_name_where_nobody_listens_is_named() -> None:
    with socket.socket() as held, pytest.raises(Broken) as caught:
        held.bind((HOST, 0))
        await Connection.open(
            "localhost", held.getsockname()[1], encryption="none", hello_name="c.example.test"
        )
    assert "nobody listens there (127.0.0.1)" in caught.value.words


async def test_a_host_that_swallows_packets() -> None:
    # A listener whose backlog is full answers no further SYN, like a firewall that drops.
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind((HOST, 0))
        full.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with pytest.raises(Broken) as caught:
            await Connection.open(
                HOST,
                full.getsockname()[1],
                encryption="none",
                hello_name="c.example.test",
                timeouts=SHORT,
            )
    assert (caught.value.stage, caught.value.after_dot) == ("connect", False)
    assert caught.value.words.startswith("cannot connect to 127.0.0.1 port ")
    assert caught.value.words.endswith(": it does not answer")


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(Broken) as caught:
        await Connection.open("no such host", 25, encryption="none", hello_name="c.example.test")
    assert caught.value.stage == "connect"


async def test_every_address_of_a_name_is_tried() -> None:
    """localhost is ::1 and 127.0.0.1 nearly everywhere; the server has only the latter."""
    async with BadServer() as server, connected(server, host="localhost") as connection:
        assert connection.facts.address == HOST
        assert connection.facts.host == "localhost"


@pytest.mark.parametrize(
    ("stage", "named", "code"),
    [
        (Stage.BANNER, "banner", 554),
        (Stage.BANNER, "banner", 421),
        (Stage.EHLO, "ehlo", 451),
        (Stage.STARTTLS, "starttls", 454),
        (Stage.AUTH, "auth", 535),
    ],
)
async def test_a_refusal_while_opening_names_its_stage_and_its_reply(
    stage: Stage, named: str, code: int, certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    rules = Script().on(stage, say(code, "go away"))
    async with BadServer(rules, tls=server_tls, credentials={"u": "p"}) as server:
        error = await broken(
            server,
            encryption="starttls",
            ca_file=str(certificate.ca),
            username="u",
            password=Secret("p"),
        )
    assert error.stage == named
    assert error.reply is not None and error.reply.code == code
    assert f"{code} go away" in error.words
    assert f"{code} go away" in error.dialogue[-1][1]


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        (Stage.BANNER, "banner"),
        (Stage.EHLO, "ehlo"),
        (Stage.STARTTLS, "starttls"),
        (Stage.HANDSHAKE, "starttls"),
        (Stage.AUTH, "auth"),
    ],
)
@pytest.mark.parametrize("how", ["stall", "drop", "garbage"])
async def test_silence_loss_and_nonsense_while_opening_name_their_stage(
    stage: Stage, named: str, how: str, certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    gate = Gate()
    step = {"stall": stall(gate), "drop": drop(), "garbage": script.garbage()}[how]
    rules = Script().on(stage, step)
    async with BadServer(rules, tls=server_tls, credentials={"u": "p"}) as server:
        error = await broken(
            server,
            encryption="starttls",
            ca_file=str(certificate.ca),
            username="u",
            password=Secret("p"),
            timeouts=SHORT,
        )
        gate.release()
    assert error.stage == named
    assert not error.after_dot
    assert "Secret" not in error.words


# --- TLS -------------------------------------------------------------------------------------


async def test_starttls_and_login(
    certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    wishes = {
        "encryption": "starttls",
        "ca_file": str(certificate.ca),
        "username": "u",
        "password": Secret("p w"),
    }
    async with BadServer(tls=server_tls, credentials={"u": "p w"}, require_auth=True) as server:
        async with connected(server, **wishes) as connection:
            assert connection.facts.tls.startswith("TLSv1.3")
            assert connection.facts.tls.endswith("certificate verified")
            assert connection.facts.mechanism == "PLAIN"
            await begin(connection)
            assert (await connection.content(letter(300_000))).code == 250
    (session,) = server.sessions
    assert session.verbs[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
    assert b"AUTH" not in session.received_clear
    assert all("p w" not in line for _, line in connection.facts.opening)


async def test_tls_from_the_first_byte(
    certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    async with BadServer(tls=server_tls, implicit_tls=True) as server:
        async with connected(server, encryption="tls", ca_file=str(certificate.ca)) as connection:
            await begin(connection)
            assert (await connection.content(letter())).code == 250
            await connection.quit()
    assert server.messages[0].tls


async def test_login_is_offered_as_login_only(server_tls: ssl.SSLContext) -> None:
    rules = Script().on(
        Stage.EHLO, say(250, "mx.example.test", "PIPELINING", "AUTH LOGIN XOAUTH2"), skip=1
    )
    rules.on(Stage.EHLO, usual(), times=1)
    async with BadServer(rules, tls=server_tls, credentials={"u": "p"}) as server:
        async with connected(
            server, encryption="starttls", verify=False, username="u", password=Secret("p")
        ) as connection:
            assert connection.facts.mechanism == "LOGIN"
            assert connection.facts.tls.endswith("certificate not verified")
    assert server.sessions[0].logins[0].mechanism == "LOGIN"


async def test_no_mechanism_in_common_says_so_and_nothing_of_the_login() -> None:
    rules = Script().on(Stage.EHLO, say(250, "mx.example.test", "AUTH CRAM-MD5"))
    async with BadServer(rules) as server:
        error = await broken(server, username="user", password=Secret("secret"))
    assert error.stage == "auth" and error.reply is None
    assert "CRAM-MD5" in error.words
    assert b"AUTH" not in server.sessions[0].received


async def test_required_tls_that_is_not_offered_sends_nothing_in_clear() -> None:
    async with BadServer(credentials={"u": "p"}, auth_in_clear=True) as server:
        error = await broken(server, encryption="starttls", username="u", password=Secret("p"))
        await server.until(lambda: bool(server.sessions[0].ended))
    assert error.stage == "starttls"
    assert server.sessions[0].verbs == ["EHLO"]


async def test_a_failed_starttls_sends_nothing_in_clear(server_tls: ssl.SSLContext) -> None:
    rules = Script().on(Stage.STARTTLS, say(454, "4.7.0 not now"))
    async with BadServer(
        rules, tls=server_tls, credentials={"u": "p"}, auth_in_clear=True
    ) as server:
        error = await broken(server, encryption="starttls", username="u", password=Secret("p"))
        await server.until(lambda: bool(server.sessions[0].ended))
    assert error.stage == "starttls"
    assert server.sessions[0].verbs == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize(
    "extra", [b"250-mx.example.test\r\n250 AUTH PLAIN\r\n", b"2", b"220 go on\r\n"]
)
async def test_bytes_behind_the_go_ahead_of_starttls_are_never_a_reply(
    server_tls: ssl.SSLContext, extra: bytes
) -> None:
    rules = Script().on(Stage.STARTTLS, script.raw(b"220 go ahead\r\n" + extra))
    async with BadServer(rules, tls=server_tls) as server:
        error = await broken(server, encryption="starttls", verify=False, timeouts=SHORT)
    assert error.stage == "starttls"
    assert error.error_code == "upstream_misbehaved"


async def test_bytes_in_clear_that_follow_the_go_ahead_later_spoil_the_handshake(
    server_tls: ssl.SSLContext,
) -> None:
    rules = Script().on(
        Stage.STARTTLS,
        say(220, "go ahead"),
        script.Trickle(b"250 AUTH PLAIN\r\n", 0.005),
    )
    async with BadServer(rules, tls=server_tls) as server:
        error = await broken(server, encryption="starttls", verify=False, timeouts=SHORT)
    assert error.stage == "starttls"
    assert server.sessions[0].verbs == ["EHLO", "STARTTLS"]


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
async def test_what_is_wrong_with_a_certificate_is_said(
    encryption: str, tmp_path: Path, certificate: CertificateFiles
) -> None:
    wrong_name = issue_certificate(tmp_path / "n", "other.example.test")
    implicit = encryption == "tls"
    async with BadServer(tls=certificate.server_context(), implicit_tls=implicit) as server:
        error = await broken(server, encryption=encryption)
        assert error.stage == "starttls"
        assert "unknown authority" in error.words
        assert error.error_code == "upstream_tls_failed"
    async with BadServer(tls=wrong_name.server_context(), implicit_tls=implicit) as server:
        error = await broken(server, encryption=encryption, ca_file=str(wrong_name.ca))
        assert "issued for another" in error.words
        async with connected(server, encryption=encryption, verify=False) as connection:
            assert connection.facts.tls
        # Without a certificate for the name, not even a login is tried.
        assert all(not session.logins for session in server.sessions)


async def test_tls_where_the_server_speaks_clear_text_says_what_may_be_meant() -> None:
    async with BadServer() as server:
        error = await broken(server, encryption="tls", timeouts=SHORT)
    assert error.stage == "starttls"
    assert "STARTTLS" in error.words


# --- losses, and what they mean --------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
async def test_a_line_lost_after_the_final_dot_may_have_delivered(reset: bool) -> None:
    rules = Script().on(Stage.DOT, drop(reset=reset))
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        with pytest.raises(Broken) as caught:
            await connection.content(letter())
    assert (caught.value.stage, caught.value.after_dot) == ("verdict", True)
    assert not connection.usable
    assert [line.split()[0] for _, line in caught.value.dialogue] == ["MAIL", "RCPT", "DATA"]


async def test_a_silent_server_after_the_final_dot_may_have_delivered() -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.DOT, stall(gate))) as server:
        async with connected(server, timeouts=SHORT) as connection:
            await begin(connection)
            with pytest.raises(Broken) as caught:
                await connection.content(letter())
            gate.release()
    assert (caught.value.stage, caught.value.after_dot) == ("verdict", True)
    assert "in time" in caught.value.words


async def test_a_line_lost_inside_the_content_has_delivered_nothing() -> None:
    rules = Script().on(Stage.CONTENT, drop(reset=True), at_bytes=100_000)
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        with pytest.raises(Broken) as caught:
            await connection.content(letter(20_000_000))
    assert (caught.value.stage, caught.value.after_dot) == ("data", False)


async def test_a_server_that_stops_reading_content_is_given_up() -> None:
    gate = Gate()
    rules = Script().on(Stage.CONTENT, stall(gate, deaf=True), at_bytes=1)
    async with BadServer(rules) as server:
        async with connected(server, timeouts=SHORT) as connection:
            await begin(connection)
            with pytest.raises(Broken) as caught:
                await connection.content(letter(20_000_000))
            gate.release()
    assert (caught.value.stage, caught.value.after_dot) == ("data", False)


async def test_content_refused_before_its_end_is_a_verdict() -> None:
    gate = Gate()
    rules = Script().on(
        Stage.CONTENT, say(552, "5.3.4 too large"), stall(gate, deaf=True), at_bytes=100_000
    )
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        verdict = await connection.content(letter(20_000_000))
        assert (verdict.code, verdict.status) == (552, "5.3.4")
        assert not connection.usable
        gate.release()
    assert server.messages == []


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.RCPT, Stage.DATA])
async def test_a_line_lost_in_the_envelope_has_delivered_nothing(stage: Stage) -> None:
    async with BadServer(Script().on(stage, drop())) as server:
        async with connected(server) as connection:
            with pytest.raises(Broken) as caught:
                await begin(connection)
    assert (caught.value.stage, caught.value.after_dot) == ("mail", False)
    assert not caught.value.reused


async def test_a_kept_connection_found_dead_says_that_it_was_reused() -> None:
    rules = Script().on(Stage.MAIL, drop(), skip=1)
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        await connection.content(letter())
        with pytest.raises(Broken) as caught:
            await begin(connection)
    assert caught.value.reused and not caught.value.after_dot


async def test_a_kept_connection_that_answers_421_says_that_it_was_reused() -> None:
    rules = Script().on(Stage.MAIL, say(421, "4.4.2 too late"), drop(), skip=1)
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        await connection.content(letter())
        with pytest.raises(Broken) as caught:
            await begin(connection)
    assert caught.value.reused
    assert caught.value.reply is not None and caught.value.reply.code == 421


async def test_a_server_that_leaves_a_kept_connection_is_noticed() -> None:
    gate = Gate()
    rules = Script().on(Stage.DOT, usual(), stall(gate), say(421, "4.3.2 bye"), drop())
    async with BadServer(rules) as server, connected(server) as connection:
        await begin(connection)
        assert (await connection.content(letter())).code == 250
        assert connection.usable
        gate.release()
        await server.until(lambda: bool(server.sessions[0].ended))
        async with asyncio.timeout(5):
            while connection.usable:
                await asyncio.sleep(0.01)
        with pytest.raises(Broken) as caught:
            await begin(connection)
        assert caught.value.reused


async def test_giving_up_in_the_middle_closes_the_connection() -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.MAIL, stall(gate))) as server:
        async with connected(server) as connection:
            waiting = asyncio.create_task(begin(connection))
            await gate.reached()
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not connection.usable
        gate.release()


# --- servers that talk too much --------------------------------------------------------------


@pytest.mark.parametrize(
    "nonsense",
    [
        script.garbage(),
        script.long_line(250),
        script.many_lines(250),
        script.raw(b"25\x000 ok\r\n"),
        script.raw(b"999 what\r\n"),
    ],
)
async def test_nonsense_in_place_of_a_verdict_is_a_loss_after_the_dot(
    nonsense: script.Write,
) -> None:
    async with BadServer(Script().on(Stage.DOT, nonsense)) as server:
        async with connected(server, timeouts=SHORT) as connection:
            await begin(connection)
            with pytest.raises(Broken) as caught:
                await connection.content(letter())
    assert caught.value.after_dot


async def test_quit_never_hangs_and_never_raises() -> None:
    gate = Gate()
    async with BadServer(Script().on(Stage.QUIT, stall(gate))) as server:
        connection = await connect(server, timeouts=SHORT)
        async with asyncio.timeout(5):
            await connection.quit()
        gate.release()
    async with BadServer(Script().on(Stage.QUIT, drop(reset=True))) as server:
        connection = await connect(server)
        await connection.quit()
        await connection.quit()
