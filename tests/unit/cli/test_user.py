from __future__ import annotations

import json
from pathlib import Path

from pillarbox.cli.errors import Exit

PASSWORD = "open sesame, says Ann"


def add(do, email: str, *more: str):
    return do("user", "add", email, "--password-file", "-", *more, said=f"{PASSWORD}\n")


def test_without_users_the_next_step_is_shown(do) -> None:
    assert "user add EMAIL" in do("user", "list").out


def test_the_first_user_is_an_owner_and_the_second_a_member(do) -> None:
    assert add(do, "ann@example.com").out == "Added the user ann@example.com, an owner.\n"
    assert add(do, "bob@example.com").out == "Added the user bob@example.com, a member.\n"
    listed = do("user", "list").out
    assert "ann@example.com" in listed and "never" in listed
    assert do("user", "list", "-q").out == "ann@example.com\nbob@example.com\n"


def test_a_password_is_read_from_a_file_and_told_nobody(do, directory: Path) -> None:
    (directory / "p").write_text(PASSWORD + "\n")
    done = do("user", "add", "ann@example.com", "--password-file", "p", "--json")
    assert done.code == Exit.DONE
    assert json.loads(done.out)["role"] == "owner"
    assert PASSWORD not in done.out + done.err + do("user", "list", "--json").out


def test_without_a_person_or_a_file_there_is_no_password(do) -> None:
    done = do("user", "add", "ann@example.com")
    assert done.code == Exit.USAGE
    assert "--password-file" in done.err
    assert do("user", "list", "-q").out == ""


def test_a_weak_password_is_refused_in_words(do) -> None:
    done = do("user", "add", "ann@example.com", "--password-file", "-", said="secret\n")
    assert done.code == Exit.USAGE
    assert "at least 10 characters" in done.err


def test_what_was_changed_is_told(do) -> None:
    add(do, "ann@example.com")
    done = do("user", "set", "ann@example.com", "--role", "admin", "--name", "Ann")
    assert "role owner -> admin" in done.out and "name none -> Ann" in done.out
    assert do("user", "set", "ann@example.com").code == Exit.USAGE
    assert "active yes -> no" in do("user", "set", "ann@example.com", "--disable").out
    assert "disabled" in do("user", "list").out
    moved = do("user", "set", "ann@example.com", "--email", "anna@example.com")
    assert moved.out.startswith("anna@example.com:")


def test_a_new_password_and_a_logout_say_what_was_done(do) -> None:
    add(do, "ann@example.com")
    done = do(
        "user", "password", "ann@example.com", "--password-file", "-", said="another good one\n"
    )
    assert done.out == "ann@example.com has a new password.\n"
    assert do("user", "logout", "ann@example.com").out == "Ended 0 tokens of ann@example.com.\n"


def test_a_user_is_removed_with_a_yes(do) -> None:
    add(do, "ann@example.com")
    assert do("user", "remove", "ann@example.com", said="n\n").code != Exit.DONE
    assert do("user", "list", "-q").out == "ann@example.com\n"
    assert do("user", "remove", "ann@example.com", said="y\n").code == Exit.DONE
    assert do("user", "remove", "ann@example.com", "--yes").code == Exit.NOT_FOUND
