"""connection problems: why clients could not hand in mail, in words"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from pillarbox.api.auth import Verb
from pillarbox.api.calls import Call, Entry, answer
from pillarbox.api.finding import find_credential, sees_everything, visible_apps
from pillarbox.api.paging import limit_of, page, read_query
from pillarbox.policy.problems import words_for
from pillarbox.storage.interface.problems import MOST_KEPT, KeptProblem
from pillarbox.terms.clock import format_instant
from pillarbox.terms.ids import ObjectId


def problem_view(kept: KeptProblem, credentials: Mapping[ObjectId, str]) -> dict[str, Any]:
    """A problem as programs see it; `credentials` gives the names of those the caller sees."""
    problem = kept.problem
    words = words_for(problem)
    whose = problem.credential
    return {
        "reference": problem.reference,
        "kind": problem.kind,
        "what": words.what,
        "fix": words.fix,
        "address": problem.address,
        "port": problem.port or None,
        "username": problem.username,
        "credential": None if whose is None else credentials.get(whose),
        "count": kept.count,
        "first_at": format_instant(kept.first_at),
        "last_at": format_instant(kept.last_at),
    }


async def list_problems(call: Call) -> Response:
    """Those met last, newest first; of one reference or one credential, where that is asked for.

    Those of no credential, or of one that is gone, are told to whoever sees everything here.
    """
    query = read_query(call.request, "reference", "credential", "limit")
    limit = limit_of(query)
    rooms = call.rooms.storage
    if "reference" in query:
        kept = await rooms.problems.with_reference(query["reference"].strip().lower())
    else:
        kept = await rooms.problems.newest(MOST_KEPT)
    names = await _names(call, query.get("credential"))
    strays = "credential" not in query and await sees_everything(call)
    seen = [one for one in kept if strays or _is_of(one, names)]
    return answer(page([problem_view(one, names) for one in seen[:limit]]))


def _is_of(kept: KeptProblem, names: Mapping[ObjectId, str]) -> bool:
    whose = kept.problem.credential
    return whose is not None and whose in names


async def _names(call: Call, wanted: str | None) -> dict[ObjectId, str]:
    """The credentials whose problems are looked for."""
    if wanted is not None:
        _, one = await find_credential(call, wanted)
        return {one.id: one.name}
    apps = {app.id for app in await visible_apps(call)}
    credentials = await call.rooms.storage.directory.credentials()
    return {each.id: each.name for each in credentials if each.app in apps}


ENTRIES: Final = (Entry("GET", "/credentials/problems", Verb.READ, list_problems),)
