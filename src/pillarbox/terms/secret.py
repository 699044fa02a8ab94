"""values that refuse to print themselves"""

from __future__ import annotations

import hmac


class Secret:
    """A password, key or token. Only `reveal` gives it out; logs and tracebacks show stars."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap the clear text."""
        self._value = value

    def reveal(self) -> str:
        """The clear text. Call it where it is used, not where it is passed on."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('****')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        """Constant-time for equal lengths."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._value))
