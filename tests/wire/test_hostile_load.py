"""much at once, and far too much: the process stays small, and others get their mail through

The product runs as a process of its own, and its memory is read where the kernel keeps the highest
it ever was. What a client may keep in memory is a block of content; all else rests on the disk.
"""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.doubles.bad_server import BadServer
from tests.doubles.script import Script, Stage, raw
from tests.doubles.sink import Sink
from tests.e2e.product import Pillarbox

MEGABYTE = 1024 * 1024

# The loop of the product is its own; nothing here depends on the loop of the test.
pytestmark = [
    pytest.mark.asyncio(loop_factories=["uvloop"]),
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.timeout(120),
]

LINES = (b"x" * 998 + b"\r\n") * 64
HEAD = b"From: ann@example.com\r\nSubject: large\r\n\r\n"


class Client:
    """One connection, under TLS and logged in; every call waits."""

    def __init__(self, product: Pillarbox, *, address: str = "127.0.0.1") -> None:
        context = ssl.create_default_context(cafile=str(product.ca))
        self.smtp = smtplib.SMTP_SSL(
            "localhost", product.port("TLS"), timeout=60, context=context,
            source_address=(address, 0),
        )  # fmt: skip
        self.smtp.login(product.first.username, product.first.password)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.smtp.close()

    def begin(self, recipient: str = "bob@example.org") -> None:
        """Up to the invitation to send content."""
        assert self.smtp.mail("ann@example.com")[0] == 250
        assert self.smtp.rcpt(recipient)[0] == 250
        self.smtp.putcmd("data")
        assert self.smtp.getreply()[0] == 354

    def upload(self, size: int) -> tuple[int, bytes]:
        """A message of about that size; what was answered to its end."""
        assert self.smtp.sock is not None
        self.begin()
        self.smtp.sock.sendall(HEAD)
        for _ in range(size // len(LINES)):
            self.smtp.sock.sendall(LINES)
        self.smtp.sock.sendall(b".\r\n")
        return self.smtp.getreply()


def good_client(product: Pillarbox) -> None:
    """Somebody else's small message; fails where it takes long."""
    with Client(product, address="127.0.0.2") as client:
        assert client.smtp.sock is not None
        client.smtp.sock.settimeout(5)
        assert client.upload(len(LINES))[0] == 250


async def served_meanwhile(
    product: Pillarbox, hostile: Callable[[], object], *, at_least: int = 3
) -> object:
    """Run `hostile` in a thread, and good clients until it is done."""
    doing = asyncio.create_task(asyncio.to_thread(hostile))
    served = 0
    while not doing.done() or served < at_least:
        await asyncio.to_thread(good_client, product)
        served += 1
        await asyncio.sleep(0.1)
    return await doing


async def test_a_stream_far_beyond_the_limit_costs_no_memory(tmp_path: Path) -> None:
    async with Pillarbox(tmp_path) as product:
        await asyncio.to_thread(good_client, product)
        before = product.forget_peak()

        def stream() -> None:
            with Client(product) as client:
                code, words = client.upload(200 * MEGABYTE)
                assert (code, words[:6]) == (552, b"5.3.4 ")
                assert client.upload(MEGABYTE)[0] == 250, "the connection lives"

        await served_meanwhile(product, stream)
        grown = product.peak() - before
        assert grown < 64 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"


async def test_twenty_uploads_of_the_greatest_size_are_taken_and_delivered_in_little_memory(
    tmp_path: Path,
) -> None:
    count, size = 20, 24 * MEGABYTE
    async with Sink() as sink, Pillarbox(tmp_path) as product:
        await asyncio.to_thread(
            product.call, "server", "add", "sink", "--host", "127.0.0.1", "--port",
            str(sink.port), "--encryption", "none",
        )  # fmt: skip
        await asyncio.to_thread(product.call, "app", "set", "first-app", "--mode", "live", "--yes")
        await asyncio.to_thread(good_client, product)
        before = product.forget_peak()

        def upload(_: int) -> tuple[int, bytes]:
            with Client(product) as client:
                return client.upload(size)

        def all_at_once() -> list[tuple[int, bytes]]:
            with ThreadPoolExecutor(count) as pool:
                return list(pool.map(upload, range(count)))

        answers = await served_meanwhile(product, all_at_once)
        assert isinstance(answers, list)
        accepted = sum(code == 250 for code, _ in answers)
        assert {code for code, _ in answers} <= {250, 452}, answers
        assert accepted > 0

        def large() -> int:
            return sum(fact["size"] > size // 2 for fact in sink.taken)

        await sink.until(lambda: large() >= accepted, seconds=60)
        assert large() == accepted, "each once"
        grown = product.peak() - before
        assert grown < 200 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"


async def test_clients_that_never_read_cost_no_memory(tmp_path: Path) -> None:
    patient = ("smtp.idle_seconds=60", "smtp.max_idle_commands=1000000000")
    async with Pillarbox(tmp_path, *patient) as product:
        await asyncio.to_thread(good_client, product)
        before = product.forget_peak()
        port = product.port("STARTTLS")

        def shout() -> None:
            clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            for client in clients:
                client.setblocking(False)
            quiet = total = 0
            # Until they have got rid of nothing for half a second, or of far too much.
            while quiet < 50 and total < 300 * MEGABYTE:
                sent = sum(_send_some(client, b"HELP\r\n" * 10_000) for client in clients)
                total += sent
                quiet = 0 if sent else quiet + 1
                time.sleep(0 if sent else 0.01)
            assert total < 300 * MEGABYTE, "they were read on and on"
            for client in clients:
                client.close()

        await served_meanwhile(product, shout)
        grown = product.peak() - before
        assert grown < 16 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"


async def test_replies_without_end_cost_no_memory(tmp_path: Path) -> None:
    endless = (raw(b"250-" + b"x" * 8000 + b"\r\n" + b"250 " + b"x" * 100 * MEGABYTE),)
    script = Script().on(Stage.MAIL, *endless)
    async with BadServer(script) as server, Pillarbox(tmp_path) as product:
        await asyncio.to_thread(
            product.call, "server", "add", "bad", "--host", "127.0.0.1", "--port",
            str(server.port), "--encryption", "none",
        )  # fmt: skip
        await asyncio.to_thread(product.call, "app", "set", "first-app", "--mode", "live", "--yes")
        before = product.forget_peak()
        await asyncio.to_thread(good_client, product)
        await server.until(lambda: any(s.ended for s in server.sessions), seconds=20)
        await asyncio.to_thread(good_client, product)
        grown = product.peak() - before
        assert grown < 16 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"


async def test_one_line_of_twenty_megabytes_is_kept_in_little_memory(tmp_path: Path) -> None:
    async with Pillarbox(tmp_path) as product:
        await asyncio.to_thread(good_client, product)
        before = product.forget_peak()

        def one_line() -> None:
            with Client(product) as client:
                assert client.smtp.sock is not None
                client.begin()
                client.smtp.sock.sendall(HEAD)
                for _ in range(20):
                    client.smtp.sock.sendall(b"x" * MEGABYTE)
                client.smtp.sock.sendall(b"\r\n.\r\n")
                assert client.smtp.getreply()[0] == 250

        await served_meanwhile(product, one_line)
        grown = product.peak() - before
        assert grown < 64 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"


def _send_some(client: socket.socket, data: bytes) -> int:
    try:
        return client.send(data)
    except BlockingIOError:
        return 0
    except OSError:
        return 0
