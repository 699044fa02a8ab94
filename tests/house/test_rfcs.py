"""every RFC cited is listed in docs/rfc/index.txt, and cited in one form"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tests.house.tree import DOCS, ROOT, own_files

INDEX = DOCS / "rfc/index.txt"


@cache
def texts() -> dict[Path, str]:
    wanted = (".py", ".md", ".sql", ".toml", ".txt", ".smtp")
    found = [path for path in own_files() if path.suffix in wanted and path != INDEX]
    return {path: path.read_text(encoding="utf-8", errors="replace") for path in found}


def listed() -> dict[int, str]:
    entries = {}
    for line in INDEX.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            number, _, title = line.partition(" ")
            entries[int(number)] = title.strip()
    return entries


def test_every_cited_rfc_is_in_the_index() -> None:
    index = listed()
    unlisted = {
        f"{path.relative_to(ROOT)}: RFC {number}"
        for path, text in texts().items()
        for number in re.findall(r"\bRFC (\d{3,5})\b", text)
        if int(number) not in index
    }
    assert not unlisted, "add number and title to docs/rfc/index.txt:\n" + "\n".join(unlisted)


def test_sections_are_cited_in_one_form() -> None:
    """As in RFC 5321 §4.5.2, so that a search finds every place a section governs.

    Captions are left out: they are names.
    """
    other = re.compile(
        r"RFC[-_ ]?\d{3,5}\)?,? (?:[Ss]ection|[Ss]ec\.|sect\.|\d+\.\d)|\bRFC-?\d{4}(?!\.\w)|\brfc \d{4}"
    )
    wrong = [
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path, text in texts().items()
        if path.suffix in (".py", ".md", ".sql") and path != Path(__file__)
        for match in other.finditer(text.partition("\n")[2])
    ]
    assert not wrong, "write RFC 5321 §4.5.2:\n" + "\n".join(wrong)


def test_the_index_is_in_order_and_says_each_title_once() -> None:
    numbers = list(listed())
    assert numbers == sorted(set(numbers))
    assert all(listed().values())
