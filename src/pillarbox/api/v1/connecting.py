"""connecting a program: recipes with a login's values in them, and profiles for Apple's devices"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

import msgspec
from starlette.responses import Response

from pillarbox.api.apple_profile import MEDIA_TYPE, build_profile
from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import find_credential
from pillarbox.api.paging import page, read_query
from pillarbox.api.problems import InvalidRequest, Mistake, RequestError
from pillarbox.policy.connecting import LoginFacts, Security, login_facts, parse_incoming
from pillarbox.policy.credential import Credential
from pillarbox.policy.recipe import Book, Recipe, fill
from pillarbox.terms.address import parse_address
from pillarbox.terms.errors import PillarboxError

_LONGEST_NAME: Final = 100


def recipe_view(recipe: Recipe, facts: LoginFacts) -> dict[str, Any]:
    """A filled recipe as programs see it."""
    return {
        "for": recipe.name,
        "caption": recipe.caption,
        "about": recipe.about,
        "values": asdict(facts),
        "form": [{"label": label, "value": value} for label, value in recipe.form],
        "steps": recipe.steps,
        "files": [msgspec.structs.asdict(each) for each in recipe.files],
        "test": msgspec.structs.asdict(recipe.test) if recipe.test else None,
        "seen": recipe.seen,
        "failures": [msgspec.structs.asdict(each) for each in recipe.failures],
    }


async def show_connect(call: Call) -> Response:
    """One recipe filled in, or the list of them."""
    query = read_query(call.request, "for", "via", "app")
    book = call.rooms.recipes()
    recipe = book.recipe(query["for"]) if "for" in query else None
    _, facts = await _facts(call, query, recipe.via if recipe else None)
    if recipe is None:
        return answer({**page(_list(book)), "values": asdict(facts)})
    return answer(recipe_view(fill(recipe, facts), facts))


async def show_profile(call: Call) -> Response:
    """An account for Apple's mail programs, without its passwords."""
    query = read_query(call.request, "via", "app", "incoming", "address", "name")
    credential, facts = await _facts(call, query)
    incoming = query.get("incoming") or facts.incoming
    if not incoming:
        raise RequestError(
            "A mail account on a Mac or iPhone has an incoming server, and none is known here.",
            code="invalid_value",
            fix="Name it, as in incoming=imaps://mail.example.com, or set connect.incoming.",
        )
    try:
        server = parse_incoming(incoming)
        address = parse_address(query.get("address", facts.sender)).text
    except PillarboxError as wrong:
        raise InvalidRequest([Mistake("", wrong.sentence)]) from wrong
    name = query.get("name", "")
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        raise InvalidRequest(
            [Mistake("", f"name has at most {_LONGEST_NAME} characters, none of them unprintable")]
        )
    profile = build_profile(credential.id, facts, server, address=address, full_name=name)
    headers = {"Content-Disposition": 'attachment; filename="pillarbox.mobileconfig"'}
    return Response(profile, 200, headers, MEDIA_TYPE)


async def _facts(
    call: Call, query: Mapping[str, str], preferred: Security | None = None
) -> tuple[Credential, LoginFacts]:
    app, credential = await find_credential(call, call.part("credential"), query.get("app"))
    rooms = call.rooms
    ways = rooms.ways_in()
    wanted = _security(query["via"]) if "via" in query else preferred
    if "via" not in query and wanted not in {way.security for way in ways.ways}:
        wanted = None
    facts = login_facts(
        credential,
        app,
        ways,
        ca_path=rooms.smtp_facts().ca_path,
        incoming=rooms.connect.incoming,
        security=wanted,
    )
    return credential, facts


def _security(text: str) -> Security:
    try:
        return Security(text.upper())
    except ValueError:
        raise InvalidRequest([Mistake("", "via is tls or starttls")]) from None


def _list(book: Book) -> list[dict[str, Any]]:
    return [
        {"name": name, "caption": book.recipes[name].caption, "page": each.name}
        for each in book.pages
        for name in each.recipes
    ]


ENTRIES: Final = (
    Entry("GET", "/credentials/{credential}/connect", Verb.READ, show_connect),
    Entry("GET", "/credentials/{credential}/profile", Verb.READ, show_profile),
)
