from __future__ import annotations

import json
from pathlib import Path

import pytest

from pillarbox.cli.errors import Exit
from pillarbox.cli.main import run
from pillarbox.storage.interface.migrating import Half, HeldBack, Migrated
from pillarbox.storage.interface.store_url import StoreUrl
from pillarbox.wiring import stores

Said = pytest.CaptureFixture[str]


def test_a_plan_is_only_a_plan(directory: Path, capsys: Said) -> None:
    assert run(["migrate", "--plan", "--data-dir", "data"]) == Exit.DONE
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"sqlite://{directory}/data/pillarbox.db does not exist yet."
    assert said[1] == "Would run:"
    assert said[2] == "  0001 ledger           before"
    assert said[-1] == "Nothing was changed."
    assert not (directory / "data").exists()


def test_what_ran_is_told_once(directory: Path, capsys: Said) -> None:
    assert run(["migrate", "--data-dir", "data"]) == Exit.DONE
    assert capsys.readouterr().out.startswith("Ran:\n  0001 ledger           before\n")
    assert run(["migrate", "--data-dir", "data"]) == Exit.DONE
    assert capsys.readouterr().out.startswith("Nothing to do: the schema is ")
    assert run(["migrate", "--plan", "--data-dir", "data", "--json"]) == Exit.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["exists"] and document["plan"] and document["items"] == []


def test_what_has_to_wait_is_told_with_the_nodes_it_waits_for(
    capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def migrate_store(store: StoreUrl, *, plan: bool) -> Migrated:
        asked.append(store.shown)
        half = Half(3, "colours", "after")
        return Migrated(store.shown, True, (), (HeldBack(half, ("mail-1", "mail-2")),), 3)

    monkeypatch.setattr(stores, "migrate_store", migrate_store)
    monkeypatch.setenv("PILLARBOX_DATABASE_URL", "postgresql://me:hidden@db/mail")
    assert run(["migrate"]) == Exit.DONE
    said = capsys.readouterr().out
    assert asked == ["postgresql://me@db/mail"]
    assert "0003 colours          after   an older Pillarbox runs on mail-1, mail-2" in said
    assert "When no older node is left: pillarbox migrate" in said
    assert run(["migrate", "--json"]) == Exit.DONE
    (held,) = json.loads(capsys.readouterr().out)["held_back"]
    assert held == {"number": 3, "name": "colours", "half": "after", "nodes": ["mail-1", "mail-2"]}


def test_it_is_not_done_through_a_server() -> None:
    assert run(["migrate", "--server", "http://localhost"]) == Exit.USAGE
