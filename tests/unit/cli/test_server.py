from __future__ import annotations

import json
from pathlib import Path

import pytest

from pillarbox.cli.errors import Exit

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
    done = do("server", "add", "relay", said="h.example.com\nme\n")
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
    assert "is used again" in do("server", "enable", "relay").out
    assert do("server", "remove", "relay").code == Exit.USAGE
    assert do("server", "remove", "relay", said="y\n").code == Exit.DONE
    assert do("server", "show", "relay").code == Exit.NOT_FOUND


def test_an_unchecked_certificate_is_said_aloud(do, relay) -> None:
    do("server", "set", "relay", "--no-verify")
    assert "NOT CHECKED" in do("server", "show", "relay").out


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
