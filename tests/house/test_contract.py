"""every statement of the contract is there, and tests cite those that exist"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.contract import (
    ORIGINS,
    Citing,
    Statement,
    citing_tests,
    sections,
    shown_by_number,
    statements,
)

LAST = {"A": 88, "B": 56, "C": 81, "D": 85, "E": 5}
KNOWN = (Statement("A1", "One.", "chosen"), Statement("A2", "Two.", "chosen"))


def cited_in(folder: Path, text: str) -> dict[str, list[str]]:
    """What a test module of that text shows."""
    (folder / "test_sample.py").write_text(text)
    found = shown_by_number(citing_tests(folder), KNOWN)
    return {number: [test.shown for test in tests] for number, tests in found.items()}


# --- the statements -------------------------------------------------------------------------------


def test_every_number_is_there_in_its_order_and_none_is_left_out() -> None:
    wanted = [f"{letter}{n}" for letter, last in LAST.items() for n in range(1, last + 1)]
    assert [statement.number for statement in statements()] == wanted
    assert list(sections()) == list(LAST)


def test_every_statement_is_one_short_sentence_of_its_own() -> None:
    said = [statement.says for statement in statements()]
    assert len(set(said)) == len(said), [each for each in said if said.count(each) > 1]
    for each in said:
        assert len(each) <= 160 and each.endswith("."), each
        assert each == each.strip() and "\n" not in each, each


def test_every_statement_says_who_wants_it_and_why_it_is_overruled() -> None:
    for statement in statements():
        assert statement.origin in ORIGINS, statement.number
        assert not statement.overruled or statement.overruled.endswith("."), statement.number


# --- the tests that cite them ---------------------------------------------------------------------


def test_names_that_cite_are_well_formed_and_cite_what_exists() -> None:
    shown_by_number(citing_tests(), statements())


def test_nothing_is_shown_that_was_decided_otherwise() -> None:
    found = shown_by_number(citing_tests(), statements())
    wrong = {s.number: found[s.number] for s in statements() if s.overruled and found[s.number]}
    assert not wrong


def test_a_name_cites_one_number_or_several_and_parameters_count_once(tmp_path: Path) -> None:
    text = """
import pytest

@pytest.mark.parametrize("n", [1, 2, 3])
async def test_a1_a2_both_are_shown_here(n): ...

class TestMore:
    def test_a2_shown_again_in_a_class(self): ...

def test_that_cites_nothing_at_all(): ...

def helps():
    def test_a1_inside_a_function_is_none(): ...
"""
    assert cited_in(tmp_path, text) == {
        "A1": ["test_sample.py::test_a1_a2_both_are_shown_here"],
        "A2": [
            "test_sample.py::test_a1_a2_both_are_shown_here",
            "test_sample.py::test_a2_shown_again_in_a_class",
        ],
    }


@pytest.mark.parametrize(
    "text",
    [
        "@pytest.mark.skip\ndef {}(): ...",
        "@pytest.mark.skip(reason='x')\nasync def {}(): ...",
        "@pytest.mark.skipif(True, reason='x')\ndef {}(): ...",
        "@pytest.mark.xfail(strict=True)\ndef {}(): ...",
        "@pytest.mark.parametrize('n', [pytest.param(1, marks=pytest.mark.xfail)])\ndef {}(n): ...",
        "later = pytest.mark.skip('x')\n@later\ndef {}(): ...",
        "pytestmark = [pytest.mark.slow, pytest.mark.skip('x')]\ndef {}(): ...",
        "pytestmark = pytest.mark.xfail\nclass TestIt:\n    def {}(self): ...",
        "class TestIt:\n    pytestmark = pytest.mark.skip('x')\n    def {}(self): ...",
        "@pytest.mark.skip('x')\nclass TestIt:\n    def {}(self): ...",
        "pytest.skip('x', allow_module_level=True)\ndef {}(): ...",
        "def {}():\n    pytest.skip('x')",
        "def {}():\n    pytest.xfail('x')",
    ],
)
def test_a_test_that_steps_aside_shows_nothing(tmp_path: Path, text: str) -> None:
    text = "import pytest\n" + text.format("test_a1_something_is_promised_here")
    assert cited_in(tmp_path, text) == {"A1": [], "A2": []}


@pytest.mark.parametrize("mark", ["needs('curl')", "slow", "usefixtures('skip')", "root"])
def test_a_test_that_needs_something_counts(tmp_path: Path, mark: str) -> None:
    text = f"@pytest.mark.{mark}\ndef test_a1_something_is_promised_here(): ..."
    assert len(cited_in(tmp_path, text)["A1"]) == 1


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("test_a3_that_number_does_not_exist", "no A3"),
        ("test_a1_a07_zeros_in_front_of_it", "a07"),
        ("test_email_a1_is_not_in_front", "a1"),
        ("test_A1_is_said_in_capital_letters", "A1"),
        ("test_a2_a1_not_in_their_order", "order"),
        ("test_a1_a1_the_same_one_twice", "order"),
        ("test_a1_too_short", "promised"),
    ],
)
def test_a_name_that_cannot_be_meant_is_an_error(tmp_path: Path, name: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as told:
        cited_in(tmp_path, f"def {name}(): ...")
    assert f"test_sample.py::{name}" in str(told.value)


def test_a_skipped_test_that_cites_what_is_not_there_is_an_error_too(tmp_path: Path) -> None:
    test = Citing(tmp_path / "test_x.py", "test_a9_something_is_promised_here", counts=False)
    with pytest.raises(ValueError, match="no A9"):
        shown_by_number([test], KNOWN)
