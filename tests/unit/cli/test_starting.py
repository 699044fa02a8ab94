from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pillarbox import wiring
from pillarbox.cli.call import Call
from pillarbox.cli.client import Where
from pillarbox.cli.errors import WrongUsage
from pillarbox.cli.starting import flags_of, start
from pillarbox.net.systemd import ServiceManager
from pillarbox.observe.news import EventLine
from pillarbox.settings import InvalidSettings, Settings
from pillarbox.terms.secret import Secret
from pillarbox.wiring import Started

PASSWORD, KEY = "pb_" + "x" * 32, "f" * 64


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A start that tells its story at once and ends; what it was called with."""
    called: dict[str, Any] = {}

    async def serve(
        settings: Settings,
        *,
        started: Callable[[Started], None],
        line: Callable[[EventLine], None] | None,
        take_next_port: bool,
        manager: ServiceManager | None,
    ) -> int:
        settings.data_dir.mkdir(exist_ok=True)
        called.update(settings=settings, take_next_port=take_next_port, line=line, manager=manager)
        started(
            Started(
                version="0.1.0",
                data_dir=str(settings.data_dir),
                created=True,
                http_url="http://127.0.0.1:8480",
                http_note="",
                smtp=[("127.0.0.1", 2525, "STARTTLS", "")],
                ca_path="",
                first_username="first-app",
                first_password=Secret(PASSWORD),
                first_key=Secret(KEY),
                mode="sandbox",
                waiting=0,
                seconds=0.1,
                last_message=None,
                node="one",
                roles=("smtp", "http"),
            )
        )
        if line:
            line(EventLine(0, "kept", "msg_1", "you@example.com"))
        return 0

    monkeypatch.setattr(wiring, "serve", serve)
    return called


def run_here(main: Coroutine[Any, Any, int]) -> int:
    try:
        main.send(None)
    except StopIteration as ended:
        return int(ended.value)
    raise AssertionError("it waited for something")


@pytest.fixture(autouse=True)
def no_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "run", run_here)
    monkeypatch.setattr("pillarbox.observe.log.configure", lambda *_, **__: None)


def started(**how: Any) -> int:
    call = Call(Where(), as_json=how.pop("as_json", False))
    return start(call, how.pop("flags", {}), **{"as_service": False, "show_events": True, **how})


def test_on_a_terminal_the_secrets_are_shown_once(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert started() == 0
    said = capsys.readouterr().out
    assert PASSWORD in said and KEY in said
    assert "msg_1" in said
    assert said.endswith("Stopped.\n")
    assert not Path("pillarbox-data/first-run.txt").exists()


def test_into_a_log_no_secret_is_written(
    served: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert started() == 0
    captured = capsys.readouterr()
    assert PASSWORD not in captured.out + captured.err
    assert KEY not in captured.out + captured.err
    file = Path("pillarbox-data/first-run.txt")
    assert str(file) in captured.out
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD in file.read_text()


def test_the_first_line_is_said_before_anything_is_loaded(
    served: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidSettings):
        started(flags={"smtp.nonsense": "1"})
    assert capsys.readouterr().out == "pillarbox 0.1.0   data: ./pillarbox-data (created)\n"


def test_for_programs_every_line_is_an_object_without_secrets(
    served: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(as_json=True) == 0
    said = capsys.readouterr().out
    first, second = (json.loads(line) for line in said.splitlines())
    assert first["word"] == "started"
    assert first["smtp"] == [{"host": "127.0.0.1", "port": 2525, "security": "STARTTLS"}]
    assert first["secrets_file"].endswith("first-run.txt")
    assert (first["database"], first["node"], first["roles"]) == (None, "one", ["smtp", "http"])
    assert second == {
        "word": "kept",
        "at": "1970-01-01T00:00:00.000Z",
        "subject": "msg_1",
        "text": "you@example.com",
    }
    assert PASSWORD not in said


def test_whoever_does_not_want_events_listens_to_none(served: dict[str, Any]) -> None:
    started(show_events=False)
    assert served["line"] is None


def test_what_is_no_service_stays_on_this_machine_and_takes_the_next_port(
    served: dict[str, Any],
) -> None:
    started()
    smtp = served["settings"].smtp
    assert served["take_next_port"] is True
    assert served["manager"] is None, "its terminal may be closed, and it ends"
    assert smtp.addresses == ("127.0.0.1",)
    assert (smtp.starttls_ports, smtp.tls_ports, smtp.bounce_ports) == ((2525,), (2465,), ())


def test_a_service_opens_the_ports_of_a_mail_server_and_no_others(
    served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "1")
    started(as_service=True)
    smtp = served["settings"].smtp
    assert served["take_next_port"] is False
    assert served["manager"].sockets == (), "they were passed to another process"
    assert "LISTEN_FDS" not in os.environ, "processes we start must not hear it"
    assert smtp.addresses == ("*",)
    assert (smtp.starttls_ports, smtp.tls_ports, smtp.bounce_ports) == ((587, 2525), (465,), (25,))


def test_what_somebody_sets_is_stronger_than_what_a_service_opens(
    served: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pillarbox.toml").write_text('[smtp]\nlisten = "::1"\ntls_ports = [465, 456]\n')
    started(as_service=True, flags={"smtp.bounce_ports": ""})
    smtp = served["settings"].smtp
    assert smtp.addresses == ("::1",)
    assert (smtp.starttls_ports, smtp.tls_ports, smtp.bounce_ports) == ((587, 2525), (465, 456), ())
    assert capsys.readouterr().err == "", "SMTP asks for TLS and a login, so nothing is pointed out"


def test_an_address_open_to_everybody_is_pointed_out(
    served: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    started(flags={"http.listen": "0.0.0.0"})
    assert "every network" in capsys.readouterr().err


def test_flags_become_settings() -> None:
    assert flags_of(
        assignments=("smtp.max_message_mb=50", "hostname=a=b"),
        listen="::",
        smtp_port=("587", "2525"),
        smtps_port=("465",),
        bounce_port=("25",),
        http_port="80",
    ) == {
        "smtp.listen": "::",
        "http.listen": "::",
        "smtp.starttls_ports": "587,2525",
        "smtp.tls_ports": "465",
        "smtp.bounce_ports": "25",
        "http.port": "80",
        "smtp.max_message_mb": "50",
        "hostname": "a=b",
    }
    assert flags_of() == {}


def test_an_assignment_needs_a_value() -> None:
    with pytest.raises(WrongUsage):
        flags_of(assignments=("smtp.listen",))
