"""traces: a reply before its sync is seen, whatever calls a loop makes"""

from __future__ import annotations

import asyncio
import signal
import smtplib
import sys
from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.doubles.process import Program, smtp_ready
from tests.doubles.trace import (
    faulted,
    read_acceptances,
    read_calls,
    trace_is_complete,
    traced,
    wait_for_trace,
)

SERVER = """
import asyncio, os, sys
loop, port, path, when = sys.argv[1:]
file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.content = transport, False
        transport.write(b"220 x\\r\\n")
    def data_received(self, data):
        if self.content:
            if not data.endswith(b"\\r\\n.\\r\\n"):
                return
            self.content = False
            os.write(file, b"message")
            if when == "before":
                os.fdatasync(file)
            self.transport.write(b"250 ok\\r\\n")
            if when == "after":
                os.fdatasync(file)
        elif data.startswith(b"data") or data.startswith(b"DATA"):
            self.content = True
            self.transport.write(b"354 go\\r\\n")
        elif data[:4].upper() == b"QUIT":
            self.transport.close()
        else:
            self.transport.write(b"250 ok\\r\\n")
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", int(port))
    await server.serve_forever()
if loop == "uvloop":
    import uvloop
    uvloop.run(main())
else:
    asyncio.run(main())
"""


def deliver(port: int, count: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        for number in range(count):
            body = f"Subject: {number}\r\n\r\nhello\r\n".encode()
            client.sendmail("a@example.test", ["b@example.test"], body)


async def run_traced(tmp_path: Path, loop: str, when: str) -> tuple[Path, int]:
    port, trace = free_port(), tmp_path / "trace"
    command = [sys.executable, "-c", SERVER, loop, str(port), f"{tmp_path}/data", when]
    program = Program(traced(command, trace), output=tmp_path / "out", ready=smtp_ready(port))
    async with program:
        await asyncio.to_thread(deliver, port, 3)
        pid = program.pid
    assert program.returncode == -signal.SIGTERM
    await asyncio.to_thread(wait_for_trace, trace, pid)
    return trace, port


@pytest.mark.needs("strace")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("when", ["before", "after", "never"])
async def test_a_reply_is_covered_only_by_a_sync_between_the_dot_and_it(
    tmp_path: Path, loop: str, when: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    trace, port = await run_traced(tmp_path, loop, when)
    acceptances = read_acceptances(trace, port=port, synced_below=tmp_path)
    assert len(acceptances) == 3
    assert [a.covered for a in acceptances] == [when == "before"] * 3
    assert all(a.reply == b"250 ok" for a in acceptances)
    elsewhere = read_acceptances(trace, port=port, synced_below=tmp_path / "other")
    assert not any(a.covered for a in elsewhere)
    assert read_acceptances(trace, port=port + 1) == []


@pytest.mark.needs("strace")
async def test_a_fault_is_injected_into_the_nth_call(tmp_path: Path) -> None:
    code = "import os\nfor n in range(5):\n  os.fsync(1)\n  print(n, flush=True)"
    command = faulted([sys.executable, "-c", code], tmp_path / "trace", "fsync", "signal=KILL", 3)
    program = Program(command, output=tmp_path / "out")
    await program.start()
    assert await program.dead() == -signal.SIGKILL
    assert program.text().split() == ["0", "1"]
    command = faulted([sys.executable, "-c", code], tmp_path / "trace", "fsync", "error=EIO", 2)
    program = Program(command, output=tmp_path / "out")
    await program.start()
    assert await program.dead() == 1
    assert "Input/output error" in program.text()


def hexed(data: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


CONNECTION = "9<TCP:[127.0.0.1:2525->127.0.0.1:40000]>"


def write_trace(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_a_sync_that_was_already_under_way_does_not_count(tmp_path: Path) -> None:
    dot = f"10 recvfrom({CONNECTION}, {hexed(b'x' + bytes((13, 10)) + b'.' + bytes((13, 10)))}, 99, 0, NULL, NULL) = 6"
    reply = f"10 sendto({CONNECTION}, {hexed(b'250 ok' + bytes((13, 10)))}, 8, 0, NULL, 0) = 8"
    early = write_trace(
        tmp_path / "early",
        "11 fdatasync(7</data/q-wal> <unfinished ...>",
        dot,
        "11 <... fdatasync resumed>) = 0",
        reply,
    )
    assert [a.covered for a in read_acceptances(early, port=2525)] == [False]
    late = write_trace(
        tmp_path / "late",
        dot,
        "11 fdatasync(7</data/q-wal> <unfinished ...>",
        reply,
        "11 <... fdatasync resumed>) = 0",
    )
    assert [a.covered for a in read_acceptances(late, port=2525)] == [False]
    failed = write_trace(
        tmp_path / "failed",
        dot,
        "11 fdatasync(7</data/q-wal>) = -1 EIO (Input/output error)",
        reply,
    )
    assert [a.covered for a in read_acceptances(failed, port=2525)] == [False]
    right = write_trace(
        tmp_path / "right",
        dot,
        "11 fdatasync(7</data/q-wal> <unfinished ...>",
        '12 read(3<pipe:[1]>, "\\x00", 1) = 1',
        "11 <... fdatasync resumed>) = 0",
        reply,
    )
    (acceptance,) = read_acceptances(right, port=2525)
    assert acceptance.covered and acceptance.syncs[0].descriptor == "7</data/q-wal>"


def test_a_device_is_named_by_its_path(tmp_path: Path) -> None:
    path = "".join(f"\\x{byte:02x}" for byte in b"/dev/urandom")
    trace = write_trace(tmp_path / "trace", f'10 read(3<{path}<char 1:9>>, "\\x07", 1) = 1')
    (call,) = read_calls(trace)
    assert call.descriptor.startswith("3</dev/urandom") and call.data == b"\x07"


def test_a_dot_may_come_in_pieces_and_two_replies_in_one_write(tmp_path: Path) -> None:
    crlf = bytes((13, 10))
    trace = write_trace(
        tmp_path / "t",
        f"10 read({CONNECTION}, {hexed(b'x' + crlf + b'.')}, 99) = 4",
        f"10 read({CONNECTION}, {hexed(crlf + b'y' + crlf + b'.' + crlf)}, 99) = 8",
        "11 fdatasync(7</data/q-wal>) = 0",
        f"10 writev({CONNECTION}, [{{iov_base={hexed(b'250 one' + crlf)}, iov_len=9}}, "
        f"{{iov_base={hexed(b'250 two' + crlf)}, iov_len=9}}], 2) = 18",
        "10 +++ exited with 0 +++",
    )
    acceptances = read_acceptances(trace, port=2525)
    assert [a.reply for a in acceptances] == [b"250 one", b"250 two"]
    assert [a.dot_read for a in acceptances] == [2, 2]
    assert [call.name for call in read_calls(trace)] == ["read", "read", "fdatasync", "writev"]
    assert trace_is_complete(trace, 10) and not trace_is_complete(trace, 1)


def test_a_trace_that_nobody_finishes_is_not_waited_for(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        wait_for_trace(tmp_path / "none", 1, seconds=0.05)
