"""the programs people really use, against our two sides; skipped where one is not installed"""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiosmtplib
import pytest

from pillarbox.net.smtp_client import Connection, EnvelopeWords
from pillarbox.protocol.events import LoginReceived
from pillarbox.terms.secret import Secret
from tests.components import path_of
from tests.doubles.certificates import CertificateFiles
from tests.wire.conversation import ALL_PORTS, HOST, PASSWORD, USERNAME, letter, served

CONTENT = letter(2000) + b"..two dots\r\n"


async def run(*command: str, stdin: bytes = b"") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        output, _ = await process.communicate(stdin)
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")


@pytest.mark.parametrize("way", ["starttls", "tls", "local"])
async def test_smtplib_sends_mail(
    way: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    def send(port: int) -> None:
        kind = smtplib.SMTP_SSL if way == "tls" else smtplib.SMTP
        extra = {"context": client_tls} if way == "tls" else {}
        with kind("localhost", port, timeout=10, **extra) as client:  # type: ignore[arg-type]
            if way == "starttls":
                client.starttls(context=client_tls)
            if way != "local":
                with pytest.raises(smtplib.SMTPAuthenticationError):
                    client.login(USERNAME, "wrong")
                client.login(USERNAME, PASSWORD)
            for _ in range(2):
                client.sendmail("a@example.com", ["b@example.com", "c@example.com"], CONTENT)

    async with served(ALL_PORTS, tls=server_tls) as server:
        port = {"starttls": server.starttls, "tls": server.tls, "local": server.local}[way]
        await asyncio.to_thread(send, port)
    assert server.told.contents == [CONTENT] * 2


@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_aiosmtplib_sends_mail(
    way: str, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        errors, reply = await aiosmtplib.send(
            CONTENT,
            sender="a@example.com",
            recipients=["b@example.com"],
            hostname="localhost",
            port=server.starttls if way == "starttls" else server.tls,
            start_tls=way == "starttls",
            use_tls=way == "tls",
            tls_context=client_tls,
            username=USERNAME,
            password=PASSWORD,
        )
    assert errors == {} and "queued as msg_1" in reply
    assert server.told.contents == [CONTENT]


@pytest.mark.needs("swaks")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("way", ["starttls", "tls"])
async def test_swaks_logs_in_and_sends_mail(
    way: str, mechanism: str, certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        code, output = await run(
            "swaks",
            *("--server", "localhost"),
            *("--port", str(server.starttls if way == "starttls" else server.tls)),
            "--tls" if way == "starttls" else "--tlsc",
            *("--tls-ca-path", str(certificate.ca), "--tls-verify"),
            *("--auth", mechanism, "--auth-user", USERNAME, "--auth-password", PASSWORD),
            *("--from", "a@example.com", "--to", "b@example.com", "--header", "Subject: Hello"),
        )
    assert code == 0, output
    assert len(server.told.contents) == 1
    login = next(event for event in server.told.events if isinstance(event, LoginReceived))
    assert login.mechanism == mechanism


@pytest.mark.needs("swaks")
async def test_swaks_is_understood_when_it_pipelines(server_tls: ssl.SSLContext) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        code, output = await run(
            "swaks",
            *("--server", f"{HOST}:{server.local}", "--pipeline"),
            *("--from", "a@example.com", "--to", "b@example.com,c@example.com"),
        )
    assert code == 0, output
    assert len(server.told.contents) == 1


@pytest.mark.needs("smtp-source")
@pytest.mark.parametrize("kept", [True, False])
async def test_smtp_source_sends_many(kept: bool, server_tls: ssl.SSLContext) -> None:
    async with served(ALL_PORTS, tls=server_tls) as server:
        code, output = await run(
            path_of("smtp-source") or "",
            *(("-d",) if kept else ()),
            *("-m", "200", "-s", "10", "-l", "4000", "-f", "a@example.com", "-t", "b@example.com"),
            f"{HOST}:{server.local}",
        )
    assert code == 0, output
    assert len(server.told.contents) == 200


@pytest.mark.needs("curl")
async def test_curl_sends_mail(
    tmp_path: Path, certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    file = tmp_path / "mail.eml"
    file.write_bytes(CONTENT)
    async with served(ALL_PORTS, tls=server_tls) as server:
        code, output = await run(
            *("curl", "--silent", "--show-error", "--url", f"smtp://localhost:{server.starttls}"),
            *("--ssl-reqd", "--cacert", str(certificate.ca), "--user", f"{USERNAME}:{PASSWORD}"),
            *("--mail-from", "a@example.com", "--mail-rcpt", "b@example.com"),
            *("--upload-file", str(file)),
        )
    assert code == 0, output
    assert server.told.contents == [CONTENT]


@pytest.mark.parametrize("encryption", ["starttls", "tls", "none"])
async def test_our_client_and_our_server_understand_each_other(
    encryption: str, certificate: CertificateFiles, server_tls: ssl.SSLContext
) -> None:
    content = letter(900_000)
    async with served(ALL_PORTS, tls=server_tls) as server:
        ports = {"starttls": server.starttls, "tls": server.tls, "none": server.local}
        connection = await Connection.open(
            "localhost",
            ports[encryption],
            encryption=encryption,
            ca_file=str(certificate.ca),
            hello_name="client.example.test",
            username="" if encryption == "none" else USERNAME,
            password=Secret(PASSWORD),
        )
        for data in (CONTENT, content):
            answered = await connection.envelope(EnvelopeWords("", ["b@example.com"], len(data)))
            assert answered.ready
            assert (await connection.content(data)).text == "Ok: queued as msg_1"
        await connection.quit()
    assert server.told.contents == [CONTENT, content]
    assert server.told.ends == ["QUIT"]


@contextlib.asynccontextmanager
async def _sink(*options: str) -> AsyncIterator[int]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        path_of("smtp-sink") or "", "-u", "nobody", *options, f"{HOST}:{port}", "100"
    )
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    break
                await asyncio.sleep(0.01)
        yield port
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.root
@pytest.mark.needs("smtp-sink")
@pytest.mark.parametrize("options", [(), ("-p",), ("-e",), ("-8",)])
async def test_our_client_sends_to_smtp_sink(options: tuple[str, ...]) -> None:
    """With and without pipelining (-p), without ESMTP (-e), without 8BITMIME (-8)."""
    async with _sink(*options) as port:
        connection = await Connection.open(
            HOST, port, encryption="none", hello_name="client.example.test"
        )
        for size in (100, 50_000, 1_000_000):
            words = EnvelopeWords("a@example.com", ["b@example.com"] * 3, size)
            assert (await connection.envelope(words)).ready
            assert (await connection.content(letter(size))).code == 250
        await connection.quit()
