"""programs that hand mail over, and the far end where it must come out

The app's server is a real Postfix with a login and a certificate of its own; it relays on to a
double that keeps every byte. Every program checks our certificate against the authority we made.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import smtplib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.doubles.bad_server import BadServer
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.postfix import Postfix
from tests.doubles.records import MessageRecord
from tests.e2e.letters import AUTHOR, BODY, letter, read
from tests.e2e.product import FirstSecrets

USERNAME, PASSWORD = "relay@example.com", "pa ss word"


class Reachable(Protocol):
    """A Pillarbox at work, as far as somebody outside is concerned."""

    @property
    def first(self) -> FirstSecrets:
        """Login and key."""
        ...

    @property
    def ca(self) -> Path:
        """The authority to check its certificate against."""
        ...

    @property
    def url(self) -> str:
        """Of the HTTP side."""
        ...

    def port(self, security: str) -> int:
        """Of the listener with ``STARTTLS`` or ``TLS``."""
        ...

    def call(self, *arguments: str, stdin: str = "") -> str:
        """Run a verb; what it printed."""
        ...


@dataclass
class Office:
    """The Postfix that the product sends through, and where that leads."""

    postfix: Postfix
    sink: BadServer
    certificate: CertificateFiles

    def connect(self, product: Reachable) -> None:
        """Make it the server of the first app, and the app live."""
        product.call(
            "server", "add", "office", "--host", "localhost", "--port", str(self.postfix.port),
            "--encryption", "starttls", "--ca-file", str(self.certificate.ca),
            "--username", USERNAME, "--password-file", "-", stdin=PASSWORD + "\n",
        )  # fmt: skip
        product.call("app", "set", "first-app", "--mode", "live", "--yes")

    async def arrived(self, recipient: str) -> MessageRecord:
        """The one message for `recipient`, once it has come out at the far end."""

        def found() -> list[MessageRecord]:
            return [
                message
                for message in self.sink.delivered
                if [each.address for each in message.recipients] == [recipient]
            ]

        await self.sink.until(lambda: bool(found()), seconds=20)
        (message,) = found()
        return message


@contextlib.asynccontextmanager
async def office(home: Path) -> AsyncIterator[Office]:
    """One that takes mail from our login only, and under TLS only."""
    certificate = issue_certificate(home / "tls")
    async with (
        BadServer() as sink,
        Postfix.upstream(certificate, users={USERNAME: PASSWORD}, relay_to=sink.port) as postfix,
    ):
        yield Office(postfix, sink, certificate)


@dataclass
class Scene:
    """A product that is live, the office it sends through, and a place for files."""

    product: Reachable
    office: Office
    home: Path

    async def run(self, *command: str, stdin: bytes = b"") -> str:
        """A program that must succeed; what it said."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self.home,
        )
        said, _ = await asyncio.wait_for(process.communicate(stdin), 20)
        assert process.returncode == 0, said.decode(errors="replace")
        return said.decode(errors="replace")

    def file(self, name: str, content: bytes) -> Path:
        """A file for a program to read."""
        path = self.home / name
        path.write_bytes(content)
        return path


Hand = Callable[[Scene, str], Awaitable[None]]
"""Hands a message with the body of `letters` over for a recipient."""


async def pillarbox_send(scene: Scene, recipient: str) -> None:
    """Our own command line."""
    message = scene.file("own.eml", letter(recipient, "own"))
    said = await asyncio.to_thread(
        scene.product.call, "send", "--to", recipient, "--file", str(message)
    )
    assert "msg_" in said


# --- swaks --------------------------------------------------------------------------------------


async def swaks_starttls(scene: Scene, recipient: str) -> None:
    """STARTTLS and AUTH PLAIN."""
    await _swaks(scene, recipient, "STARTTLS", "--tls", "--auth", "PLAIN")


async def swaks_tls(scene: Scene, recipient: str) -> None:
    """TLS from the first byte and AUTH LOGIN."""
    await _swaks(scene, recipient, "TLS", "--tls-on-connect", "--auth", "LOGIN")


async def swaks_pipelining(scene: Scene, recipient: str) -> None:
    """Several commands in one segment."""
    await _swaks(scene, recipient, "STARTTLS", "--tls", "--pipeline", "--auth", "PLAIN")


async def _swaks(scene: Scene, recipient: str, security: str, *how: str) -> None:
    product = scene.product
    # It adds the last line end by itself.
    message = scene.file("swaks.eml", letter(recipient, "swaks").removesuffix(b"\r\n"))
    said = await scene.run(
        "swaks", "--server", "localhost", "--port", str(product.port(security)), *how,
        "--tls-verify", "--tls-ca-path", str(product.ca), "--auth-user", product.first.username,
        "--auth-password", product.first.password, "-f", AUTHOR, "-t", recipient,
        "--data", f"@{message}",
    )  # fmt: skip
    assert "queued as msg_" in said


# --- curl ---------------------------------------------------------------------------------------


async def curl_starttls(scene: Scene, recipient: str) -> None:
    """smtp:// with TLS insisted on."""
    await _curl(scene, recipient, "smtp", "STARTTLS", "--ssl-reqd")


async def curl_tls(scene: Scene, recipient: str) -> None:
    """smtps:// and AUTH LOGIN."""
    await _curl(scene, recipient, "smtps", "TLS", "--login-options", "AUTH=LOGIN")


async def _curl(scene: Scene, recipient: str, scheme: str, security: str, *how: str) -> None:
    product = scene.product
    await scene.run(
        "curl", "--silent", "--show-error", "--max-time", "15", *how, "--cacert", str(product.ca),
        "--url", f"{scheme}://localhost:{product.port(security)}",
        "--user", f"{product.first.username}:{product.first.password}",
        "--mail-from", AUTHOR, "--mail-rcpt", recipient, "--upload-file", "-",
        stdin=letter(recipient, "curl"),
    )  # fmt: skip


async def over_http(scene: Scene, recipient: str) -> None:
    """The email service, asked by curl; what comes out is composed by us, so it is checked here."""
    product = scene.product
    document = {
        "to": [{"email": recipient, "name": "John Doe"}],
        "from_email": AUTHOR,
        "subject": "Grüße",
        "body_text": BODY.decode(),
        "attachments": [{"name": "a.bin", "content": "AAEC/w==", "content_type": "image/png"}],
    }
    said = await scene.run(
        "curl", "--silent", "--show-error", "--fail-with-body", "--max-time", "15", "-X", "POST",
        f"{product.url}/api/v2/first-app", "-H", f"X-DreamFactory-API-Key: {product.first.key}",
        "-H", "Content-Type: application/json", "-d", "@-", stdin=json.dumps(document).encode(),
    )  # fmt: skip
    assert json.loads(said) == {"count": 1}
    message = read((await scene.office.arrived(recipient)).content)
    assert message["subject"] == "Grüße"
    assert message["to"] == f"John Doe <{recipient}>"
    text, attached = message.iter_parts()
    assert text.get_content() == BODY.decode()
    assert attached.get_content() == b"\0\1\2\xff"


# --- Python -------------------------------------------------------------------------------------


async def smtplib_starttls(scene: Scene, recipient: str) -> None:
    """The standard library, as most programs in Python use it."""

    def talk() -> None:
        with smtplib.SMTP("localhost", scene.product.port("STARTTLS"), timeout=15) as client:
            client.starttls(context=ssl.create_default_context(cafile=str(scene.product.ca)))
            _smtplib(client, scene, recipient)

    await asyncio.to_thread(talk)


async def smtplib_tls(scene: Scene, recipient: str) -> None:
    """The same with TLS from the first byte."""

    def talk() -> None:
        context = ssl.create_default_context(cafile=str(scene.product.ca))
        port = scene.product.port("TLS")
        with smtplib.SMTP_SSL("localhost", port, timeout=15, context=context) as client:
            _smtplib(client, scene, recipient)

    await asyncio.to_thread(talk)


def _smtplib(client: smtplib.SMTP, scene: Scene, recipient: str) -> None:
    client.login(scene.product.first.username, scene.product.first.password)
    client.sendmail(AUTHOR, [recipient], letter(recipient, "smtplib"), ["BODY=8BITMIME"])


# --- another MTA --------------------------------------------------------------------------------


async def postfix_starttls(scene: Scene, recipient: str) -> None:
    """A Postfix that relays through us, level ``secure``."""
    await _postfix(scene, recipient, "STARTTLS")


async def postfix_tls(scene: Scene, recipient: str) -> None:
    """The same in wrapper mode."""
    await _postfix(scene, recipient, "TLS")


async def _postfix(scene: Scene, recipient: str, security: str) -> None:
    product = scene.product
    relay = Postfix.relaying_client(
        product.port(security),
        product.ca,
        username=product.first.username,
        password=product.first.password,
        implicit_tls=security == "TLS",
    )
    async with relay as postfix:

        def talk() -> None:
            with smtplib.SMTP("127.0.0.1", postfix.port, timeout=15) as client:
                client.sendmail(AUTHOR, [recipient], letter(recipient, "mta"), ["BODY=8BITMIME"])

        await asyncio.to_thread(talk)
        await scene.office.arrived(recipient)
        log = postfix.log()
        assert "Verified TLS connection established" in log, log


SMTP_HANDS: tuple[Hand, ...] = (
    pillarbox_send, swaks_starttls, swaks_tls, swaks_pipelining, curl_starttls, curl_tls,
    smtplib_starttls, smtplib_tls, postfix_starttls, postfix_tls,
)  # fmt: skip
