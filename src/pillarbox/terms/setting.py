"""how a room declares what may be changed without code"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import FunctionType
from typing import Any, Final, TypeVar, overload

from pillarbox.terms.errors import PillarboxError
from pillarbox.terms.secret import Secret

T = TypeVar("T")

_YES: Final = frozenset({"true", "yes", "on", "1"})
_NO: Final = frozenset({"false", "no", "off", "0"})
_SHOWN_CHARACTERS: Final = 60


class InvalidSetting(PillarboxError):
    """A setting has a value that cannot be used."""

    code = "config_invalid"


@overload
def setting(default: Callable[[], T], about: str, *, secret: bool = False) -> T: ...
@overload
def setting(default: T, about: str, *, secret: bool = False) -> T: ...
def setting(default: Any, about: str, *, secret: bool = False) -> Any:
    """A field of a room's frozen config dataclass, with the sentence people read about it.

    `default` is the value, or a class or function that makes it when it is called without
    arguments. `about` is one sentence that ends with a full stop and names what the field's name
    leaves open. A `secret` is never shown, and may be read from a file the environment names.

    A room only declares its fields; ``settings`` gathers and fills them::

        @dataclass(frozen=True, slots=True)
        class RetryConfig:
            first_delay_seconds: int = setting(300, "Wait before the second attempt.")

    What no type can say, a room checks in ``__post_init__`` and raises `InvalidSetting`.
    """
    metadata = {"about": about, "secret": secret}
    # A secret stays out of the dataclass's repr too, which finds its way into tracebacks.
    if isinstance(default, type | FunctionType):
        return dataclasses.field(default_factory=default, metadata=metadata, repr=not secret)
    return dataclasses.field(default=default, metadata=metadata, repr=not secret)


def about(field: dataclasses.Field[Any]) -> str:
    """The sentence of a field made by `setting`; empty for any other."""
    return str(field.metadata.get("about", ""))


def is_secret(field: dataclasses.Field[Any]) -> bool:
    """Whether the value of a field must never be shown."""
    return bool(field.metadata.get("secret", False))


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The value a field has when nobody says anything."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def read_value(kind: Any, given: object) -> Any:
    """`given`, as a file of settings holds it, as a value of the type `kind`.

    Nothing is guessed: a number in quotes is text, and 1.5 is no whole number. Raises
    `InvalidSetting`, whose sentence says what is wanted and what was found.
    """
    kinds = _alternatives(kind)
    if isinstance(given, str) and Secret in kinds:
        return Secret(given)
    for each in kinds:
        found, value = _read_one(each, given)
        if found:
            return value
    raise InvalidSetting(f"wants {describe_kind(kind)}, found {_shown(given)}")


def read_text(kind: Any, text: str) -> Any:
    """`text`, from the environment or the command line, as a value of the type `kind`.

    Lists are separated by commas; yes and no may be said in the usual ways. Raises
    `InvalidSetting`.
    """
    kinds = _alternatives(kind)
    if types.NoneType in kinds and not text.strip():
        return None
    for each in kinds:
        try:
            return read_value(each, _from_text(each, text.strip()))
        except (InvalidSetting, ValueError):
            continue
    raise InvalidSetting(f"wants {describe_kind(kind)}, found {_shown(text)}")


def describe_kind(kind: Any) -> str:
    """The type of a setting in words, such as ``a whole number`` or ``a list of text``."""
    kinds = [each for each in _alternatives(kind) if each is not types.NoneType]
    return " or ".join(_describe_one(each) for each in kinds)


def format_value(value: object) -> str:
    """A value as a file of settings would hold it; a secret as stars."""
    match value:
        case None:
            return '""'
        case Secret():
            return '"****"' if value else '""'
        case Enum():
            return format_value(value.value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Mapping():
            pairs = (f"{_quoted(str(k))} = {format_value(v)}" for k, v in value.items())
            return "{ " + ", ".join(pairs) + " }" if value else "{}"
        case tuple() | list() | frozenset() | set():
            items = sorted(value, key=str) if isinstance(value, frozenset | set) else value
            return "[" + ", ".join(map(format_value, items)) + "]"
        case _:
            return _quoted(str(value))


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return typing.get_args(kind)
    return (kind,)


def _read_one(kind: Any, given: object) -> tuple[bool, Any]:
    """Whether `given` is of that kind, and its value. Items of a list raise for themselves."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return given in arguments, given
    if origin in (tuple, frozenset) and isinstance(given, list | tuple):
        return True, origin(read_value(arguments[0], item) for item in given)
    if origin in (dict, Mapping) and isinstance(given, dict):
        return True, {str(key): read_value(arguments[1], value) for key, value in given.items()}
    if not isinstance(kind, type):
        return False, None
    if issubclass(kind, Enum):
        values = {str(member.value): member for member in kind}
        return (True, values[given]) if isinstance(given, str) and given in values else (False, 0)
    if kind is float and type(given) is int:
        return True, float(given)
    if kind is Path and isinstance(given, str):
        return True, Path(given)
    # bool is an int in Python and must not pass for one here, hence no isinstance.
    return type(given) is kind and not _endless(given), given


def _endless(given: object) -> bool:
    return isinstance(given, float) and not math.isfinite(given)


def _from_text(kind: Any, text: str) -> object:
    """What a file would hold in place of `text`; raises ValueError where there is no such thing."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (tuple, frozenset):
        return [_from_text(arguments[0], item.strip()) for item in text.split(",") if item.strip()]
    if origin in (dict, Mapping):
        pairs = (item.partition("=") for item in text.split(",") if item.strip())
        return {key.strip(): _from_text(arguments[1], value.strip()) for key, _, value in pairs}
    if kind is bool:
        return _truth(text.lower())
    if kind is int:
        return int(text)
    if kind is float:
        return float(text)
    if origin is typing.Literal and text not in arguments:
        return int(text)
    return text


def _truth(word: str) -> bool:
    if word not in _YES | _NO:
        raise ValueError(word)
    return word in _YES


def _describe_one(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return _one_of(arguments)
    if origin in (tuple, frozenset):
        return f"a list of {_PLURALS.get(arguments[0]) or describe_kind(arguments[0])}"
    if origin in (dict, Mapping):
        return "a table"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _one_of([member.value for member in kind])
    return _WORDS.get(kind, "another value")


_WORDS: Final[Mapping[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    Secret: "text",
}
_PLURALS: Final[Mapping[Any, str]] = {
    int: "whole numbers",
    float: "numbers",
    str: "texts",
    Path: "paths",
}


def _one_of(values: Sequence[object]) -> str:
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _shown(given: object) -> str:
    text = format_value(given)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "..."


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'
