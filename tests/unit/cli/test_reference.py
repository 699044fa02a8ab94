from __future__ import annotations

from pathlib import Path

import pytest

from pillarbox.cli.main import COMMANDS
from pillarbox.cli.reference import _WHEN, PAGES, cli_page, errors_page, events_page, settings_page
from pillarbox.policy.delivery import Trigger
from pillarbox.policy.events import EVENT_KINDS
from pillarbox.settings import all_rooms, known
from pillarbox.terms.catalogue import CATALOGUE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_not_depend_on_who_makes_it(
    name: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = PAGES[name]()
    monkeypatch.setenv("PILLARBOX_RUN_AS", "./do")
    monkeypatch.setenv("PILLARBOX_SMTP__MAX_MESSAGE_MB", "1")
    monkeypatch.setenv("COLUMNS", "40")
    assert PAGES[name]() == before


def test_nothing_is_missing_in_the_pages() -> None:
    assert all(f"`{entry.key}`" in settings_page() for entry in known(all_rooms()))
    assert all(f"## pillarbox {name}" in cli_page() for name in COMMANDS)
    assert all(f"## {code}\n" in errors_page() for code in CATALOGUE)
    assert all(f"`{kind}`" in events_page() for kind in EVENT_KINDS)
    assert set(_WHEN) == set(Trigger)


def test_lines_of_prose_fit_a_terminal() -> None:
    for name, make in PAGES.items():
        long = [line for line in make().splitlines() if len(line) > 105 and "|" not in line]
        assert not long, (name, long)
