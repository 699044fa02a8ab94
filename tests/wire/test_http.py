from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from pillarbox.net.errors import CannotListen, HttpUnreachable, PortInUse
from pillarbox.net.http_client import LocalClient
from pillarbox.net.http_server import HttpServer, Patience
from tests.doubles.certificates import issue_certificate
from tests.wire.conversation import HOST

Message = MutableMapping[str, Any]


class App:
    """Answers with what it was asked; some paths wait."""

    def __init__(self) -> None:
        self.scopes: list[Message] = []
        self.running = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = False

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        assert scope["type"] == "http"
        self.scopes.append(scope)
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            if not message["more_body"]:
                break
        headers = [(b"content-type", b"application/json")]
        if scope["path"] == "/slow":
            self.running.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        if scope["path"] == "/events":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for number in range(3):
                line = b'{"n":%d}\n' % number
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        if scope["path"] == "/large":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for _ in range(400):
                part = b"x" * 100_000
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        answer = {
            "method": scope["method"],
            "path": scope["path"],
            "headers": {k.decode(): v.decode() for k, v in scope["headers"]},
            "length": len(body),
            "body": body.decode("latin-1")[:200],
        }
        status = 404 if scope["path"] == "/missing" else 200
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@contextlib.asynccontextmanager
async def served(app: App, **wishes: Any) -> AsyncIterator[HttpServer]:
    wishes.setdefault("port", 0)
    server = HttpServer(app, **wishes)
    await server.start()
    try:
        yield server
    finally:
        app.go_on.set()
        await server.stop(2.0)


async def ask(client: LocalClient, method: str, path: str, document: object = None) -> Any:
    return await asyncio.to_thread(client.request, method, path, document)


async def raw(port: int, data: bytes, *, seconds: float = 10.0) -> bytes:
    """What is answered to `data` until the server closes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(data)
        async with asyncio.timeout(seconds):
            return await reader.read()
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def test_requests_over_tcp_and_over_the_socket_of_the_owner(tmp_path: Path) -> None:
    app = App()
    path = tmp_path / "api.sock"
    async with served(app, unix_path=path) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for target in (path, f"http://127.0.0.1:{server.port}", f"http://localhost:{server.port}/"):
            with LocalClient(target, headers={"authorization": "Bearer x"}) as client:
                answer = await ask(client, "POST", "/v1/x?y=1", {"a": "ü"})
                assert answer.status == 200
                told = answer.json()
                assert (told["method"], told["path"]) == ("POST", "/v1/x")
                assert told["headers"]["authorization"] == "Bearer x"
                assert told["headers"]["content-type"] == "application/json"
                assert json.loads(told["body"]) == {"a": "ü"}
                assert "date" in answer.headers and "server" not in answer.headers
                assert (await ask(client, "GET", "/missing")).status == 404
                assert (await ask(client, "DELETE", "/v1/x")).json()["length"] == 0
    assert not path.exists()
    assert app.scopes[0]["client"] is None
    assert app.scopes[0]["server"] == (str(path), None)
    assert app.scopes[3]["client"][0] == HOST


async def test_lines_are_read_as_they_come() -> None:
    async with served(App()) as server:

        def read() -> list[bytes]:
            with LocalClient(f"http://127.0.0.1:{server.port}") as client:
                answer, lines = client.stream("/events")
                assert answer.status == 200
                return list(lines)

        assert await asyncio.to_thread(read) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


async def test_a_large_body_arrives() -> None:
    async with served(App()) as server:
        with LocalClient(f"http://127.0.0.1:{server.port}") as client:
            answer = await asyncio.to_thread(client.request, "PUT", "/", body=b"x" * 5_000_000)
            assert answer.json()["length"] == 5_000_000


async def test_signals_are_left_alone() -> None:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    async with served(App()):
        assert {n: signal.getsignal(n) for n in before} == before


async def test_a_forwarded_address_is_not_believed() -> None:
    app = App()
    async with served(app) as server:
        data = (
            b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n"
        )
        await raw(server.port, data)
    assert app.scopes[0]["client"][0] == HOST


async def test_nobody_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind((HOST, 0))
        targets = [tmp_path / "none.sock", f"http://127.0.0.1:{held.getsockname()[1]}"]
        for target in targets:
            with pytest.raises(HttpUnreachable, match="nobody listens there") as caught:
                LocalClient(target).get("/")
            assert caught.value.fix is not None and "pillarbox up" in caught.value.fix
    with pytest.raises(HttpUnreachable):
        LocalClient("ftp://example.test")


async def test_a_server_that_never_answers_is_given_up() -> None:
    app = App()
    async with served(app) as server:
        client = LocalClient(f"http://127.0.0.1:{server.port}", timeout=0.2)
        with pytest.raises(HttpUnreachable, match="no answer within"):
            await ask(client, "GET", "/slow")


async def test_a_kept_connection_that_was_closed_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with LocalClient(path) as client:
        for _ in range(2):
            async with served(App(), unix_path=path, port=None):
                assert (await ask(client, "GET", "/")).status == 200


# --- starting and stopping -------------------------------------------------------------------


async def test_stopping_lets_a_running_request_finish() -> None:
    app = App()
    async with served(app) as server:
        client = LocalClient(f"http://127.0.0.1:{server.port}")
        asking = asyncio.create_task(ask(client, "GET", "/slow"))
        await app.running.wait()
        stopping = asyncio.create_task(server.stop(5.0))
        await asyncio.sleep(0)
        app.go_on.set()
        assert (await asking).status == 200
        await stopping


async def test_stopping_cuts_off_what_takes_too_long() -> None:
    app = App()
    server = HttpServer(app, port=0)
    await server.start()
    asking = asyncio.create_task(
        ask(LocalClient(f"http://127.0.0.1:{server.port}"), "GET", "/slow")
    )
    await app.running.wait()
    await server.stop(0.05)
    assert app.cancelled
    # uvicorn may still get an error page out; what counts is that nobody waits on.
    with contextlib.suppress(HttpUnreachable):
        assert (await asking).status == 500


async def test_stopping_does_not_wait_for_kept_connections() -> None:
    app = App()
    async with served(app) as server:
        client = LocalClient(f"http://127.0.0.1:{server.port}")
        await ask(client, "GET", "/")
        async with asyncio.timeout(1.5):
            await server.stop(60.0)
        client.close()


async def test_stopping_goes_on_where_the_socket_cannot_be_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with served(App(), unix_path=path):
        path.unlink()
        path.mkdir()  # unlink refuses that, as it does on a disk that fails


async def test_a_busy_port_and_a_busy_socket_are_known_before_the_start(tmp_path: Path) -> None:
    app, path = App(), tmp_path / "api.sock"
    async with served(app, unix_path=path) as server:
        with pytest.raises(PortInUse) as caught:
            HttpServer(app, port=server.port)
        assert f"(pid {os.getpid()})" in caught.value.sentence
        with pytest.raises(CannotListen, match="another process answers"):
            HttpServer(app, port=0, unix_path=path)
        other = HttpServer(app, port=server.port, take_next_port=True)
        assert other.port != server.port and "using" in other.note
        await other.stop(0)


async def test_a_socket_file_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with served(App(), unix_path=path, port=None):
        with LocalClient(path) as client:
            assert (await ask(client, "GET", "/")).status == 200


def test_the_path_of_a_socket_may_be_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    with pytest.raises(CannotListen, match="cannot listen on"):
        HttpServer(App(), unix_path=path)


# --- hostile clients -------------------------------------------------------------------------


async def test_a_head_without_end_is_refused() -> None:
    async with served(App()) as server:
        said = await raw(server.port, b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000)
        assert said.startswith(b"HTTP/1.1 431")


async def test_ten_thousand_header_fields_are_refused() -> None:
    async with served(App()) as server:
        fields = b"".join(b"X-%d: y\r\n" % n for n in range(10_000))
        assert (await raw(server.port, b"GET / HTTP/1.1\r\n" + fields)).startswith(b"HTTP/1.1 4")


async def test_no_http_at_all_is_refused() -> None:
    async with served(App()) as server:
        assert (await raw(server.port, b"EHLO x\r\n")).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("start", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_head_that_does_not_come_in_time_is_refused(start: bytes) -> None:
    async with served(App(), patience=Patience(head_seconds=0.2)) as server:
        assert (await raw(server.port, start)).startswith(b"HTTP/1.1 408")


async def test_a_body_that_trickles_in_is_refused() -> None:
    patience = Patience(body_window_seconds=0.2, body_bytes_per_second=1000)
    async with served(App(), patience=patience) as server:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nx"
        assert (await raw(server.port, head)).startswith(b"HTTP/1.1 408")


async def test_a_kept_connection_may_wait_longer_than_a_head_may() -> None:
    patience = Patience(head_seconds=0.1)
    async with served(App(), patience=patience) as server:
        reader, writer = await asyncio.open_connection(HOST, server.port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")
            await asyncio.sleep(0.3)
        writer.close()
        await writer.wait_closed()


async def test_a_reader_that_does_not_read_is_dropped() -> None:
    app = App()
    async with served(app, patience=Patience(unread_seconds=0.2)) as server:
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, (HOST, server.port))
            await loop.sock_sendall(sock, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(5):
                while server._state.tasks or not app.scopes:
                    await asyncio.sleep(0.02)


async def test_one_connection_too_many_is_refused_and_the_owner_is_not(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with served(App(), unix_path=path, patience=Patience(connections=1)) as server:
        url = f"http://127.0.0.1:{server.port}"
        with LocalClient(url) as first, LocalClient(url) as second, LocalClient(path) as owner:
            assert (await ask(first, "GET", "/")).status == 200
            assert (await ask(second, "GET", "/")).status == 503
            assert (await ask(owner, "GET", "/")).status == 200


async def test_the_client_can_be_used_from_any_thread() -> None:
    async with served(App()) as server:
        client, answers = LocalClient(f"http://127.0.0.1:{server.port}"), []
        for _ in range(2):
            thread = threading.Thread(target=lambda: answers.append(client.get("/").status))
            thread.start()
            await asyncio.to_thread(thread.join)
        client.close()
    assert answers == [200, 200]


async def test_under_tls_requests_are_answered_and_what_is_too_long_is_refused(
    tmp_path: Path,
) -> None:
    files = issue_certificate(tmp_path, "localhost")
    async with served(App(), tls=files.server_context()) as server:

        async def said(data: bytes) -> bytes:
            reader, writer = await asyncio.open_connection(
                HOST, server.port, ssl=files.client_context(), server_hostname="localhost"
            )
            try:
                writer.write(data)
                async with asyncio.timeout(10):
                    return await reader.read()
            finally:
                writer.close()

        good = await said(b"GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert good.startswith(b"HTTP/1.1 200")
        assert (await said(b"GET / HTTP/1.1\r\nX: " + b"x" * 300_000)).startswith(b"HTTP/1.1 431")


async def test_clear_text_on_a_port_under_tls_ends_there(tmp_path: Path) -> None:
    files = issue_certificate(tmp_path, "localhost")
    app = App()
    async with served(app, tls=files.server_context()) as server:
        assert b"HTTP/1.1" not in await raw(server.port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert app.scopes == []
