"""programs: started when they are ready, killed with all they started, asked for JSON"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.doubles.ports import free_port
from tests.doubles.process import (
    Product,
    Program,
    ProgramError,
    clean_environment,
    crash_at,
    http_ready,
    read_json,
    smtp_ready,
)
from tests.doubles.sink import Sink
from tests.doubles.usage import cpu_seconds, family_of, members_of_session, memory_bytes

SERVES_HTTP_LATE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(200 if Handler.asked > 3 else 503)
        self.end_headers()
    def log_message(self, *_): pass
print("listening")
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""

STARTS_A_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid)
time.sleep(600)
"""

CRASHES_WHEN_TOLD = """
import os, signal, time
point, _, passage = os.environ.get("PILLARBOX_CRASH_AT", "").partition(":")
print("point", point, passage or "1")
if point:
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(600)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


async def test_a_start_ends_when_the_program_says_that_it_is_ready(tmp_path: Path) -> None:
    port = free_port()
    program = Program(
        python(SERVES_HTTP_LATE, str(port)),
        output=tmp_path / "out",
        ready=http_ready(f"http://127.0.0.1:{port}/readyz"),
    )
    async with program:
        assert http_ready(f"http://127.0.0.1:{port}/")()
        assert program.running and "listening" in program.text()
        assert 0 < cpu_seconds([program.pid]) < 20
        assert memory_bytes([program.pid]) > 1_000_000
    assert program.returncode == -signal.SIGTERM


async def test_a_banner_is_ready_too() -> None:
    async with Sink() as sink:
        assert await asyncio.to_thread(smtp_ready(sink.port))
        assert not await asyncio.to_thread(smtp_ready(free_port()))


async def test_a_program_that_dies_before_it_is_ready_is_an_error_with_its_last_words(
    tmp_path: Path,
) -> None:
    code = "import sys; sys.exit('no such directory')"
    program = Program(python(code), output=tmp_path / "out", ready=lambda: False)
    with pytest.raises(ProgramError, match="no such directory"):
        await program.start()


async def test_a_program_that_is_never_ready_is_killed_and_an_error(tmp_path: Path) -> None:
    program = Program(
        python("import time; time.sleep(600)"),
        output=tmp_path / "out",
        ready=lambda: False,
        ready_seconds=0.05,
    )
    with pytest.raises(ProgramError, match="not ready"):
        await program.start()
    assert not program.running


@pytest.mark.parametrize("alone", [False, True])
async def test_a_kill_takes_the_children_along_unless_told_otherwise(
    tmp_path: Path, alone: bool
) -> None:
    program = Program(python(STARTS_A_CHILD), output=tmp_path / "out")
    async with program:
        await program.until(lambda: "\n" in program.text())
        child = int(program.text().split()[1])
        assert {facts.pid for facts in family_of(program.pid)} == {program.pid, child}
        program.kill(alone=alone)
        assert program.returncode == -signal.SIGKILL
        assert members_of_session(program.pid) == ([child] if alone else [])
    assert members_of_session(program.pid) == []


async def test_a_crash_point_is_named_by_the_environment_of_one_start(tmp_path: Path) -> None:
    product = Product(python(CRASHES_WHEN_TOLD), output=tmp_path / "out")
    async with product:
        await product.until(lambda: "\n" in product.text())
        await product.restart(crash_at("after_accept_insert", 3))
        assert await product.dead() == -signal.SIGKILL
        assert product.text() == "point after_accept_insert 3\n"
        await product.start()
        await product.until(lambda: product.text() == "point  1\n")
        assert product.starts == 3
        assert product.text(all_starts=True).count("point") == 3
    assert crash_at("x") == {"PILLARBOX_CRASH_AT": "x"}


async def test_waiting_for_something_that_cannot_happen_ends(tmp_path: Path) -> None:
    async with Program(python("import time; time.sleep(600)"), output=tmp_path / "out") as program:
        with pytest.raises(ProgramError, match="did not happen"):
            await program.until(lambda: False, seconds=0.05)
        program.kill()
        with pytest.raises(ProgramError, match="died"):
            await program.until(lambda: False)


def test_nothing_of_the_developers_own_settings_reaches_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PILLARBOX_DATA_DIR", "/home/somebody")
    environment = clean_environment({"PILLARBOX_PORT": "1"})
    assert "PILLARBOX_DATA_DIR" not in environment
    assert environment["PILLARBOX_PORT"] == "1"
    assert environment["PATH"] == os.environ["PATH"]


def test_json_is_read_whole_or_line_by_line() -> None:
    echo = "import sys; sys.stdout.write(sys.argv[1]); assert sys.argv[2] == '--json'"
    assert read_json(python(echo, '{"a": [1]}')) == {"a": [1]}
    assert read_json(python(echo, '{"a": 1}\n{"a": 2}\n')) == [{"a": 1}, {"a": 2}]
    with pytest.raises(ProgramError, match="no JSON"):
        read_json(python(echo, "hello"))
    failing = python("import sys; sys.stderr.write('locked'); sys.stdout.write('{}'); sys.exit(3)")
    with pytest.raises(ProgramError, match="locked"):
        read_json(failing)
    assert read_json(failing, statuses=(0, 3)) == {}
