"""the page about submission names what exists, and every dialogue there is"""

from __future__ import annotations

import re

from tests.house.tree import DOCS, ROOT

PAGE = DOCS / "rfc/submission.md"
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| (?:RFC \d+ )?§[\d.]+ \| `([^`]+)` \|$")
# Of a list of all that is asked of a mail server; the others concern the side that delivers.
NUMBERS = {*range(1, 17), *range(21, 47), *range(48, 63), 72, 73, 75}


def rows() -> list[tuple[int, str]]:
    """Number and file of each row."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if re.match(r"\| \d", line)]
    found = [ROW.match(line) for line in wanted]
    odd = [line for line, match in zip(wanted, found, strict=True) if match is None]
    assert not odd, "number, what, section, file:\n" + "\n".join(odd)
    return [(int(match[1]), match[2]) for match in found if match is not None]


def test_every_file_named_for_a_promise_exists() -> None:
    missing = [name for _, name in rows() if not (ROOT / "tests" / name).is_file()]
    assert not missing


def test_every_dialogue_is_named_for_a_promise() -> None:
    named = {name for _, name in rows()}
    there = {f"dialogue/{path.name}" for path in (ROOT / "tests/dialogue").glob("*.smtp")}
    assert there <= named, f"add a row to docs/rfc/submission.md: {there - named}"


def test_no_number_is_left_out_and_they_come_in_order() -> None:
    numbers = [number for number, _ in rows()]
    assert set(numbers) == NUMBERS
    assert numbers == sorted(numbers)


def test_the_page_can_be_read_in_a_terminal() -> None:
    long = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if len(line) > 100]
    assert not long
