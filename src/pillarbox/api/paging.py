"""lists: what may be asked in a query, and how a page of an answer looks"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from starlette.requests import Request

from pillarbox.api.bodies import unknown
from pillarbox.api.problems import InvalidRequest, Mistake
from pillarbox.storage.interface.events import LogPosition
from pillarbox.terms.clock import parse_duration
from pillarbox.terms.errors import InvalidDuration
from pillarbox.terms.ids import node_of

MOST: Final = 500
USUAL: Final = 50
_LONGEST_NUMBER: Final = 18
_LONGEST_VALUE: Final = 1200


def read_query(request: Request, *names: str) -> Mapping[str, str]:
    """The query's parameters, each given once. Raises `InvalidRequest` for any other name."""
    found: dict[str, str] = {}
    mistakes = []
    for name, value in request.query_params.multi_items():
        if name not in names:
            noun = "query parameter"
            words = unknown(noun, name, names) if names else f"is no known {noun}"
            mistakes.append(Mistake("", f"{name[:64]} {words}"))
        elif name in found:
            mistakes.append(Mistake("", f"{name} was given twice"))
        elif len(value) > _LONGEST_VALUE:
            mistakes.append(Mistake("", f"{name} is longer than {_LONGEST_VALUE} characters"))
        elif value:
            found[name] = value
    if mistakes:
        raise InvalidRequest(mistakes)
    return found


def limit_of(query: Mapping[str, str]) -> int:
    """How many items were asked for. Raises `InvalidRequest`."""
    limit = number_of(query, "limit", USUAL)
    if not 1 <= limit <= MOST:
        raise InvalidRequest([Mistake("", f"limit is a number from 1 to {MOST}")])
    return limit


def number_of(query: Mapping[str, str], name: str, usual: int) -> int:
    """A whole number of a query. Raises `InvalidRequest`."""
    text = query.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise InvalidRequest([Mistake("", f"{name} is a whole number")])
    return int(text)


def position_of(query: Mapping[str, str], name: str) -> LogPosition:
    """A place in the event log, as an answer gave it. Raises `InvalidRequest`."""
    words = query[name].split(".")
    known = {
        node_of(int(word)): int(word)
        for word in words
        if word.isascii() and word.isdigit() and len(word) <= _LONGEST_NUMBER
    }
    if len(known) != len(words):
        raise InvalidRequest([Mistake("", f"{name} is what an answer gave as next, or 0")])
    return known


def format_position(position: LogPosition) -> str:
    """What `position_of` reads: the number of each node's last event."""
    return ".".join(map(str, sorted(position.values()))) or "0"


def instant_of(query: Mapping[str, str], name: str, now_ms: int) -> int | None:
    """An instant of a query: RFC 3339, or a span back from now, such as 24h.

    Raises `InvalidRequest`.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        # A plus sign that nobody escaped arrives as a blank.
        at = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
        return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        pass
    try:
        return max(0, now_ms - int(parse_duration(text) * 1000))
    except (InvalidDuration, OverflowError, ValueError):
        raise InvalidRequest(
            [Mistake("", f"{name} is a time such as 2026-11-05T10:00:00Z, or a span such as 24h")]
        ) from None


def page(items: Sequence[Any], following: str | int | None = None) -> dict[str, Any]:
    """A list as it is answered; `following` asks for the next page."""
    return {"items": items, "next": following}
