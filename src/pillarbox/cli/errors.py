"""how a failure reads: what went wrong, why, what to do, its code; and the exit code it means"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

from pillarbox.cli.output import Screen, clean, run_as
from pillarbox.terms.errors import PillarboxError


class Exit(IntEnum):
    """What the exit code says to a script."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_PERMITTED = 4
    CONFLICT = 5
    FOUND_PROBLEMS = 6
    UNREACHABLE = 7
    PARTLY = 8
    NEGATIVE = 9
    INTERRUPTED = 130


EXIT_WORDS: Final = {
    Exit.DONE: "done, or nothing to do",
    Exit.FAILED: "failed, the message says why",
    Exit.USAGE: "the command was written wrongly",
    Exit.NOT_FOUND: "what was named does not exist",
    Exit.NOT_PERMITTED: "not signed in, or not permitted",
    Exit.CONFLICT: "it exists already, or is not in the state for this",
    Exit.FOUND_PROBLEMS: "a check found problems",
    Exit.UNREACHABLE: "no Pillarbox answers, or it is busy; try later",
    Exit.PARTLY: "partly done, the rest is listed",
    Exit.NEGATIVE: "the outcome that was waited for is a negative one",
    Exit.INTERRUPTED: "stopped with Ctrl-C",
}

_SEVERAL: Final = 2
_BY_STATUS: Final = {
    400: Exit.USAGE,
    401: Exit.NOT_PERMITTED,
    403: Exit.NOT_PERMITTED,
    404: Exit.NOT_FOUND,
    409: Exit.CONFLICT,
    410: Exit.NOT_FOUND,
    412: Exit.CONFLICT,
    422: Exit.USAGE,
    429: Exit.UNREACHABLE,
    502: Exit.UNREACHABLE,
    503: Exit.UNREACHABLE,
    504: Exit.UNREACHABLE,
}


class WrongUsage(PillarboxError):
    """The command was written wrongly."""

    code = "usage"


class Unreadable(WrongUsage):
    """A file that was named cannot be read."""

    def __init__(self, file: object, wrong: OSError | UnicodeDecodeError) -> None:
        """`file` as the sentence is to name it; `wrong` is what reading it raised."""
        why = wrong.strerror if isinstance(wrong, OSError) else "it is no text in UTF-8"
        super().__init__(
            f"cannot read {file}", detail=why or "", fix="look at its name, and at who may read it"
        )


class NotConfirmed(PillarboxError):
    """Nothing was changed: the question was not answered with yes."""

    code = "not_confirmed"


class NothingHere(PillarboxError):
    """No Pillarbox runs here, and there is no data directory."""

    code = "server_not_running"


class ApiProblem(PillarboxError):
    """The server refused; it said why as a problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """`problem` is what it said, as it came; any of its members may be missing."""
        sentence = problem.get("detail") or problem.get("title") or f"the server answered {status}"
        super().__init__(
            clean(sentence),
            fix=clean(problem["fix"]) if problem.get("fix") else None,
            code=clean(problem.get("code") or "internal"),
        )
        self.status = status
        self.problem = dict(problem)


def exit_code_of(error: BaseException) -> int:
    """The exit code an error means: its entry in the catalogue, else the HTTP status."""
    if isinstance(error, KeyboardInterrupt):
        return Exit.INTERRUPTED
    if isinstance(error, WrongUsage):
        return Exit.USAGE
    if isinstance(error, PillarboxError):
        from pillarbox.terms.catalogue import CATALOGUE

        known = CATALOGUE.get(error.error_code)
        if known is not None:
            return known.exit_code
    if isinstance(error, ApiProblem):
        return _BY_STATUS.get(error.status, Exit.FAILED)
    return Exit.FAILED


def problem_document(error: PillarboxError) -> dict[str, Any]:
    """The error for a program: what the server said, or the same members from what we know."""
    if isinstance(error, ApiProblem):
        return error.problem
    document: dict[str, Any] = {
        "title": _title(error.error_code),
        "detail": error.sentence,
        "code": error.error_code,
        "fix": error.fix or _usual_fix(error.error_code),
    }
    mistakes = getattr(error, "mistakes", ())
    if mistakes:
        document["errors"] = [
            {"where": m.where, "detail": m.sentence, "code": m.code} for m in mistakes
        ]
    return {name: value for name, value in document.items() if value}


def print_error(error: PillarboxError, *, as_json: bool = False) -> None:
    """Write the error to standard error, in the one shape every verb has."""
    if as_json:
        Screen().note(json.dumps(problem_document(error), indent=2))
        return
    screen = Screen()
    red = screen.paint("error:", "red", stream=sys.stderr)
    screen.note(f"{red} {clean(error.sentence)}")
    for line in _several(error):
        screen.note(f"  {clean(line)}")
    if error.detail:
        screen.note(f"  why:  {clean(error.detail)}")
    fix = error.fix or _usual_fix(error.error_code)
    if fix:
        for label, line in zip(["fix: ", *[""] * 9], fix.splitlines(), strict=False):
            screen.note(f"  {label:<5} {clean(_called(line))}")
    if not isinstance(error, WrongUsage | NotConfirmed):
        screen.note(f"  code: {error.error_code}")
    request = error.problem.get("request_id") if isinstance(error, ApiProblem) else None
    if request:
        screen.note(f"  ref:  {clean(request)}")


def _several(error: PillarboxError) -> Sequence[str]:
    """The single problems of an error that stands for more than one."""
    if isinstance(error, ApiProblem):
        found = error.problem.get("errors")
        if not isinstance(found, list) or len(found) < _SEVERAL:
            return []
        return [_pointed(each) for each in found]
    mistakes = getattr(error, "mistakes", ())
    return [str(each) for each in mistakes] if len(mistakes) >= _SEVERAL else []


def _pointed(problem: object) -> str:
    if not isinstance(problem, Mapping):
        return str(problem)
    pointer = str(problem.get("pointer") or problem.get("param") or "").lstrip("#/")
    words = str(problem.get("detail") or problem.get("code") or "")
    return f"{pointer.replace('/', '.')}: {words}" if pointer else words


def _called(line: str) -> str:
    """Commands in advice, written as they are typed here."""
    return line.replace("pillarbox ", f"{run_as()} ") if run_as() != "pillarbox" else line


def _title(code: str) -> str:
    from pillarbox.terms.catalogue import CATALOGUE

    return CATALOGUE[code].title if code in CATALOGUE else ""


def _usual_fix(code: str) -> str:
    from pillarbox.terms.catalogue import CATALOGUE

    return CATALOGUE[code].fix if code in CATALOGUE else ""
