from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from pillarbox.cli.output import width_of
from pillarbox.cli.started import block, event_line, header, near, write_first_run
from pillarbox.observe.news import EventLine
from pillarbox.settings.process import ROLES
from pillarbox.terms.secret import Secret
from pillarbox.wiring import Started

GOLDEN = Path(__file__).parent / "golden"
PASSWORD = "pb_9hVx2RkTzqLw7cEu4MnBjy83PdSgFa61"
KEY = "4f0c" * 16


@pytest.fixture
def first(directory: Path) -> Started:
    return Started(
        version="0.1.0",
        data_dir=str(directory / "pillarbox-data"),
        created=True,
        http_url="http://127.0.0.1:8480",
        http_note="",
        smtp=[("127.0.0.1", 2525, "STARTTLS", ""), ("127.0.0.1", 2465, "TLS", "")],
        ca_path=str(directory / "pillarbox-data" / "ca.pem"),
        first_username="first-app",
        first_password=Secret(PASSWORD),
        first_key=Secret(KEY),
        mode="sandbox",
        waiting=0,
        seconds=0.81,
        last_message=None,
    )


@pytest.fixture
def second(first: Started) -> Started:
    return replace(
        first,
        created=False,
        first_username=None,
        first_password=None,
        first_key=None,
        mode="live",
        waiting=3,
        last_message="msg_06XNC9HQC005",
    )


def told(started: Started, **how: object) -> str:
    lines = [
        header(started.version, Path(started.data_dir), created=started.created),
        *block(started, **{"secrets": True, **how}),  # type: ignore[arg-type]
    ]
    return "\n".join(lines) + "\n"


def test_the_tracking_host_is_named_with_where_it_answers_or_what_it_lacks(second: Started):
    place = (("127.0.0.1", 8481, "plain"), ("0.0.0.0", 443, "TLS"))
    answered = told(replace(second, tracking_host="clicks.example.com", tracking=place))
    assert (
        "  Tracking    clicks.example.com   answered at 127.0.0.1:8481 (plain), 0.0.0.0:443 (TLS)\n"
    ) in answered
    assert "listen is empty" in told(replace(second, tracking_host="clicks.example.com"))
    assert "set tracking.host " in told(replace(second, tracking=place))
    assert "Tracking" not in told(second)


def test_the_first_start_reads_as_it_was_agreed(first: Started) -> None:
    text = told(first)
    assert text == (GOLDEN / "up-first.txt").read_text()
    assert max(map(width_of, text.splitlines())) <= 80


def test_a_later_start_is_short_and_shows_no_secret(second: Started) -> None:
    text = told(second)
    assert text == (GOLDEN / "up-second.txt").read_text()
    assert max(map(width_of, text.splitlines())) <= 80


def test_a_start_that_nobody_watches_shows_no_secret(first: Started) -> None:
    text = told(first, secrets=False)
    assert text == (GOLDEN / "up-unwatched.txt").read_text()
    assert PASSWORD not in text and KEY not in text


def test_a_port_that_was_taken_is_said(first: Started) -> None:
    note = 'port 2525 on 127.0.0.1 is used by "python" (pid 812); using 2526'
    http_note = 'port 8480 on 127.0.0.1 is used by "python" (pid 812); using 8481'
    text = told(
        replace(
            first,
            smtp=[("127.0.0.1", 2526, "STARTTLS", note), ("::1", 2465, "TLS", "")],
            http_url="http://127.0.0.1:8481",
            http_note=http_note,
        )
    )
    assert f"  {note}\n  {http_note}\n" in text
    assert "  SMTP        127.0.0.1   port 2526 (STARTTLS)\n              ::1   port 2465" in text


def test_ports_on_every_address_are_shown_in_words(first: Started) -> None:
    ports = [("*", 587, "STARTTLS", ""), ("*", 465, "TLS", ""), ("*", 25, "bounces", "")]
    text = told(replace(first, smtp=ports))
    assert "all addresses   port 587 (STARTTLS)   port 465 (TLS)   port 25 (bounces)\n" in text


def test_commands_to_copy_find_this_pillarbox(
    first: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PILLARBOX_RUN_AS", "./do")
    text = told(first, place="--data-dir /tmp/x")
    assert './do send --to you@example.com --subject "Hello" --data-dir /tmp/x' in text
    assert "./do --data-dir /tmp/x credential rotate first-app" in text


def test_a_certificate_of_ones_own_needs_no_authority_of_ours(first: Started) -> None:
    assert "  CA  " not in told(replace(first, ca_path=""))


def test_a_node_on_postgresql_says_its_database_and_its_name(second: Started) -> None:
    among = replace(second, database="postgresql://pillarbox@db/mail", node="two", roles=ROLES)
    text = told(among)
    assert (
        "\n\n  Database    postgresql://pillarbox@db/mail\n  Node        two\n  HTTP API " in text
    )
    assert text.endswith("mail already accepted is safe in the database.\n")
    some = told(replace(among, roles=("smtp", "deliver")))
    assert "  Node        two   smtp, deliver\n" in some


def test_a_node_that_is_alone_and_does_everything_says_nothing_of_it(second: Started) -> None:
    assert told(replace(second, node="two", roles=ROLES)) == told(second)
    assert "  Node        two   deliver\n" in told(replace(second, node="two", roles=("deliver",)))


def test_ports_that_are_not_opened_are_not_shown(first: Started) -> None:
    silent = replace(first, http_url="", smtp=[], node="two", roles=("deliver",))
    text = told(silent)
    assert "HTTP API" not in text and "SMTP" not in text
    Path(first.data_dir).mkdir()
    assert "HTTP API" not in write_first_run(silent).read_text()


def test_one_delivery_waits(second: Started) -> None:
    text = told(replace(second, waiting=1, last_message=None))
    assert "1 delivery waits" in text
    assert "none yet" in text


def test_what_is_shown_once_goes_into_a_file_of_the_owner(first: Started) -> None:
    Path(first.data_dir).mkdir()
    (Path(first.data_dir) / "first-run.txt").symlink_to("/etc/hostname")
    path = write_first_run(first)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.is_symlink(), "a link put there before is not followed"
    text = path.read_text()
    assert PASSWORD in text and KEY in text and "first-app" in text


def test_an_event_is_a_line_with_its_word_painted_alone() -> None:
    at, word, rest, colour = event_line(
        EventLine(0, "kept", "msg_06XNC9HQC005", 'you@example.com  "Hi\x1b[2J"')
    )
    assert len(at) == len("00:00:00")
    assert word.strip() == "kept"
    assert rest == 'msg_06XNC9HQC005      you@example.com  "Hi�[2J"'
    assert colour == "blue"


def test_an_unknown_word_is_not_painted() -> None:
    assert event_line(EventLine(0, "pondered", "x" * 99, ""))[3] == ""


def test_a_path_elsewhere_is_written_in_full(directory: Path) -> None:
    assert near(directory / "a") == "./a"
    assert near(Path("/somewhere")) == "/somewhere"


def test_a_server_whose_certificate_nobody_checks_is_named_at_every_start(second: Started) -> None:
    lines = told(replace(second, unchecked=("relay", "backup")))
    assert "WARNING     certificate not checked: relay, backup" in lines
    assert "WARNING" not in told(second)
