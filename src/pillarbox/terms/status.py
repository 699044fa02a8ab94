"""enhanced status codes (RFC 3463) and the class of a code"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from pillarbox.terms.errors import PillarboxError

_SHAPE: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})", re.ASCII)
_LEADING: Final = re.compile(r"#?([245]\.\d{1,3}\.\d{1,3})(?:[ \t]+|$)", re.ASCII)

SUCCESS: Final = 2
INTERMEDIATE: Final = 3
TRANSIENT: Final = 4
PERMANENT: Final = 5


class InvalidStatus(PillarboxError):
    """An enhanced status code has three numbers, the first of them 2, 4 or 5."""

    code = "invalid_value"


@dataclass(frozen=True, slots=True, order=True)
class EnhancedStatus:
    """Class, subject and detail of RFC 3463 §2."""

    severity: int
    subject: int
    detail: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``5.1.1``. Raises `InvalidStatus`."""
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise InvalidStatus
        return cls(int(match[1]), int(match[2]), int(match[3]))

    def format(self) -> str:
        """``5.1.1``."""
        return f"{self.severity}.{self.subject}.{self.detail}"

    __str__ = format


def severity(code: int) -> int:
    """The class of a three-digit reply code: 2 done, 3 go on, 4 later, 5 never."""
    return code // 100


def split_status(text: str) -> tuple[str | None, str]:
    """The enhanced code a reply's text begins with, if any, and the text behind it.

    A number sign before the code, as one widespread gateway writes it, is skipped.
    """
    match = _LEADING.match(text)
    if match is None:
        return None, text
    return match[1], text[match.end() :]
