"""Postfix and Exim as an app's server: mail arrives whole, and what is wrong is said in words

Each asks for TLS and a login. What a person reads is what `pillarbox message show` prints.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pytest
import trustme

from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.exim_server import EximServer
from tests.doubles.postfix import Postfix
from tests.doubles.sink import Sink, SinkSettings
from tests.e2e.product import Pillarbox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

USERS: Final = tuple(f"relay-{number}" for number in range(5))
PASSWORD: Final = "pa ss: $word"
WRONG_PASSWORD: Final = "pb_mistyped"
CONTENT: Final = (
    b"From: <ann@example.com>\r\nTo: <bob@example.org>\r\nDate: Fri, 20 Mar 2026 09:30:00 +0000\r\n"
    b"Message-ID: <%d@example.com>\r\nSubject: %d\r\n\r\n.\r\n..\r\n. \r\nGr\xc3\xb6\xc3\x9fe\r\n"
)
_SECONDS: Final = 30.0

WORDS: Final = {  # what is wrong: what happened, and what to do
    "the password": (
        r"upstream did not accept our user name and password \(535 .*\)",
        "Enter its current user name and password; other servers are used meanwhile.",
    ),
    "the name": (
        r"upstream could not be reached over an encrypted connection: "
        r"the certificate of 127\.0\.0\.1 was refused: it was issued for another address",
        "Check the certificate, its name and the encryption chosen; mail never falls back to clear.",
    ),
    "the authority": (
        r"upstream could not be reached over an encrypted connection: the certificate of localhost "
        r"was refused: it comes from an unknown authority; "
        r"name that authority's certificate as the CA file",
        "Check the certificate, its name and the encryption chosen; mail never falls back to clear.",
    ),
    "the certificate": (
        r"upstream could not be reached over an encrypted connection: "
        r"the certificate of localhost was refused: it has expired",
        "Check the certificate, its name and the encryption chosen; mail never falls back to clear.",
    ),
}


class Upstream(Protocol):
    """A real server."""

    port: int
    tls_port: int

    def log(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Certificates:
    """One for localhost only, one that was for yesterday, and an authority nobody knows."""

    good: CertificateFiles
    expired: CertificateFiles
    stranger: Path

    @classmethod
    def made_in(cls, folder: Path) -> Certificates:
        expired = folder / "expired"
        expired.mkdir()
        files = CertificateFiles(expired / "ca.pem", expired / "server.pem", expired / "server.key")
        authority = trustme.CA()
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        leaf = authority.issue_cert("localhost", not_before=now - 2 * day, not_after=now - day)
        authority.cert_pem.write_to_path(str(files.ca))
        leaf.cert_chain_pems[0].write_to_path(str(files.certificate))
        leaf.private_key_pem.write_to_path(str(files.key))
        return cls(
            issue_certificate(folder / "good", "localhost"),
            files,
            issue_certificate(folder / "stranger").ca,
        )


@asynccontextmanager
async def serving(
    name: str, certificate: CertificateFiles, sink_port: int
) -> AsyncIterator[Upstream]:
    """One of the two."""
    logins = dict.fromkeys(USERS, PASSWORD)
    async with AsyncExitStack() as stack:
        if name == "exim":
            yield await stack.enter_async_context(EximServer(certificate, sink_port, logins))
        else:
            yield await stack.enter_async_context(
                Postfix.upstream(certificate, users=logins, relay_to=sink_port)
            )


@dataclass(slots=True)
class Desk:
    """A Pillarbox, and hands for giving it servers and mail."""

    product: Pillarbox
    sink: Sink
    sent: int = 0

    async def send_through(
        self, app: str, user: str, port: int, ca: Path, encryption: str, host: str, password: str
    ) -> tuple[str, bytes]:
        """Send a message of a new app with this server; its id, and what it consisted of."""
        self.sent += 1
        content = CONTENT % (self.sent, self.sent)
        server = (
            "server", "add", "upstream", "--app", app, "--host", host, "--port", str(port),
            "--encryption", encryption, "--ca-file", str(ca),
            "--username", user, "--password-file", "-",
        )  # fmt: skip
        return await asyncio.to_thread(self._send, app, server, password, content), content

    def _send(self, app: str, server: tuple[str, ...], password: str, content: bytes) -> str:
        call = self.product.call
        call("app", "add", app)
        call("app", "set", app, "--mode", "live", "--yes")
        call(*server, stdin=password + "\n")
        letter = self.product.data_dir / "letter"
        letter.write_bytes(content)
        said = call(
            "send", "--app", app, "--to", "bob@example.org", "--from", "ann@example.com",
            "--file", str(letter), "--json",
        )  # fmt: skip
        found: str = json.loads(said)["id"]
        return found

    async def shown(self, message: str, until: str) -> str:
        """What `pillarbox message show` prints, once it holds these words."""
        async with asyncio.timeout(_SECONDS):
            while True:
                said = await asyncio.to_thread(self.product.call, "message", "show", message)
                if re.search(until, said):
                    return said


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("postfix", marks=pytest.mark.needs("postfix", "root", "saslpasswd2")),
        pytest.param("exim", marks=pytest.mark.needs("exim", "mounts")),
    ],
)
async def test_mail_reaches_a_real_server_and_what_is_wrong_with_it_is_said_in_words(
    tmp_path: Path, name: str
) -> None:
    certificates = Certificates.made_in(tmp_path)
    good, expired = certificates.good, certificates.expired
    async with (
        Sink(SinkSettings(keep_content=True)) as sink,
        serving(name, good, sink.port) as right,
        serving(name, expired, sink.port) as late,
        Pillarbox(tmp_path) as product,
    ):
        desk = Desk(product, sink)
        for encryption in ("starttls", "tls"):
            port = right.port if encryption == "starttls" else right.tls_port
            late_port = late.port if encryption == "starttls" else late.tls_port
            message, content = await desk.send_through(
                f"right-{encryption}", USERS[0], port, good.ca, encryption, "localhost", PASSWORD
            )
            said = await desk.shown(message, "handed over")
            assert "upstream took it" in said
            await sink.until(lambda: bool(sink.taken), seconds=_SECONDS)
            assert whole(sink, content), right.log()
            sink.facts.clear()
            told_wrong = {
                "the password": (port, good.ca, "localhost", WRONG_PASSWORD),
                "the name": (port, good.ca, "127.0.0.1", PASSWORD),
                "the authority": (port, certificates.stranger, "localhost", PASSWORD),
                "the certificate": (late_port, expired.ca, "localhost", PASSWORD),
            }
            # A user name for each, since what they have in common would be one way out.
            for user, (wrong, (at, ca, host, password)) in zip(
                USERS[1:], told_wrong.items(), strict=True
            ):
                words, advice = WORDS[wrong]
                message, _ = await desk.send_through(
                    f"{user}-{encryption}", user, at, ca, encryption, host, password
                )
                said = await desk.shown(message, "attempt 1")
                assert re.search(words, said), said
                assert advice in said, said
                assert PASSWORD not in said and WRONG_PASSWORD not in said
        assert not sink.taken


def whole(sink: Sink, content: bytes) -> bool:
    """What arrived is what was sent, below the trace fields of two relays."""
    (fact,) = sink.taken
    trace, _, rest = fact["content"].partition(b"From: ")
    return trace.startswith(b"Received: ") and b"From: " + rest == content and not fact["bare"]
