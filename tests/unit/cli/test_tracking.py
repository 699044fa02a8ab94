from __future__ import annotations

import json

from pillarbox.cli.errors import Exit
from tests.unit.cli.conftest import Do


def test_keys_are_made_listed_and_revoked(do: Do) -> None:
    assert "Key 1 " in do("tracking", "keys", "rotate").out
    assert do("tracking", "keys", "rotate").out.strip() == "Key 2 signs from now on."
    done = do("tracking", "keys", "revoke", "2", "--yes")
    assert (done.code, done.out.strip()) == (Exit.DONE, "Key 2 is revoked.")
    items = json.loads(do("tracking", "keys", "list", "--json").out)["items"]
    assert [(each["number"], each["state"]) for each in items] == [
        (1, "old"), (2, "revoked"), (3, "current"),
    ]  # fmt: skip
    lines = do("tracking", "keys", "list").out.splitlines()
    assert lines[0].split()[:2] == ["NUMBER", "STATE"]
    assert lines[1].split()[:4] == ["1", "old", "just", "now"]


def test_where_no_key_was_needed_yet_the_list_says_so(do: Do) -> None:
    assert do("tracking", "keys", "list").out.startswith("No key yet;")
    assert do("tracking", "keys", "list", "-q").out == ""


def test_a_key_that_is_not_there_is_not_revoked(do: Do) -> None:
    done = do("tracking", "keys", "revoke", "5", "--yes")
    assert done.code != Exit.DONE
    assert "no key of tracked links with the number 5" in done.err
    assert "pillarbox tracking keys list" in done.err


def test_nobody_is_asked_about_a_key_that_is_not_there(do: Do) -> None:
    done = do("tracking", "keys", "revoke", "5", said="n\n")
    assert done.code == Exit.NOT_FOUND and "Revoke key 5?" not in done.err
    assert "no key of tracked links with the number 5" in done.err


def test_a_key_is_not_revoked_unasked(do: Do) -> None:
    do("tracking", "keys", "rotate")
    assert do("tracking", "keys", "revoke", "1").code != Exit.DONE
    assert (
        json.loads(do("tracking", "keys", "list", "--json").out)["items"][0]["state"] == "current"
    )
