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
    assert "works until" not in done.out


def test_a_rotation_with_an_overlap_asks_only_where_it_ends_another(do) -> None:
    do("credential", "add", "web")
    first = do("credential", "rotate", "web", "--overlap", "24h")
    assert first.code == Exit.DONE and "The old one works until" in first.out
    assert "rotation open" in do("credential", "list").out
    assert do("credential", "rotate", "web", "--overlap", "1h").code == Exit.USAGE, "nobody to ask"
    shown = do("credential", "show", "web").out
    assert re.search(r"Former login +web, works until .*; not used since it was rotated", shown)
    asked = do("credential", "rotate", "web", "--overlap", "1h", said="y\n")
    assert "was rotated before; what it had then still works" in asked.err
    assert "The one before it fails from now on." in asked.out
    assert do("credential", "rotate", "web", "--overlap", "8d", "--yes").code == Exit.USAGE


def test_a_rotation_makes_another_user_name_and_a_password_with_blanks(do) -> None:
    wishes = ("--username", "--password-style", "spaced", "--yes", "--json")
    made = json.loads(do("credential", "rotate", "first-app", *wishes).out)
    assert made["username"].startswith("first-app-")
    assert made["password"].count(" ") == 7


def test_everything_about_a_login_is_said_and_shown(do) -> None:
    said = do(
        "credential", "add", "shop-web", "--allow-from", "*@example.com", "--trackclicks",
        "--inlinecss", "--limit", "500/hour", "--limit", "5000/day", "--over-limit", "hold",
        "--max-message", "10MB", "--expires", "2099-01-31", "--allow-address", "192.0.2.0/24",
        "--fix-option", "tags", "--forward-to", "b@example.com", "--once", "message-id",
        "--password-style", "spaced", "--kind", "program", "--uncertain", "hold",
    )  # fmt: skip
    assert said.code == Exit.DONE, said.err
    assert "gets links tracked and CSS inlined, at most 500 recipients an hour" in said.out
    assert re.search(r"Password +(?:\w{4} ){7}\w{4}\n", said.out)
    shown = do("credential", "show", "shop-web").out
    assert shown.splitlines()[1].startswith("Mail from shop-web may use any @example.com sender")
    for name, value in {
        "Allowed addresses": "192.0.2.0/24", "Fixed options": "tags",
        "Options": "trackclicks=true, inlinecss=true", "Limits": "500/hour, 5000/day",
        "Over a limit": "hold", "Largest message": "10.0 MB", "Bounces go to": "b@example.com",
        "Repeats known by": "message-id", "When uncertain": "hold", "Ends": "2099-01-31 .*",
        "Notes": "never used", "Last used": "never",
    }.items():  # fmt: skip
        assert re.search(rf"^  {name} +{value}$", shown, re.MULTILINE), name


def test_a_change_is_told_with_what_the_login_will_do_then(do) -> None:
    said = do("credential", "set", "first-app", "--limit", "5/minute", "--expires", "never").out
    assert said.splitlines() == [
        "first-app: per minute 0 -> 5",
        "Mail from first-app may use any sender, leaves as it came, at most 5 recipients a minute; "
        "beyond that it is told to wait (451). Nothing is sent out: it is kept in the sandbox.",
    ]
    assert do("credential", "set", "first-app", "--expires", "2020-01-01").code == Exit.USAGE
    assert do("credential", "set", "first-app", "--limit", "5").code == Exit.USAGE


def test_a_credential_is_disabled_and_enabled_again(do) -> None:
    assert "cannot log in any more" in do("credential", "disable", "first-app").out
    assert "disabled" in do("credential", "list").out
    assert "can log in again" in do("credential", "enable", "first-app").out


def test_a_credential_is_removed_with_a_yes(do) -> None:
    assert do("credential", "remove", "first-app").code == Exit.USAGE
    assert do("credential", "remove", "first-app", "--yes").code == Exit.DONE
    assert do("credential", "list", "-q").out == ""
