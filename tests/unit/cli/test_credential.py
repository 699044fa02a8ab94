from __future__ import annotations

import json
import re

from pillarbox.cli.errors import Exit


def test_a_password_is_shown_once_with_what_a_program_needs(do) -> None:
    done = do("credential", "add", "web", "--allow-from", "*@example.com")
    assert done.code == Exit.DONE
    password = re.search(r"Password +(pb_\w{32})", done.out)
    assert password is not None
    assert "shown once" in done.out
    shown = do("credential", "show", "web")
    assert password[1] not in shown.out
    assert "example.com" in shown.out


def test_a_program_gets_the_password_as_json(do) -> None:
    made = json.loads(do("credential", "add", "web", "--json").out)
    assert made["username"] == "web"
    assert made["password"].startswith("pb_")


def test_credentials_are_listed_with_their_use(do) -> None:
    said = do("credential", "list").out
    assert "first-app  first-app  first-app  as app  any      never" in said
    assert do("credential", "list", "--app", "none").code == Exit.NOT_FOUND


def test_a_credential_is_changed(do) -> None:
    assert "mode none -> sandbox" in do("credential", "set", "first-app", "--mode", "sandbox").out
    assert "mode sandbox -> none" in do("credential", "set", "first-app", "--mode", "as-app").out
    said = do("credential", "set", "first-app", "--allow-from", "a@x.org", "--kind", "relay").out
    assert "kind program -> relay" in said and "allowed senders none -> a@x.org" in said
    said = do("credential", "set", "first-app", "--disallow-from", "a@x.org", "--rename", "one").out
    assert "name first-app -> one" in said and "a@x.org -> none" in said
    assert do("credential", "set", "one").out == "one: nothing changed\n"


def test_a_rotated_password_is_another_one(do) -> None:
    before = json.loads(do("credential", "add", "web", "--json").out)["password"]
    assert do("credential", "rotate", "web").code == Exit.USAGE
    assert do("credential", "rotate", "web", said="n\n").code == Exit.CONFLICT
    done = do("credential", "rotate", "web", said="y\n")
    assert "will fail at once" in done.err
    assert "web has a new password" in done.out
    assert before not in done.out


def test_a_credential_is_disabled_and_enabled_again(do) -> None:
    assert "cannot log in any more" in do("credential", "disable", "first-app").out
    assert "disabled" in do("credential", "list").out
    assert "can log in again" in do("credential", "enable", "first-app").out


def test_a_credential_is_removed_with_a_yes(do) -> None:
    assert do("credential", "remove", "first-app").code == Exit.USAGE
    assert do("credential", "remove", "first-app", "--yes").code == Exit.DONE
    assert do("credential", "list", "-q").out == ""
