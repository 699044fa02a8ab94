"""the pages about connecting programs, made from the recipes with example values"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from pillarbox.cli.markdown import block, opening, page, paragraph, table
from pillarbox.policy.connecting import LoginFacts, Security
from pillarbox.policy.recipe import Book, Page, Recipe, Snippet, fill
from pillarbox.wiring.recipes import load_recipes

_FOLDER: Final = "docs/clients"
_TLS: Final = LoginFacts(
    credential="shop-web",
    username="shop-web",
    host="mail.example.com",
    port=465,
    security=Security.TLS,
    sender="shop@example.com",
    tls_port=465,
    starttls_port=587,
)
_STARTTLS: Final = replace(_TLS, port=587, security=Security.STARTTLS)
_LANGUAGES: Final = {
    "csharp": "csharp",
    "dotenv": "sh",
    "go": "go",
    "ini": "ini",
    "java": "java",
    "javascript": "js",
    "perl": "perl",
    "php": "php",
    "python": "python",
    "ruby": "ruby",
    "shell": "sh",
}


def client_page(book: Book, which: Page) -> str:
    """One page: the recipes of related programs, one after the other."""
    lines = [
        *opening(which.title),
        *paragraph(
            "The values here are examples: a login `shop-web` at `mail.example.com`, with the "
            "password in place of `YOUR_PASSWORD`. `pillarbox credential show NAME --for WHAT` "
            "prints the same with yours, and with the certificate to trust where it is one of our "
            "own authority. [All programs](index.md)"
        ),
        "",
    ]
    for name in which.recipes:
        lines += _recipe(book.recipes[name])
    return page(lines)


def index_page(book: Book) -> str:
    """The list of all recipes, and what they have in common."""
    rows = [
        [f"[{book.recipes[name].caption}]({each.name}.md)", f"`{name}`"]
        for each in book.pages
        for name in each.recipes
    ]
    lines = [
        *opening("Connecting programs"),
        *paragraph(
            "Whatever sends mail needs a login, made with `pillarbox credential add NAME`, and four "
            "things besides the password, which is shown once:"
        ),
        "",
        *table(
            ("", "", ""),
            [
                ["host", f"`{_TLS.host}`", "the name the certificate has"],
                [
                    "port",
                    "465",
                    "TLS from the first byte (SSL/TLS): the first choice, RFC 8314 §3.3",
                ],
                ["", "587", "STARTTLS, required: for programs that know nothing else"],
                ["user name", f"`{_TLS.username}`", "as it was made; capitals count"],
                ["method", "PLAIN or LOGIN", "often called normal password"],
            ],
        ),
        "",
        *paragraph(
            "`pillarbox credential show NAME --for WHAT` prints a recipe with the values of a login "
            "and of the ports that are really open: what to enter or to paste, a test, what is seen "
            "when it works and what it means when something else is said. `--quiet` prints the text "
            "alone, `--json` all of it for programs, `--via starttls` the other way in; "
            "`--password-file` fills in the password. The HTTP API has the same as "
            "`GET /pillarbox/v1/credentials/NAME/connect?for=WHAT`."
        ),
        "",
        *paragraph(
            "How mail programs set themselves up, given an address, is told in "
            "[Autoconfiguration](autoconfig.md)."
        ),
        "",
        *table(("program", "WHAT"), rows),
    ]
    return page(lines)


def _recipe(recipe: Recipe) -> Iterator[str]:
    facts = _STARTTLS if recipe.via is Security.STARTTLS else _TLS
    shown, other = fill(recipe, facts), fill(recipe, _TLS if facts is _STARTTLS else _STARTTLS)
    yield f"## {shown.caption}"
    yield ""
    if shown.about:
        yield from (*paragraph(shown.about), "")
    if shown.form:
        yield from table(("field", "value"), [[k, _code(v)] for k, v in shown.form])
        yield ""
    for each in shown.files:
        yield from (*_snippet(each), "")
    for number, step in enumerate(shown.steps, 1):
        yield from paragraph(step, first=f"{number}. ", rest="   ")
    if shown.steps:
        yield ""
    if shown.test:
        yield from (f"Test, {shown.test.name}:", "", *_block(shown.test), "")
    yield from (*paragraph(f"**When it works:** {shown.seen}"), "")
    failures = [[f"`{each.said}`", each.means, each.do] for each in shown.failures]
    yield from (*table(("When it says", "it means", "so"), failures), "")
    yield from _otherwise(shown, other, "STARTTLS" if facts is _TLS else "TLS from the first byte")


def _otherwise(shown: Recipe, other: Recipe, words: str) -> Iterator[str]:
    """What differs with the other encryption; nothing where nothing does."""
    entries = [b for a, b in zip(shown.form, other.form, strict=True) if a != b]
    files = [b for a, b in zip(shown.files, other.files, strict=True) if a != b]
    if entries or files:
        yield f"### {shown.caption}: with {words} instead"
        yield ""
    if entries:
        yield from (*table(("field", "value"), [[k, _code(v)] for k, v in entries]), "")
    for each in files:
        yield from (*_snippet(each), "")


def _snippet(snippet: Snippet) -> list[str]:
    about = f" ({snippet.about})" if snippet.about else ""
    return [*paragraph(f"`{snippet.name}`{about}:"), "", *_block(snippet)]


def _block(snippet: Snippet) -> list[str]:
    return block(snippet.text, _LANGUAGES.get(snippet.syntax, ""))


def _code(value: str) -> str:
    return f"`{value}`" if value.isascii() and " " not in value else value


def _pages() -> Mapping[str, Callable[[], str]]:
    book = load_recipes()
    made = {f"{_FOLDER}/index.md": partial(index_page, book)}
    return made | {
        f"{_FOLDER}/{each.name}.md": partial(client_page, book, each) for each in book.pages
    }


CLIENT_PAGES: Final = _pages()
"""Each page, from the root of the repository, and what makes its text."""
