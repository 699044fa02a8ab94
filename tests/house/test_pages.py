"""pages link to what exists, and generated ones are what their source says"""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from pillarbox.cli.reference import PAGES
from tests.house.contract import PAGE as CONTRACT
from tests.house.tree import DOCS, ROOT, pages

KINDS = {"added", "changed", "fixed", "removed", "security"}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_make", DOCS / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_between_pages_lead_somewhere(maker: ModuleType) -> None:
    broken = list(maker.broken_links())
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("page", [*PAGES, CONTRACT])
def test_generated_pages_are_what_their_source_says(maker: ModuleType, page: str) -> None:
    assert (ROOT / page).exists(), "run ./do docs"
    assert (ROOT / page).read_text(encoding="utf-8") == maker.MADE[page](), "run ./do docs"


def test_every_page_that_is_generated_is_compared(maker: ModuleType) -> None:
    assert set(maker.MADE) == {*PAGES, CONTRACT}


def test_every_decision_is_listed_and_short() -> None:
    index = (DOCS / "decisions/README.md").read_text(encoding="utf-8")
    for page in sorted((DOCS / "decisions").glob("0*.md")):
        text = page.read_text(encoding="utf-8")
        assert f"]({page.name})" in index, f"{page.name} is missing in docs/decisions/README.md"
        assert text.startswith(f"# {page.name[:4]} "), page.name
        assert re.search(r"^\d{4}-\d{2}-\d{2}$", text, re.MULTILINE), f"{page.name}: when?"
        assert "**Context.**" in text and "**Choice.**" in text, page.name
        assert "**Roads not taken.**" in text or "instead of" in text, page.name
        assert len(text.splitlines()) <= 70, f"{page.name} is too long for a decision"


def test_pages_about_adding_something_are_short_and_name_a_test() -> None:
    for page in (DOCS / "adding").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 40, page.name
        named = re.findall(r"`(tests/[a-z_/]+\.py)`", text)
        for path in named:
            assert (ROOT / path).exists(), f"{page.name}: {path} does not exist"
        assert named, f"{page.name}: which test complains until it is done?"


def test_a_change_is_one_line_of_a_known_kind() -> None:
    for page in (ROOT / "changes").glob("*.md"):
        if page.name == "README.md":
            continue
        assert page.name.split(".")[-2] in KINDS, page.name
        assert page.read_text(encoding="utf-8").strip().count("\n") == 0, page.name


def test_pages_are_plain_and_readable_in_a_terminal() -> None:
    long = [
        f"{page.relative_to(ROOT)}:{number}"
        for page in pages()
        if page.parent.name != "changes"  # each of those is one line
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 105 and not re.search(r"\||\]\(|<img", line)
    ]
    assert not long
