"""the names people give to apps, servers, credentials and keys"""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import count
from typing import Final

from pillarbox.terms.errors import PillarboxError

RESERVED: Final = frozenset({"system", "user", "admin", "private", "auth", "api_docs"})
"""These would collide with other routes of the interfaces whose paths contain an app's name."""

_ROUTES: Final = frozenset({"problems"})
"""What follows ``/credentials/`` and is no credential."""

_UNFIT: Final = re.compile(r"[^a-z0-9_-]+")
_UNFIT_FOR_THING: Final = re.compile(r"[^A-Za-z0-9._@+-]+")
_ROOM_FOR_A_NUMBER: Final = 10
_APP: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_THING: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class InvalidName(PillarboxError):
    """A name has characters it cannot have."""

    code = "invalid_value"


def app_name(text: str) -> str:
    """An app's name, folded to lower case. Raises `InvalidName`."""
    folded = text.lower()
    if folded in RESERVED:
        raise InvalidName(f"{folded!r} is a reserved name")
    if not _APP.fullmatch(folded):
        raise InvalidName(
            "an app's name has up to 64 letters, digits, _ and -, and begins with a letter or digit"
        )
    return folded


def thing_name(text: str) -> str:
    """The name of a server, credential or key, or a login's user name. Raises `InvalidName`."""
    if not _THING.fullmatch(text):
        raise InvalidName(
            "a name has up to 100 letters, digits and . _ @ + -, and begins with a letter or digit"
        )
    return text


def login_name(text: str) -> str:
    """The name or the user name of a credential. Raises `InvalidName`."""
    if text.lower() in _ROUTES:
        raise InvalidName(f"{text!r} is a reserved name")
    return thing_name(text)


def app_name_after(label: str, taken: Collection[str]) -> str:
    """A name for an app that people call something else, not among those taken: ``my-shop``."""
    plain = _UNFIT.sub("-", label.lower()).strip("-_")[: 64 - _ROOM_FOR_A_NUMBER].strip("-_")
    return _numbered(plain if plain and plain not in RESERVED else "app", {*taken, *RESERVED})


def name_after(host: str, taken: Collection[str]) -> str:
    """A name for a server, which is not among those taken: that of its host, perhaps numbered."""
    plain = _UNFIT_FOR_THING.sub("-", host).lstrip("._@+-")[: 100 - _ROOM_FOR_A_NUMBER]
    return _numbered(plain or "server", taken)


def _numbered(name: str, taken: Collection[str]) -> str:
    numbers = (f"{name}-{number}" for number in count(2))
    return name if name not in taken else next(each for each in numbers if each not in taken)
