"""the parameters of a call of the server API: a form, a JSON object or a query, read the same way

Clients post what they leave out as a bare name or with nothing behind it, so what is empty was not
given. Names are understood in any letter case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from pillarbox.api.bodies import media_type, read_body, read_object
from pillarbox.api.problems import RequestError
from pillarbox.api.rooms import Rooms
from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.ids import ObjectId

T = TypeVar("T")

_MOST: Final = 200
_SHOWN_CHARACTERS: Final = 40
_FORM: Final = "application/x-www-form-urlencoded"
_ID: Final = re.compile(r"[0-9a-fA-F]{24}")
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}")
_SWITCH: Final = {"true": True, "false": False}
_scalar = msgspec.json.Decoder(str | int | float | bool | None)


class BadParameter(RequestError):
    """A parameter is missing or of the wrong type."""

    def __init__(self, sentence: str) -> None:
        """Says which."""
        super().__init__(sentence, status=400)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What was given, by names in lower case. All methods raise `BadParameter`.

    Where a parameter has several names, the first of them that was given counts.
    """

    given: dict[str, str]

    def text(self, *names: str, most: int = 1000) -> str | None:
        """None where it was not given; at most `most` characters."""
        for name in names:
            value = self.given.get(name)
            if value is not None:
                if len(value) > most:
                    raise BadParameter(f"{names[0]} is longer than {most} characters.")
                return value
        return None

    def required(self, *names: str, most: int = 1000) -> str:
        """A text that must be there."""
        value = self.text(*names, most=most)
        if value is None:
            raise BadParameter(f"{names[0]} is missing.")
        return value

    def number(self, name: str, usual: int | None, lowest: int, highest: int) -> int:
        """A whole number; one whose `usual` value is None must be there."""
        text = self.text(name)
        if text is None:
            if usual is None:
                raise BadParameter(f"{name} is missing.")
            return usual
        bare = text.strip()
        if not _NUMBER.fullmatch(bare):
            raise BadParameter(f"{name} is a whole number, not {text[:_SHOWN_CHARACTERS]!r}.")
        if not lowest <= int(bare) <= highest:
            raise BadParameter(f"{name} is a number from {lowest} to {highest}.")
        return int(bare)

    def switch(self, *names: str, usual: bool = False) -> bool:
        """true or false."""
        text = self.text(*names)
        if text is None:
            return usual
        found = _SWITCH.get(text.strip().lower())
        if found is None:
            raise BadParameter(f"{names[0]} is true or false, not {text[:_SHOWN_CHARACTERS]!r}.")
        return found

    def id(self, *names: str) -> ObjectId | None:
        """An id in 24 hex digits; what is none is answered as an id that nothing has: None."""
        text = self.required(*names).strip()
        return ObjectId(bytes.fromhex(text)) if _ID.fullmatch(text) else None

    def checked(self, check: Callable[[str], T], usual: T, *names: str, most: int = 320) -> T:
        """What `check` makes of a text; `usual` where none was given."""
        value = self.text(*names, most=most)
        if value is None:
            return usual
        try:
            return check(value)
        except PillarboxError as error:
            raise BadParameter(f"{names[0]}: {error.sentence}") from None


def of_query(request: Request) -> Parameters:
    """Those of a GET."""
    return Parameters(once(request.query_params.multi_items()))


async def of_body(request: Request, rooms: Rooms, *, most_kb: int | None = None) -> Parameters:
    """Those of a POST: JSON, whatever it is declared to be, or a form. Raises `RequestError`, also
    for a body larger than `most_kb`, or else than is set.
    """
    config = rooms.config
    limit = most_kb or config.max_small_body_kb
    body = await read_body(request, limit=limit * 1024, seconds=config.body_seconds)
    return read_parameters(body, media_type(request))


def read_parameters(body: bytes, declared: str) -> Parameters:
    """Those of a body of a declared type. Raises `RequestError`."""
    if body[:1024].lstrip()[:1] == b"{" or declared.endswith("json"):
        return Parameters(once(_members(body)))
    if declared not in ("", _FORM):
        raise BadParameter(f"A form or a JSON object is taken here, not {declared[:60]!r}.")
    return Parameters(once(_pairs(body)))


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST
        )
    except UnicodeDecodeError:
        raise BadParameter("The form is not UTF-8.") from None
    except ValueError:
        raise BadParameter(f"The form has more than {_MOST} fields.") from None


def _members(body: bytes) -> list[tuple[str, str]]:
    members = read_object(body)
    if len(members) > _MOST:
        raise BadParameter(f"The object has more than {_MOST} members.")
    return [(name, _as_text(name, raw)) for name, raw in members.items()]


def _as_text(name: str, raw: msgspec.Raw) -> str:
    try:
        value: Any = _scalar.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadParameter(
            f"{name[:_SHOWN_CHARACTERS]} is a text, a number, true or false."
        ) from None
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Values by names in lower case; what is empty was not given. Raises `BadParameter` for a name
    with two values.
    """
    given: dict[str, str] = {}
    for name, value in pairs:
        folded = name.lower()
        if value and given.setdefault(folded, value) != value:
            raise BadParameter(
                f"{name[:_SHOWN_CHARACTERS]} was given twice, with different values."
            )
    return given
