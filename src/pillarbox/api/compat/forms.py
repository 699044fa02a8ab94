"""form bodies, whose names may nest: to[0][email]=ann@example.com"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import parse_qsl

from pillarbox.api.problems import RequestError

_MOST_FIELDS: Final = 5000
_DEEPEST: Final = 4
_PART: Final = re.compile(r"\[([^\[\]]*)\]")
_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


def read_form(body: bytes) -> dict[str, Any]:
    """A form as the object it stands for, with text as its only values.

    ``a[]`` appends, ``a[0]`` and ``a[name]`` put; what counts up from 0 becomes a list. Raises
    `RequestError`.
    """
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except UnicodeDecodeError:
        raise RequestError("The form is not UTF-8.") from None
    except ValueError:
        raise RequestError(f"The form has more than {_MOST_FIELDS} fields.") from None
    tree: dict[str, Any] = {}
    for name, value in pairs:
        _put(tree, name, value)
    return {name: _listed(value) for name, value in tree.items()}


def _put(tree: dict[str, Any], name: str, value: str) -> None:
    match = _NAME.fullmatch(name)
    if match is None:
        raise RequestError(f"The form has a field of the name {name[:60]!r}.")
    parts = [match[1], *_PART.findall(match[2])]
    if len(parts) > _DEEPEST:
        raise RequestError(f"The field {name[:60]!r} is nested too deeply.")
    at = tree
    for part in parts[:-1]:
        inner = at.setdefault(part or str(len(at)), {})
        if not isinstance(inner, dict):
            raise RequestError(f"The field {name[:60]!r} is both a text and a list.")
        at = inner
    at[parts[-1] or str(len(at))] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = [_listed(each) for each in value.values()]
    if list(value) == [str(number) for number in range(len(value))]:
        return inner
    return dict(zip(value, inner, strict=True))
