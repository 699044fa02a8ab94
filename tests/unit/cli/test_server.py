from __future__ import annotations

import json
from pathlib import Path

import pytest

from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run
from tests.doubles.ports import free_port

PASSWORD = "correct horse"


@pytest.fixture
def relay(do) -> None:
    done = do("server", "add", "relay", "--host", "smtp.example.com", "--port", "25")
    assert done.code == Exit.DONE, done.err


def test_without_servers_the_next_step_is_shown(do) -> None:
    assert "server add NAME" in do("server", "list").out


def test_a_server_is_added_and_listed_in_its_order(do, relay) -> None:
    do("server", "add", "backup", "--host", "192.0.2.7", "--encryption", "tls", "--priority", "0")
    names = do("server", "list", "-q").out.split()
    assert names == ["backup", "relay"]
    assert "192.0.2.7:465" in do("server", "list", "--app", "first-app").out
    assert "Nothing is sent yet" in do("server", "add", "--host", "x.example.com").out


def test_a_password_comes_from_a_file_and_is_never_shown(do, directory: Path) -> None:
    (directory / "p").write_text(PASSWORD + "\n")
    done = do(
        "server", "add", "relay", "--host", "smtp.example.com", "--username", "me",
        "--password-file", "p", "--json",
    )  # fmt: skip
    assert done.code == Exit.DONE
    assert PASSWORD not in done.out
    assert json.loads(done.out)["password_set"] is True
    assert "me, with a password" in do("server", "show", "relay").out


def test_a_user_name_without_a_password_is_asked_for_it(do, monkeypatch) -> None:
    assert do("server", "add", "--host", "h.example.com", "--username", "me").code == Exit.USAGE
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: PASSWORD)
    done = do("server", "add", "relay", said="h.example.com\nme\nn\n")
    assert done.code == Exit.DONE
    assert json.loads(do("server", "show", "relay", "--json").out)["password_set"] is True


def test_a_server_without_a_host_is_refused_in_a_script(do) -> None:
    done = do("server", "add", "relay")
    assert done.code == Exit.USAGE
    assert "--host HOST" in done.err


def test_a_server_is_changed_switched_off_and_on_and_removed(do, relay, directory: Path) -> None:
    assert "priority 10 -> 0" in do("server", "set", "relay", "--priority", "0").out
    (directory / "p").write_text(PASSWORD)
    changed = do("server", "set", "relay", "--password-file", "p")
    assert "a new password" in changed.out and PASSWORD not in changed.out
    assert "password set yes -> no" in do("server", "set", "relay", "--forget-password").out
    assert do("server", "set", "relay").out == "relay: nothing changed\n"
    assert "not used any more" in do("server", "disable", "relay").out
    assert "disabled" in do("server", "list").out
    assert "server check relay" in do("server", "set", "relay", "--priority", "1").out
    assert "is used again" in do("server", "enable", "relay").out
    assert do("server", "remove", "relay").code == Exit.USAGE
    assert do("server", "remove", "relay", said="y\n").code == Exit.DONE
    assert do("server", "show", "relay").code == Exit.NOT_FOUND


def test_an_unchecked_certificate_is_said_aloud_wherever_the_server_is_shown(do, relay) -> None:
    do("server", "set", "relay", "--no-verify", "--encryption", "starttls")
    shown = do("server", "show", "relay").out
    assert "NOT CHECKED" in shown and "WARNING: The certificate is not checked" in shown
    assert "starttls, NOT CHECKED" in do("server", "list").out
    added = do("server", "add", "other", "--host", "b.example.com", "--no-verify").out
    assert "WARNING" in added and "NOT CHECKED" in added
    do("server", "set", "relay", "--pin", "ab" * 32)
    assert "NOT CHECKED" not in do("server", "show", "relay").out


def test_a_new_password_may_be_typed(do, relay, monkeypatch) -> None:
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: PASSWORD)
    done = do("server", "set", "relay", "--ask-password", said="")
    assert "a new password" in done.out


def test_servers_of_one_name_are_told_apart_by_their_app(do, relay) -> None:
    do("app", "add", "shop")
    do("server", "add", "relay", "--app", "shop", "--host", "other.example.com")
    assert do("server", "show", "relay").code == Exit.USAGE
    assert "other.example.com" in do("server", "show", "relay", "--app", "shop").out
    assert do("server", "disable", "relay", "--app", "shop").code == Exit.DONE


def test_everything_about_a_server_can_be_said_and_is_shown(do, relay) -> None:
    done = do(
        "server", "set", "relay", "--username", "me", "--no-auth", "--pin", "cd" * 32,
        "--hello-name", "out.example.com", "--local-address", "192.0.2.1",
        "--sender-rule", "always", "--from-address", "relay@example.com",
        "--max-per-second", "0.5", "--max-per-minute", "30", "--max-per-day", "500",
        "--allow-from", "*@example.com", "--allow-from", "ann@example.org",
    )  # fmt: skip
    assert done.code == Exit.DONE, done.err
    shown = do("server", "show", "relay").out
    for words in (
        "me, not used", "cd" * 32, "out.example.com", "192.0.2.1",
        "relay@example.com, always", "0.5 a second, 30 a minute, 500 a day",
        "example.com, ann@example.org",
    ):  # fmt: skip
        assert words in shown


def test_the_list_of_senders_grows_and_shrinks(do, relay) -> None:
    do("server", "set", "relay", "--allow-from", "example.com", "--allow-from", "a@b.example")
    changed = do("server", "set", "relay", "--disallow-from", "example.com").out
    assert changed.endswith("-> a@b.example\n")
    assert do("server", "set", "relay", "--disallow-from", "example.com").code == Exit.USAGE
    do("server", "set", "relay", "--allow-any")
    assert "any author" in do("server", "show", "relay").out


def test_a_direct_way_stands_among_the_servers(do, relay) -> None:
    done = do("server", "add", "--direct", "--priority", "30")
    assert "Added the direct way direct to first-app" in done.out
    assert "recipients' servers" in do("server", "list").out
    shown = do("server", "show", "direct").out
    assert "Leads to" in shown and "Login" not in shown
    assert do("server", "add", "x", "--direct", "--port", "25").code == Exit.USAGE


def test_a_preset_fills_in_the_rest(do, directory: Path) -> None:
    (directory / "p").write_text(PASSWORD)
    done = do(
        "server", "add", "--preset", "gmail", "--username", "me@gmail.com", "--password-file", "p"
    )
    assert "smtp.gmail.com:587" in done.out and "at most 500 a day." in done.out
    assert do("server", "add", "--preset", "ses").code == Exit.USAGE
    assert "email-smtp.eu-west-1" in do(
        "server", "add", "--preset", "ses", "--region", "eu-west-1", "--no-auth",
    ).out  # fmt: skip
    unknown = do("server", "add", "--preset", "gmial")
    assert unknown.code == Exit.USAGE and "gmail" in unknown.err


def test_a_preset_says_which_password_is_wanted(do, monkeypatch) -> None:
    refused = do("server", "add", "--preset", "gmail", "--username", "me@gmail.com")
    assert refused.code == Exit.USAGE
    assert "an app password" in refused.err and "--oauth google" in refused.err
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: PASSWORD)
    done = do("server", "add", "--preset", "gmail", "--username", "me@gmail.com", said="n\n")
    assert done.code == Exit.DONE and done.err.count("an app password") == 1


def test_known_services_are_listed(do) -> None:
    listed = do("server", "presets").out
    assert "Amazon SES" in listed and "app password" in listed
    assert "sendgrid" in do("server", "presets", "-q").out.split()


def test_a_person_is_asked_which_service_it_is(do, monkeypatch) -> None:
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda _: PASSWORD)
    done = do("server", "add", said="1\nme@gmail.com\nn\n")
    assert done.code == Exit.DONE, done.err
    assert "Which service?" in done.err and "app password" in done.err
    assert "smtp.gmail.com" in done.out
    done = do("server", "add", "ours", said="mailgun\neu\n\nn\n")
    assert "smtp.eu.mailgun.org" in done.out
    assert "direct way" in do("server", "add", said="direct\n").out
    assert do("server", "add", said="pigeon\n").code == Exit.USAGE


def test_a_person_may_check_a_new_server_at_once_and_nothing_is_sent(do) -> None:
    port = str(free_port())
    done = do(
        "server", "add", "relay", "--host", "127.0.0.1", "--port", port, "--encryption", "none",
        said="\ny\n",
    )  # fmt: skip
    assert "without sending anything" in done.out and "nobody listens" in done.out
    assert done.code == Exit.DONE
    assert json.loads(do("server", "show", "relay", "--json").out)["enabled"] is True


# --- check ------------------------------------------------------------------------------------


def test_a_failed_check_names_the_step_why_and_what_to_do_and_its_exit_code_says_so(do) -> None:
    do("app", "set", "first-app", "--test-address", "me@example.com")
    port = str(free_port())
    do("server", "add", "relay", "--host", "127.0.0.1", "--port", port, "--encryption", "none")
    done = do("server", "check", "relay")
    assert done.code == Exit.FOUND_PROBLEMS
    lines = done.out.splitlines()
    assert lines[0] == f"Checking relay (127.0.0.1:{port})"
    assert lines[1].split()[:2] == ["ok", "name"]
    assert lines[2].split()[:2] == ["failed", "connect"]
    assert lines[3].strip().startswith("Why: ") and lines[4].strip().startswith("Fix: ")
    assert "is not used until a check goes well" in done.out
    again = do("server", "check", "relay", "--no-mail")
    assert "server enable relay" in again.out


def test_a_good_check_is_told_step_by_step(answering, capfd) -> None:
    steps = [
        {"name": "tls", "result": "ok", "words": "TLS 1.3", "milliseconds": 7, "why": "", "fix": ""}
    ]
    report = {
        "server": "relay", "id": "srv_1", "name": "relay", "kind": "smtp", "host": "a", "port": 1,
        "ok": True, "sentence": "relay works", "status": "A", "enabled": True, "changed": True,
        "steps": steps, "offers": ["SIZE 37748736", "PIPELINING", "X-ODD 1"],
    }  # fmt: skip
    canned = answering(report)
    assert run(("server", "check", "relay", "--from", "a@example.com")) == Exit.DONE
    out = capfd.readouterr().out
    assert "ok      TLS       TLS 1.3 (7 ms)" in out
    assert "SIZE 36.0 MB, PIPELINING" in out and "ODD" not in out
    assert "relay is used again." in out
    assert canned.asked[-1][2] == {"mail": True, "from": "a@example.com"}
