"""the contract about the email service: what it answers, and what arrives of it at the far end"""

from __future__ import annotations

import asyncio
import base64
import stat
from collections import defaultdict
from collections.abc import AsyncIterator
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from pillarbox.api.app import ENTRIES
from pillarbox.api.config import ApiConfig
from pillarbox.net.http_client import Answer
from pillarbox.net.listener import PortKind
from pillarbox.observe.log import LogConfig, configure
from pillarbox.policy.delivery import State
from pillarbox.policy.directory import Mode
from pillarbox.policy.server import Encryption
from pillarbox.storage.interface.messages import MessageFilter
from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import issue_certificate
from tests.doubles.ports import free_port
from tests.doubles.records import MessageRecord
from tests.doubles.script import Gate, Script, Stage, say, stall
from tests.e2e.clerk import API, ask, nothing_taken, queued_as
from tests.e2e.letters import read
from tests.e2e.porch import BOTH, HELLO, PROTECTED, called, hand_in, logged_in, protected
from tests.e2e.upstream import IN_BASE64, LOGIN, PASSWORD, USERNAME, add_secure
from tests.fix_house import Houses, Running

SERVICE = "/api/v2/email"
FIRST_SAMPLE = {
    "to": [{"email": "john@example.org", "name": "John Doe"}],
    "subject": "Test Email",
    "body_text": "This is a test email.",
}


@pytest.fixture
async def sink() -> AsyncIterator[BadServer]:
    """The server of the service, where everything that leaves is looked at."""
    async with BadServer() as server:
        yield server


@pytest.fixture
async def house(houses: Houses) -> Running:
    """One whose first app is the service ``email``; it has no server yet."""
    running = await houses.start(Mode.LIVE, smtp=BOTH, api=ApiConfig(answer_seconds=3.0))
    named = {"name": "email", "from_address": "shop@example.com"}
    answer = await ask(running, "PATCH", f"{API}/apps/first-app", named)
    assert answer.status == 200, answer.body
    running.app = await running.house.storage.directory.app_named("email")
    return running


async def post(house: Running, document: dict[str, Any], path: str = SERVICE) -> Answer:
    """A request to the service with the key there is from the beginning."""
    assert house.first is not None
    headers = {"x-dreamfactory-api-key": house.first.key.reveal()}
    return await ask(house, "POST", path, document, **headers)


async def came_out(house: Running, sink: BadServer, document: dict[str, Any]) -> MessageRecord:
    """The one message that left for a request."""
    await house.add_server("sink", sink.port)
    answer = await post(house, document)
    assert answer.status == 200, answer.body
    (sent,) = sink.delivered
    assert answer.json() == {"count": len(sent.accepted_recipients)}
    return sent


async def states(house: Running) -> list[State]:
    """Of every recipient of the newest message."""
    page = await house.house.storage.messages.newest(MessageFilter(), 1)
    return [row.state for row in await house.deliveries(page.messages[0].id)]


# --- what arrives ---------------------------------------------------------------------------------


async def test_d1_d2_the_first_sample_is_answered_with_count_one_and_arrives(
    house: Running, sink: BadServer
) -> None:
    await house.add_server("sink", sink.port)
    answer = await post(house, FIRST_SAMPLE)
    assert (answer.status, answer.json()) == (200, {"count": 1})
    (sent,) = sink.delivered
    assert sent.accepted_recipients == ("john@example.org",)
    message = read(sent.content)
    assert message["to"] == "John Doe <john@example.org>"
    assert message["subject"] == "Test Email"
    assert message.get_content().strip() == "This is a test email."


async def test_d24_cc_is_seen_and_bcc_gets_the_mail_unseen(house: Running, sink: BadServer) -> None:
    document = {
        **FIRST_SAMPLE,
        "cc": [{"email": "manager@example.org", "name": "Manager"}],
        "bcc": [{"email": "hidden@example.org", "name": "Unseen"}, "hidden-too@example.org"],
    }
    sent = await came_out(house, sink, document)
    assert sent.accepted_recipients == (
        "john@example.org", "manager@example.org", "hidden@example.org", "hidden-too@example.org",
    )  # fmt: skip
    assert read(sent.content)["cc"] == "Manager <manager@example.org>"
    for secret in (b"hidden", b"Unseen", b"bcc"):
        assert secret not in sent.content and secret.title() not in sent.content


async def test_d38_an_attachment_arrives_decoded_under_its_name_and_type(
    house: Running, sink: BadServer
) -> None:
    data = bytes(range(256)) * 40
    file = {
        "name": "Rechnung März.pdf", "content": base64.b64encode(data).decode(),
        "content_type": "application/pdf",
    }  # fmt: skip
    sent = await came_out(house, sink, {**FIRST_SAMPLE, "attachments": [file]})
    (attached,) = read(sent.content).iter_attachments()
    assert isinstance(attached, EmailMessage)
    assert (attached.get_filename(), attached.get_content_type()) == (
        file["name"],
        "application/pdf",
    )
    assert attached.get_content() == data


def shown(field: bytes) -> str:
    """A field as people see it. The blank that the new parser of the standard library leaves
    between two encoded words of a name is not there (RFC 2047 §6.2), and the old one knows.
    """
    return str(make_header(decode_header(field.decode("ascii"))))


@pytest.mark.parametrize("extensions", [("8BITMIME", "SMTPUTF8"), ("8BITMIME",), ()], ids=str)
async def test_d82_letters_of_every_script_arrive_intact(
    house: Running, extensions: tuple[str, ...]
) -> None:
    words = "Größe ✓ 日本語 العربية עברית 🎉 naïve"
    document = {
        "to": [{"email": "john@example.org", "name": f"To {words}"}],
        "cc": {"email": "ann@example.org", "name": f"Cc {words}"},
        "from_name": f"From {words}",
        "reply_to_email": "help@example.com", "reply_to_name": f"Reply {words}",
        "subject": f"{words} " * 5, "body_text": f"{words}\n" * 3,
        "body_html": f"<p>{words}</p>", "template_data": {"x": words},
    }  # fmt: skip
    async with BadServer(extensions=extensions) as sink:
        sent = await came_out(house, sink, document)
    for field, name in (("to", "To"), ("cc", "Cc"), ("from", "From"), ("reply-to", "Reply")):
        assert shown(sent.header(field)[0]).startswith(f"{name} {words} <")
    assert shown(sent.header("subject")[0]) == (f"{words} " * 5).strip()
    text, html = read(sent.content).iter_parts()
    assert text.get_content().splitlines() == [words] * 3
    assert html.get_content().strip() == f"<p>{words}</p>"


# --- when the server does not take it -------------------------------------------------------------


@pytest.mark.parametrize("encryption", [Encryption.STARTTLS, Encryption.TLS])
async def test_d63_a_bad_certificate_is_answered_500_and_nothing_is_sent(
    house: Running, tmp_path: Path, encryption: Encryption
) -> None:
    shown, other = issue_certificate(tmp_path / "shown"), issue_certificate(tmp_path / "other")
    tls = shown.server_context()
    implicit = encryption is Encryption.TLS
    async with BadServer(tls=tls, implicit_tls=implicit, credentials=LOGIN) as server:
        await add_secure(house, server.port, other.ca, encryption=encryption)
        answer = await post(house, FIRST_SAMPLE)
        assert answer.status == 500
        assert answer.json()["error"]["message"].startswith("Certificate error: ")
        assert await states(house) == [State.FAILED], "and it will not leave later either"
        assert server.sessions and not server.messages
        assert not any(b"MAIL" in session.received.upper() for session in server.sessions)


async def test_d64_d66_a_refused_login_is_told_and_the_password_never(
    house: Running, tmp_path: Path
) -> None:
    certificate = issue_certificate(tmp_path / "tls")
    tls = certificate.server_context()
    quoting = Script().on(Stage.AUTH, say(535, f"5.7.8 {PASSWORD} of {USERNAME} is wrong"))
    log = tmp_path / "house.log"
    with log.open("w") as stream:
        configure(stream, LogConfig(level="debug"))
        async with BadServer(quoting, tls=tls, credentials=LOGIN) as server:
            await add_secure(house, server.port, certificate.ca)
            refused = await post(house, FIRST_SAMPLE)
            assert server.sessions[0].logins[0].password == PASSWORD
        (only,) = await house.house.storage.directory.servers(house.app.id)
        await house.house.storage.directory.remove_server(only.id)
        async with BadServer(tls=tls, credentials=LOGIN, require_auth=True) as server:
            await add_secure(house, server.port, certificate.ca)
            taken = await post(house, FIRST_SAMPLE)
            assert server.delivered[0].username == USERNAME
    assert (refused.status, taken.status) == (500, 200)
    assert refused.json()["error"]["message"].startswith("Authentication failed: ")
    for told in (refused.body, taken.body, log.read_bytes()):
        for secret in (PASSWORD.encode(), *IN_BASE64):
            assert secret not in told
    assert log.stat().st_size, "it was written at all"


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
async def test_d65_a_server_that_cannot_be_reached_is_answered_500_in_bounded_time(
    house: Running, silent: bool
) -> None:
    async with BadServer(Script().on(Stage.BANNER, stall(Gate()))) as server:
        await house.add_server("away", server.port if silent else free_port())
        async with asyncio.timeout(20):
            answer = await post(house, FIRST_SAMPLE)
    assert answer.status == 500
    words = "Connection timed out" if silent else "Connection refused"
    assert answer.json()["error"]["message"].startswith(f"{words}: ")
    assert await states(house) == [State.FAILED]


# --- all ways in ----------------------------------------------------------------------------------

LETTER = b"From: shop@example.com\r\nSubject: over SMTP\r\n\r\nhello\r\n"


async def test_e3_mail_taken_by_any_api_survives_a_restart(houses: Houses, house: Running) -> None:
    async with logged_in(house, PortKind.TLS) as client:
        queued_as(await hand_in(client, LETTER))
    native = {"to": "a@example.org", "subject": "over HTTP", "text": "hello"}
    assert (await ask(house, "POST", f"{API}/messages", native)).status == 202
    said = await post(house, {**FIRST_SAMPLE, "subject": "as a service", "async": True})
    assert said.json() == {"count": 1}
    again = await houses.start(Mode.LIVE)
    async with BadServer() as sink:
        await again.add_server("sink", sink.port)
        await sink.until(lambda: len(sink.delivered) == 3)
    subjects = sorted(message.header("Subject")[0] for message in sink.delivered)
    assert subjects == [b"as a service", b"over HTTP", b"over SMTP"]
    assert all(b"hello" in m.body or b"test email" in m.body for m in sink.delivered)


@pytest.mark.parametrize("shown", ["", "Bearer", f"Bearer {'0' * 64}", "Basic Og=="])
async def test_e4_nobody_sends_who_has_not_shown_who_he_is(house: Running, shown: str) -> None:
    headers = {"authorization": shown, "x-dreamfactory-api-key": shown.partition(" ")[2]}
    places = defaultdict(lambda: "1", account="default", app="email", credential="first-app",
                         key="first-app")  # fmt: skip
    document = {"to": "a@example.org", "from_email": "a@example.com", "body_text": "x", "text": "x"}
    routes = [(each.method, API + each.path.format_map(places)) for each in ENTRIES]
    routes += [("POST", path) for path in (SERVICE, f"{SERVICE}/", "/api/v1/email")]
    for method, path in routes:
        answer = await ask(house, method, path, document, **headers)
        assert answer.status == 401, (method, path, answer.body)
    for kind in PROTECTED:
        async with called(house, kind) as client:
            await client.say(HELLO)
            assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"530 ")
        async with protected(house, kind) as client:
            assert (await client.say(b"MAIL FROM:<a@example.com>\r\n")).startswith(b"530 ")
    # Whoever opens this file has shown that he owns the data.
    socket = house.house.settings.data_dir / "pillarbox.sock"
    assert stat.S_IMODE(socket.stat().st_mode) & 0o077 == 0
    assert await nothing_taken(house)
