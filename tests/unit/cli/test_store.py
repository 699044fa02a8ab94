from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import pytest

from pillarbox.cli.call import Call
from pillarbox.cli.client import Where
from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run
from pillarbox.cli.output import Screen
from pillarbox.cli.store import _say, _Shown
from pillarbox.settings import load
from pillarbox.storage.interface.copying import CopyReport, CopyStep, TableSum
from pillarbox.storage.interface.errors import BadStoreUrl
from pillarbox.storage.interface.queue import Recovered
from pillarbox.storage.interface.store_url import parse_store_url
from tests.unit.cli.conftest import begun

Said = pytest.CaptureFixture[str]
DATABASE = "postgresql://pillarbox:hidden@db.example:5433/mail?password=hidden2&sslmode=require"


@pytest.fixture
def old(directory: Path) -> Path:
    """A data directory as after its first start."""
    begun(load(Where(data_dir=str(directory / "old")).sources()))
    return directory / "old"


def test_a_store_is_copied_and_both_are_told_what_they_are_now(
    old: Path, directory: Path, capsys: Said
) -> None:
    assert run(["store", "copy", "old", f"sqlite://{directory}/new/pillarbox.db"]) == Exit.DONE
    said = capsys.readouterr()
    assert "copying    app                     1 rows" in said.err
    assert "verifying  app                     1 rows" in said.err
    assert "TABLE" in said.out and "account" in said.out
    assert "queue" not in said.out + said.err  # nothing is said of a table without rows
    assert f"Moved to sqlite://{directory}/new/pillarbox.db. " in said.out
    assert "The key of the passwords, secret.key, was copied along." in said.out
    assert f"serve --data-dir {directory}/new" in said.out
    assert (directory / "new/secret.key").read_bytes() == (old / "secret.key").read_bytes()
    assert run(["--data-dir", "old", "app", "list"]) == Exit.CONFLICT
    assert "was copied to" in capsys.readouterr().err
    assert run(["--data-dir", "new", "app", "list", "-q"]) == Exit.DONE
    assert capsys.readouterr().out == "first-app\n"


def test_programs_get_an_object_a_line(old: Path, capsys: Said) -> None:
    assert run(["store", "copy", "old", "new", "--json"]) == Exit.DONE
    said = capsys.readouterr()
    lines = [json.loads(line) for line in said.out.splitlines()]
    assert said.err == ""
    assert {line["word"] for line in lines} == {"copying", "verifying", "finished"}
    finished = lines[-1]
    assert finished["complete"] is True and finished["resumed"] is False
    sums = {table["name"]: table for table in finished["tables"]}
    assert sums["app"]["rows"] == 1 and len(sums["app"]["sha256"]) == 64
    assert run(["store", "copy", "new", "newer", "-q"]) == Exit.DONE
    said = capsys.readouterr()
    assert said.out + said.err == ""


def test_history_is_copied_ahead_and_nothing_moves(old: Path, capsys: Said) -> None:
    assert run(["store", "copy", "old", "new", "--while-running"]) == Exit.DONE
    said = capsys.readouterr()
    assert "nothing has moved yet" in said.out
    assert "without --while-running" in said.out
    assert run(["--data-dir", "old", "app", "list", "-q"]) == Exit.DONE


def test_a_store_is_used_again_after_a_question(
    old: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["store", "reopen", "old"]) == Exit.DONE
    assert "nothing to do" in capsys.readouterr().out
    assert run(["store", "copy", "old", "new", "-q"]) == Exit.DONE
    assert run(["store", "reopen", "old"]) == Exit.USAGE
    assert "would be sent a second time" in capsys.readouterr().err
    monkeypatch.setattr(Screen, "may_ask", True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: False)
    assert run(["store", "reopen", "old"]) == Exit.CONFLICT
    capsys.readouterr()
    # The store of the settings, where none is named.
    assert run(["--data-dir", "old", "store", "reopen", "--yes", "--json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["reopened"] is True and document["moved_to"].endswith("/new/pillarbox.db")
    assert run(["--data-dir", "old", "app", "list", "-q"]) == Exit.DONE
    assert run(["store", "copy", "old", "newer", "-q"]) == Exit.DONE
    capsys.readouterr()
    assert run(["store", "reopen", "old", "--yes"]) == Exit.DONE
    assert "can be started again" in capsys.readouterr().out


def test_what_is_no_store_is_refused_without_repeating_it(old: Path, capsys: Said) -> None:
    for url in (
        "mysql://me@host/db", "sqlite://relative", "", "old/other.db",
        "postgresql://me:pass/sw0rd@host/db", "postgresql://me:1/2@host/db",
        "postgresql://me:pass#sw0rd@host/db", "postgresql://me:pass@[nowhere/db",
    ):  # fmt: skip
        assert run(["store", "copy", "old", url]) == Exit.USAGE, url
        said = capsys.readouterr().err
        assert "sw0rd" not in said and "pass@" not in said, said
    assert run(["store", "copy", "nowhere", "new"]) == Exit.NOT_FOUND
    assert run(["store", "copy", "old", "old"]) == Exit.USAGE
    assert run(["store", "copy", "old", "new", "--server", "http://h"]) == Exit.USAGE
    assert run(["store", "reopen", "--server", "http://h"]) == Exit.USAGE


def test_the_url_of_a_database_is_shown_without_its_password() -> None:
    store = parse_store_url(DATABASE)
    assert store.shown == "postgresql://pillarbox@db.example:5433/mail?sslmode=require"
    assert store.database.reveal() == DATABASE
    assert store.without_secrets("no hidden2, no hidden") == "no ****, no ****"
    several = parse_store_url("postgres://one:5432,two:5433/mail")
    assert several.shown == "postgresql://one:5432,two:5433/mail"
    assert "hidden" not in repr(store)


def test_a_data_directory_may_be_named_in_several_ways(directory: Path) -> None:
    (directory / "data").mkdir()
    ways = [
        "data", str(directory / "data"), "data/pillarbox.db", f"sqlite://{directory}/data",
        f"sqlite://{directory}/data/pillarbox.db", f"sqlite:///{directory}/data/",
    ]  # fmt: skip
    assert {parse_store_url(way).shown for way in ways} == {
        f"sqlite://{directory}/data/pillarbox.db"
    }
    with pytest.raises(BadStoreUrl, match="called pillarbox.db"):
        parse_store_url("data/mail.db")


def test_a_terminal_sees_a_bar_that_grows(monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("pillarbox.cli.store._REDRAWN_SECONDS", 0.0)
    shown = _Shown(Call(Where()))
    shown.told(CopyStep("copying", "content", 1000, 0.25, done=False))
    shown.told(CopyStep("copying", "content", 2000, 0.5, done=False))
    shown.told(CopyStep("copying", "content", 4000, 1.0, done=True))
    shown.told(CopyStep("copying", "cursor", 0, 1.0, done=True))
    shown.told(CopyStep("copying", "event", 5, 0.1, done=False))
    shown.end()
    shown.end()
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    first, second, third = said.split("\r\x1b[K")[1:4]
    assert "[######------------------]  25%        1,000 rows" in first
    assert "[############------------]  50%        2,000 rows" in second
    assert third.endswith("[########################] 100%        4,000 rows\n")


def test_the_last_words_say_what_the_nodes_need(capsys: Said) -> None:
    source, target = parse_store_url("/var/lib/old"), parse_store_url(DATABASE)
    report = CopyReport(
        True, (TableSum("queue", 7, "ab" * 32),), False, Recovered(5, 2, 1, 0), "needed"
    )
    _say(Call(Where()), source, target, report)
    said = capsys.readouterr().out
    assert "5 deliveries were freed that a dead process had; 2 of them may have left, 1" in said
    assert "the same secret.key from /var/lib/old in its data directory" in said
    assert said.endswith(f"serve --database '{target.shown}'\n")
    assert "hidden" not in said
