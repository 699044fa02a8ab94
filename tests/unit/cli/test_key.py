from __future__ import annotations

import json
import re
import stat
from pathlib import Path

from pillarbox.cli.errors import Exit


def test_a_key_is_shown_once(do) -> None:
    done = do("key", "add", "web", "--may", "send", "--app", "first-app")
    key = re.search(r"Key +([0-9a-f]{64})", done.out)
    assert key is not None
    listed = do("key", "list").out
    assert "web" in listed and "first-app  send " in listed
    assert key[1] not in listed


def test_a_key_goes_into_a_new_file_of_the_owner(do, directory: Path) -> None:
    done = do("key", "add", "web", "--write-to", "k")
    assert done.code == Exit.DONE
    key = (directory / "k").read_text().strip()
    assert len(key) == 64
    assert key not in done.out
    assert "--key-file k" in done.out
    assert stat.S_IMODE((directory / "k").stat().st_mode) == 0o600


def test_a_file_that_exists_is_not_written_over(do, directory: Path) -> None:
    (directory / "k").write_text("precious")
    assert do("key", "add", "web", "--write-to", "k").code == Exit.USAGE
    assert (directory / "k").read_text() == "precious"
    assert do("key", "list", "-q").out == "first-app\n", "no key was made that nobody has"


def test_a_key_that_was_not_made_leaves_no_file(do, directory: Path) -> None:
    assert do("key", "add", "no blanks", "--write-to", "k").code == Exit.USAGE
    assert not (directory / "k").exists()


def test_a_key_is_bound_as_it_was_said(do) -> None:
    made = json.loads(
        do(
            "key", "add", "web", "--may", "send", "--may", "read", "--mode", "sandbox",
            "--allow-from", "*@example.com", "--json",
        ).out
    )  # fmt: skip
    assert made["verbs"] == ["send", "read"]
    assert made["mode"] == "sandbox"
    assert made["allowed_senders"] == ["example.com"]
    assert len(made["key"]) == 64


def test_a_key_is_removed_with_a_yes(do) -> None:
    assert do("key", "remove", "first-app").code == Exit.USAGE
    assert do("key", "remove", "first-app", said="y\n").code == Exit.DONE
    assert do("key", "remove", "first-app", "--yes").code == Exit.NOT_FOUND
