"""the statements of the contract, and the tests that show which of them hold

A test says in its name what it shows: ``test_a12_...`` shows A12, ``test_a8_a9_...`` both. Tests are
read and not imported, so the page is the same where a component is missing.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from tests.house.tree import DOCS, ROOT

PAGE: Final = "docs/reference/contract.md"
SOURCE: Final = DOCS / "contract.toml"
ORIGINS: Final = ("binding", "expected", "chosen")

_NUMBER: Final = re.compile(r"[a-e][1-9]\d*")
_LOOKS_LIKE_ONE: Final = re.compile(r"[a-eA-E]\d+")
_DOES_NOT_COUNT: Final = re.compile(r"\b(?:mark|pytest)\.(?:skip|skipif|xfail)\b")
_OPENING: Final = """\
# The contract

<!-- Made from docs/contract.toml and the names of tests by ./do docs; changes belong there. -->

What Pillarbox promises to programs that were written for the services it takes the place of. Each
statement is `binding` where it is wanted to the letter, `expected` where programs that exist rely on
it, and `chosen` where nobody says anything and we decided. It holds (✓) where tests show it in full;
they are named. "Not yet" means that no test shows it, whatever the program does. How a test cites a
statement is told in [a contract test](../adding/a-contract-test.md).
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One promise."""

    number: str
    """Such as ``A12``."""
    says: str
    origin: str
    overruled: str = ""
    """Why it was decided otherwise; empty where it was not."""

    @property
    def section(self) -> str:
        """Its letter."""
        return self.number[0]


@dataclass(frozen=True, slots=True)
class Citing:
    """A test whose name has something that looks like a number of the contract."""

    path: Path
    name: str
    counts: bool
    """Whether it is run, and must succeed."""

    @property
    def shown(self) -> str:
        """As the page names it."""
        return f"{self.path.name}::{self.name}"

    @property
    def numbers(self) -> tuple[str, ...]:
        """What it cites, in the order of its name."""
        found: list[str] = []
        for word in self._words:
            if not _NUMBER.fullmatch(word):
                break
            found.append(word.upper())
        return tuple(found)

    @property
    def complaint(self) -> str:
        """What is wrong with the name; empty where nothing is."""
        numbers = self.numbers
        promise = self._words[len(numbers) :]
        stray = [word for word in promise if _LOOKS_LIKE_ONE.fullmatch(word)]
        if stray:
            return f"{stray[0]} belongs directly behind test_, as in test_a8_a9_..., without zeros"
        if list(numbers) != sorted(set(numbers), key=_in_order):
            return "numbers stand in their order, and each of them once"
        return "" if len(promise) >= 3 else "say what is promised, behind the numbers"

    @property
    def _words(self) -> list[str]:
        return self.name.removeprefix("test_").split("_")


def _in_order(number: str) -> tuple[str, int]:
    return number[0], int(number[1:])


# --- what is promised -----------------------------------------------------------------------------


def sections() -> Mapping[str, str]:
    """The letters and what each of them is about."""
    found: dict[str, str] = _source()["sections"]
    return found


def statements() -> tuple[Statement, ...]:
    """All of them, as they stand in the file."""
    entries = {number: entry for number, entry in _source().items() if number != "sections"}
    return tuple(Statement(number, **entry) for number, entry in entries.items())


@cache
def _source() -> dict[str, dict[str, str]]:
    return tomllib.loads(SOURCE.read_text(encoding="utf-8"))


# --- what is shown --------------------------------------------------------------------------------


def citing_tests(folder: Path = ROOT / "tests") -> list[Citing]:
    """Every test below `folder` with a number in its name, or what looks like one."""
    return [
        test
        for path in sorted(folder.rglob("test_*.py"))
        for test in _tests_in(path)
        if any(_LOOKS_LIKE_ONE.fullmatch(word) for word in test.name.split("_"))
    ]


def shown_by_number(tests: Iterable[Citing], known: Iterable[Statement]) -> dict[str, list[Citing]]:
    """Which tests show each number. Raises `ValueError` for a name that cannot be meant."""
    by_number: dict[str, list[Citing]] = {statement.number: [] for statement in known}
    for test in tests:
        if test.complaint:
            raise ValueError(f"{test.shown}: {test.complaint}")
        for number in test.numbers:
            if number not in by_number:
                raise ValueError(f"{test.shown}: docs/contract.toml has no {number}")
            if test.counts:
                by_number[number].append(test)
    return by_number


def _tests_in(path: Path) -> Iterator[Citing]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {
        target.id: ast.unparse(node.value)
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def below(nodes: list[ast.stmt], counts: bool) -> Iterator[Citing]:
        counts = counts and not any(_steps_aside(node) for node in nodes)
        for node in nodes:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                yield from below(node.body, counts and not _marked(node, aliases))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if node.name.startswith("test_"):
                    runs = not _marked(node, aliases) and not any(map(_steps_aside, node.body))
                    yield Citing(path, node.name, counts and runs)

    yield from below(module.body, True)


def _marked(
    node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, aliases: Mapping[str, str]
) -> bool:
    """Whether a decorator, by whatever name, lets it be skipped or fail."""
    said = [ast.unparse(each) for each in node.decorator_list]
    return any(_DOES_NOT_COUNT.search(f"{text} {aliases.get(text, '')}") for text in said)


def _steps_aside(node: ast.stmt) -> bool:
    """Whether a statement skips all that stands around it, without asking anything first."""
    match node:
        case ast.Expr(value=ast.Call(func=called)):
            return _DOES_NOT_COUNT.search(ast.unparse(called)) is not None
        case ast.Assign(targets=[ast.Name(id="pytestmark")], value=value):
            return _DOES_NOT_COUNT.search(ast.unparse(value)) is not None
    return False


# --- the page -------------------------------------------------------------------------------------


def contract_page() -> str:
    """Every statement and whether it holds. Raises `ValueError` as `shown_by_number` does."""
    known = statements()
    shown_by = shown_by_number(citing_tests(), known)
    lines = [_OPENING, *_totals(known, shown_by)]
    for letter, title in sections().items():
        lines += [
            "",
            f"## {letter}. {title}",
            "",
            "| | statement | origin | holds? |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {each.number} | {_cell(each.says)} | {each.origin} | {_verdict(each, shown_by)} |"
            for each in known
            if each.section == letter
        ]
    return "\n".join(lines) + "\n"


def _totals(known: Iterable[Statement], shown_by: Mapping[str, list[Citing]]) -> Iterator[str]:
    yield "| | statements | hold | of the binding ones | not yet | overruled |"
    yield "|---|---|---|---|---|---|"
    known = list(known)
    groups = [
        (f"{letter}. {title}", [each for each in known if each.section == letter])
        for letter, title in sections().items()
    ]
    for title, group in [*groups, ("**all**", known)]:
        hold = [each for each in group if not each.overruled and shown_by[each.number]]
        overruled = sum(bool(each.overruled) for each in group)
        binding = [each for each in group if each.origin == "binding"]
        of_these = sum(each.origin == "binding" for each in hold)
        waiting = len(group) - len(hold) - overruled
        yield (
            f"| {title} | {len(group)} | {len(hold)} | {of_these} of {len(binding)} "
            f"| {waiting} | {overruled} |"
        )


def _verdict(statement: Statement, shown_by: Mapping[str, list[Citing]]) -> str:
    tests = shown_by[statement.number]
    if statement.overruled:
        return f"overruled: {_cell(statement.overruled)}"
    if not tests:
        return "not yet"
    return "✓ " + "<br>".join(f"`{test.shown}`" for test in tests)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
