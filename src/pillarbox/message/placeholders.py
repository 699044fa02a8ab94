"""{name} filling for the email-service contract; no escaping surprises, no second pass"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Final

# Whatever stands between braces is looked up; what is not there is left alone, braces included.
# That is what keeps a style sheet's braces whole without this module knowing about CSS.
_PLACEHOLDER: Final = re.compile(r"\{([^{}]{1,100})\}")


def fill(text: str, values: Mapping[str, object], *, escape: bool = False) -> str:
    """Put `values` in place of their ``{name}`` in `text`, each exactly as it is.

    Text and numbers are inserted (true and false as those words); a name that is unknown, or whose
    value is of any other kind, stays as it stands. What a value contains is never filled again.
    With `escape` the values become safe to stand in HTML, in an attribute too.
    """
    if "{" not in text:
        return text

    def replaced(match: re.Match[str]) -> str:
        value = _as_text(values.get(match[1]))
        if value is None:
            return match[0]
        return html.escape(value) if escape else value

    return _PLACEHOLDER.sub(replaced, text)


def _as_text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        try:
            return str(value)
        except ValueError:  # Python refuses to write out integers of thousands of digits
            return None
    return None
