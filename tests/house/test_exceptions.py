"""exceptions are few, explained, and gone when they are no longer needed"""

from __future__ import annotations

import pytest

from tests.house.test_modules import MAX_LINES, missing_mirrors
from tests.house.tree import ROOT, exceptions, modules

KINDS = {"size", "mirror", "record"}


def test_every_exception_has_a_reason_and_somebody_who_answers_for_it() -> None:
    assert set(exceptions()) <= KINDS
    for kind, entries in exceptions().items():
        for entry in entries:
            assert set(entry) == {"name", "reason", "by"}, f"{kind}: {entry}"
            assert len(entry["reason"].split()) >= 4, f"{kind} {entry['name']}: say why"


def test_an_exception_that_is_no_longer_needed_is_taken_out() -> None:
    too_long = {module.name for module in modules() if module.lines > MAX_LINES}
    unproved = {
        path.stem
        for path in (ROOT / "tests/proofs").glob("[!_]*.py")
        if not (ROOT / "docs/proofs" / f"{path.stem}.json").exists()
    }
    needed = {"size": too_long, "mirror": set(missing_mirrors()), "record": unproved}
    for kind, entries in exceptions().items():
        for entry in entries:
            if entry["name"] not in needed[kind]:
                pytest.fail(f"{kind} {entry['name']} is not needed: take it out of exceptions.toml")
