"""request bodies: bounded, decoded, every mistake in them named at once"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from starlette.requests import ClientDisconnect, Request

from pillarbox.api.problems import InvalidRequest, Mistake, RequestError
from pillarbox.terms.errors import PillarboxError, Trouble

S = TypeVar("S", bound=msgspec.Struct)
Check = Callable[[Any], Any]

LEASE: Final = "pillarbox.body_lease"
"""Where a request's scope holds its `BodyLease`."""

_MISTAKES: Final = 100
_MOST_ITEMS: Final = 10_000
_NAME_CHARACTERS: Final = 64
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_PLACE: Final = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]")
_WORDS: Final = {
    "`str`": "text",
    "`int`": "a whole number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
    "`null`": "null",
    "Object missing required field": "there is no field",
    "Object contains unknown field": "there should be no field",
}
_JSON_TYPES: Final = frozenset(
    # curl -d says the last one of everything it posts.
    {"", "application/json", "application/x-www-form-urlencoded"}
)


class BodyRoom:
    """The memory that all request bodies share."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` at once, whoever they are from."""
        self._most = most_bytes
        self._held = 0

    def lease(self) -> BodyLease:
        """One request's part of it; has to be given back."""
        return BodyLease(self)

    def take(self, size: int) -> None:
        """Raises `Trouble` where there is no room left."""
        if self._held + size > self._most:
            raise Trouble("Too many large requests are being read just now.", retry_after_seconds=2)
        self._held += size

    def give(self, size: int) -> None:
        """What was taken is free again."""
        self._held -= size


class BodyLease:
    """What one request holds of the room, from its first byte until it is answered."""

    def __init__(self, room: BodyRoom) -> None:
        """Nothing yet."""
        self._room = room
        self._held = 0

    def take(self, size: int) -> None:
        """Raises `Trouble`."""
        self._room.take(size)
        self._held += size

    def give_back(self) -> None:
        """All of it."""
        self._room.give(self._held)
        self._held = 0


async def read_body(request: Request, *, limit: int, seconds: float) -> bytes:
    """The whole body. Raises `RequestError` where it is too large, too slow or compressed, and
    `Trouble` where too much is being read from others.
    """
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise RequestError(
            "Compressed request bodies are not taken.",
            status=415,
            fix="Send the body as it is, without Content-Encoding.",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:18]) > limit:
        raise _too_large(limit)
    lease: BodyLease = request.scope[LEASE]
    blocks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for block in request.stream():
                size += len(block)
                if size > limit:
                    raise _too_large(limit)
                lease.take(len(block))
                blocks.append(block)
    except TimeoutError:
        raise RequestError(
            "The request body did not arrive in time.", status=408, fix="Send it again."
        ) from None
    except ClientDisconnect:
        raise RequestError("The caller left before the body was complete.") from None
    return b"".join(blocks)


def check_json_type(request: Request) -> None:
    """Raises `RequestError` where the body is declared to be something else than JSON."""
    declared = media_type(request)
    if declared not in _JSON_TYPES and not declared.endswith("+json"):
        raise RequestError(
            f"A body of type {declared[:60]!r} is not understood here.",
            status=415,
            fix="Send JSON, with Content-Type: application/json.",
        )


def media_type(request: Request) -> str:
    """The declared type of the body, without its parameters; empty where none is declared."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def read_object(body: bytes) -> dict[str, msgspec.Raw]:
    """The members of a JSON object, not looked into yet. Raises `RequestError`.

    What no shape asks for is never decoded, so neither depth nor number of values costs more
    than the reading.
    """
    if not body.strip():
        raise RequestError("The request has no body.", fix="Send a JSON object.")
    try:
        return _object.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RequestError(_malformed(error), fix="Send one JSON object in UTF-8.") from None


def read_shape(body: bytes, shape: type[S]) -> S:
    """A JSON object as a `shape`. Raises `InvalidRequest` naming all mistakes at once."""
    return fill(read_object(body), shape)


def fill(given: Mapping[str, msgspec.Raw], shape: type[S]) -> S:
    """The members of an object as a `shape`, each checked by itself. Raises `InvalidRequest`.

    A shape's ``CHECKS`` name functions for what no type can say; one gives back the value to be
    used, or raises a `PillarboxError`. The items of a list are checked one by one.
    """
    fields = _fields_of(shape)
    checks: Mapping[str, Check] = getattr(shape, "CHECKS", {})
    mistakes = [
        Mistake(f"/{escape(name)}", unknown("field", name, fields))
        for name in given
        if name not in fields
    ]
    values: dict[str, Any] = {}
    for name, each in fields.items():
        if name in given:
            check = checks.get(each.name)
            values[each.name] = _value(given[name], each.type, f"/{name}", mistakes, check)
        elif each.required:
            mistakes.append(Mistake(f"/{name}", "is missing"))
    if mistakes:
        raise InvalidRequest(mistakes)
    return shape(**values)


@lru_cache(maxsize=256)
def _fields_of(shape: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {each.encode_name: each for each in msgspec.structs.fields(shape)}


def unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """``is no known field; did you mean 'subject'?``"""
    near = get_close_matches(name[:_NAME_CHARACTERS], list(known), 1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are: {', '.join(sorted(known))}"
    return f"is no known {noun}{hint}"


def escape(name: str) -> str:
    """A name as a part of a JSON pointer (RFC 6901 §3), cut where it is absurdly long."""
    return name[:_NAME_CHARACTERS].replace("~", "~0").replace("/", "~1")


def _value(
    raw: msgspec.Raw | bytes,
    kind: Any,
    pointer: str,
    mistakes: list[Mistake],
    check: Check | None = None,
) -> Any:
    listed = _list_of(kind)
    if listed is not None and bytes(memoryview(raw)[:1]) == b"[":
        return _items(raw, *listed, pointer, mistakes, check)
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        value = decoder.decode(raw)
        return value if check is None or value is None else check(value)
    except msgspec.ValidationError as error:
        mistakes.append(_mistake(pointer, str(error)))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(pointer, _malformed(error)))
    except PillarboxError as error:
        mistakes.append(Mistake(pointer, error.sentence, error.error_code))
    return None


def _items(
    raw: msgspec.Raw | bytes,
    kind: Any,
    most: int,
    pointer: str,
    mistakes: list[Mistake],
    check: Check | None,
) -> tuple[Any, ...] | None:
    try:
        members = _array.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(pointer, _malformed(error)))
        return None
    if len(members) > most:
        mistakes.append(Mistake(pointer, f"has {len(members)} items; {most} are possible"))
        return None
    values = []
    for number, member in enumerate(members):
        if len(mistakes) >= _MISTAKES:
            break
        values.append(_value(member, kind, f"{pointer}/{number}", mistakes, check))
    return tuple(values)


@lru_cache(maxsize=256)
def _list_of(kind: Any) -> tuple[Any, int] | None:
    """The X of the ``tuple[X, ...]`` in a type or among its alternatives, and how many it takes."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return arguments[0], _MOST_ITEMS
    if origin is Annotated:
        found = _list_of(arguments[0])
        most = min((m.max_length for m in arguments[1:] if m.max_length), default=_MOST_ITEMS)
        return found and (found[0], most)
    if origin in (Union, UnionType):
        return next(filter(None, map(_list_of, arguments)), None)
    return None


def _mistake(pointer: str, words: str) -> Mistake:
    text, _, place = words.partition(" - at `")
    inner = "".join(f"/{name or number}" for name, number in _PLACE.findall(place))
    for word, plain in _WORDS.items():
        text = text.replace(word, plain)
    return Mistake(pointer + inner, text[:1].lower() + text[1:].replace("`", "'"))


def _malformed(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The JSON is nested too deeply."
    if isinstance(error, msgspec.ValidationError):
        return "The request body is JSON, but no object."
    if isinstance(error, UnicodeDecodeError):
        return "The request body is not UTF-8."
    return f"The request body is no JSON: {str(error).removeprefix('JSON is malformed: ')}."


def _too_large(limit: int) -> RequestError:
    return RequestError(
        f"The request body is larger than the {limit // 1024:,} KB taken here.",
        code="message_too_large",
        # What is left of the body would be read as the next request.
        headers={"Connection": "close"},
    )
