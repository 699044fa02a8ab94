from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from pillarbox.net.errors import TlsFilesUnusable
from pillarbox.net.web_client import WebClient, read_address
from pillarbox.net.web_errors import WebAddressInvalid, WebFailed, WebFault
from pillarbox.policy.networks import is_public
from tests.doubles.certificates import CertificateFiles, issue_certificate
from tests.doubles.web_server import WebReply, WebServer


@pytest.fixture
def certificate(tmp_path: Path) -> CertificateFiles:
    return issue_certificate(tmp_path / "tls", "localhost", "policy.example")


def always(reply: WebReply):
    return lambda request: reply


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


async def fault(client: WebClient, url: str, **more) -> WebFailed:
    with pytest.raises(WebFailed) as caught:
        await client.get(url, **more)
    await client.close()
    return caught.value


async def test_a_page_is_fetched_over_tls_with_its_status_fields_and_body(certificate):
    reply = WebReply(404, b"not here", {"Content-Type": "Text/Plain; charset=utf-8"})
    async with WebServer(always(reply), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca))
        answer = await client.get(server.url("/a?b=c"))
        await client.close()
    assert (answer.status, answer.body) == (404, b"not here")
    assert answer.media_type == "text/plain"
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", "/a?b=c")
    assert request.fields["host"] == f"localhost:{server.port}"


async def test_a_body_is_posted_as_it_is_on_a_connection_that_is_kept(certificate):
    async with WebServer(
        lambda request: WebReply(body=request.body), certificate.server_context()
    ) as server:
        client = WebClient(ca_file=str(certificate.ca))
        for body in (b"grant=1", b"\x00" * 100_000, b""):
            answer = await client.post(
                server.url(), body, fields={"content-type": "text/x"}, max_bytes=1 << 20
            )
            assert answer.body == body
        await client.close()
    assert server.connections == 1
    assert server.requests[0].fields["content-type"] == "text/x"


async def test_a_redirect_is_an_answer_and_is_not_followed(certificate):
    reply = WebReply(302, b"", {"Location": "https://elsewhere.example/"})
    async with WebServer(always(reply), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca))
        answer = await client.get(server.url())
        await client.close()
    assert answer.status == 302
    assert len(server.requests) == 1


async def test_a_certificate_of_a_stranger_is_refused(certificate):
    async with WebServer(always(WebReply()), certificate.server_context()) as server:
        error = await fault(WebClient(), server.url())
    assert error.fault is WebFault.TLS
    assert "unknown authority" in error.sentence
    assert not server.requests


async def test_a_certificate_for_another_name_is_refused(tmp_path):
    other = issue_certificate(tmp_path, "other.example")
    async with WebServer(always(WebReply()), other.server_context()) as server:
        error = await fault(WebClient(ca_file=str(other.ca)), server.url())
    assert error.fault is WebFault.TLS
    assert "another name" in error.sentence


async def test_a_port_that_speaks_no_tls_is_a_failure_of_tls():
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        with contextlib.suppress(OSError):
            await reader.read()
        await closed(writer)
        ended.set()

    ended = asyncio.Event()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await fault(WebClient(), f"https://127.0.0.1:{port}/")
        await ended.wait()
    assert error.fault is WebFault.TLS
    assert "does not speak TLS" in error.sentence


async def test_what_is_sent_in_clear_ahead_of_tls_is_never_taken_for_an_answer(certificate):
    async def inject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.start_tls(certificate.server_context())
            await reader.read()
        await closed(writer)
        ended.set()

    ended = asyncio.Event()

    async with await asyncio.start_server(inject, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await fault(WebClient(ca_file=str(certificate.ca)), f"https://localhost:{port}/")
        await ended.wait()
    assert error.fault is WebFault.TLS


async def test_nobody_listening_is_said():
    async with WebServer(always(WebReply())) as server:
        url = server.url(host="127.0.0.1").replace("http:", "https:")
    error = await fault(WebClient(), url)
    assert error.fault is WebFault.CONNECT
    assert "nobody listens there" in error.sentence


async def test_an_address_that_is_not_public_is_never_connected_to(certificate):
    async with WebServer(always(WebReply()), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca), permits=is_public)
        error = await fault(client, server.url())
    assert error.fault is WebFault.FORBIDDEN
    assert server.connections == 0


async def test_where_a_name_leads_may_be_told_and_the_certificate_is_still_for_the_name(
    certificate,
):
    asked = []

    async def told(host: str, port: int, seconds: float) -> Sequence[tuple[str, int]]:
        asked.append((host, port))
        return [("127.0.0.1", server.port)]

    async with WebServer(always(WebReply(body=b"v")), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca), look_up=told)
        answer = await client.get("https://policy.example/.well-known/x")
        error = await fault(client, "https://other.example/")
    assert asked == [("policy.example", 443), ("other.example", 443)]
    assert answer.body == b"v"
    assert server.requests[0].fields["host"] == "policy.example"
    assert error.fault is WebFault.TLS


async def test_an_answer_that_does_not_come_is_given_up(certificate):
    never = WebReply(waits=asyncio.Event())
    async with WebServer(always(never), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca))
        error = await fault(client, server.url(), seconds=0.2)
    assert error.fault is WebFault.TIME
    assert "within 0.2 seconds" in error.sentence


@pytest.mark.parametrize("reply", [WebReply(body=b"x" * 2000), WebReply(endless=True)])
async def test_a_body_beyond_its_bound_is_not_read(certificate, reply):
    async with WebServer(always(reply), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca))
        error = await fault(client, server.url(), max_bytes=1999)
    assert error.fault is WebFault.TOO_LONG


@pytest.mark.parametrize(
    "raw",
    [
        b"220 mail.example ESMTP\r\n",
        b"\x00" * 300_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"",
    ],
)
async def test_what_is_not_http_or_breaks_off_is_a_failure(certificate, raw):
    async with WebServer(always(WebReply(raw=raw)), certificate.server_context()) as server:
        client = WebClient(ca_file=str(certificate.ca))
        error = await fault(client, server.url())
    assert error.fault in (WebFault.GARBAGE, WebFault.LOST)


async def test_clear_text_is_spoken_to_loopback_alone_and_only_where_permitted():
    async with WebServer(always(WebReply(body=b"here"))) as server:
        with pytest.raises(WebAddressInvalid):
            await WebClient().get(server.url())
        client = WebClient(clear_on_loopback=True)
        assert (await client.get(server.url(host="127.0.0.1"))).body == b"here"
        with pytest.raises(WebAddressInvalid):
            await client.get("http://mail.example/")
        await client.close()


async def test_a_failure_says_nothing_of_what_was_asked():
    error = await fault(WebClient(), "https://127.0.0.1:1/path?token=s3cret")
    assert "s3cret" not in f"{error!r} {error} {error.__cause__!r}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "ftp://a.example/",
        "http://a.example/",
        "https://u:p@a.example/",
        "https://a.example:0/",
        "https://a.example:99999/",
        "https://a.example/\r\nX: y",
        "https://a.example/a b",
        "https://ä.example/",
        "https://[::1/",
        "https://a.example/" + "x" * 2048,
    ],
)
def test_what_is_no_https_address_is_refused_before_anything_is_sent(url):
    with pytest.raises(WebAddressInvalid):
        read_address(url)


def test_an_address_is_taken_apart():
    assert read_address("https://A.example/x?y=1#z") == ("https", "a.example", 443, "/x?y=1")
    assert read_address("https://[::1]:8443") == ("https", "::1", 8443, "/")


def test_a_file_without_a_certificate_is_refused_at_once(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(TlsFilesUnusable, match="ca.pem"):
        WebClient(ca_file=str(tmp_path / "ca.pem"))
