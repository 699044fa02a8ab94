"""recipes: how one program is connected, with a login's values filled in

A recipe is data, ``recipes/NAME.toml`` beside this module: what to enter into a form, files to
paste, a test, what is seen when it works, what is said when it does not. A text has places such as
``{{host}}``, each written as the syntax of the text demands (`policy.quoting`), and lines that
stand only where a condition holds: ``?ca:tls_trust_file {{ca}}``, ``?!ca,tls:...``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from pillarbox.policy.connecting import LoginFacts, Security, parse_incoming
from pillarbox.policy.quoting import FIRST, QUOTES, NotWritable
from pillarbox.terms.errors import PillarboxError

T = TypeVar("T")

FAILURES_FILE: Final = "failures.toml"
PAGES_FILE: Final = "pages.toml"

_PLACE: Final = re.compile(r"\{\{([a-z_]+)((?:\|[a-z_]+)*)\}\}")
_CONDITION: Final = re.compile(r"\?(!?[a-z]+(?:,!?[a-z]+)*):")
_SHOWN: Final = 40


class UnknownRecipe(PillarboxError):
    """There is no recipe of that name."""

    code = "not_found"


class Snippet(Struct, frozen=True, forbid_unknown_fields=True):
    """A text to copy. `name` is the file it belongs into, or says what to do with it."""

    name: str
    syntax: str
    text: str
    about: str = ""


class Failure(Struct, frozen=True, forbid_unknown_fields=True):
    """What is said when it does not work, what that means, and what to do."""

    said: str
    means: str
    do: str


class Recipe(Struct, frozen=True, forbid_unknown_fields=True):
    """How one program is connected; the same shape before and after its places are filled."""

    name: str
    caption: str
    about: str = ""
    via: Security | None = None
    """The encryption this program is better off with; None: whichever is recommended."""
    form: tuple[tuple[str, str], ...] = ()
    """What to enter where: label and value."""
    steps: tuple[str, ...] = ()
    files: tuple[Snippet, ...] = ()
    test: Snippet | None = None
    seen: str = ""
    failures: tuple[Failure, ...] = ()


class _Written(Struct, frozen=True, forbid_unknown_fields=True):
    """A recipe as its file says it."""

    caption: str
    seen: str
    failures: tuple[str, str, str]
    about: str = ""
    via: Security | None = None
    form: tuple[tuple[str, str], ...] = ()
    steps: tuple[str, ...] = ()
    files: tuple[Snippet, ...] = ()
    test: Snippet | None = None


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """Recipes that people look for together."""

    name: str
    title: str
    recipes: tuple[str, ...]


class _Pages(Struct, frozen=True, forbid_unknown_fields=True):
    pages: tuple[Page, ...]


@dataclass(frozen=True, slots=True)
class Book:
    """All recipes, in the order of the pages."""

    pages: tuple[Page, ...] = ()
    recipes: Mapping[str, Recipe] = field(default_factory=dict)

    def recipe(self, name: str) -> Recipe:
        """By name. Raises `UnknownRecipe`."""
        found = self.recipes.get(name.lower())
        if found is None:
            near = get_close_matches(name[:_SHOWN].lower(), list(self.recipes), 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise UnknownRecipe(
                f"There is no recipe {name[:_SHOWN]!r}{hint}",
                fix=f"Known are: {', '.join(self.recipes)}.",
            )
        return found


def parse_book(files: Mapping[str, str]) -> Book:
    """The book out of its files, by name. Raises `ValueError` where one does not fit the others."""
    pages = _read(files[PAGES_FILE], _Pages).pages
    failures = _read(files[FAILURES_FILE], dict[str, Failure])
    wanted = [name for page in pages for name in page.recipes]
    written = {name.removesuffix(".toml") for name in files} - {
        PAGES_FILE.removesuffix(".toml"),
        FAILURES_FILE.removesuffix(".toml"),
    }
    if sorted(wanted) != sorted(written):
        raise ValueError(f"pages and recipes differ: {sorted(set(wanted) ^ written)}")
    recipes = {name: _parse(name, files[f"{name}.toml"], failures) for name in wanted}
    return Book(pages, recipes)


def fill(recipe: Recipe, facts: LoginFacts) -> Recipe:
    """The recipe with everything filled in. Raises `NotWritable` where a value does not fit."""
    places, conditions = _places(facts), _conditions(facts)

    def filled(text: str, syntax: str = "text") -> str:
        return _fill(text, syntax, places, conditions)

    def snippet(each: Snippet) -> Snippet:
        text = filled(each.text, each.syntax)
        return Snippet(filled(each.name), each.syntax, text, filled(each.about))

    def sentences(text: str) -> str:
        return filled(text).replace("\n", " ")

    return Recipe(
        name=recipe.name,
        caption=recipe.caption,
        about=filled(recipe.about),
        via=recipe.via,
        form=tuple((label, filled(value)) for label, value in _standing(recipe.form, filled)),
        steps=tuple(filter(None, map(filled, recipe.steps))),
        files=tuple(each for each in map(snippet, recipe.files) if each.text),
        test=snippet(recipe.test) if recipe.test else None,
        seen=filled(recipe.seen),
        failures=tuple(
            Failure(filled(each.said), sentences(each.means), sentences(each.do))
            for each in recipe.failures
        ),
    )


def _standing(
    form: Iterable[tuple[str, str]], filled: Callable[[str], str]
) -> Iterable[tuple[str, str]]:
    """The entries whose label is left once its condition was looked at."""
    for label, value in form:
        if shown := filled(label):
            yield shown, value


def _fill(text: str, syntax: str, places: Mapping[str, str], conditions: Mapping[str, bool]) -> str:
    quote = QUOTES[syntax]

    def value(match: re.Match[str]) -> str:
        name, first = match[1], match[2].split("|")[1:]
        found = places[name]
        try:
            for each in first:
                found = FIRST[each](found)
            return quote(found)
        except NotWritable as wrong:
            raise NotWritable(f"{name.replace('_', ' ')}: {wrong.sentence}") from wrong

    lines = (_if_it_holds(line, conditions) for line in text.strip("\n").split("\n"))
    return "\n".join(_PLACE.sub(value, line) for line in lines if line is not None)


def _if_it_holds(line: str, conditions: Mapping[str, bool]) -> str | None:
    found = _CONDITION.match(line)
    if found is None:
        return line
    for name in found[1].split(","):
        if conditions[name.removeprefix("!")] is name.startswith("!"):
            return None
    return line[found.end() :]


def _places(facts: LoginFacts) -> Mapping[str, str]:
    incoming = parse_incoming(facts.incoming) if facts.incoming else None
    return {
        "credential": facts.credential,
        "username": facts.username,
        "password": facts.password,
        "host": facts.host,
        "port": str(facts.port),
        "security": "SSL/TLS" if facts.security is Security.TLS else "STARTTLS",
        "sender": facts.sender,
        "sender_name": facts.sender.rpartition("@")[0],
        "domain": facts.sender.rpartition("@")[2],
        "ca": facts.ca_path,
        "tls_port": str(facts.tls_port),
        "starttls_port": str(facts.starttls_port),
        "incoming_host": incoming.host if incoming else "",
        "incoming_port": str(incoming.port) if incoming else "",
        "incoming_service": _service(facts.incoming),
    }


def _service(incoming: str) -> str:
    """Its name in DNS (RFC 6186 §3.2), which is the scheme of the address."""
    return incoming.partition(":")[0]


def _conditions(facts: LoginFacts) -> Mapping[str, bool]:
    return {
        "tls": facts.security is Security.TLS,
        "starttls": facts.security is Security.STARTTLS,
        "hastls": facts.tls_port != 0,
        "hasstarttls": facts.starttls_port != 0,
        "ca": facts.ca_path != "",
        "local": facts.is_local,
        "incoming": facts.incoming != "",
    }


def _parse(name: str, text: str, failures: Mapping[str, Failure]) -> Recipe:
    try:
        written = _read(text, _Written)
        said = tuple(failures[each] for each in written.failures)
        snippets = (*written.files, *([written.test] if written.test else []))
        strange = {each.syntax for each in snippets} - QUOTES.keys()
    except (ValueError, KeyError) as wrong:
        raise ValueError(f"{name}.toml: {wrong}") from wrong
    if strange:
        raise ValueError(f"{name}.toml: no known syntax: {sorted(strange)}")
    values = msgspec.structs.asdict(written) | {"failures": said}
    return Recipe(name=name, **values)


def _read(text: str, kind: type[T]) -> T:
    return msgspec.convert(tomllib.loads(text), kind)
