"""one word for one thing, in code, help and pages"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

from tests.house.tree import DOCS, ROOT, SOURCE, modules, pages

# The glossary says which word is meant; it is the one page that may name the others.
GLOSSARY = DOCS / "glossary.md"
INSTEAD = {
    r"hard[- ]bounces?": "failure",
    r"soft[- ]bounces?": "deferral",
    r"NDRs?": "DSN",
    r"non-delivery (?:report|receipt)s?": "DSN",
    r"spam reports?": "complaint",
    r"block-?lists?|black-?lists?|white-?lists?": "suppression, allowed senders",
    r"tenants?|workspaces?": "account",
    r"ingest(?:ed|s|ion)?|injection": "submission",
    r"tracking ids?": "VERP token",
    r"throttl(?:e|ed|ing)": "window, limit",
    r"send jobs?|mail jobs?|delivery jobs?": "delivery",
    r"webhook calls?": "webhook",
    r"(?:e-?mail|mail) address of the sender": "return path, author",
    r"envelope senders?|envelope from": "return path",
}
# What others call what they sell is said as they say it.
NAMES = r"\bGoogle Workspace\b|\bdirectory \(tenant\)|--tenant\b"
UNFINISHED = r"\b(TODO|FIXME|XXX|HACK|WIP)\b|\b(for now|not yet implemented|work in progress)\b"


def said(path: Path) -> str:
    """A page's own words: code and addresses are not prose."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`|\]\([^)]*\)|<https?:[^>]*>", "", text)


def data(path: Path) -> str:
    """A file's own words: addresses and the names of tables are not prose."""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"https?://[^\s\"]+|^\[[\w.-]+\]$", "", text, flags=re.MULTILINE)


def strays(text: str) -> Iterator[str]:
    ours = re.sub(NAMES, "", text)
    for wrong, right in INSTEAD.items():
        for match in re.finditer(rf"\b(?:{wrong})\b", ours, re.IGNORECASE):
            yield f"{match[0]!r}: say {right}"


def help_texts() -> Iterator[tuple[str, str]]:
    """Of the program and of every verb below it."""
    from pillarbox.cli.main import cli

    waiting: list[tuple[str, click.Command, click.Context]] = []
    waiting.append(("pillarbox", cli, click.Context(cli, info_name="pillarbox")))
    while waiting:
        name, command, context = waiting.pop()
        yield name, command.get_help(context)
        if isinstance(command, click.Group):
            for verb in command.list_commands(context):
                below = command.get_command(context, verb)
                assert below is not None, f"{name} {verb} is listed and does not exist"
                inner = click.Context(below, info_name=verb, parent=context)
                waiting.append((f"{name} {verb}", below, inner))


def test_pages_say_the_words_of_the_glossary() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: {stray}"
        for page in pages()
        if page != GLOSSARY
        for stray in strays(said(page))
    ]
    assert not wrong, "\n".join(wrong)


def test_help_says_the_words_of_the_glossary() -> None:
    wrong = [f"{name}: {stray}" for name, text in help_texts() for stray in strays(text)]
    assert not wrong, "\n".join(wrong)


def test_templates_and_data_say_the_words_of_the_glossary() -> None:
    files = [path for path in SOURCE.rglob("*") if path.suffix in (".toml", ".html", ".txt")]
    wrong = [f"{path.relative_to(ROOT)}: {stray}" for path in files for stray in strays(data(path))]
    assert not wrong, "\n".join(wrong)


def test_nothing_is_left_for_later_in_the_text() -> None:
    wrong = []
    for path in [module.path for module in modules()] + list(pages()):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(UNFINISHED, line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not wrong, "\n".join(wrong)
